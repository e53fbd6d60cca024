//! A fuzz target that feeds `core/tests/corpus/payload.rs`.
#![no_main]

#[path = "../../core/tests/corpus/payload.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::run(data));
