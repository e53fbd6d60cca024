//! A check of trickle ICE fragments: any text is refused, or read into what ICE may use.

use std::net::IpAddr;

use whitewater_signaling::fragment;

/// Reads one fragment.
pub fn run(data: &[u8]) {
    let Ok(read) = fragment::parse(&String::from_utf8_lossy(data)) else { return };
    assert!((4..=256).contains(&read.ufrag.len()));
    assert!((22..=256).contains(&read.pwd.len()));
    assert!(read.candidates.len() * 11 <= data.len());
    for candidate in &read.candidates {
        let address = candidate.split(' ').nth(4).map(str::parse::<IpAddr>);
        assert!(matches!(address, Some(Ok(_))), "{candidate}");
    }
}
