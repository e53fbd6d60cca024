//! A replay of everything that fuzzing found interesting, through the functions that it calls.
//!
//! The files are in `fuzz/corpus`; CONTRIBUTING.md says how they come about.

#![allow(
    clippy::duplicate_mod,
    clippy::print_stderr,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "each target is complete in itself, and brings what it needs"
)]

mod demux;
mod depacketize;
mod dependency;
mod directives;
mod dtls;
mod payload;
mod rtcp;
mod rtp;
mod sdp;
mod segmenter;
mod shard;
mod stun;

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

macro_rules! replays {
    ($($target:ident: $test:ident,)+) => {
        $(#[test]
        fn $test() {
            replay(stringify!($target), $target::run);
        })+
    };
}

replays! {
    dependency: the_corpus_of_dependency_descriptors_is_taken,
    directives: the_corpus_of_delivery_directives_is_taken,
    demux: the_corpus_of_the_demultiplexer_is_taken,
    depacketize: the_corpus_of_depacketisers_is_taken,
    dtls: the_corpus_of_dtls_is_taken,
    payload: the_corpus_of_payloads_is_taken,
    rtcp: the_corpus_of_rtcp_is_taken,
    rtp: the_corpus_of_rtp_is_taken,
    sdp: the_corpus_of_sdp_is_taken,
    segmenter: the_corpus_of_segmenters_is_taken,
    shard: the_corpus_of_shards_is_taken,
    stun: the_corpus_of_stun_is_taken,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_frames_gaps_and_restarts_make_playlists_that_never_go_back(
        plan in vec(any::<u8>(), 0..600),
    ) {
        segmenter::run(&plan);
    }
}

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        // What goes wrong is known by the last name.
        eprintln!("{}", file.display());
        run(&std::fs::read(&file).unwrap());
    }
}
