//! A fuzz target that feeds `core/tests/corpus/depacketize.rs`.
#![no_main]

#[path = "../../core/tests/corpus/depacketize.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::run(data));
