//! The addresses that a session advertises for the media socket.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use if_addrs::IfOperStatus;

/// What to advertise for a socket that is bound: its candidates, in order of preference.
///
/// A wildcard advertises every interface of its families, IPv4 first; any other address exactly
/// itself. The public addresses follow, with the same port.
pub fn advertised(
    bound: SocketAddr,
    interfaces: &[IpAddr],
    public_ips: &[IpAddr],
) -> Vec<SocketAddr> {
    let own = match bound.ip() {
        ip if ip.is_unspecified() => reachable(ip, interfaces),
        ip => vec![ip.to_canonical()],
    };
    let mut ips: Vec<IpAddr> = Vec::new();
    for ip in own.into_iter().chain(public_ips.iter().copied()) {
        if !ips.contains(&ip) {
            ips.push(ip);
        }
    }
    ips.into_iter().map(|ip| SocketAddr::new(ip, bound.port())).collect()
}

/// The addresses of all interfaces that are not known to be down.
pub fn interfaces() -> io::Result<Vec<IpAddr>> {
    let up = |status: &IfOperStatus| match status {
        IfOperStatus::Up
        | IfOperStatus::Testing
        | IfOperStatus::Unknown
        | IfOperStatus::Dormant => true,
        IfOperStatus::Down | IfOperStatus::NotPresent | IfOperStatus::LowerLayerDown => false,
    };
    let all = if_addrs::get_if_addrs()?;
    Ok(all.iter().filter(|interface| up(&interface.oper_status)).map(|i| i.ip()).collect())
}

fn reachable(wildcard: IpAddr, interfaces: &[IpAddr]) -> Vec<IpAddr> {
    let fits = |ip: &IpAddr| match ip {
        IpAddr::V4(_) => true,
        IpAddr::V6(ip) => wildcard.is_ipv6() && !is_link_local(ip),
    };
    let (mut loopback, mut ips): (Vec<_>, Vec<_>) =
        interfaces.iter().copied().filter(fits).partition(IpAddr::is_loopback);
    if ips.is_empty() {
        ips.append(&mut loopback);
    }
    ips.sort_by_key(IpAddr::is_ipv6);
    ips
}

/// Such an address means nothing without the interface it belongs to.
fn is_link_local(ip: &Ipv6Addr) -> bool {
    ip.segments()[0] & 0xffc0 == 0xfe80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    fn shown(bound: &str, interfaces: &[&str], public: &[&str]) -> Vec<String> {
        advertised(bound.parse().unwrap(), &ips(interfaces), &ips(public))
            .iter()
            .map(SocketAddr::to_string)
            .collect()
    }

    const MACHINE: [&str; 6] =
        ["127.0.0.1", "::1", "2001:db8::5", "192.168.1.5", "fe80::5", "10.0.0.5"];

    #[test]
    fn a_wildcard_of_both_families_advertises_every_interface_ipv4_first() {
        assert_eq!(
            shown("[::]:7000", &MACHINE, &[]),
            ["192.168.1.5:7000", "10.0.0.5:7000", "[2001:db8::5]:7000"]
        );
    }

    #[test]
    fn an_ipv4_wildcard_advertises_ipv4_only() {
        assert_eq!(shown("0.0.0.0:7000", &MACHINE, &[]), ["192.168.1.5:7000", "10.0.0.5:7000"]);
    }

    #[test]
    fn public_addresses_follow_with_the_same_port_and_once() {
        assert_eq!(
            shown("0.0.0.0:7000", &MACHINE, &["203.0.113.9", "10.0.0.5"]),
            ["192.168.1.5:7000", "10.0.0.5:7000", "203.0.113.9:7000"]
        );
    }

    #[test]
    fn any_other_address_advertises_exactly_itself() {
        assert_eq!(shown("127.0.0.1:7000", &MACHINE, &[]), ["127.0.0.1:7000"]);
        assert_eq!(shown("[2001:db8::5]:1", &MACHINE, &[]), ["[2001:db8::5]:1"]);
        assert_eq!(
            shown("10.0.0.5:7000", &MACHINE, &["203.0.113.9"]),
            ["10.0.0.5:7000", "203.0.113.9:7000"]
        );
    }

    #[test]
    fn loopback_is_advertised_by_a_wildcard_only_where_there_is_nothing_else() {
        assert_eq!(
            shown("[::]:7000", &["::1", "fe80::1", "127.0.0.1"], &[]),
            ["127.0.0.1:7000", "[::1]:7000"]
        );
    }

    #[test]
    fn this_machine_has_interfaces() {
        assert!(!interfaces().unwrap().is_empty());
    }
}
