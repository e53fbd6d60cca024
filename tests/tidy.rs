//! Tests that keep the walls of the house: who may import whom, and what may be in which folder.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What no file of `core/` may name: clocks, sockets, files, threads, runtimes, global randomness.
const IMPURE: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "time::UNIX_EPOCH",
    ".elapsed()",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "thread_local!",
    "Mutex",
    "RwLock",
    "Condvar",
    "tokio",
    "axum",
    "async fn",
    ".await",
    "fastrand",
    "thread_rng",
    "rand::rng()",
    "rand::random",
    "OsRng",
    "RandomState",
    "TransactionId::new()",
    "println!",
    "eprintln!",
];

/// Who may import whom among the folders of `core/src`.
const CORE: &[(&str, &[&str])] = &[
    ("media", &[]),
    ("rtc", &["media"]),
    ("hub", &["media"]),
    ("forward", &["media"]),
    ("congestion", &["media"]),
    ("package", &["media"]),
    ("playlist", &["media"]),
    ("assemble", &["media"]),
    ("shard", &["media", "rtc", "hub", "forward", "congestion"]),
    ("bridge", &["media", "shard", "assemble", "package"]),
];

/// Who may import whom in `src`. Edges meet in `app`.
const ROOT: &[(&str, &[&str])] = &[
    ("addresses", &[]),
    ("config", &[]),
    ("telemetry", &["config"]),
    ("http", &["config"]),
    ("web", &[]),
    ("engine", &["addresses"]),
    ("control", &["engine"]),
    ("bridge", &["metrics", "origin", "transcode"]),
    ("metrics", &[]),
    ("load", &[]),
    ("origin", &[]),
    ("auth", &["config", "origin"]),
    ("transcode", &["priority"]),
    ("doctor", &["addresses", "config", "transcode"]),
    ("priority", &[]),
    ("storage", &[]),
    ("record", &["metrics", "origin", "storage"]),
    ("replay", &["origin", "record", "storage"]),
    ("webhooks", &["config", "metrics"]),
    (
        "app",
        &[
            "addresses",
            "auth",
            "bridge",
            "config",
            "control",
            "engine",
            "http",
            "metrics",
            "origin",
            "record",
            "replay",
            "storage",
            "telemetry",
            "web",
            "webhooks",
        ],
    ),
    ("main", &["app", "auth", "config", "doctor", "load", "priority", "telemetry"]),
];

/// Files over [`MAX_LINES`], each with the reason that makes it easier to read in one piece.
const LONG: &[(&str, &str)] = &[(
    "web-demo/src/theme.css",
    "one sheet for all pages, in the order of the cascade; every declaration is a line",
)];

const MAX_LINES: usize = 700;
const MAX_MEDIAN_LINES: usize = 200;

#[test]
fn core_knows_no_clock_socket_file_thread_or_runtime() {
    let mut found = Vec::new();
    for file in rust_files("core/src") {
        for (number, line) in file.product_lines() {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                found.push(format!("{}:{number}: {word}", file.name));
            }
        }
    }
    let manifest = read("core/Cargo.toml");
    for name in ["tokio", "axum", "socket2", "quinn", "fastrand", "rand", "reqwest", "whitewater-"]
    {
        let named = manifest.lines().filter(|line| line.starts_with(name));
        found.extend(named.map(|line| format!("core/Cargo.toml: {line}")));
    }
    none("core/ is pure: pass it in as an argument", &found);
}

#[test]
fn folders_of_core_do_not_import_sideways() {
    none("siblings in core/ meet in shard/", &sideways("core/src", "crate", CORE));
}

#[test]
fn edges_of_the_root_package_meet_in_app() {
    let mut found = sideways("src", "crate", ROOT);
    found.extend(sideways("src", "whitewater", ROOT));
    none("edges in src/ meet in app.rs", &found);
}

#[test]
fn signaling_and_core_import_nothing_of_ours() {
    let mut found = Vec::new();
    for package in ["core", "signaling"] {
        for file in rust_files(&format!("{package}/src")) {
            let named = file.lines().filter(|(_, line)| line.contains("whitewater_"));
            found.extend(named.map(|(number, line)| format!("{}:{number}: {line}", file.name)));
        }
        let manifest = read(&format!("{package}/Cargo.toml"));
        let named = manifest.lines().filter(|line| line.contains("path ="));
        found.extend(named.map(|line| format!("{package}/Cargo.toml: {line}")));
    }
    none("only the root package knows the others", &found);
}

#[test]
fn no_file_is_long_without_a_named_reason() {
    let files: Vec<_> = sources().collect();
    let reason = |name: &str| LONG.iter().any(|(long, reason)| *long == name && !reason.is_empty());
    let long = |file: &&Source| file.text.lines().count() > MAX_LINES;
    let found: Vec<_> =
        files.iter().filter(long).map(|f| f.name.clone()).filter(|name| !reason(name)).collect();
    none(&format!("split it, or name the reason in LONG (over {MAX_LINES} lines)"), &found);

    let is_long = |name: &str| files.iter().filter(long).any(|file| file.name == name);
    let exists = |name: &str| root().join(name).exists();
    let stale: Vec<_> = LONG.iter().filter(|(name, _)| exists(name) && !is_long(name)).collect();
    assert!(stale.is_empty(), "not long: {stale:?}");

    let mut lengths: Vec<_> = files.iter().map(|file| file.text.lines().count()).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= MAX_MEDIAN_LINES, "the median file has {median} lines");
}

#[test]
fn modules_are_named_after_themselves() {
    let found: Vec<_> = committed().into_iter().filter(|name| name.ends_with("/mod.rs")).collect();
    none("x.rs beside x/, never x/mod.rs", &found);
}

#[test]
fn every_file_says_what_it_is_in_its_first_line() {
    let tests = |name: &str| name.ends_with("/tests.rs") || name.contains("/tests/");
    let found: Vec<_> = ["core/src", "signaling/src", "src", "tests"]
        .iter()
        .flat_map(|folder| rust_files(folder))
        .filter(|file| !tests(&file.name) || file.name.starts_with("tests/"))
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| file.name)
        .collect();
    none("start with `//! A <noun> that <verb>s ...`", &found);
}

#[test]
fn nothing_committed_names_a_machine_or_a_registry() {
    // Split, so that this file may name them.
    let words = [
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/wo", "rk/"),
        concat!("index.", "crates.io"),
        concat!("static.", "crates.io"),
        concat!("registry.", "npmjs.org"),
        concat!("registry.", "yarnpkg.com"),
    ];
    let mut found = Vec::new();
    for name in committed() {
        let Ok(text) = fs::read_to_string(root().join(&name)) else { continue };
        for (number, line) in text.lines().enumerate() {
            let named = words.iter().filter(|word| {
                line.match_indices(**word).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || "._-}~".contains(c))
                })
            });
            found.extend(named.map(|word| format!("{name}:{}: {word}", number + 1)));
        }
    }
    none("it holds on one machine only", &found);
}

#[test]
fn every_member_repeats_lints_and_bans() {
    let bans: Vec<_> = read("clippy.toml")
        .lines()
        .filter(|line| line.trim_start().starts_with("{ path"))
        .map(|line| line.trim().to_owned())
        .collect();
    let mut found = Vec::new();
    for name in committed().iter().filter(|name| name.ends_with("Cargo.toml")) {
        if !read(name).contains("[lints]\nworkspace = true") {
            found.push(format!("{name}: [lints] workspace = true"));
        }
        let clippy = name.replace("Cargo.toml", "clippy.toml");
        if let Ok(text) = fs::read_to_string(root().join(&clippy)) {
            let missing = bans.iter().filter(|ban| !text.contains(ban.as_str()));
            found.extend(missing.map(|ban| format!("{clippy}: {ban}")));
        }
    }
    none("a member without the table is not linted; its own clippy.toml hides the root's", &found);
}

// === What the tests read ===

struct Source {
    /// Path from the root of the repository.
    name: String,
    text: String,
}

impl Source {
    /// Numbered lines without comments.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| {
            let code = match line.trim_start().starts_with("//") {
                true => "",
                false => line.split(" // ").next().unwrap_or_default(),
            };
            (at + 1, code)
        })
    }

    /// Numbered lines without comments and without what only tests compile. Relies on rustfmt.
    fn product_lines(&self) -> Vec<(usize, &str)> {
        if self.name.ends_with("/tests.rs") || self.name.contains("/tests/") {
            return Vec::new();
        }
        let mut kept = Vec::new();
        let mut lines = self.lines();
        while let Some((number, line)) = lines.next() {
            let Some((indent, _)) = line.split_once("#[cfg(test)]") else {
                kept.push((number, line));
                continue;
            };
            let end = format!("{indent}}}");
            let started = |line: &str| line.starts_with(indent) && !line.starts_with("#[");
            for (_, line) in lines.by_ref() {
                if line == end
                    || (started(line) && line.ends_with([';', ',']) && outer(line, indent))
                {
                    break;
                }
            }
        }
        kept
    }
}

/// Whether a line is no deeper than the indent.
fn outer(line: &str, indent: &str) -> bool {
    line.len() - line.trim_start().len() == indent.len()
}

/// Imports that the table does not allow.
fn sideways(folder: &str, krate: &str, table: &[(&str, &[&str])]) -> Vec<String> {
    let mut found = Vec::new();
    for file in rust_files(folder) {
        let path = file.name.trim_start_matches(folder).trim_matches('/').trim_end_matches(".rs");
        let modules: Vec<_> = path.split('/').collect();
        let own = modules[0];
        if own == "lib" {
            continue;
        }
        let Some((_, allowed)) = table.iter().find(|(name, _)| *name == own) else {
            found.push(format!("{}: {own} is in no table of tests/tidy.rs", file.name));
            continue;
        };
        let known = |name: &str| table.iter().any(|(known, _)| *known == name);
        let code: Vec<_> = file.product_lines().into_iter().map(|(_, line)| line).collect();
        let code = code.join("\n");
        let upwards = "super::".repeat(modules.len());
        for prefix in [format!("{krate}::"), upwards] {
            for name in roots(&code, &prefix) {
                if known(name) && name != own && !allowed.contains(&name) {
                    found.push(format!("{} imports {name}", file.name));
                }
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The first names after a prefix, those of a group included.
fn roots<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let mut roots = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => roots.extend(group_roots(group)),
            None => roots.push(first_word(rest)),
        }
    }
    roots
}

/// The first names of the items of a group, whose opening brace is gone.
fn group_roots(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut roots) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                roots.push(first_word(group[start..at].trim_start()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    roots
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn sources() -> impl Iterator<Item = Source> {
    let kind = |name: &String| {
        [".rs", ".ts", ".css", ".html", ".mjs", ".js", ".sh"].iter().any(|end| name.ends_with(end))
    };
    committed().into_iter().filter(kind).map(|name| Source { text: read(&name), name })
}

fn rust_files(folder: &str) -> impl Iterator<Item = Source> {
    let within = format!("{folder}/");
    sources().filter(move |file| file.name.starts_with(&within) && file.name.ends_with(".rs"))
}

/// Files that are committed or would be, save the lock files, which tools write.
fn committed() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .ok()
        .filter(|output| output.status.success() && !output.stdout.is_empty());
    let mut names: Vec<String> = match listed {
        Some(output) => {
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
        }
        None => walked(root()),
    };
    names.retain(|name| name != "Cargo.lock" && root().join(name).is_file());
    names.sort();
    names
}

/// The files below a folder where git cannot tell.
fn walked(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if [".git", "target", "node_modules", "dist"].contains(&name) {
            continue;
        }
        if path.is_dir() {
            names.extend(walked(&path));
        } else {
            names.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    }
    names
}

fn read(name: &str) -> String {
    let path: PathBuf = root().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn the_rules_see_what_they_forbid() {
    let source = |text: &str| Source { name: "core/src/hub.rs".into(), text: text.into() };
    let hidden = source(
        "use a;\n#[cfg(test)]\nmod tests {\n    fn now() {\n        Instant::now()\n    }\n}\nfn b() {}\n",
    );
    let lines: Vec<_> = hidden.product_lines().into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, ["use a;", "fn b() {}"]);
    let hidden = source("#[cfg(test)]\nmod tests;\n// Instant::now\nfn b() {} // tokio\n");
    let lines: Vec<_> = hidden.product_lines().into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, ["", "fn b() {}"]);
    let code =
        "use crate::{media::{Codec, Rid}, rtc::Session,\n    hub};\nlet a = crate::forward::B;";
    assert_eq!(roots(code, "crate::"), ["media", "rtc", "hub", "forward"]);
    assert!(roots("my_crate::rtc; super::super::rtc", "super::").len() == 1);
}
