//! A replay of everything that fuzzing found interesting, through the function that it calls.

#![allow(clippy::unwrap_used, clippy::print_stderr, unreachable_pub)]

mod sdpfrag;

use std::path::Path;

#[test]
fn the_corpus_of_fragments_is_taken() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/sdpfrag");
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        // What goes wrong is known by the last name.
        eprintln!("{}", file.display());
        sdpfrag::run(&std::fs::read(&file).unwrap());
    }
}
