//! A test that holds `docs/conformance.md` to the list of items and to the tests that it names.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Every item: WHIP's HTTP surface, SDP, sessions and links, then WHEP's; playlists, directives,
/// delivery and the multivariant playlist of HLS; CMAF; DASH.
const ITEMS: [(char, u32, u32); 12] = [
    ('W', 1, 18),
    ('W', 20, 36),
    ('W', 40, 55),
    ('W', 60, 63),
    ('E', 1, 21),
    ('E', 30, 43),
    ('H', 1, 30),
    ('H', 40, 54),
    ('H', 60, 72),
    ('H', 80, 91),
    ('C', 1, 17),
    ('D', 1, 18),
];

/// What may stand without a test.
const WITHOUT_TEST: [&str; 9] = ["H54", "H84", "H88", "H90", "C17", "D4", "D14", "D16", "D17"];

/// The words that say why.
const REASONS: [&str; 3] = ["Not yet: ", "Not met: ", "No rule: "];

/// A row of the table.
struct Row {
    item: String,
    behaviour: String,
    proof: String,
}

#[test]
fn the_table_has_every_item_once() {
    let rows = rows();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        *counts.entry(&row.item).or_default() += 1;
    }
    let expected: Vec<String> = ITEMS
        .iter()
        .flat_map(|(kind, first, last)| (*first..=*last).map(move |n| format!("{kind}{n}")))
        .collect();
    for item in &expected {
        assert_eq!(counts.get(item.as_str()), Some(&1), "{item} must have one row");
    }
    assert_eq!(rows.len(), expected.len(), "the table has rows of its own invention");
    for row in &rows {
        assert!(row.behaviour.len() > 20, "{} says too little: {}", row.item, row.behaviour);
    }
}

#[test]
fn each_row_is_proved_by_tests_that_name_it_or_says_why_not() {
    let mut faults = Vec::new();
    for row in rows() {
        let proofs = quoted(&row.proof);
        let excused = WITHOUT_TEST.contains(&row.item.as_str());
        if proofs.is_empty() && !(excused && REASONS.iter().any(|why| row.proof.starts_with(why))) {
            faults.push(format!("{}: no test and no reason", row.item));
        }
        for proof in proofs {
            if let Err(fault) = check(&row.item, &proof) {
                faults.push(format!("{}: {proof} {fault}", row.item));
            }
        }
    }
    assert!(faults.is_empty(), "docs/conformance.md:\n{}", faults.join("\n"));
}

#[test]
fn an_item_is_found_as_a_whole_word_only() {
    assert!(names("assert!(x, \"W41, E11: {y}\")", "W41"));
    assert!(names("assert!(x, \"W41, E11: {y}\")", "E11"));
    assert!(!names("assert!(x, \"W41, E11: {y}\")", "W4"));
    assert!(!names("assert!(x, \"W41, E11: {y}\")", "E1"));
    assert!(!names("let item = \"W4\";", "W4"));
    assert!(names("for x in [(\"W4\", 1)] { assert!(x, \"{item}\") }", "W4"));
    assert!(!names("for x in [(\"W4\", 1)] { assert!(x) }", "W4"));
}

#[test]
fn what_a_test_calls_belongs_to_it() {
    let source = "fn a() {\n    b(1);\n}\n\n    fn b(x: u8) {\n        c();\n    }\nfn bc() {\n}\n";
    assert_eq!(calls(body(source, find(source, "a").unwrap())), ["b"]);
    assert_eq!(calls(body(source, find(source, "b").unwrap())), ["c"]);
    assert_eq!(find(source, "c"), None);
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(root().join("docs/conformance.md")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        let (item, behaviour, proof) = (cells.next()?, cells.next()?, cells.next()?);
        assert_eq!(cells.next(), None, "a row has three cells: {line}");
        let number = item.strip_prefix(['W', 'E', 'H', 'C', 'D'])?;
        number.parse::<u32>().ok()?;
        let text = |cell: &str| cell.trim().to_owned();
        Some(Row { item: text(item), behaviour: text(behaviour), proof: text(proof) })
    });
    rows.collect()
}

/// The texts between backquotes.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Checks that a test exists, that it runs, and that it names the item when it fails.
fn check(item: &str, proof: &str) -> Result<(), &'static str> {
    let (file, function) = proof.split_once("::").ok_or("is not file::test")?;
    let source =
        fs::read_to_string(root().join(file)).map_err(|_| "names a file that is not there")?;
    let start = find(&source, function).ok_or("names a test that is not there")?;
    let above: Vec<_> = source[..start].lines().rev().take_while(|line| is_above(line)).collect();
    let is_test = |line: &&str| ["#[test]", "#[tokio::test"].iter().any(|mark| line.contains(mark));
    if !above.iter().any(is_test) || above.iter().any(|line| line.contains("#[ignore")) {
        return Err("names a function that does not run as a test");
    }
    // What the test calls in its file belongs to it.
    let mut bodies = vec![body(&source, start)];
    let mut called = vec![function];
    let mut at = 0;
    while at < bodies.len() {
        for name in calls(bodies[at]) {
            if let Some(start) = find(&source, name).filter(|_| !called.contains(&name)) {
                called.push(name);
                bodies.push(body(&source, start));
            }
        }
        at += 1;
    }
    let named = bodies.iter().any(|body| names(body, item));
    if named { Ok(()) } else { Err("does not name the item in an assertion") }
}

/// Where the line of a function's head begins.
fn find(source: &str, function: &str) -> Option<usize> {
    let heads = ["fn ", "async fn ", "pub(crate) fn ", "pub(crate) async fn "];
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        let code = line.trim_start();
        let is_head = heads.iter().any(|head| {
            let name = code.strip_prefix(head).and_then(|rest| rest.strip_prefix(function));
            name.is_some_and(|rest| rest.starts_with(['(', '<']))
        });
        if is_head {
            return Some(at);
        }
        at += line.len();
    }
    None
}

/// A function to its end, which rustfmt indents as its head.
fn body(source: &str, start: usize) -> &str {
    let source = &source[start..];
    let indent = &source[..source.len() - source.trim_start().len()];
    let end = source.find(&format!("\n{indent}}}\n")).unwrap_or(source.len());
    &source[..end]
}

/// Attributes and comments.
fn is_above(line: &str) -> bool {
    line.trim_start().starts_with("#[") || line.trim_start().starts_with("//")
}

/// The names of what is called in a body.
fn calls(body: &str) -> Vec<&str> {
    let inside = body.split_once('\n').map_or("", |(_, inside)| inside);
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let before = inside.match_indices('(').map(|(at, _)| &inside[..at]);
    before.filter_map(|text| text.rsplit(|c| !word(c)).next()).filter(|n| !n.is_empty()).collect()
}

/// Whether an assertion names an item as a whole word, or prints the item of a row that does.
fn names(body: &str, item: &str) -> bool {
    let asserting = body.find("assert").map_or("", |at| &body[at..]);
    let in_rows = asserting.contains("{item}") && body.contains(&format!("\"{item}\", "));
    in_rows || asserting.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == item)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
