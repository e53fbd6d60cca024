//! A fuzz target that feeds `core/tests/corpus/directives.rs`.
#![no_main]

#[path = "../../core/tests/corpus/directives.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::run(data));
