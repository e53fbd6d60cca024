//! The network: whether ports are free, what is advertised can be reached, and makes sense to others.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use super::finding::Finding;
use crate::addresses;
use crate::config::Config;

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let interfaces = match addresses::interfaces() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            let what = format!("the network interfaces cannot be listed: {error}");
            let todo = "let this account read them";
            return vec![Finding::problem("advertised addresses", what, todo)];
        }
    };
    let mut findings = vec![http(config)];
    match media_port(config) {
        Ok(port) => {
            findings.push(Finding::fine("media port", format!("udp {} is free", config.udp)));
            let advertised = addresses::advertised(port.bound, &interfaces, &config.public_ips);
            findings.push(sense(config, &advertised));
            findings.extend(advertised.iter().map(|to| udp_arrives(&port.udp, *to, &interfaces)));
            if let Some(listener) = port.tcp {
                findings.extend(tcp(listener, port.bound, &advertised, &interfaces));
            }
        }
        Err(error) => findings.push(not_bound("media port", "udp", config.udp, "--udp", &error)),
    }
    findings
}

struct MediaPort {
    bound: SocketAddr,
    udp: UdpSocket,
    /// `None` where media over TCP is off.
    tcp: Option<io::Result<TcpListener>>,
}

/// Opens the media port as the server does: where the system chooses the number it does so for UDP, and
/// again while that number is taken over TCP.
fn media_port(config: &Config) -> io::Result<MediaPort> {
    let mut choices = if config.udp.port() == 0 { MAX_CHOICES } else { 1 };
    loop {
        choices -= 1;
        let udp = UdpSocket::bind(config.udp)?;
        let bound = udp.local_addr()?;
        let tcp = config.tcp.then(|| TcpListener::bind(bound));
        let taken = matches!(&tcp, Some(Err(error)) if error.kind() == ErrorKind::AddrInUse);
        if !taken || choices == 0 {
            return Ok(MediaPort { bound, udp, tcp });
        }
    }
}

fn http(config: &Config) -> Finding {
    match TcpListener::bind(config.http) {
        Ok(_) => Finding::fine("http port", format!("tcp {} is free", config.http)),
        Err(error) => not_bound("http port", "tcp", config.http, "--http", &error),
    }
}

fn not_bound(
    check: &'static str,
    kind: &str,
    address: SocketAddr,
    flag: &str,
    error: &io::Error,
) -> Finding {
    let is = |kind| error.kind() == kind;
    let (what, todo) = if is(ErrorKind::AddrInUse) {
        (
            format!("{kind} {address} is in use, by this server itself or by another program"),
            format!("see by which with ss -lnp; stop it, or choose another port with {flag}"),
        )
    } else if is(ErrorKind::AddrNotAvailable) {
        (
            format!("{kind} {address} is no address of this machine"),
            format!("bind one of its own, or 0.0.0.0, with {flag}; others go to public_ips"),
        )
    } else if is(ErrorKind::PermissionDenied) {
        (
            format!("{kind} {address} may not be opened by this account"),
            "choose a port above 1023, or grant CAP_NET_BIND_SERVICE".into(),
        )
    } else {
        let what = format!("{kind} {address} cannot be opened: {error}");
        (what, format!("choose another with {flag}"))
    };
    Finding::problem(check, what, todo)
}

/// Whether those who reach HTTP could reach one of the addresses that media is advertised at.
fn sense(config: &Config, advertised: &[SocketAddr]) -> Finding {
    const CHECK: &str = "advertised addresses";
    let list: Vec<_> = advertised.iter().map(ToString::to_string).collect();
    let list = list.join(", ");
    let http = config.http.ip().to_canonical();
    let todo = "set public_ips to the address under which others reach this machine";
    let all = |is: fn(IpAddr) -> bool| advertised.iter().all(|address| is(address.ip()));
    if http.is_loopback() {
        return Finding::fine(CHECK, format!("{list}; http is for this machine only"));
    }
    if all(|ip| ip.is_loopback()) {
        return Finding::problem(CHECK, format!("others get no media from {list}"), todo);
    }
    if !all(is_private) {
        return Finding::fine(CHECK, list);
    }
    if is_private(http) || http.is_unspecified() {
        let what = format!("{list} are private: who comes from the internet gets no media");
        return Finding::warning(CHECK, what, format!("{todo}, unless this is for one network"));
    }
    let what = format!("{list} are private, while http is public at {http}");
    Finding::problem(CHECK, what, todo)
}

/// Addresses that mean nothing, or something else, to who is elsewhere.
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            // 100.64.0.0/10 is the providers' own (RFC 6598).
            let shared = a == 100 && (64..128).contains(&b);
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Sends a datagram to an advertised address, as a client on this machine would.
fn udp_arrives(socket: &UdpSocket, to: SocketAddr, interfaces: &[IpAddr]) -> Finding {
    const CHECK: &str = "udp";
    if !interfaces.contains(&to.ip()) {
        return elsewhere(CHECK, "udp", to);
    }
    let token: [u8; 16] = std::array::from_fn(|_| fastrand::u8(..));
    match sent_to_self(socket, to, &token) {
        Ok(true) => Finding::fine(CHECK, format!("a datagram to {to} arrives")),
        Ok(false) => Finding::problem(
            CHECK,
            format!("a datagram to {to} does not arrive"),
            format!("let udp port {} through this machine's firewall", to.port()),
        ),
        Err(error) => Finding::problem(
            CHECK,
            format!("a datagram to {to} cannot be sent: {error}"),
            "see the routes and this machine's firewall",
        ),
    }
}

fn sent_to_self(socket: &UdpSocket, to: SocketAddr, token: &[u8]) -> io::Result<bool> {
    let any: SocketAddr =
        if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().map_err(io::Error::other)?;
    UdpSocket::bind(any)?.send_to(token, to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = [0; 2048];
    // What strangers send meanwhile is not it.
    for _ in 0..STRANGERS {
        match socket.recv_from(&mut buffer) {
            Ok((length, _)) if buffer.get(..length) == Some(token) => return Ok(true),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn tcp(
    listener: io::Result<TcpListener>,
    bound: SocketAddr,
    advertised: &[SocketAddr],
    interfaces: &[IpAddr],
) -> Vec<Finding> {
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => {
            return vec![not_bound("media port over tcp", "tcp", bound, "--udp", &error)];
        }
    };
    let connect = |to: &SocketAddr| {
        const CHECK: &str = "tcp";
        if !interfaces.contains(&to.ip()) {
            return elsewhere(CHECK, "tcp", *to);
        }
        match TcpStream::connect_timeout(to, PATIENCE) {
            Ok(_) => Finding::fine(CHECK, format!("a connection to {to} is taken")),
            Err(error) => Finding::problem(
                CHECK,
                format!("a connection to {to} is not taken: {error}"),
                format!(
                    "let tcp port {} through this machine's firewall, or set tcp = false",
                    to.port()
                ),
            ),
        }
    };
    let findings = advertised.iter().map(connect).collect();
    drop(listener);
    findings
}

/// Whether the way in front of this machine leads here cannot be told from behind it.
fn elsewhere(check: &'static str, kind: &str, to: SocketAddr) -> Finding {
    let port = to.port();
    let ip = to.ip();
    Finding::warning(
        check,
        format!("{ip} is not this machine's own: whether {kind} {port} leads here cannot be told"),
        format!("forward {kind} port {port} of {ip} to port {port} here, under the same number"),
    )
}

const MAX_CHOICES: u32 = 20;
const PATIENCE: Duration = Duration::from_secs(1);
const STRANGERS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_others_cannot_reach_are_told() {
        let rows = [
            ("0.0.0.0:80", "192.168.1.5:7000", "warning"),
            ("192.168.1.5:80", "192.168.1.5:7000", "warning"),
            ("203.0.113.5:80", "10.0.0.5:7000", "PROBLEM"),
            ("203.0.113.5:80", "100.64.0.1:7000", "PROBLEM"),
            ("0.0.0.0:80", "127.0.0.1:7000", "PROBLEM"),
            ("127.0.0.1:80", "127.0.0.1:7000", "fine"),
            ("0.0.0.0:80", "203.0.113.5:7000", "fine"),
            ("[::]:80", "[2001:db8::1]:7000", "fine"),
            ("[::]:80", "[fd00::1]:7000", "warning"),
        ];
        for (http, advertised, level) in rows {
            let config = Config { http: http.parse().unwrap(), ..Config::default() };
            let said = sense(&config, &[advertised.parse().unwrap()]).to_string();
            assert!(said.starts_with(level), "{http} {advertised}: {said}");
        }
    }

    #[test]
    fn a_datagram_to_ourselves_is_told_from_those_of_strangers() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"another", to).unwrap();
        assert!(sent_to_self(&socket, to, b"ours").unwrap());
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let away = other.local_addr().unwrap();
        assert!(!sent_to_self(&socket, away, b"ours").unwrap(), "it went elsewhere");
    }

    #[test]
    fn an_address_that_is_not_ours_can_only_be_told_of() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let said = udp_arrives(&socket, "203.0.113.9:7000".parse().unwrap(), &[]).to_string();
        assert!(said.starts_with("warning") && said.contains("forward udp port 7000"), "{said}");
    }
}
