//! A driver that turns a connection over a real socket and writes down what comes.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use whitewater_core::media::rtcp;
use whitewater_core::media::{HeaderView, Kind, Ssrc, Unwrapper16, unwrap_rtx};
use whitewater_core::rtc::connection::{Connection, Event};
use whitewater_core::rtc::demux::{self, Class};
use whitewater_core::rtc::{Credentials, Section, Transport};

use super::log::{Log, Rtp};
use super::wire::Wire;

/// What a driver is told to do.
pub(crate) enum Do {
    /// Seal and send a packet.
    Rtp { bytes: Vec<u8>, header_len: usize },
    /// Seal and send a compound packet.
    Rtcp(Vec<u8>),
    /// Send bytes as they are.
    Raw(Vec<u8>),
    /// Send from another port, and from now on take in what comes there.
    Rebind,
    /// Neither send nor take in anything from now on.
    FallSilent,
    /// Take nothing out of the kernel's buffer, or take it again; over TCP alone.
    StopReading(bool),
    /// Begin another ICE session.
    Restart { local: Credentials, remote: Credentials },
    /// Say goodbye.
    Close,
    /// Lose the datagrams for which this is true: the first argument tells whether it goes out.
    Lose(Lose),
}

/// Decides whether a datagram is lost.
pub(crate) type Lose = Box<dyn FnMut(bool, &[u8]) -> bool + Send>;

/// A connection, its socket and its memory.
pub(super) struct Driver {
    connection: Connection,
    wire: Wire,
    sections: Vec<Section>,
    nack: bool,
    log: Arc<Mutex<Log>>,
    sent: HashMap<(Ssrc, u16), Vec<u8>>,
    repeated: u16,
    received: BTreeMap<i64, ()>,
    unwrapper: Unwrapper16,
    lose: Lose,
}

// === impl Driver ===

impl Driver {
    pub(super) fn new(
        connection: Connection,
        wire: Wire,
        sections: &[Section],
        nack: bool,
        log: Arc<Mutex<Log>>,
    ) -> Self {
        Self {
            connection,
            wire,
            sections: sections.to_vec(),
            nack,
            log,
            sent: HashMap::new(),
            repeated: 0,
            received: BTreeMap::new(),
            unwrapper: Unwrapper16::default(),
            lose: Box::new(|_, _| false),
        }
    }

    /// Runs until the last peer that commands it is dropped.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Do>) {
        let mut buffer = vec![0; 65_536];
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            self.settle().await;
            let due = self.connection.poll_timeout();
            let due = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                order = commands.recv() => match order {
                    Some(Do::FallSilent) => {
                        while commands.recv().await.is_some() {}
                        return;
                    }
                    Some(order) => self.carry_out(order).await,
                    None => return,
                },
                came = self.wire.receive(&mut buffer) => match came {
                    Ok((len, from)) => if !(self.lose)(false, &buffer[..len]) {
                        self.take_in(from, &buffer[..len]).await;
                    },
                    // Over UDP that is what ICMP says of the other side, over TCP the end.
                    Err(_) => self.log.lock().unwrap().hung_up += 1,
                },
                () = tokio::time::sleep_until(due.into()) => {
                    self.connection.handle_timeout(Instant::now());
                }
                _ = tick.tick(), if self.nack => self.ask_again().await,
            }
        }
    }

    async fn settle(&mut self) {
        while let Some((to, datagram)) = self.connection.poll_transmit() {
            self.send_to(to.remote, &datagram).await;
        }
        while let Some(event) = self.connection.poll_event() {
            let mut log = self.log.lock().unwrap();
            match event {
                Event::Connected { profile } => log.connected = Some(profile),
                Event::Closed(reason) => log.closed = Some(reason),
                Event::Path(_) => {}
            }
        }
    }

    async fn carry_out(&mut self, order: Do) {
        match order {
            Do::Rtp { bytes, header_len } => {
                if let Ok(view) = HeaderView::parse(&bytes) {
                    self.sent.insert((view.ssrc, view.seq), bytes.clone());
                }
                self.seal_and_send(bytes, header_len).await;
            }
            Do::Rtcp(plain) => {
                if let Some(sealed) = self.connection.protect_rtcp(&plain) {
                    self.send(&sealed).await;
                }
            }
            Do::Raw(bytes) => self.send(&bytes).await,
            Do::Rebind => {
                self.wire.renew().await;
            }
            Do::StopReading(deaf) => self.wire.set_deaf(deaf),
            Do::Restart { local, remote } => {
                self.connection.restart_ice(local, remote);
                self.connection.handle_timeout(Instant::now());
            }
            Do::Close => self.connection.close(Instant::now()),
            Do::Lose(lose) => self.lose = lose,
            Do::FallSilent => {}
        }
    }

    async fn take_in(&mut self, from: SocketAddr, datagram: &[u8]) {
        let now = Instant::now();
        let local = self.wire.local_addr().ip();
        let transport = Transport::udp(Some(local), from);
        self.log.lock().unwrap().heard = Some(now);
        let result = match demux::classify(datagram) {
            Class::Stun | Class::Dtls => self.connection.handle_datagram(now, transport, datagram),
            Class::Rtp => self
                .connection
                .unprotect_rtp(now, &transport, datagram)
                .map(|plain| self.note_rtp(now, plain)),
            Class::Rtcp => match self.connection.unprotect_rtcp(now, &transport, datagram) {
                Ok(plain) => {
                    let wanted = self.log.lock().unwrap().note_rtcp(now, &plain);
                    for (ssrc, seq) in wanted {
                        self.repeat(ssrc, seq).await;
                    }
                    Ok(())
                }
                Err(dropped) => Err(dropped),
            },
            Class::Unknown => Ok(()),
        };
        if let Err(dropped) = result {
            self.log.lock().unwrap().refused.push(dropped);
        }
    }

    fn note_rtp(&mut self, now: Instant, plain: BytesMut) {
        let Ok(view) = HeaderView::parse(&plain) else { return };
        let pt = view.pt;
        for section in &self.sections {
            for agreed in &section.formats {
                let (bytes, repaired) = match (agreed.rtx == Some(pt), section.ssrc) {
                    (true, Some(ssrc)) => match unwrap_rtx(&plain, ssrc, agreed.pt) {
                        Some(bytes) => (bytes, true),
                        None => continue,
                    },
                    (_, _) if agreed.pt == pt => (Bytes::copy_from_slice(&plain), false),
                    (_, _) => continue,
                };
                let Some(packet) = Rtp::parse(now, section.kind, repaired, bytes) else { return };
                if section.kind == Kind::Video {
                    self.received.insert(self.unwrapper.extend(packet.seq), ());
                }
                self.log.lock().unwrap().rtp.push(packet);
                return;
            }
        }
    }

    /// Sends what was sent once again, as a retransmission.
    async fn repeat(&mut self, ssrc: Ssrc, seq: u16) {
        let Some(plain) = self.sent.get(&(ssrc, seq)).cloned() else { return };
        let Ok(view) = HeaderView::parse(&plain) else { return };
        let section = self.sections.iter().find(|section| section.formats[0].pt == view.pt);
        let Some(rtx) = section.and_then(|section| section.formats[0].rtx) else { return };
        let header_len = view.header_len;
        let mut bytes = plain[..header_len].to_vec();
        bytes[1] = bytes[1] & 0x80 | rtx.0;
        bytes[2..4].copy_from_slice(&self.repeated.to_be_bytes());
        bytes[8..12].copy_from_slice(&(ssrc.0 + 1).to_be_bytes());
        bytes.extend_from_slice(&seq.to_be_bytes());
        bytes.extend_from_slice(&plain[header_len..]);
        self.repeated = self.repeated.wrapping_add(1);
        self.seal_and_send(bytes, header_len).await;
    }

    /// Asks for the picture packets that are missing among the latest.
    async fn ask_again(&mut self) {
        let Some(highest) = self.received.last_key_value().map(|(seq, ())| *seq) else { return };
        let Some(lowest) = self.received.first_key_value().map(|(seq, ())| *seq) else { return };
        let missing: Vec<u16> = (lowest.max(highest - 500)..highest)
            .filter(|seq| !self.received.contains_key(seq))
            .map(|seq| seq as u16)
            .take(60)
            .collect();
        let video = self.sections.iter().find(|section| section.kind == Kind::Video);
        let Some(ssrc) = video.and_then(|section| section.ssrc) else { return };
        if !missing.is_empty() {
            let mut plain = Vec::new();
            rtcp::write_nack(&mut plain, Ssrc(1), ssrc, &missing);
            self.carry_out_rtcp(&plain).await;
        }
    }

    async fn carry_out_rtcp(&mut self, plain: &[u8]) {
        if let Some(sealed) = self.connection.protect_rtcp(plain) {
            self.send(&sealed).await;
        }
    }

    async fn seal_and_send(&mut self, mut bytes: Vec<u8>, header_len: usize) {
        let Ok(view) = HeaderView::parse(&bytes) else { return };
        let (ssrc, plain_len) = (view.ssrc, bytes.len());
        let Some(sender) = self.connection.sender() else { return };
        let slot = sender.add(ssrc);
        bytes.resize(plain_len + sender.overhead(), 0);
        let len = sender.protect(slot, &mut bytes, header_len, plain_len);
        self.send(&bytes[..len]).await;
    }

    async fn send(&mut self, datagram: &[u8]) {
        if let Some(path) = self.connection.path() {
            self.send_to(path.remote, datagram).await;
        }
    }

    async fn send_to(&mut self, to: SocketAddr, datagram: &[u8]) {
        if !(self.lose)(true, datagram) {
            self.wire.send(to, datagram).await;
        }
    }
}
