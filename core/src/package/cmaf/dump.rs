//! A dump that shows boxes as indented lines of hexadecimal bytes, for tests to compare.

use std::fmt::Write;

/// One line per box: its kind and what it holds beside other boxes.
pub(super) fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    boxes(bytes, 0, &mut text);
    text
}

fn boxes(mut bytes: &[u8], depth: usize, text: &mut String) {
    while let Some((head, _)) = bytes.split_first_chunk::<8>() {
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let kind = String::from_utf8_lossy(&head[4..]).into_owned();
        assert!((8..=bytes.len()).contains(&len), "{kind} of {len} bytes");
        let (own, rest) = bytes.split_at(len);
        // How many bytes stand before the boxes inside.
        let fields = match kind.as_str() {
            "moof" | "traf" | "moov" | "trak" | "mdia" | "minf" | "dinf" | "stbl" | "mvex" => 0,
            "stsd" | "dref" => 8,
            "avc1" | "hvc1" | "av01" | "vp09" => 78,
            "Opus" | "mp4a" => 28,
            _ => len - 8,
        };
        let _ = write!(text, "{:1$}{kind}", "", 2 * depth);
        let hex: String = own[8..8 + fields].iter().map(|byte| format!("{byte:02x}")).collect();
        for (index, line) in hex.as_bytes().chunks(64).enumerate() {
            let line = String::from_utf8_lossy(line);
            let _ = match index {
                0 => write!(text, " {line}"),
                _ => write!(text, "\n{:1$}{line}", "", 2 * depth + 5),
            };
        }
        text.push('\n');
        boxes(&own[8 + fields..], depth + 1, text);
        bytes = rest;
    }
}
