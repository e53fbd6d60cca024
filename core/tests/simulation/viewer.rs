//! A viewer that repairs, assembles and judges what it gets as a browser's decoder would.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use whitewater_core::media::rtcp::{self, ReportBlock, Rtcp};
use whitewater_core::media::time::{compact_from_duration, ticks_to_micros};
use whitewater_core::media::{
    Codec, ExtensionKind, Ntp, Packet, PayloadType, Ssrc, Unwrapper16, Unwrapper32, unwrap_rtx,
};
use whitewater_core::rtc::Transport;
use whitewater_core::rtc::connection::{Connection, Event};
use whitewater_core::rtc::demux::{self, Class};

use super::agreed::{AUDIO_PT, RED_PT, RTX_PT, VIDEO_PT, extensions, server};
use super::network::IP_AND_UDP;
use super::picture::{Numbers, Piece};
use super::scalable::Decoder;

/// One viewer.
pub struct Viewer {
    /// Its connection.
    pub connection: Connection,
    /// What it saw.
    pub seen: Seen,
    /// Whether it answers at all.
    pub alive: bool,
    /// Whether its process does not run at all.
    pub frozen: bool,
    /// Whether it sends NACKs.
    pub repairs: bool,
    /// After this time timestamps must keep their distance to capture times: a joiner's first
    /// frames are squeezed together on purpose.
    pub settles: Duration,
    /// Whether it sends transport-wide feedback.
    pub feeds_back: bool,
    codec: Codec,
    ssrc: Ssrc,
    began: Instant,
    pictures: Pictures,
    missing: BTreeMap<i64, (Instant, u32)>,
    seqs: Unwrapper16,
    highest: Option<i64>,
    timestamps: Unwrapper32,
    transport: BTreeMap<i64, i64>,
    transport_seqs: Unwrapper16,
    transport_next: Option<i64>,
    transport_count: u8,
    reported: Option<(i64, u64)>,
    next_report: Instant,
    next_transport: Instant,
    next_pli: Instant,
    sound: (Unwrapper16, Option<(i64, i64)>, Unwrapper32),
    /// What the picture's last sender report said.
    clock: Option<(Ntp, u32)>,
    /// When that came, and its middle bits.
    told: Option<(Instant, u32)>,
}

/// What a viewer saw, and what was wrong with it.
#[derive(Debug, Default)]
pub struct Seen {
    /// When it was connected.
    pub connected: Option<Instant>,
    /// Bytes of datagrams that came, with everything below them.
    pub bytes: u64,
    /// Packets of picture that came first-hand.
    pub packets: u64,
    /// Packets that came as retransmissions and were needed.
    pub repaired: u64,
    /// Frames displayed.
    pub frames: u64,
    /// Frames of the layer displayed that were passed over.
    pub missed: u64,
    /// Keyframes among those displayed.
    pub keyframes: u64,
    /// Holes given up, for which a keyframe was asked.
    pub skips: u64,
    /// Holes that a keyframe made needless to fill.
    pub overtaken: u64,
    /// Frames that ended without their last packets, before a keyframe.
    pub cut_short: u64,
    /// Packets of sound.
    pub sound: u64,
    /// Packets of sound with an older frame in them.
    pub repeated_sound: u64,
    /// The numbers of the frames of sound that came one way or the other.
    pub heard: BTreeSet<u32>,
    /// Sender reports.
    pub reports: u64,
    /// Frames displayed of each layer.
    pub by_layer: [u64; 3],
    /// The layers displayed, in their order, without repetition.
    pub layers: Vec<u8>,
    /// When each of those began, in milliseconds of the simulation.
    pub layers_at_ms: Vec<(u64, u8)>,
    /// Times without a frame of more than 300 ms: when they ended, and how long they were.
    pub freezes_ms: Vec<(u64, u64)>,
    /// When the first frame was displayed.
    pub first: Option<Instant>,
    /// When the last one was.
    pub last: Option<Instant>,
    /// How old each frame was when it was displayed, in milliseconds.
    pub ages_ms: Vec<u64>,
    /// When each frame was captured, in milliseconds of the simulation, and by the sender reports.
    pub captured: Vec<(u32, Ntp)>,
    /// The longest time without a frame.
    pub longest_gap: Duration,
    /// Milliseconds between timestamp and capture time: the least and the most of one publisher.
    pub skew_ms: Option<(i64, i64)>,
    /// The most that they differ, of any publisher.
    pub worst_skew_ms: i64,
    /// Whether it was told that the sources end.
    pub bye: bool,
    /// Keyframes asked for.
    pub plis: u64,
    /// What must never be.
    pub errors: Vec<String>,
}

struct Pictures {
    waiting: BTreeMap<i64, Stored>,
    next: Option<i64>,
    broken: bool,
    shown: Option<Shown>,
    stuck: Option<Instant>,
    /// Of a scalable picture.
    decoder: Decoder,
}

struct Stored {
    timestamp: i64,
    marker: bool,
    piece: Piece,
    numbers: Option<Numbers>,
    payload: Bytes,
}

#[derive(Clone, Copy)]
struct Shown {
    timestamp: i64,
    piece: Piece,
    numbers: Option<Numbers>,
}

// === impl Viewer ===

impl Viewer {
    /// A viewer that joins now.
    pub fn new(
        now: Instant,
        began: Instant,
        connection: Connection,
        codec: Codec,
        ssrc: Ssrc,
    ) -> Self {
        Self {
            connection,
            seen: Seen::default(),
            alive: true,
            frozen: false,
            repairs: true,
            settles: Duration::from_millis(800),
            feeds_back: true,
            codec,
            ssrc,
            began,
            pictures: Pictures {
                waiting: BTreeMap::new(),
                next: None,
                broken: true,
                shown: None,
                stuck: None,
                decoder: Decoder::default(),
            },
            missing: BTreeMap::new(),
            seqs: Unwrapper16::default(),
            highest: None,
            timestamps: Unwrapper32::default(),
            transport: BTreeMap::new(),
            transport_seqs: Unwrapper16::default(),
            transport_next: None,
            transport_count: 0,
            reported: None,
            next_report: now + Duration::from_millis(500),
            next_transport: now + Duration::from_millis(100),
            next_pli: now,
            sound: (Unwrapper16::default(), None, Unwrapper32::default()),
            clock: None,
            told: None,
        }
    }

    /// Takes in a datagram.
    pub fn handle(&mut self, now: Instant, datagram: &[u8]) {
        if self.frozen {
            return;
        }
        let from = Transport::udp(None, server());
        self.seen.bytes += (datagram.len() + IP_AND_UDP) as u64;
        match demux::classify(datagram) {
            Class::Stun | Class::Dtls => {
                let _ = self.connection.handle_datagram(now, from, datagram);
            }
            Class::Rtcp => {
                let Ok(plain) = self.connection.unprotect_rtcp(now, &from, datagram) else {
                    return;
                };
                rtcp::parse(&plain, |packet| match packet {
                    Rtcp::SenderReport(report) => {
                        self.seen.reports += 1;
                        if report.ssrc == self.ssrc {
                            self.clock = Some((report.ntp, report.rtp_timestamp));
                            self.told = Some((now, report.ntp.compact()));
                        }
                    }
                    Rtcp::Bye { .. } => self.seen.bye = true,
                    _ => {}
                });
            }
            Class::Rtp => {
                let Ok(plain) = self.connection.unprotect_rtp(now, &from, datagram) else { return };
                self.read(now, plain.freeze());
            }
            Class::Unknown => self.seen.errors.push("neither RTP nor RTCP".into()),
        }
    }

    /// Does what is due; datagrams go into `out`.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<BytesMut>) {
        if self.frozen {
            return;
        }
        if self.connection.poll_timeout().is_some_and(|due| due <= now) {
            self.connection.handle_timeout(now);
        }
        while let Some((_, datagram)) = self.connection.poll_transmit() {
            out.push(datagram);
        }
        while let Some(event) = self.connection.poll_event() {
            if matches!(event, Event::Connected { .. }) {
                self.seen.connected = Some(now);
            }
        }
        if !self.alive || self.seen.connected.is_none() {
            return;
        }
        self.give_up(now);
        let mut plain = Vec::new();
        if !self.missing.is_empty() {
            self.write_nacks(now, &mut plain);
        }
        let began = self.seen.connected.is_some_and(|at| now > at + Duration::from_millis(500));
        let waits = self.pictures.broken && self.highest.is_some() && began;
        if waits && self.next_pli <= now {
            self.next_pli = now + Duration::from_millis(250);
            self.seen.plis += 1;
            rtcp::write_pli(&mut plain, Ssrc(1), self.ssrc);
        }
        if self.next_report <= now {
            self.next_report = now + Duration::from_millis(1000);
            let (lsr, dlsr) = self.told.map_or((0, 0), |(at, lsr)| {
                (lsr, compact_from_duration(now.saturating_duration_since(at)))
            });
            let block = ReportBlock {
                ssrc: self.ssrc,
                fraction_lost: self.take_fraction_lost(),
                cumulative_lost: 0,
                highest_seq: self.highest.unwrap_or(0) as u32,
                jitter: 0,
                lsr,
                dlsr,
            };
            rtcp::write_receiver_report(&mut plain, Ssrc(1), &[block]);
        }
        if self.feeds_back && self.next_transport <= now && !self.transport.is_empty() {
            self.next_transport = now + Duration::from_millis(100);
            self.write_transport_wide(&mut plain);
        }
        if !plain.is_empty() {
            out.extend(self.connection.protect_rtcp(&plain));
        }
    }

    /// The share of packets that did not come by themselves since it was asked last.
    fn take_fraction_lost(&mut self) -> u8 {
        let (highest, packets) = (self.highest.unwrap_or(0), self.seen.packets);
        let (before, packets_before) =
            self.reported.replace((highest, packets)).unwrap_or((highest, packets));
        let expected = (highest - before).max(0) as u64;
        let lost = expected.saturating_sub(packets - packets_before);
        (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8
    }

    fn read(&mut self, now: Instant, plain: Bytes) {
        let Ok(packet) = Packet::parse(plain.clone(), &extensions()) else {
            self.seen.errors.push("not RTP".into());
            return;
        };
        match packet.extension(ExtensionKind::TransportWide) {
            Some(number) => {
                let number = u16::from_be_bytes([number[0], number[1]]);
                let us = now.saturating_duration_since(self.began).as_micros() as i64;
                self.transport.insert(self.transport_seqs.extend(number), us);
            }
            None => self.seen.errors.push("no transport-wide number".into()),
        }
        if packet.extension(ExtensionKind::Mid).is_none() {
            self.seen.errors.push("no MID".into());
        }
        match packet.pt {
            AUDIO_PT | RED_PT => self.hear(&packet),
            VIDEO_PT => {
                self.seen.packets += 1;
                self.see(now, &packet, false);
            }
            RTX_PT => {
                let original = unwrap_rtx(&plain, self.ssrc, VIDEO_PT)
                    .and_then(|bytes| Packet::parse(bytes, &extensions()).ok());
                match original {
                    Some(original) => self.see(now, &original, true),
                    None => self.seen.errors.push("empty retransmission".into()),
                }
            }
            PayloadType(other) => self.seen.errors.push(format!("payload type {other}")),
        }
    }

    fn hear(&mut self, packet: &Packet) {
        self.seen.sound += 1;
        let mut frames = packet.payload();
        if packet.pt == RED_PT {
            self.seen.repeated_sound += 1;
            let (head, rest) = frames.split_at(5);
            if (head[0], head[4]) != (AUDIO_PT.0 | 0x80, AUDIO_PT.0) {
                self.seen.errors.push(format!("not RED: {head:?}"));
            }
            frames = rest;
        }
        if !frames.len().is_multiple_of(80) || frames.is_empty() {
            self.seen.errors.push(format!("{} bytes of sound", frames.len()));
        }
        for frame in frames.chunks_exact(80) {
            let number = [frame[1], frame[2], frame[3], frame[4]];
            self.seen.heard.insert(u32::from_be_bytes(number));
        }
        let (seqs, last, timestamps) = &mut self.sound;
        let (seq, timestamp) = (seqs.extend(packet.seq), timestamps.extend(packet.timestamp));
        if let Some((last_seq, last_timestamp)) = *last
            && seq > last_seq
            && timestamp <= last_timestamp
        {
            self.seen.errors.push(format!("sound goes back: {last_timestamp} {timestamp}"));
        }
        if last.is_none_or(|(last_seq, _)| seq > last_seq) {
            *last = Some((seq, timestamp));
        }
    }

    fn see(&mut self, now: Instant, packet: &Packet, again: bool) {
        let Some((piece, numbers)) = Piece::read(self.codec, packet.payload()) else {
            self.seen.errors.push("a broken payload".into());
            return;
        };
        let seq = self.seqs.extend(packet.seq);
        let timestamp = self.timestamps.extend(packet.timestamp);
        let payload = Bytes::copy_from_slice(packet.payload());
        if let Some(highest) = self.highest {
            if seq - highest > 2000 {
                self.seen.errors.push(format!("sequence jumps from {highest} to {seq}"));
            }
            for missing in highest + 1..seq {
                self.missing.insert(missing, (now + Duration::from_millis(12), 0));
            }
        }
        self.highest = Some(self.highest.map_or(seq, |highest| highest.max(seq)));
        if self.missing.remove(&seq).is_some() && again {
            self.seen.repaired += 1;
        }
        if self.pictures.next.is_some_and(|next| seq < next) {
            return;
        }
        let stored = Stored { timestamp, marker: packet.marker, piece, numbers, payload };
        if let Some(before) = self.pictures.waiting.get(&seq) {
            if before.payload != stored.payload || before.timestamp != timestamp {
                self.seen.errors.push(format!("two packets under one number: {seq}"));
            }
            return;
        }
        self.pictures.waiting.insert(seq, stored);
        self.show(now);
    }

    /// Displays what is complete, a complete keyframe also before what it makes needless.
    fn show(&mut self, now: Instant) {
        self.show_in_order(now);
        while let Some(key) = self.later_keyframe() {
            self.seen.overtaken += 1;
            self.go_on_with(key);
            self.show_in_order(now);
        }
    }

    fn later_keyframe(&self) -> Option<i64> {
        let waiting = &self.pictures.waiting;
        let after = waiting.range(self.pictures.next? + 1..);
        let mut keys = after.filter(|(_, it)| it.piece.keyframe && it.piece.index == 0);
        let is_complete = |start: i64, count: u16| {
            (start..start + i64::from(count)).all(|seq| waiting.contains_key(&seq))
        };
        keys.find(|(seq, it)| is_complete(**seq, it.piece.count)).map(|(seq, _)| *seq)
    }

    fn go_on_with(&mut self, key: i64) {
        self.pictures.broken = true;
        self.pictures.waiting = self.pictures.waiting.split_off(&key);
        self.missing = self.missing.split_off(&key);
        self.pictures.next = Some(key);
        self.pictures.stuck = None;
    }

    fn show_in_order(&mut self, now: Instant) {
        let pictures = &mut self.pictures;
        if pictures.next.is_none() {
            let first =
                pictures.waiting.iter().find(|(_, it)| it.piece.keyframe && it.piece.index == 0);
            pictures.next = first.map(|(seq, _)| *seq);
        }
        while let Some(start) = self.pictures.next {
            let mut end = start;
            let mut complete = false;
            let mut cut_short = false;
            let timestamp = match self.pictures.waiting.get(&start) {
                Some(first) => first.timestamp,
                None => break,
            };
            while let Some(stored) = self.pictures.waiting.get(&end) {
                if stored.timestamp != timestamp {
                    cut_short = true;
                    break;
                }
                end += 1;
                if stored.marker {
                    complete = true;
                    break;
                }
            }
            if !complete && !cut_short {
                break;
            }
            let frame: Vec<Stored> =
                (start..end).filter_map(|seq| self.pictures.waiting.remove(&seq)).collect();
            self.pictures.next = Some(end);
            self.pictures.stuck = None;
            if complete { self.display(now, &frame) } else { self.cut(&frame, end) }
        }
    }

    fn cut(&mut self, frame: &[Stored], end: i64) {
        self.seen.cut_short += 1;
        self.pictures.broken = true;
        let next = self.pictures.waiting.get(&end).map(|stored| stored.piece);
        if next.is_none_or(|next| !next.keyframe) {
            let piece = frame[0].piece;
            self.error(format!("a frame is cut short and no keyframe follows: {piece:?} {next:?}"));
        }
    }

    fn display(&mut self, now: Instant, frame: &[Stored]) {
        let (first, shown) = (&frame[0], self.pictures.shown);
        if self.codec == Codec::Vp9 {
            return self.display_scalable(now, frame);
        }
        let piece = first.piece;
        let whole = frame.len() == usize::from(piece.count)
            && frame
                .iter()
                .enumerate()
                .all(|(index, stored)| Piece { index: index as u16, ..piece } == stored.piece);
        let contiguous = !self.pictures.broken;
        if !whole {
            let pieces: Vec<_> = frame.iter().map(|it| (it.piece.frame, it.piece.index)).collect();
            if contiguous {
                self.error(format!("not one whole frame: {piece:?} {pieces:?}"));
            }
            self.pictures.broken = true;
            return;
        }
        let follows = shown.is_some_and(|shown| {
            let before = shown.piece;
            (before.source, before.layer, before.frame + 1)
                == (piece.source, piece.layer, piece.frame)
        });
        let decodable = piece.keyframe || follows && contiguous;
        if !decodable {
            if contiguous {
                self.error(format!(
                    "not decodable: {piece:?} after {:?}",
                    shown.map(|it| it.piece)
                ));
            }
            self.pictures.broken = true;
            return;
        }
        if let Some(shown) = shown {
            let before = shown.piece;
            if (before.source, before.layer) == (piece.source, piece.layer) {
                self.seen.missed += u64::from(piece.frame.saturating_sub(before.frame + 1));
            }
            if first.timestamp <= shown.timestamp {
                let back = shown.timestamp - first.timestamp;
                self.error(format!("time goes back by {back}: {piece:?} after {:?}", shown.piece));
            }
            if contiguous {
                self.check_numbers(shown, first);
            }
            if let Some(last) = self.seen.last {
                let gap = now.saturating_duration_since(last);
                self.seen.longest_gap = self.seen.longest_gap.max(gap);
                if gap > Duration::from_millis(300) {
                    let ms = now.saturating_duration_since(self.began).as_millis() as u64;
                    self.seen.freezes_ms.push((ms, gap.as_millis() as u64));
                }
            }
        }
        self.note_displayed(now, frame, piece);
    }

    /// Displays a picture of some spatial layers, if all that it needs was decoded.
    fn display_scalable(&mut self, now: Instant, frame: &[Stored]) {
        let packets: Vec<_> = frame.iter().map(|it| (it.piece, &it.payload[..])).collect();
        let contiguous = !self.pictures.broken || frame[0].piece.keyframe;
        match self.pictures.decoder.decode(&packets) {
            Ok(spatial) if contiguous => {
                if let Some(last) = self.seen.last {
                    let gap = now.saturating_duration_since(last);
                    self.seen.longest_gap = self.seen.longest_gap.max(gap);
                }
                if self.pictures.shown.is_some_and(|it| frame[0].timestamp <= it.timestamp) {
                    self.error(format!("time goes back: {:?}", frame[0].piece));
                }
                self.note_displayed(now, frame, Piece { layer: spatial, ..frame[0].piece });
            }
            Ok(_) => {}
            Err(wrong) => {
                if contiguous {
                    self.error(wrong);
                }
                self.pictures.broken = true;
            }
        }
    }

    fn note_displayed(&mut self, now: Instant, frame: &[Stored], piece: Piece) {
        let (first, shown) = (&frame[0], self.pictures.shown);
        self.note_skew(now, shown, first);
        self.pictures.broken = false;
        self.pictures.shown =
            Some(Shown { timestamp: first.timestamp, piece, numbers: first.numbers });
        self.seen.frames += 1;
        self.seen.keyframes += u64::from(piece.keyframe);
        if let Some(frames) = self.seen.by_layer.get_mut(usize::from(piece.layer)) {
            *frames += 1;
        }
        if self.seen.layers.last() != Some(&piece.layer) {
            self.seen.layers.push(piece.layer);
            let ms = now.saturating_duration_since(self.began).as_millis() as u64;
            self.seen.layers_at_ms.push((ms, piece.layer));
        }
        self.seen.first.get_or_insert(now);
        self.seen.last = Some(now);
        let age = now.saturating_duration_since(self.began).as_millis() as u64;
        self.seen.ages_ms.push(age.saturating_sub(u64::from(piece.captured_ms)));
        if let Some((ntp, at)) = self.clock {
            let since = (first.timestamp as u32).wrapping_sub(at) as i32;
            let wall = ntp.plus_micros(ticks_to_micros(since.into(), 90_000));
            self.seen.captured.push((piece.captured_ms, wall));
        }
    }

    fn check_numbers(&mut self, shown: Shown, first: &Stored) {
        let (Some(before), Some(after)) = (shown.numbers, first.numbers) else { return };
        let range = if before.wide && after.wide { 0x7fff } else { 0x7f };
        if before.picture.wrapping_add(1) & range != after.picture & range {
            self.error(format!("picture ids jump: {before:?} {after:?} {:?}", first.piece));
        }
        if before.tl0.wrapping_add(1) != after.tl0 {
            self.error(format!("TL0PICIDX jumps: {before:?} {after:?} {:?}", first.piece));
        }
    }

    fn note_skew(&mut self, now: Instant, shown: Option<Shown>, first: &Stored) {
        let settled = self.seen.first.is_some_and(|at| now > at + self.settles);
        if !settled {
            return;
        }
        if shown.is_some_and(|shown| shown.piece.source % 100 != first.piece.source % 100) {
            self.seen.skew_ms = None;
        }
        let skew = first.timestamp.div_euclid(90) - i64::from(first.piece.captured_ms);
        let (least, most) = self.seen.skew_ms.unwrap_or((skew, skew));
        let (least, most) = (least.min(skew), most.max(skew));
        self.seen.skew_ms = Some((least, most));
        self.seen.worst_skew_ms = self.seen.worst_skew_ms.max(most - least);
    }

    /// Goes on with the next keyframe when a hole is not filled.
    fn give_up(&mut self, now: Instant) {
        let Some(next) = self.pictures.next else { return };
        let last = self.pictures.waiting.last_key_value().map(|(seq, _)| *seq);
        if last.is_none_or(|last| last < next) {
            return;
        }
        let since = *self.pictures.stuck.get_or_insert(now);
        if now.saturating_duration_since(since) < GIVE_UP {
            return;
        }
        if !self.pictures.broken {
            // What is missing will not come: only a keyframe helps.
            self.seen.skips += 1;
            self.pictures.broken = true;
        }
    }

    fn write_nacks(&mut self, now: Instant, plain: &mut Vec<u8>) {
        let from = self.pictures.next.unwrap_or(i64::MIN);
        self.missing = self.missing.split_off(&from);
        let mut seqs = Vec::new();
        for (seq, (due, tries)) in &mut self.missing {
            if *due <= now && *tries < MAX_TRIES && self.repairs {
                (*due, *tries) = (now + Duration::from_millis(30), *tries + 1);
                seqs.push(*seq as u16);
            }
        }
        rtcp::write_nack(plain, Ssrc(1), self.ssrc, &seqs);
    }

    fn write_transport_wide(&mut self, plain: &mut Vec<u8>) {
        let got = std::mem::take(&mut self.transport);
        let (Some((&first, _)), Some((&last, _))) = (got.first_key_value(), got.last_key_value())
        else {
            return;
        };
        let base = self.transport_next.map_or(first, |next| next.min(first));
        self.transport_next = Some(last + 1);
        let arrivals: Vec<_> = (base..=last).map(|seq| got.get(&seq).copied()).collect();
        self.transport_count = self.transport_count.wrapping_add(1);
        let sources = (Ssrc(1), self.ssrc);
        rtcp::write_transport_wide(plain, sources, self.transport_count, base as u16, &arrivals);
    }

    fn error(&mut self, text: String) {
        let ms = self.seen.last.map(|at| at.saturating_duration_since(self.began).as_millis());
        self.seen.errors.push(format!("after {ms:?} ms: {text}"));
    }
}

const GIVE_UP: Duration = Duration::from_millis(600);
const MAX_TRIES: u32 = 18;
