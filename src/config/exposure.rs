//! A rule that keeps an open server to this machine unless somebody insists.

use std::net::{IpAddr, SocketAddr};

use super::{Access, Config, ConfigError};

/// Refuses addresses that other machines can reach while everybody may publish and watch.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    if config.insecure_open || config.auth.usual_access() != Access::Open {
        return Ok(());
    }
    for (key, address, example) in
        [("http", config.http, "127.0.0.1:8080"), ("udp", config.udp, "127.0.0.1:7000")]
    {
        if !address.ip().to_canonical().is_loopback() {
            return Err(ConfigError::Conflict(format!(
                "{key} is {address}, which other machines may reach, while no authentication is \
                 configured and everybody could publish and watch: bind a loopback address such \
                 as {example}, configure [auth], or accept that with --insecure-open"
            )));
        }
    }
    Ok(())
}

/// Whether two addresses would be one for sockets of the same protocol.
pub(super) fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let takes = |a: IpAddr, b: IpAddr| a == b || a.is_unspecified() && (a.is_ipv6() || b.is_ipv4());
    let (x, y) = (a.ip().to_canonical(), b.ip().to_canonical());
    a.port() != 0 && a.port() == b.port() && (takes(x, y) || takes(y, x))
}

/// The first public address whose family the media socket does not speak.
pub(super) fn unreachable_public_ip(udp: SocketAddr, public_ips: &[IpAddr]) -> Option<IpAddr> {
    let speaks = |ip: IpAddr| match (udp.ip(), ip) {
        (IpAddr::V4(_), public) => public.is_ipv4(),
        (IpAddr::V6(own), _) if own.is_unspecified() => true,
        (IpAddr::V6(_), public) => public.is_ipv6(),
    };
    public_ips.iter().copied().find(|&ip| !speaks(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(http: &str, udp: &str, insecure_open: bool) -> Result<(), String> {
        let config = Config {
            http: http.parse().unwrap(),
            udp: udp.parse().unwrap(),
            insecure_open,
            ..Config::default()
        };
        check(&config).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn loopback_of_either_family_is_open_to_this_machine_only() {
        for ip in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert_eq!(with(ip, ip, false), Ok(()), "{ip}");
        }
    }

    #[test]
    fn an_address_for_others_is_refused_in_a_sentence_that_says_what_to_do() {
        for ip in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "[2001:db8::1]:80"] {
            let refusal = with(ip, "127.0.0.1:0", false).unwrap_err();
            assert!(refusal.starts_with("http is "), "{refusal}");
            assert!(refusal.contains("--insecure-open"), "{refusal}");
            let refusal = with("127.0.0.1:0", ip, false).unwrap_err();
            assert!(refusal.starts_with("udp is "), "{refusal}");
            assert!(refusal.contains("127.0.0.1:7000"), "{refusal}");
        }
    }

    #[test]
    fn two_addresses_overlap_where_one_takes_what_the_other_does() {
        let rows = [
            ("127.0.0.1:443", "127.0.0.1:443", true),
            ("127.0.0.1:443", "127.0.0.1:444", false),
            ("127.0.0.1:443", "127.0.0.2:443", false),
            ("0.0.0.0:443", "127.0.0.2:443", true),
            ("0.0.0.0:443", "[::1]:443", false),
            ("[::]:443", "127.0.0.2:443", true),
            ("[::]:443", "0.0.0.0:443", true),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ];
        for (a, b, expected) in rows {
            let (one, two) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!((overlap(one, two), overlap(two, one)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn who_insists_gets_an_open_server() {
        assert_eq!(with("0.0.0.0:80", "0.0.0.0:70", true), Ok(()));
    }

    #[test]
    fn a_public_address_needs_a_socket_of_its_family() {
        let rows = [
            ("0.0.0.0:1", "192.0.2.1", true),
            ("0.0.0.0:1", "2001:db8::1", false),
            ("[::]:1", "192.0.2.1", true),
            ("[::]:1", "2001:db8::1", true),
            ("[::1]:1", "192.0.2.1", false),
        ];
        for (udp, public, fits) in rows {
            let found = unreachable_public_ip(udp.parse().unwrap(), &[public.parse().unwrap()]);
            assert_eq!(found.is_none(), fits, "{public} through {udp}");
        }
    }
}
