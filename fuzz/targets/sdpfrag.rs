//! A fuzz target that feeds `signaling/tests/corpus/sdpfrag.rs`.
#![no_main]

#[path = "../../signaling/tests/corpus/sdpfrag.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::run(data));
