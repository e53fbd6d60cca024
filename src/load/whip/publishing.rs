//! The loop that publishes: it sends what is due, and listens to what the server says.

use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use whitewater_core::media::Ntp;
use whitewater_core::media::rtcp::{self, Rtcp, write_bye};
use whitewater_core::media::time::round_trip;
use whitewater_core::rtc::Transport;
use whitewater_core::rtc::connection::{Connection, Event};
use whitewater_core::rtc::demux::{Class, classify};

use super::figures::Figures;
use super::media::{Media, Outcome, Planned};
use super::outgoing::Outgoing;
use crate::load::dial::Dialled;
use crate::load::options::Like;
use crate::load::receive::Receiver;
use crate::load::usage::own_cpu;

/// One publisher.
pub(super) struct Publishing {
    socket: UdpSocket,
    connection: Connection,
    media: Media,
    transport_seq: u16,
    like: Like,
    keyframe_wanted: bool,
    keyframe_sent: Option<Instant>,
    answered_at: Instant,
    started_at: Option<Instant>,
    report_at: Option<Instant>,
    reported: bool,
    closed: bool,
    out: Vec<u8>,
    figures: Figures,
}

// === impl Publishing ===

impl Publishing {
    pub(super) fn new(dialled: Dialled, media: Media, like: Like) -> Self {
        Self {
            socket: dialled.socket,
            connection: dialled.connection,
            transport_seq: 1,
            like,
            keyframe_wanted: true,
            keyframe_sent: None,
            answered_at: dialled.answered_at,
            started_at: None,
            report_at: None,
            reported: false,
            closed: false,
            out: vec![0; OUT_BYTES],
            figures: Figures {
                answer_took: dialled.answer_took,
                layers: media.layers.len(),
                ..Figures::default()
            },
            media,
        }
    }

    /// Runs until told to stop, until the time is over, or until the session ends.
    pub(super) fn run(mut self, seconds: Option<Duration>, stop: &AtomicBool) -> Figures {
        let mut receiver = Receiver::new();
        let fd = self.socket.as_raw_fd();
        let cpu_before = own_cpu();
        while !self.closed && !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            let over = |start: Instant| seconds.is_some_and(|seconds| now >= start + seconds);
            if self.started_at.is_some_and(over) {
                break;
            }
            self.wait(now);
            let now = Instant::now();
            if let Err(error) =
                receiver.drain(fd, |from, datagram| self.handle_datagram(now, from, datagram))
            {
                self.figures.ended = Some(error.to_string());
                break;
            }
            if self.connection.poll_timeout().is_some_and(|due| due <= now) {
                self.connection.handle_timeout(now);
                self.pump(now);
            }
            self.send_due(now);
            self.report_if_due(now);
        }
        self.finish();
        self.figures.own_cpu = own_cpu() - cpu_before;
        self.figures
    }

    fn wait(&self, now: Instant) {
        let media = self.started_at.map(|start| start + self.media.due_at());
        let due = [self.connection.poll_timeout(), media, self.report_at].into_iter().flatten();
        // Whoever stops this thread only sets a flag.
        let due = due.min().map_or(now + LONGEST_WAIT, |due| due.min(now + LONGEST_WAIT));
        let timeout = TimeSpec::from_duration(due.saturating_duration_since(now));
        let mut waiting = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        // An interrupted wait is a short one.
        let _ = ppoll(&mut waiting, Some(timeout), None);
    }

    fn handle_datagram(&mut self, now: Instant, from: std::net::SocketAddr, datagram: &[u8]) {
        let transport = Transport::udp(None, from);
        match classify(datagram) {
            Class::Stun | Class::Dtls => {
                // What does not belong to the handshake is dropped there.
                let _ = self.connection.handle_datagram(now, transport, datagram);
                self.pump(now);
            }
            Class::Rtcp => {
                if let Ok(plain) = self.connection.unprotect_rtcp(now, &transport, datagram) {
                    self.listen(&plain);
                }
            }
            Class::Rtp | Class::Unknown => {}
        }
    }

    fn listen(&mut self, plain: &[u8]) {
        let mut missing = Vec::new();
        let (figures, wanted) = (&mut self.figures, &mut self.keyframe_wanted);
        rtcp::parse(plain, |statement| match statement {
            Rtcp::Nack(nack) => missing.extend(nack.seqs().map(|seq| (nack.media_ssrc, seq))),
            Rtcp::Pli { .. } | Rtcp::Fir { .. } => {
                figures.keyframe_requests += 1;
                *wanted = true;
            }
            Rtcp::Report { block, .. } => {
                figures.worst_fraction_lost = figures.worst_fraction_lost.max(block.fraction_lost);
                let took = round_trip(wall(), block.lsr, block.dlsr);
                figures.round_trip = took.or(figures.round_trip);
            }
            Rtcp::TransportWide(_) => figures.transport_feedback += 1,
            Rtcp::Bye { .. } | Rtcp::SenderReport(_) => {}
        });
        for (ssrc, seq) in missing {
            self.figures.nacked += 1;
            let layer = self.media.layers.iter_mut().find(|layer| layer.ssrc == ssrc);
            let (Some(layer), Some(path)) = (layer, self.connection.path()) else { continue };
            let Some(sender) = self.connection.sender() else { continue };
            let packet = layer.repeat(sender, &mut self.transport_seq, &mut self.out, seq);
            if !packet.is_empty() && self.socket.send_to(packet, path.remote).is_err() {
                self.figures.dropped += 1;
            }
        }
    }

    fn send_due(&mut self, now: Instant) {
        let Some(start) = self.started_at else { return };
        let after = now - start;
        while self.media.frame_at() <= after {
            let may = self.keyframe_sent.is_none_or(|at| now >= at + KEYFRAME_INTERVAL);
            let keyframe = self.keyframe_wanted && may && self.like == Like::Browser;
            if keyframe || self.media.begins_anew() {
                self.keyframe_wanted = false;
                self.keyframe_sent = Some(now);
                self.figures.keyframes += 1;
            }
            self.figures.frames += 1;
            match self.media.plan(keyframe) {
                Outcome::Fits => {}
                Outcome::Longer => self.figures.longer_frames += 1,
            }
        }
        while let Some(planned) = self.media.next(after) {
            self.figures.latest = self.figures.latest.max(after - planned.at);
            self.send(planned);
        }
    }

    fn send(&mut self, planned: Planned) {
        let Planned { layer, payload, timestamp, marker, .. } = planned;
        let source: Option<&mut Outgoing> = match layer {
            Some(index) => self.media.layers.get_mut(index),
            None => self.media.audio.as_mut(),
        };
        let (Some(source), Some(path)) = (source, self.connection.path()) else { return };
        let Some(sender) = self.connection.sender() else { return };
        let contents = (payload, timestamp, marker);
        let packet = source.packet(sender, &mut self.transport_seq, &mut self.out, contents);
        if packet.is_empty() || self.socket.send_to(packet, path.remote).is_err() {
            self.figures.dropped += 1;
            return;
        }
        self.figures.packets += 1;
        self.figures.bytes += packet.len() as u64;
    }

    fn report_if_due(&mut self, now: Instant) {
        let (Some(start), Some(due)) = (self.started_at, self.report_at) else { return };
        if now < due {
            return;
        }
        self.report_at = Some(now + REPORT_INTERVAL);
        let wall = wall();
        let odd = self.like == Like::Obs && !self.reported;
        self.reported = true;
        let sources = self.media.layers.iter().chain(&self.media.audio);
        let reports: Vec<BytesMut> = sources
            .filter(|source| source.sent.packets > 0)
            .map(|source| {
                let mut plain = BytesMut::new();
                if odd {
                    source.report_nothing(&mut plain);
                } else {
                    source.report(&mut plain, wall, now - start);
                }
                plain
            })
            .collect();
        for plain in reports {
            self.send_rtcp(&plain);
        }
    }

    fn send_rtcp(&mut self, plain: &[u8]) {
        if let (Some(path), Some(sealed)) =
            (self.connection.path(), self.connection.protect_rtcp(plain))
        {
            // A full buffer loses it, as a network may.
            let _ = self.socket.send_to(&sealed, path.remote);
        }
    }

    fn pump(&mut self, now: Instant) {
        while let Some((transport, datagram)) = self.connection.poll_transmit() {
            let _ = self.socket.send_to(&datagram, transport.remote);
        }
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Connected { profile } => {
                    self.figures.profile = Some(profile);
                    self.figures.connect_took = Some(now - self.answered_at);
                    self.started_at = Some(now);
                    self.report_at = Some(now + FIRST_REPORT);
                }
                Event::Closed(reason) => {
                    self.figures.ended = Some(reason.to_string());
                    self.closed = true;
                }
                Event::Path(_) => {}
            }
        }
    }

    fn finish(&mut self) {
        let now = Instant::now();
        let sources = self.media.layers.iter().chain(&self.media.audio);
        let (ssrcs, retransmissions): (Vec<_>, Vec<_>) =
            sources.map(|source| (source.ssrc, source.sent.retransmissions)).unzip();
        self.figures.retransmissions = retransmissions.iter().sum();
        self.figures.sent_for = self.started_at.map_or(Duration::ZERO, |start| now - start);
        let mut plain = BytesMut::new();
        write_bye(&mut plain, &ssrcs);
        self.send_rtcp(&plain);
        self.connection.close(now);
        self.pump(now);
    }
}

fn wall() -> Ntp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ntp::from_unix_micros(since_epoch.as_micros() as i64)
}

const OUT_BYTES: usize = 2048;
const LONGEST_WAIT: Duration = Duration::from_millis(200);
// Browsers ignore more than about three requests a second.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(300);
const FIRST_REPORT: Duration = Duration::from_millis(50);
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
