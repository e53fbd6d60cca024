//! A viewer: one session that receives, reports, asks again for what is missing, and measures.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mio::net::UdpSocket;
use whitewater_core::media::codec::inspect;
use whitewater_core::media::rtcp::{
    self, Rtcp, write_bye, write_cname, write_nack, write_pli, write_receiver_report,
};
use whitewater_core::media::{Codec, HeaderView, Kind, Packet, PayloadInfo, PayloadType, Ssrc};
use whitewater_core::media::{ExtensionIds, ExtensionKind, unwrap_rtx};
use whitewater_core::rtc::connection::{Connection, Event};
use whitewater_core::rtc::demux::{Class, classify};
use whitewater_core::rtc::{Profile, Transport};

use super::arrivals::Arrivals;
use super::dial::Dialled;
use super::frames::{Found, Frames, Piece};
use super::gaps::{Counts, Place};
use super::source::Source;

/// One viewer.
pub(super) struct Viewer {
    pub(super) socket: UdpSocket,
    connection: Connection,
    formats: [Meaning; 128],
    own_ssrc: Ssrc,
    verify_all: bool,
    nack: bool,
    /// The header extension of transport-wide numbers, where feedback on them was agreed.
    transport_wide: Option<u8>,
    arrivals: Arrivals,
    audio: Option<Source>,
    video: Option<Source>,
    frames: Frames,
    connected_at: Option<Instant>,
    report_at: Option<Instant>,
    keyframe_at: Option<Instant>,
    figures: Figures,
}

/// What a payload type means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Meaning {
    #[default]
    Nothing,
    Media(Codec, u32),
    Rtx(PayloadType),
}

/// What one viewer has measured.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    pub(super) answered_at: Instant,
    pub(super) answer_took: Duration,
    /// When the handshake was done, and with which cipher.
    pub(super) connected: Option<(Instant, Profile)>,
    pub(super) first_packet: Option<Instant>,
    pub(super) frames: Found,
    pub(super) audio: Counts,
    pub(super) video: Counts,
    /// Media datagrams, retransmissions among them.
    pub(super) packets: u64,
    /// Their bytes, with everything above UDP.
    pub(super) bytes: u64,
    pub(super) retransmissions: u64,
    /// Packets that were decrypted.
    pub(super) verified: u64,
    /// Packets that failed to be.
    pub(super) refused: u64,
    pub(super) nacks: u64,
    pub(super) plis: u64,
    /// Why the session has ended before its time.
    pub(super) ended: Option<String>,
}

// === impl Viewer ===

impl Viewer {
    pub(super) fn new(dialled: Dialled, own_ssrc: Ssrc, verify_all: bool) -> Self {
        let mut formats = [Meaning::Nothing; 128];
        let mut nack = false;
        let mut transport_wide = None;
        for section in &dialled.sections {
            nack |= section.nack && section.kind == Kind::Video;
            if section.transport_wide {
                transport_wide = section.extensions.id(ExtensionKind::TransportWide);
            }
            for agreed in &section.formats {
                let format = &agreed.format;
                formats[usize::from(agreed.pt.0 & 0x7F)] =
                    Meaning::Media(format.codec, format.clock_rate);
                if let Some(rtx) = agreed.rtx {
                    formats[usize::from(rtx.0 & 0x7F)] = Meaning::Rtx(agreed.pt);
                }
            }
        }
        Self {
            socket: UdpSocket::from_std(dialled.socket),
            connection: dialled.connection,
            formats,
            own_ssrc,
            verify_all,
            nack,
            transport_wide,
            arrivals: Arrivals::default(),
            audio: None,
            video: None,
            frames: Frames::new(),
            connected_at: None,
            report_at: None,
            keyframe_at: None,
            figures: Figures::new(dialled.answered_at, dialled.answer_took),
        }
    }

    /// The socket, to read from; it lives as long as the viewer.
    pub(super) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Takes a datagram.
    pub(super) fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let transport = Transport::udp(None, from);
        match classify(datagram) {
            Class::Rtp => self.handle_rtp(now, &transport, datagram),
            Class::Rtcp => self.handle_rtcp(now, &transport, datagram),
            Class::Stun | Class::Dtls => {
                // What does not belong to the handshake is dropped there.
                let _ = self.connection.handle_datagram(now, transport, datagram);
                self.pump(now);
            }
            Class::Unknown => {}
        }
    }

    /// When to call [`Self::handle_timeout`].
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let ask_at = self.video.as_ref().filter(|_| self.nack).and_then(|it| it.gaps.ask_at());
        let feedback_at = self.arrivals.due();
        let own =
            [self.report_at, self.keyframe_at, ask_at, feedback_at, self.frames.poll_timeout()];
        own.into_iter().chain([self.connection.poll_timeout()]).flatten().min()
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.connection.poll_timeout().is_some_and(|due| due <= now) {
            self.connection.handle_timeout(now);
            self.pump(now);
        }
        self.frames.handle_timeout(now);
        self.watch_for_keyframe(now);
        if self.keyframe_at.is_some_and(|due| due <= now)
            && let Some(ssrc) = self.video.as_ref().map(|video| video.ssrc)
        {
            self.keyframe_at = Some(now + KEYFRAME_PATIENCE);
            self.figures.plis += 1;
            let own = self.own_ssrc;
            self.feed_back(|plain| write_pli(plain, own, ssrc));
        }
        if self.nack
            && let Some(video) = &mut self.video
            && video.gaps.ask_at().is_some_and(|due| due <= now)
        {
            let (seqs, ssrc, own) = (video.gaps.ask(now), video.ssrc, self.own_ssrc);
            self.figures.nacks += seqs.len() as u64;
            self.feed_back(|plain| write_nack(plain, own, ssrc, &seqs));
        }
        if self.arrivals.due().is_some_and(|due| due <= now) {
            let mut plain = BytesMut::new();
            let media = self.video.as_ref().or(self.audio.as_ref());
            let media = media.map_or(self.own_ssrc, |source| source.ssrc);
            self.arrivals.write(&mut plain, self.own_ssrc, media);
            self.send_rtcp(&plain);
        }
        if self.report_at.is_some_and(|due| due <= now) {
            self.report_at = Some(now + REPORT_INTERVAL);
            self.report(now);
        }
    }

    /// What was measured so far. Freezes are counted anew from here.
    pub(super) fn mark(&mut self) -> Figures {
        let figures = self.figures();
        self.frames.forget_freezes();
        figures
    }

    /// Says goodbye, and what was measured.
    pub(super) fn finish(mut self, now: Instant) -> Figures {
        self.frames.finish(now);
        let own = self.own_ssrc;
        self.feed_back(|plain| write_bye(plain, &[own]));
        self.connection.close(now);
        self.pump(now);
        self.figures()
    }

    fn figures(&self) -> Figures {
        let counts = |source: &Option<Source>| {
            source.as_ref().map_or_else(Counts::default, |source| source.gaps.counts)
        };
        Figures {
            frames: self.frames.found,
            audio: counts(&self.audio),
            video: counts(&self.video),
            ..self.figures.clone()
        }
    }

    fn handle_rtp(&mut self, now: Instant, transport: &Transport, datagram: &[u8]) {
        let Some(connected_at) = self.connected_at else { return };
        let Ok(header) = HeaderView::parse(datagram) else { return };
        if let Some(id) = self.transport_wide
            && let Some(&[high, low]) = header.extension(id)
        {
            self.arrivals.note(now, u16::from_be_bytes([high, low]));
        }
        match self.formats[usize::from(header.pt.0)] {
            Meaning::Nothing => {}
            Meaning::Media(codec, clock_rate) => {
                self.count(now, datagram);
                let verify = self.verify_all
                    || now < connected_at + VERIFIED_AT_FIRST
                    || (codec.kind() == Kind::Video && self.frames.needs_keyframe())
                    // Now and then one, lest the cipher's rollover counter be lost.
                    || header.seq.is_multiple_of(VERIFIED_EVERY);
                let info = if verify {
                    let Some(info) = self.look_into(now, transport, codec, datagram) else {
                        return;
                    };
                    info
                } else {
                    PayloadInfo::default()
                };
                match codec.kind() {
                    Kind::Audio => {
                        let new = || Source::new(header.ssrc, clock_rate);
                        self.audio.get_or_insert_with(new).note(now, &header);
                    }
                    Kind::Video => {
                        let new = || Source::new(header.ssrc, clock_rate);
                        let place = self.video.get_or_insert_with(new).note(now, &header);
                        self.take_piece(now, place, &header, info.keyframe);
                    }
                }
            }
            Meaning::Rtx(pt) => {
                self.count(now, datagram);
                self.handle_retransmission(now, transport, datagram, pt);
            }
        }
    }

    fn handle_retransmission(
        &mut self,
        now: Instant,
        transport: &Transport,
        datagram: &[u8],
        pt: PayloadType,
    ) {
        let plain = self.connection.unprotect_rtp(now, transport, datagram);
        let (Ok(plain), Some(video)) = (plain, &mut self.video) else {
            self.figures.refused += 1;
            return;
        };
        // Without an original it is padding that probes.
        let Some(original) = unwrap_rtx(&plain, video.ssrc, pt) else { return };
        self.figures.retransmissions += 1;
        let Ok(header) = HeaderView::parse(&original) else { return };
        let place = video.gaps.note_recovered(header.seq);
        let keyframe = match self.formats[usize::from(pt.0)] {
            Meaning::Media(codec, _) => {
                header.plain_payload().is_ok_and(|payload| inspect(codec, payload).keyframe)
            }
            Meaning::Nothing | Meaning::Rtx(_) => false,
        };
        self.take_piece(now, place, &header, keyframe);
    }

    fn take_piece(&mut self, now: Instant, place: Place, header: &HeaderView<'_>, keyframe: bool) {
        let (Place::Ahead(seq) | Place::Filling(seq)) = place else { return };
        let &HeaderView { timestamp, marker, .. } = header;
        self.frames.take(now, Piece { seq, timestamp, marker, keyframe });
        self.watch_for_keyframe(now);
    }

    // Decrypts a packet; `None` if it is not authentic.
    fn look_into(
        &mut self,
        now: Instant,
        transport: &Transport,
        codec: Codec,
        datagram: &[u8],
    ) -> Option<PayloadInfo> {
        let Ok(plain) = self.connection.unprotect_rtp(now, transport, datagram) else {
            self.figures.refused += 1;
            return None;
        };
        self.figures.verified += 1;
        let packet = Packet::parse(plain.freeze(), &ExtensionIds::default()).ok()?;
        Some(inspect(codec, packet.payload()))
    }

    fn handle_rtcp(&mut self, now: Instant, transport: &Transport, datagram: &[u8]) {
        let Ok(plain) = self.connection.unprotect_rtcp(now, transport, datagram) else { return };
        let sources = [&mut self.audio, &mut self.video];
        let mut sources = sources.into_iter().flatten().collect::<Vec<_>>();
        let mut gone = false;
        rtcp::parse(&plain, |statement| match statement {
            Rtcp::SenderReport(report) => {
                let source = sources.iter_mut().find(|source| source.ssrc == report.ssrc);
                if let Some(source) = source {
                    source.note_sender_report(now, report.ntp);
                }
            }
            Rtcp::Bye { .. } => gone = true,
            Rtcp::Report { .. }
            | Rtcp::Nack(_)
            | Rtcp::Pli { .. }
            | Rtcp::Fir { .. }
            | Rtcp::TransportWide(_) => {}
        });
        if gone {
            self.figures.ended.get_or_insert_with(|| "the server said BYE".into());
        }
    }

    fn count(&mut self, now: Instant, datagram: &[u8]) {
        self.figures.packets += 1;
        self.figures.bytes += datagram.len() as u64;
        self.figures.first_packet.get_or_insert(now);
    }

    fn watch_for_keyframe(&mut self, now: Instant) {
        if !self.frames.needs_keyframe() || self.video.is_none() {
            self.keyframe_at = None;
        } else if self.keyframe_at.is_none() {
            self.keyframe_at = Some(now + KEYFRAME_PATIENCE);
        }
    }

    fn report(&mut self, now: Instant) {
        let sources = [&mut self.audio, &mut self.video];
        let blocks: Vec<_> =
            sources.into_iter().flatten().filter_map(|source| source.block(now)).collect();
        let mut plain = BytesMut::new();
        write_receiver_report(&mut plain, self.own_ssrc, &blocks);
        write_cname(&mut plain, self.own_ssrc, "viewer");
        self.send_rtcp(&plain);
    }

    // Feedback follows an empty report, as servers want that know no reduced size.
    fn feed_back(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let mut plain = BytesMut::new();
        write_receiver_report(&mut plain, self.own_ssrc, &[]);
        write(&mut plain);
        self.send_rtcp(&plain);
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
                    self.connected_at = Some(now);
                    self.figures.connected = Some((now, profile));
                    // Spread over the interval, so that viewers who join together do not report so.
                    let spread = u64::from(self.own_ssrc.0) % REPORT_INTERVAL.as_millis() as u64;
                    self.report_at = Some(now + Duration::from_millis(spread));
                }
                Event::Closed(reason) => {
                    self.figures.ended = Some(reason.to_string());
                    (self.report_at, self.keyframe_at) = (None, None);
                    (self.transport_wide, self.arrivals) = (None, Arrivals::default());
                }
                Event::Path(_) => {}
            }
        }
    }
}

// === impl Figures ===

impl Figures {
    fn new(answered_at: Instant, answer_took: Duration) -> Self {
        Self {
            answered_at,
            answer_took,
            connected: None,
            first_packet: None,
            frames: Found::default(),
            audio: Counts::default(),
            video: Counts::default(),
            packets: 0,
            bytes: 0,
            retransmissions: 0,
            verified: 0,
            refused: 0,
            nacks: 0,
            plis: 0,
            ended: None,
        }
    }
}

const VERIFIED_AT_FIRST: Duration = Duration::from_secs(2);
const VERIFIED_EVERY: u16 = 1024;
const KEYFRAME_PATIENCE: Duration = Duration::from_secs(1);
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
