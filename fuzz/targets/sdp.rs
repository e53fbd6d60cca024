//! A fuzz target that feeds `core/tests/corpus/sdp.rs`.
#![no_main]

#[path = "../../core/tests/corpus/sdp.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::run(data));
