//! A bare loop that does only what no server can leave out: it seals a trace's packets for each
//! viewer, and writes each viewer's burst at once.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use quinn_udp::{Transmit, UdpSocketState};
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_crypto::{AeadAlgorithm, AeadCipher, RTCCryptoProvider};
use serde_json::json;

use super::options::{Bare, Cipher};
use super::tell::{self, rounded};
use super::trace::Trace;
use super::usage::own_cpu;

/// Sends to a draining process and prints packets per CPU-second.
pub(super) fn run(options: &Bare) -> anyhow::Result<()> {
    let trace = Trace::load(&options.trace)?;
    let mut drain = Draining::start(options)?;
    let mut loop_ = Loop::new(options, &drain.ports)?;
    let cpu_before = own_cpu();
    let begun = Instant::now();
    loop_.replay(&trace, begun + options.seconds);
    let cpu = (own_cpu() - cpu_before).as_secs_f64();
    let seconds = begun.elapsed().as_secs_f64();
    let received = drain.finish()?;

    let arrived = received["packets"].as_u64().unwrap_or(0);
    let rate = loop_.packets as f64 / cpu;
    let burst = loop_.packets as f64 / (loop_.writes.max(1)) as f64;
    let lost = loop_.packets.saturating_sub(arrived);
    let cipher = match options.cipher {
        Cipher::Aes128Gcm => "AES-128-GCM",
        Cipher::Aes256Gcm => "AES-256-GCM",
    };
    let json = json!({
        "trace": options.trace,
        "viewers": options.viewers,
        "cipher": cipher,
        "max_burst": options.burst,
        "seconds": rounded(seconds, 3),
        "packets": loop_.packets,
        "packets_per_second": rounded(loop_.packets as f64 / seconds, 1),
        "packets_per_cpu_second": rate.round(),
        "mean_burst": rounded(burst, 2),
        "writes_failed": loop_.failed,
        "lost": lost,
        "own_cpu_seconds": rounded(cpu, 3),
        "drain_cpu_seconds": received["cpu_seconds"],
        "udp_gro": false,
    });
    tell::print(&json, options.json, || {
        let rows = [
            ("cipher", cipher.to_owned()),
            ("sent", format!("{:.0} packets/s", loop_.packets as f64 / seconds)),
            ("mean burst", format!("{burst:.2} packets")),
            ("per CPU-second", format!("{rate:.0} packets")),
            ("lost", lost.to_string()),
            ("UDP_GRO", "off".into()),
        ];
        rows.into_iter().map(|(name, text)| (name.into(), text)).collect()
    });
    Ok(())
}

/// The process that receives.
struct Draining {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    ports: Vec<u16>,
}

struct Loop {
    socket: UdpSocket,
    state: UdpSocketState,
    viewers: Vec<Receiving>,
    max_burst: usize,
    full_speed: bool,
    seq: u16,
    scratch: Vec<u8>,
    packets: u64,
    writes: u64,
    failed: u64,
}

struct Receiving {
    address: SocketAddr,
    cipher: Box<dyn AeadCipher>,
    iv: [u8; 12],
    ssrc: [u8; 4],
}

// === impl Draining ===

impl Draining {
    fn start(options: &Bare) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["load", "drain", "--sockets", &options.viewers.to_string()]);
        if let Some(cpu) = options.drain_cpu {
            command.args(["--cpu", &cpu.to_string()]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("the draining process has no output")?;
        let mut lines = BufReader::new(stdout);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let ports = serde_json::from_str(&line).context("the draining process has no ports")?;
        Ok(Self { child, lines, ports })
    }

    fn finish(&mut self) -> anyhow::Result<serde_json::Value> {
        // What is on its way arrives.
        std::thread::sleep(Duration::from_millis(200));
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        self.child.wait()?;
        serde_json::from_str(&line).context("the draining process tells nothing")
    }
}

// === impl Loop ===

impl Loop {
    fn new(options: &Bare, ports: &[u16]) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let state = UdpSocketState::new((&socket).into())?;
        let _ = socket2::SockRef::from(&socket).set_send_buffer_size(BUFFER_BYTES);
        let provider = AwsLcRsProvider::new();
        let (algorithm, key_len) = match options.cipher {
            Cipher::Aes128Gcm => (AeadAlgorithm::Aes128Gcm, 16),
            Cipher::Aes256Gcm => (AeadAlgorithm::Aes256Gcm, 32),
        };
        let viewers = ports.iter().zip(1_u32..).map(|(port, ssrc)| {
            let key = [ssrc as u8; 32];
            Ok(Receiving {
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, *port)),
                cipher: provider.crypto().new_aead(algorithm, &key[..key_len])?,
                iv: [ssrc as u8; 12],
                ssrc: ssrc.to_be_bytes(),
            })
        });
        Ok(Self {
            socket,
            state,
            viewers: viewers.collect::<anyhow::Result<_>>()?,
            max_burst: usize::from(options.burst),
            full_speed: options.full_speed,
            seq: 0,
            scratch: vec![0; SCRATCH_BYTES],
            packets: 0,
            writes: 0,
            failed: 0,
        })
    }

    /// Sends each burst to every viewer as soon as it has arrived, until the time.
    fn replay(&mut self, trace: &Trace, until: Instant) {
        let start = Instant::now();
        let (mut next, mut repetitions) = (0, 0_u32);
        while Instant::now() < until {
            let offset = trace.length * repetitions;
            let now = if self.full_speed {
                trace.packets[next].at + offset + TOGETHER
            } else {
                let due = start + trace.packets[next].at + offset;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                start.elapsed()
            };
            let arrived = trace.packets[next..].iter().take_while(|it| it.at + offset <= now);
            let lens: Vec<usize> = arrived.map(|packet| packet.payload_len).collect();
            next += lens.len();
            if next == trace.packets.len() {
                next = 0;
                repetitions += 1;
            }
            for burst in lens.chunks(MOST_AT_ONCE) {
                self.fan_out(burst);
                self.seq = self.seq.wrapping_add(burst.len() as u16);
            }
        }
    }

    fn fan_out(&mut self, lens: &[usize]) {
        for index in 0..self.viewers.len() {
            let (mut from, mut seq) = (0, self.seq);
            while from < lens.len() {
                let (count, segment) = one_write(&lens[from..], self.max_burst);
                self.write(index, seq, &lens[from..from + count], segment);
                from += count;
                seq = seq.wrapping_add(count as u16);
            }
        }
    }

    fn write(&mut self, viewer: usize, seq: u16, lens: &[usize], segment: usize) {
        let viewer = &mut self.viewers[viewer];
        let mut end = 0;
        for (index, payload_len) in lens.iter().enumerate() {
            let seq = seq.wrapping_add(index as u16);
            // Padding evens out what differs by little; the last one may be shorter.
            let is_last = index + 1 == lens.len();
            let payload_len = if is_last { payload_len } else { &segment };
            let header_len = HEADER.len();
            let total = header_len + payload_len + TAG_LEN;
            let packet = &mut self.scratch[end..end + total];
            let (plain, tag) = packet.split_at_mut(header_len + payload_len);
            let (header, payload) = plain.split_at_mut(header_len);
            header.copy_from_slice(&HEADER);
            header[2..4].copy_from_slice(&seq.to_be_bytes());
            header[8..12].copy_from_slice(&viewer.ssrc);
            // A server copies the payload from where it keeps it.
            payload.copy_from_slice(&PAYLOAD[..*payload_len]);
            let mut nonce = viewer.iv;
            nonce[10] ^= header[2];
            nonce[11] ^= header[3];
            if viewer.cipher.seal_in_place(&nonce, header, payload, tag).is_err() {
                self.failed += 1;
                return;
            }
            end += total;
        }
        let segment = HEADER.len() + segment + TAG_LEN;
        let transmit = Transmit {
            destination: viewer.address,
            ecn: None,
            contents: &self.scratch[..end],
            segment_size: (segment < end).then_some(segment),
            src_ip: None,
        };
        self.writes += 1;
        match self.state.try_send((&self.socket).into(), &transmit) {
            Ok(()) => self.packets += lens.len() as u64,
            Err(_) => self.failed += 1,
        }
    }
}

/// How many packets one write takes, and the length of all but the last.
fn one_write(lens: &[usize], max_burst: usize) -> (usize, usize) {
    let (mut count, mut segment, mut least) = (1, lens[0], lens[0]);
    while count < max_burst.min(lens.len()) {
        let len = lens[count];
        if segment.max(len) - least > MAX_PADDING {
            break;
        }
        count += 1;
        if len + MAX_PADDING < segment {
            break;
        }
        (segment, least) = (segment.max(len), least.min(len));
    }
    (count, segment)
}

// Fixed header, and an extension block with MID and a transport-wide number, as viewers get it.
const HEADER: [u8; 24] =
    [0x90, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xBE, 0xDE, 0, 2, 0x40, b'1', 0x31, 0, 0, 0, 0, 0];
const PAYLOAD: [u8; 1500] = [0x5A; 1500];
const TAG_LEN: usize = 16;
// As the server does.
const MAX_PADDING: usize = 16;
const MOST_AT_ONCE: usize = 40;
const SCRATCH_BYTES: usize = 65_000;
const BUFFER_BYTES: usize = 8 << 20;
const TOGETHER: Duration = Duration::from_micros(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_write_takes_packets_that_differ_by_little_and_a_shorter_tail() {
        type Row<'a> = (&'a [usize], usize, (usize, usize));
        let rows: [Row<'_>; 5] = [
            (&[1000, 1001, 1001], 64, (3, 1001)),
            (&[1000, 1000, 300, 1000], 64, (3, 1000)),
            (&[300, 1000], 64, (1, 300)),
            (&[1000, 1000, 1000], 2, (2, 1000)),
            (&[1000, 1000, 1000], 1, (1, 1000)),
        ];
        for (lens, max_burst, want) in rows {
            assert_eq!(one_write(lens, max_burst), want, "{lens:?}");
        }
    }
}
