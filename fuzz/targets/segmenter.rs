//! A fuzz target that feeds `core/tests/corpus/segmenter.rs`.
#![no_main]

#[path = "../../core/tests/corpus/segmenter.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::run(data));
