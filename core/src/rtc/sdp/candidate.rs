//! A reader and a writer of ICE candidates (RFC 8839 section 5.1).

use std::net::{IpAddr, SocketAddr};

/// Reads the value of an `a=candidate` line, with or without the attribute's name.
///
/// Answers `None` for everything that is not a UDP candidate of component 1 with an IP address: TCP,
/// mDNS names, nonsense.
pub fn parse_candidate(value: &str) -> Option<SocketAddr> {
    let value = value.trim();
    let value = value.strip_prefix("a=").unwrap_or(value);
    let value = value.strip_prefix("candidate:").unwrap_or(value);
    let mut fields = value.split_ascii_whitespace();
    let _foundation = fields.next()?;
    let component = fields.next()?;
    let transport = fields.next()?;
    let _priority: u32 = fields.next()?.parse().ok()?;
    let address: IpAddr = fields.next()?.parse().ok()?;
    let port: u16 = fields.next()?.parse().ok()?;
    if component != "1" || !transport.eq_ignore_ascii_case("udp") || fields.next()? != "typ" {
        return None;
    }
    let usable = port != 0 && !address.is_unspecified() && !address.is_multicast();
    let known = matches!(fields.next()?, "host" | "srflx" | "prflx" | "relay");
    (usable && known).then(|| SocketAddr::new(address, port))
}

/// The text of a host candidate, without the attribute's name; `rank` 0 is the best.
pub(super) fn host_candidate(rank: usize, address: SocketAddr) -> String {
    // RFC 8445 section 5.1.2.1: type preference 126 for host, then the local preference, then 256
    // minus the component. The sum stays below 2^31: FFmpeg reads it as a signed number.
    let local_preference = 65_535 - u32::try_from(rank).unwrap_or(u32::MAX).min(65_535);
    let priority = (126 << 24) | (local_preference << 8) | 255;
    let foundation = rank.saturating_add(1);
    format!("{foundation} 1 udp {priority} {} {} typ host", address.ip(), address.port())
}

/// The text of a host candidate that waits for TCP connections (RFC 6544 section 4.5); `rank` counts
/// on from the UDP candidates.
pub(super) fn passive_candidate(rank: usize, address: SocketAddr) -> String {
    // RFC 6544 section 4.2: three bits of direction, 4 for passive, stand above the local preference.
    // Type preference 90 is below every way that UDP may take without a relay.
    let other = 8_191 - u32::try_from(rank).unwrap_or(u32::MAX).min(8_191);
    let priority = (90 << 24) | (((4 << 13) | other) << 8) | 255;
    let foundation = rank.saturating_add(1);
    let (ip, port) = (address.ip(), address.port());
    format!("{foundation} 1 tcp {priority} {ip} {port} typ host tcptype passive")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_we_write_is_read_back() {
        for address in ["192.0.2.7:7000", "[2001:db8::7]:7000"] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(parse_candidate(&host_candidate(1, address)), Some(address));
            let line = format!("a=candidate:{}", host_candidate(0, address));
            assert_eq!(parse_candidate(&line), Some(address));
        }
    }

    #[test]
    fn the_best_candidate_has_the_highest_priority() {
        let address = "192.0.2.7:7000".parse().unwrap();
        assert_eq!(host_candidate(0, address), "1 1 udp 2130706431 192.0.2.7 7000 typ host");
        assert_eq!(host_candidate(1, address), "2 1 udp 2130706175 192.0.2.7 7000 typ host");
    }

    #[test]
    fn a_tcp_candidate_says_that_it_waits_and_stands_below_every_udp_candidate() {
        let address = "192.0.2.7:7000".parse().unwrap();
        let first = passive_candidate(2, address);
        assert_eq!(first, "3 1 tcp 1520434687 192.0.2.7 7000 typ host tcptype passive");
        let priority = |text: &str| text.split(' ').nth(3).unwrap().parse::<u32>().unwrap();
        assert!(priority(&passive_candidate(3, address)) < priority(&first));
        assert!(priority(&first) < priority(&host_candidate(usize::MAX, address)));
        assert_eq!(parse_candidate(&first), None, "who speaks UDP passes it over");
    }

    #[test]
    fn what_is_not_udp_with_an_address_is_ignored() {
        let rows = [
            "",
            "1 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active",
            "1 1 udp 2122260223 3f1b1d0e-9a2c.local 50000 typ host",
            "1 2 udp 2122260223 192.0.2.7 50001 typ host",
            "1 1 udp 2122260223 192.0.2.7 0 typ host",
            "1 1 udp 2122260223 192.0.2.7 99999 typ host",
            "1 1 udp 2122260223 0.0.0.0 9 typ host",
            "1 1 udp x 192.0.2.7 9 typ host",
            "1 1 udp 1 192.0.2.7 9",
            "1 1 udp 1 192.0.2.7 9 typ guess",
        ];
        for row in rows {
            assert_eq!(parse_candidate(row), None, "{row}");
        }
        let reflexive = "7 1 UDP 1686052607 203.0.113.9 61000 typ srflx raddr 10.0.0.2 rport 61000";
        assert_eq!(parse_candidate(reflexive), Some("203.0.113.9:61000".parse().unwrap()));
    }
}
