//! A test that holds `docs/conformance.md` to the list of items and to the tests that it names.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Every item: WHIP's HTTP surface, SDP, sessions and links, then WHEP's.
const ITEMS: [(char, u32, u32); 6] =
    [('W', 1, 18), ('W', 20, 36), ('W', 40, 55), ('W', 60, 63), ('E', 1, 21), ('E', 30, 43)];

/// What may stand without a test, and the words that say so.
const WITHOUT_TEST: [&str; 3] = ["W14", "W55", "E18"];

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
        if proofs.is_empty() && !(excused && row.proof.starts_with("Not yet: ")) {
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
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(root().join("docs/conformance.md")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        let (item, behaviour, proof) = (cells.next()?, cells.next()?, cells.next()?);
        assert_eq!(cells.next(), None, "a row has three cells: {line}");
        let number = item.strip_prefix(['W', 'E'])?;
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
    let heads = [format!("\nfn {function}()"), format!("\nasync fn {function}()")];
    let start = heads.iter().find_map(|head| source.find(head.as_str()));
    let start = start.ok_or("names a test that is not there")?;
    let above = source[..start].rsplit("\n\n").next().unwrap_or_default();
    let is_test = ["#[test]", "#[tokio::test"].iter().any(|mark| above.contains(mark));
    if !is_test || above.contains("#[ignore") {
        return Err("names a function that does not run as a test");
    }
    let body = &source[start..];
    let body = &body[..body.find("\n}\n").unwrap_or(body.len())];
    if names(body, item) { Ok(()) } else { Err("does not name the item in an assertion") }
}

/// Whether an assertion names an item as a whole word.
fn names(body: &str, item: &str) -> bool {
    let assertions = body.split("assert").skip(1);
    assertions.flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric())).any(|w| w == item)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
