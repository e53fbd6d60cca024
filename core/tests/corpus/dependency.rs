//! A check of dependency descriptors: what one stream of them tells is within the format's bounds.
//!
//! Each descriptor stands behind a byte with its length.

use whitewater_core::media::dependency::{Reader, frame_number, renumber};

#[path = "input.rs"]
mod input;

/// Reads one stream of descriptors.
pub fn run(data: &[u8]) {
    let mut input = input::Input(data);
    let mut reader = Reader::default();
    while !input.is_empty() {
        let bytes = input.slice();
        let mut again = reader.clone();
        let Some(descriptor) = reader.read(bytes) else { continue };
        assert_eq!(frame_number(bytes), Some(descriptor.frame_number));
        if let Some(frame) = &descriptor.frame {
            assert!(frame.spatial <= 3 && frame.temporal <= 7, "{frame:?}");
            assert!(frame.needs.len() <= 8 && !frame.needs.contains(&0), "{frame:?}");
        }
        if let Some(structure) = reader.structure() {
            assert!((1..=64).contains(&structure.templates.len()));
            assert!((1..=32).contains(&structure.targets));
            assert!(structure.chains <= structure.targets);
            assert!(structure.sizes.len() <= 4);
        }
        let mut other = bytes.to_vec();
        renumber(&mut other, 0xABCD);
        let renumbered = again.read(&other).expect("a number of its own breaks nothing");
        assert_eq!(renumbered.frame_number, 0xABCD);
        assert_eq!(renumbered.frame, descriptor.frame);
        assert_eq!(renumbered.active_targets, descriptor.active_targets);
    }
}
