//! A publisher that sends simulcast as a browser does and answers what the server asks of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use whitewater_core::media::ext::write_extensions;
use whitewater_core::media::rtcp::{self, Rtcp, SenderReport};
use whitewater_core::media::{Codec, Ntp, Ssrc};
use whitewater_core::rtc::Transport;
use whitewater_core::rtc::connection::{Connection, Event};
use whitewater_core::rtc::demux::{self, Class};
use whitewater_core::rtc::srtp::Slot;

use super::agreed::{AUDIO_PT, RED_PT, RIDS, RTX_PT, VIDEO_PT, server};
use super::picture::{Numbers, Piece};
use super::random::Random;
use super::scalable::{self, Place};

/// One publisher.
pub struct Publisher {
    /// Its connection.
    pub connection: Connection,
    /// Its encoders, lowest first.
    pub layers: Vec<Encoder>,
    /// When each keyframe request came, with the layer it was for.
    pub asked: Vec<(Instant, usize)>,
    /// Whether it sends.
    pub sending: bool,
    /// Whether it sends reports and nothing else.
    pub muted: bool,
    /// Whether its process does not run at all.
    pub frozen: bool,
    /// Whether requests are answered.
    pub deaf: bool,
    /// Whether sender reports go out.
    pub reports: bool,
    /// How far one sender report is from the next.
    pub report_interval: Duration,
    /// By how many millionths the clocks of picture and sound run faster than time.
    pub drift_ppm: (i64, i64),
    /// Whether each frame of sound is repeated in the next packet.
    pub red: bool,
    /// The length of GOPs of its own, which begin in each layer a third later than in the one below.
    pub gop: Option<Duration>,
    codec: Codec,
    source: u16,
    started: Instant,
    wall: Ntp,
    next_frame: Instant,
    next_sound: Instant,
    next_report: Instant,
    keyframe_due: Option<Instant>,
    sound: Sound,
    transport_seq: u16,
    transport_slots: bool,
    random: Random,
}

/// One layer's encoder.
pub struct Encoder {
    /// Whether it runs.
    pub active: bool,
    /// Its SSRC.
    pub ssrc: Ssrc,
    /// Its next sequence number.
    pub seq: u16,
    /// Its clock's offset.
    pub offset: u32,
    /// Whether picture ids have 15 bits.
    pub wide: bool,
    /// Packets of a frame; keyframes have five times as many.
    pub packets: u16,
    /// Bytes of a payload, and up to 200 more.
    pub bytes: usize,
    rtx_ssrc: Ssrc,
    rtx_seq: u16,
    slots: Option<(Slot, Slot)>,
    frame: u32,
    picture: u16,
    tl0: u8,
    source: u16,
    /// Pictures since the last keyframe, of a scalable one.
    since_key: u32,
    sent: BTreeMap<u16, (u32, bool, Vec<u8>)>,
    order: std::collections::VecDeque<u16>,
    needs_key: bool,
    turn: Option<u128>,
}

struct Sound {
    ssrc: Ssrc,
    slot: Option<Slot>,
    seq: u16,
    offset: u32,
    frame: u32,
}

// === impl Publisher ===

impl Publisher {
    /// A publisher that starts now; everything random about it comes from the seed.
    pub fn new(
        now: Instant,
        began: Instant,
        connection: Connection,
        codec: Codec,
        layers: usize,
        seed: u64,
    ) -> Self {
        let mut random = Random::new(seed);
        let layers =
            (0..layers.max(1)).map(|layer| Encoder::new(&mut random, layer, seed as u16)).collect();
        Self {
            connection,
            layers,
            asked: Vec::new(),
            sending: true,
            muted: false,
            frozen: false,
            deaf: false,
            reports: true,
            report_interval: Duration::from_secs(1),
            drift_ppm: (0, 0),
            red: false,
            gop: None,
            codec,
            source: seed as u16,
            started: began,
            wall: Ntp::from_unix_seconds(1_600_000_000.0 + random.below(1000) as f64),
            next_frame: now,
            next_sound: now,
            next_report: now + Duration::from_millis(200),
            keyframe_due: Some(now),
            sound: Sound {
                ssrc: Ssrc(random.next() as u32),
                slot: None,
                seq: random.next() as u16,
                offset: random.next() as u32,
                frame: 0,
            },
            transport_seq: random.next() as u16,
            transport_slots: false,
            random,
        }
    }

    /// Starts a layer's encoder again: another SSRC, other numbers.
    pub fn restart(&mut self, layer: usize) {
        self.source += 100;
        let Encoder { active, packets, bytes, .. } = self.layers[layer];
        self.layers[layer] = Encoder::new(&mut self.random, layer, self.source);
        self.layers[layer].active = active;
        (self.layers[layer].packets, self.layers[layer].bytes) = (packets, bytes);
        self.add_slots();
    }

    /// Goes on after a time frozen or muted: what was not captured is not sent.
    pub fn thaw(&mut self, now: Instant) {
        (self.frozen, self.muted) = (false, false);
        (self.next_frame, self.next_sound, self.next_report) = (now, now, now);
    }

    /// Takes in a datagram.
    pub fn handle(&mut self, now: Instant, datagram: &[u8], out: &mut Vec<BytesMut>) {
        if self.frozen {
            return;
        }
        let from = Transport::udp(None, server());
        match demux::classify(datagram) {
            Class::Stun | Class::Dtls => {
                let _ = self.connection.handle_datagram(now, from, datagram);
            }
            Class::Rtcp => {
                if let Ok(plain) = self.connection.unprotect_rtcp(now, &from, datagram) {
                    self.read(now, &plain, out);
                }
            }
            Class::Rtp | Class::Unknown => {}
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
                self.transport_slots = true;
                self.add_slots();
                (self.next_frame, self.next_sound) = (now, now);
                self.keyframe_due = Some(now);
            }
        }
        if !self.transport_slots || !self.sending {
            return;
        }
        while !self.muted && self.next_sound <= now {
            self.next_sound += Duration::from_millis(20);
            self.send_sound(now, out);
        }
        while !self.muted && self.next_frame <= now {
            self.next_frame += Duration::from_micros(33_333);
            let key = self.keyframe_due.is_some_and(|due| due <= now);
            if key {
                self.keyframe_due = None;
            }
            for layer in 0..self.layers.len() {
                let own = self.takes_turn(now, layer);
                self.send_frame(now, layer, key || own, out);
            }
        }
        if self.reports && self.next_report <= now {
            self.next_report = now + self.report_interval;
            self.send_reports(now, out);
        }
    }

    /// Whether the layer's own GOP begins with this frame.
    fn takes_turn(&mut self, now: Instant, layer: usize) -> bool {
        let Some(gop) = self.gop else { return false };
        let phase = gop * layer as u32 / 3;
        let turn = (now + gop - phase).saturating_duration_since(self.started).as_millis()
            / gop.as_millis();
        self.layers[layer].turn.replace(turn).is_some_and(|it| it != turn)
    }

    fn add_slots(&mut self) {
        let Some(sender) = self.connection.sender() else { return };
        for layer in &mut self.layers {
            layer.slots = Some((sender.add(layer.ssrc), sender.add(layer.rtx_ssrc)));
        }
        self.sound.slot = Some(sender.add(self.sound.ssrc));
    }

    fn read(&mut self, now: Instant, plain: &[u8], out: &mut Vec<BytesMut>) {
        let mut missing = Vec::new();
        let mut asked = Vec::new();
        rtcp::parse(plain, |packet| match packet {
            Rtcp::Nack(nack) => missing.extend(nack.seqs().map(|seq| (nack.media_ssrc, seq))),
            Rtcp::Pli { media_ssrc } => asked.push(media_ssrc),
            _ => {}
        });
        for ssrc in asked {
            let Some(layer) = self.layers.iter().position(|layer| layer.ssrc == ssrc) else {
                continue;
            };
            self.asked.push((now, layer));
            if !self.deaf && self.keyframe_due.is_none() {
                let delay = 3 + self.random.below(57);
                self.keyframe_due = Some(now + Duration::from_millis(delay));
            }
        }
        for (ssrc, seq) in missing {
            let Some(layer) = self.layers.iter().position(|layer| layer.ssrc == ssrc) else {
                continue;
            };
            let Some((timestamp, marker, payload)) = self.layers[layer].sent.get(&seq).cloned()
            else {
                continue;
            };
            let again = [&seq.to_be_bytes()[..], &payload].concat();
            let encoder = &mut self.layers[layer];
            let (rtx_seq, ssrc) = (encoder.rtx_seq, encoder.rtx_ssrc);
            encoder.rtx_seq = rtx_seq.wrapping_add(1);
            let Some((_, slot)) = encoder.slots else { continue };
            let head = Head { pt: RTX_PT.0, marker, seq: rtx_seq, timestamp, ssrc, slot };
            out.extend(self.seal(&head, &[(1, b"1"), (3, RIDS[layer].as_bytes())], &again));
        }
    }

    fn send_sound(&mut self, now: Instant, out: &mut Vec<BytesMut>) {
        let Some(slot) = self.sound.slot else { return };
        let ms = now.saturating_duration_since(self.started).as_millis() as u32;
        let timestamp = self.sound.offset.wrapping_add(ticks(ms, 48, self.drift_ppm.1));
        let seq = self.sound.seq;
        self.sound.seq = seq.wrapping_add(1);
        let number = self.sound.frame;
        self.sound.frame += 1;
        let frame = |number: u32, captured_ms: u32| {
            [&[0x78][..], &number.to_be_bytes(), &captured_ms.to_be_bytes(), &[7; 71]].concat()
        };
        let (mut pt, mut payload) = (AUDIO_PT.0, frame(number, ms));
        if self.red {
            let older =
                number.checked_sub(1).map(|number| frame(number, ms - 20)).unwrap_or_default();
            let (pt_in, len) = (AUDIO_PT.0, older.len() as u8);
            // 20 ms of 48 kHz before, in fourteen bits.
            let head = [pt_in | 0x80, (960_u16 >> 6) as u8, ((960_u16 & 0x3f) << 2) as u8, len];
            payload = [&head[..], &[pt_in], &older, &payload].concat();
            pt = RED_PT.0;
        }
        let head = Head { pt, marker: number == 0, seq, timestamp, ssrc: self.sound.ssrc, slot };
        out.extend(self.seal(&head, &[(1, b"0")], &payload));
    }

    fn send_frame(&mut self, now: Instant, layer: usize, key: bool, out: &mut Vec<BytesMut>) {
        let captured_ms = now.saturating_duration_since(self.started).as_millis() as u32;
        let codec = self.codec;
        let jitter = self.random.below(200) as usize;
        let encoder = &mut self.layers[layer];
        let Some((slot, _)) = encoder.slots.filter(|_| encoder.active) else {
            encoder.needs_key = true;
            return;
        };
        let keyframe = key || encoder.needs_key;
        encoder.needs_key = false;
        encoder.frame += 1;
        encoder.picture =
            encoder.picture.wrapping_add(1) & if encoder.wide { 0x7fff } else { 0x7f };
        encoder.tl0 = encoder.tl0.wrapping_add(1);
        let timestamp = encoder.offset.wrapping_add(ticks(captured_ms, 90, self.drift_ppm.0));
        let count = if keyframe { encoder.packets * 5 } else { encoder.packets };
        if codec == Codec::Vp9 {
            return self.send_scalable(layer, (keyframe, captured_ms, timestamp), jitter, out);
        }
        let numbers = Numbers { picture: encoder.picture, wide: encoder.wide, tl0: encoder.tl0 };
        let bytes = encoder.bytes + jitter;
        let (source, frame, ssrc) = (encoder.source, encoder.frame, encoder.ssrc);
        for index in 0..count {
            let piece =
                Piece { source, layer: layer as u8, keyframe, frame, index, count, captured_ms };
            // The last packets of a frame are a byte longer, as a browser's are.
            let payload = piece.write(codec, numbers, bytes + usize::from(index > count / 2));
            let marker = index + 1 == count;
            let head = Head { pt: VIDEO_PT.0, marker, seq: 0, timestamp, ssrc, slot };
            self.send_picture_packet(layer, head, payload, out);
        }
    }

    /// Sends a picture of three spatial layers.
    fn send_scalable(
        &mut self,
        layer: usize,
        (keyframe, captured_ms, timestamp): (bool, u32, u32),
        jitter: usize,
        out: &mut Vec<BytesMut>,
    ) {
        let encoder = &mut self.layers[layer];
        encoder.since_key = if keyframe { 0 } else { encoder.since_key + 1 };
        let (temporal, back) = scalable::pattern(encoder.since_key);
        let (source, frame, ssrc) = (encoder.source, encoder.frame, encoder.ssrc);
        let (picture, slots) = (encoder.picture, encoder.slots);
        let Some((slot, _)) = slots else { return };
        for (spatial, (packets, bytes)) in (0_u8..).zip(scalable::SPATIAL) {
            let count = if keyframe { packets * 5 } else { packets };
            for index in 0..count {
                let last = index + 1 == count;
                let place = Place { picture, spatial, temporal, back, ends: (index == 0, last) };
                let keyframe = keyframe && spatial == 0;
                let piece =
                    Piece { source, layer: spatial, keyframe, frame, index, count, captured_ms };
                let payload = piece.write_after(place.write(), bytes + jitter);
                let marker = last && usize::from(spatial) + 1 == scalable::SPATIAL.len();
                let head = Head { pt: VIDEO_PT.0, marker, seq: 0, timestamp, ssrc, slot };
                self.send_picture_packet(layer, head, payload, out);
            }
        }
    }

    /// Sends a packet under the layer's next number, and remembers it.
    fn send_picture_packet(
        &mut self,
        layer: usize,
        head: Head,
        payload: Vec<u8>,
        out: &mut Vec<BytesMut>,
    ) {
        let encoder = &mut self.layers[layer];
        let seq = encoder.seq;
        encoder.seq = seq.wrapping_add(1);
        encoder.sent.insert(seq, (head.timestamp, head.marker, payload.clone()));
        encoder.order.push_back(seq);
        if encoder.order.len() > 1000
            && let Some(old) = encoder.order.pop_front()
        {
            encoder.sent.remove(&old);
        }
        let head = Head { seq, ..head };
        out.extend(self.seal(&head, &[(1, b"1"), (2, RIDS[layer].as_bytes())], &payload));
    }

    fn send_reports(&mut self, now: Instant, out: &mut Vec<BytesMut>) {
        let ms = now.saturating_duration_since(self.started).as_millis() as u32;
        let ntp = self.wall + Duration::from_millis(u64::from(ms));
        let mut plain = Vec::new();
        let sources = self.layers.iter().filter(|layer| layer.active);
        let (picture_ppm, sound_ppm) = self.drift_ppm;
        let sources = sources
            .map(|layer| (layer.ssrc, layer.offset.wrapping_add(ticks(ms, 90, picture_ppm))));
        let sound = (self.sound.ssrc, self.sound.offset.wrapping_add(ticks(ms, 48, sound_ppm)));
        for (ssrc, rtp_timestamp) in sources.chain([sound]) {
            let report = SenderReport { ssrc, ntp, rtp_timestamp, packets: 1, octets: 1 };
            plain.clear();
            rtcp::write_sender_report(&mut plain, &report, &[]);
            out.extend(self.connection.protect_rtcp(&plain));
        }
    }

    fn seal(&mut self, head: &Head, elements: &[(u8, &[u8])], payload: &[u8]) -> Option<BytesMut> {
        let number = self.transport_seq.to_be_bytes();
        self.transport_seq = self.transport_seq.wrapping_add(1);
        let elements = [elements, &[(4, &number[..])]].concat();
        let mut packet = BytesMut::zeroed(12 + 64 + payload.len() + 16);
        let block = write_extensions(&mut packet[12..], &elements);
        let header_len = 12 + block;
        packet[0] = 0x90;
        packet[1] = head.pt | if head.marker { 0x80 } else { 0 };
        packet[2..4].copy_from_slice(&head.seq.to_be_bytes());
        packet[4..8].copy_from_slice(&head.timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&head.ssrc.0.to_be_bytes());
        packet[header_len..header_len + payload.len()].copy_from_slice(payload);
        let sender = self.connection.sender()?;
        let len = sender.protect(head.slot, &mut packet, header_len, header_len + payload.len());
        packet.truncate(len);
        (len > 0).then_some(packet)
    }
}

/// What a clock of so many ticks a millisecond has counted, without its beginning.
fn ticks(ms: u32, khz: i64, ppm: i64) -> u32 {
    (i64::from(ms) * khz * (1_000_000 + ppm) / 1_000_000) as u32
}

struct Head {
    pt: u8,
    marker: bool,
    seq: u16,
    timestamp: u32,
    ssrc: Ssrc,
    slot: Slot,
}

// === impl Encoder ===

impl Encoder {
    fn new(random: &mut Random, layer: usize, source: u16) -> Self {
        Self {
            active: true,
            ssrc: Ssrc(random.next() as u32),
            seq: random.next() as u16,
            offset: random.next() as u32,
            wide: true,
            packets: 1 + layer as u16 * 2,
            bytes: 900,
            rtx_ssrc: Ssrc(random.next() as u32),
            rtx_seq: random.next() as u16,
            slots: None,
            frame: random.below(1000) as u32,
            picture: random.next() as u16 & 0x7fff,
            tl0: random.next() as u8,
            source,
            since_key: 0,
            sent: BTreeMap::new(),
            order: std::collections::VecDeque::new(),
            needs_key: true,
            turn: None,
        }
    }
}
