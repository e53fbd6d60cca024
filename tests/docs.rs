//! Tests that hold the documents to what the programs do.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use whitewater::config::{Config, Documented, File, Flags, documented};

#[test]
fn the_tables_of_the_configuration_page_are_those_of_the_code() {
    let page = read("docs/configuration.md");
    let mut sections: Vec<Vec<Documented>> = Vec::new();
    for key in documented() {
        let section = |key: &Documented| key.key.split_once('.').map(|(name, _)| name.to_owned());
        match sections.last_mut() {
            Some(last) if section(&last[0]) == section(&key) => last.push(key),
            Some(_) | None => sections.push(vec![key]),
        }
    }
    let (mut tables, mut written, mut inside) = (sections.iter(), Vec::new(), false);
    for line in page.lines() {
        if line.starts_with("| key |") {
            written.extend(table(tables.next().expect("a table for each section, no more")));
            inside = true;
        }
        inside &= line.starts_with('|');
        if !inside {
            written.push(line.to_owned());
        }
    }
    assert!(tables.next().is_none(), "docs/configuration.md lacks the table of a section");
    let written = written.join("\n") + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join("docs/configuration.md"), &written).unwrap();
    }
    assert!(page == written, "UPDATE_DOCS=1 cargo test --test docs writes docs/configuration.md");
}

/// The table of a section.
fn table(keys: &[Documented]) -> Vec<String> {
    let cells = |key: &Documented| {
        let code = |text: &str| format!("`{text}`");
        let default = if key.default.is_empty() { "none".into() } else { code(key.default) };
        let mut cells = vec![code(&key.key), default];
        cells.extend(key.flag.as_deref().map(code));
        cells.extend(key.variable.as_deref().map(code));
        cells.push(key.meaning.to_owned());
        cells
    };
    let titles = match (&keys[0].flag, &keys[0].variable) {
        (Some(_), _) => vec!["key", "default", "flag", "environment", "meaning"],
        (None, Some(_)) => vec!["key", "default", "environment", "meaning"],
        (None, None) => vec!["key", "default", "meaning"],
    };
    let head = [format!("| {} |", titles.join(" | ")), format!("|{}", "---|".repeat(titles.len()))];
    let rows = keys.iter().map(|key| format!("| {} |", cells(key).join(" | ")));
    head.into_iter().chain(rows).collect()
}

#[test]
fn the_example_of_the_configuration_page_is_valid() {
    let page = read("docs/configuration.md");
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let config = Config::merge(Some(File { path: "example", text }), [], &Flags::default());
    assert_eq!(config.unwrap().streams.len(), 2);
}

#[test]
fn every_make_target_that_a_document_names_exists() {
    let makefile = read("Makefile");
    for name in DOCUMENTS {
        for code in code(&read(name)) {
            for word in code.match_indices("make ").filter_map(|(at, _)| {
                let starts = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '-');
                starts.then(|| code[at + 5..].split_whitespace().next())?
            }) {
                let target = format!("\n{word}:");
                assert!(makefile.contains(&target), "{name} names make {word}: {code}");
            }
        }
    }
}

#[test]
fn every_flag_that_a_document_gives_to_whitewater_exists() {
    let commands = DOCUMENTS.iter().flat_map(|name| code(&read(name))).filter_map(|code| {
        let (_, rest) = code.split_once("whitewater ")?;
        Some(rest.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    });
    let mut seen = BTreeSet::new();
    for words in commands {
        let subcommands: Vec<_> = words
            .iter()
            .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase()))
            .cloned()
            .collect();
        let flags = words.iter().filter(|word| word.starts_with("--"));
        seen.extend(flags.map(|flag| {
            let flag = flag.trim_matches(|c: char| "[],.".contains(c)).split('=').next().unwrap();
            (subcommands.clone(), flag.to_owned())
        }));
    }
    assert!(!seen.is_empty());
    for (subcommands, flag) in seen {
        let help = Command::new(env!("CARGO_BIN_EXE_whitewater"))
            .args(&subcommands)
            .arg("--help")
            .output()
            .unwrap();
        assert!(help.status.success(), "whitewater {subcommands:?} --help");
        let help = String::from_utf8(help.stdout).unwrap();
        let known = help.split_whitespace().any(|word| word.trim_matches(',') == flag);
        assert!(known, "whitewater {} has no {flag}", subcommands.join(" "));
    }
}

#[test]
fn every_file_that_a_document_links_to_exists() {
    for name in DOCUMENTS {
        let text = read(name);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let file = link.split('#').next().unwrap();
            let from = root().join(name);
            assert!(from.parent().unwrap().join(file).exists(), "{name} links to {link}");
        }
    }
}

#[test]
fn the_page_of_metrics_has_what_is_registered_and_nothing_else() {
    let page: BTreeSet<String> = code(&read("docs/metrics.md")).into_iter().collect();
    let words = words_of_metrics();
    assert!(words.contains("recordings_active"), "{words:?}");
    let is_told = |word: &str| {
        page.contains(word) || names_of(word).iter().any(|name| page.contains(name.as_str()))
    };
    let missing: Vec<_> = words.iter().filter(|word| !is_told(word.as_str())).collect();
    assert!(missing.is_empty(), "docs/metrics.md lacks {missing:?}");
    let known: BTreeSet<String> = words.iter().flat_map(|word| names_of(word.as_str())).collect();
    let told = page.iter().filter(|name| name.starts_with("whitewater_"));
    let unknown: Vec<_> = told.filter(|name| !known.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "docs/metrics.md tells of what nothing registers: {unknown:?}");
}

/// The names that a metric may have on the page which is registered under a word.
fn names_of(word: &str) -> Vec<String> {
    let mut names = Vec::new();
    for end in METRIC_ENDS {
        names.push(format!("whitewater_{word}{end}"));
        names.push(format!("whitewater_transcoder_{word}{end}"));
    }
    names
}

/// The texts in `src/metrics/` that may be a metric's name without its unit, or the value of a label.
fn words_of_metrics() -> BTreeSet<String> {
    let mut sources = rust_files("src/metrics");
    sources.push(read("src/metrics.rs"));
    let mut words = BTreeSet::new();
    for source in sources {
        let product = source.split("\n#[cfg(test)]\n").next().unwrap();
        let lines = product.lines().filter(|line| !line.trim_start().starts_with("//"));
        let lines: Vec<&str> = lines.collect();
        for text in lines.join("\n").split('"').skip(1).step_by(2) {
            if !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            {
                words.insert(text.to_owned());
            }
        }
    }
    // What all names begin with.
    words.remove("whitewater");
    words
}

#[test]
fn the_page_of_the_api_has_every_route() {
    let page = read("docs/api.md");
    let mut sources = rust_files("signaling/src/api");
    sources.extend(rust_files("signaling/src"));
    let mut routes = BTreeSet::new();
    for source in sources {
        for route in source.split("#[utoipa::path(").skip(1) {
            let (method, rest) = route.split_once(',').unwrap();
            let (_, rest) = rest.split_once("path = \"").unwrap();
            let (path, _) = rest.split_once('"').unwrap();
            let path = path.replace("{stream}", "NAME");
            let path = path.replace("{session}", "ID").replace("{recording}", "ID");
            routes.insert(format!("`{} /api{path}", method.trim().to_uppercase()));
        }
    }
    assert!(routes.contains("`GET /api/v1/recordings/ID"), "{routes:?}");
    for route in routes {
        let is_told = ['`', '?'].iter().any(|end| page.contains(&format!("{route}{end}")));
        assert!(is_told, "docs/api.md lacks {route}`");
    }
}

/// The texts of the Rust files in a folder, without its unit tests.
fn rust_files(folder: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        if is_rust && !path.ends_with("tests.rs") {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
    texts
}

/// Lines of fenced blocks, with continued lines joined, and the spans between backticks.
fn code(text: &str) -> Vec<String> {
    let mut code = Vec::new();
    for (at, block) in text.replace("\\\n", " ").split("```").enumerate() {
        match at % 2 {
            1 => code.extend(block.lines().map(str::to_owned)),
            _ => code.extend(block.split('`').skip(1).step_by(2).map(str::to_owned)),
        }
    }
    code
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What may follow a metric's name in `src/metrics/`: its unit, and that it is a counter.
const METRIC_ENDS: [&str; 6] =
    ["", "_total", "_seconds", "_bytes", "_seconds_total", "_bytes_total"];

const DOCUMENTS: [&str; 11] = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/api.md",
    "docs/auth.md",
    "docs/configuration.md",
    "docs/doctor.md",
    "docs/clients.md",
    "docs/deploy.md",
    "docs/recording.md",
    "docs/security.md",
    "docs/webhooks.md",
];
