//! Tests that hold the documents to what the programs do.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use whitewater::config::{Config, File, Flags, documented};

#[test]
fn the_configuration_page_lists_exactly_the_keys_with_their_defaults() {
    let page = read("docs/configuration.md");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(|c| c.trim().trim_matches('`')).collect())
        .collect();
    let listed: Vec<_> = rows.iter().map(|row| row[0].to_owned()).collect();
    let keys: Vec<_> = documented().into_iter().map(|key| key.key).collect();
    assert_eq!(listed, keys, "keys of docs/configuration.md and of the configuration");
    for (row, key) in rows.iter().zip(documented()) {
        let default = if key.default.is_empty() { "none" } else { key.default };
        assert_eq!(row[1], default, "the default of {}", key.key);
        match (&key.flag, &key.variable) {
            (Some(flag), Some(variable)) => {
                assert_eq!((row[2], row[3]), (flag.as_str(), variable.as_str()), "{}", key.key);
            }
            (None, Some(variable)) => assert_eq!(row[2], variable, "{}", key.key),
            (_, None) => {}
        }
    }
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

const DOCUMENTS: [&str; 8] = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/api.md",
    "docs/auth.md",
    "docs/configuration.md",
    "docs/doctor.md",
    "docs/clients.md",
    "docs/deploy.md",
    "docs/security.md",
    "docs/webhooks.md",
];
