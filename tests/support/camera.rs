//! A camera that makes the packets of a publisher and remembers them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::task::AbortHandle;
use whitewater_core::media::rtcp::{self, SenderReport};
use whitewater_core::media::{Codec, ExtensionKind, Kind, Ntp};

use super::peer::{Do, Outgoing, Peer};

/// A camera that runs until it is stopped or dropped.
pub(crate) struct Camera {
    sent: Arc<Mutex<Vec<Sent>>>,
    task: AbortHandle,
}

/// One packet that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
}

/// What a camera does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) codec: Codec,
    /// How far its clock is ahead of the right one.
    pub(crate) clock_error_us: i64,
    /// Whether packets carry their capture time.
    pub(crate) capture_time: bool,
    /// Where its timestamps and sequence numbers begin.
    pub(crate) start: u32,
    /// How many layers the picture has.
    pub(crate) layers: u32,
}

// === impl Style ===

impl Default for Style {
    fn default() -> Self {
        Self {
            codec: Codec::Vp8,
            clock_error_us: 0,
            capture_time: false,
            start: 0xffff_f000,
            layers: 1,
        }
    }
}

// === impl Camera ===

impl Camera {
    /// Shoots through a peer: 25 pictures a second of 3 packets, every fifth a keyframe, sound every
    /// 20 ms, a report of each every 500 ms.
    pub(crate) fn start(peer: &Peer, style: Style) -> Self {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(shoot(peer.clone(), style, sent.clone())).abort_handle();
        Self { sent, task }
    }

    /// Ends it; gives the payloads that were sent.
    pub(crate) fn stop(self) -> Vec<Sent> {
        self.task.abort();
        self.sent.lock().unwrap().clone()
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn shoot(peer: Peer, style: Style, sent: Arc<Mutex<Vec<Sent>>>) {
    let began = Instant::now();
    let wall = |at: Instant| {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let ago = began.elapsed().saturating_sub(at - began).as_micros() as i64;
        Ntp::from_unix_micros(since_epoch.as_micros() as i64 - ago + style.clock_error_us)
    };
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let (mut sound, mut picture) = (style.start as u16, style.start as u16);
    let (mut packets, mut number) = (0, 0_u32);
    loop {
        tick.tick().await;
        let at = Instant::now();
        let elapsed_us = (at - began).as_micros() as u64;
        let ticks = |hz: u64| style.start.wrapping_add((elapsed_us * hz / 1_000_000) as u32);
        let capture = || (ExtensionKind::AbsCaptureTime, wall(at).0.to_be_bytes().to_vec());
        let extensions: Vec<_> = style.capture_time.then(capture).into_iter().collect();
        let send = |kind, layer, marker, seq, timestamp, payload: Vec<u8>| {
            sent.lock().unwrap().push(Sent { kind, payload: payload.clone() });
            let extensions = extensions.clone();
            peer.send(kind, layer, &Outgoing { marker, seq, timestamp, extensions, payload });
        };
        let body = payload(Codec::Opus, true, true, elapsed_us);
        send(Kind::Audio, 0, true, sound, ticks(48_000), body);
        sound = sound.wrapping_add(1);
        if number % 2 == 0 {
            for part in 0..3 {
                for layer in 0..style.layers {
                    let mut body = payload(style.codec, number % 10 == 0, part == 0, elapsed_us);
                    let at = body.len() - 9;
                    body[at] = layer as u8;
                    // Layers have clocks of their own, as in browsers.
                    let timestamp = ticks(90_000).wrapping_add(layer * 1_000_003);
                    send(Kind::Video, layer, part == 2, picture, timestamp, body);
                }
                picture = picture.wrapping_add(1);
            }
        }
        packets += 1;
        if number % 25 == 5 {
            let mut plain = Vec::new();
            let layers = (0..style.layers).map(|layer| (Kind::Video, layer, 90_000));
            for (kind, layer, hz) in [(Kind::Audio, 0, 48_000)].into_iter().chain(layers) {
                let report = SenderReport {
                    ssrc: peer.ssrc_of(kind, layer),
                    ntp: wall(at),
                    rtp_timestamp: ticks(hz).wrapping_add(layer * 1_000_003),
                    packets,
                    octets: packets * 100,
                };
                rtcp::write_sender_report(&mut plain, &report, &[]);
            }
            peer.order(Do::Rtcp(plain));
        }
        number += 1;
    }
}

/// A payload that begins as the codec's do and carries its capture time in its last bytes.
pub(crate) fn payload(codec: Codec, keyframe: bool, first: bool, captured_us: u64) -> Vec<u8> {
    let mut payload: Vec<u8> = match (codec, keyframe, first) {
        (Codec::Opus, _, _) => vec![0x78, 1],
        (Codec::Vp8, true, true) => vec![0x10, 0, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 1, 0xf0, 0],
        (Codec::Vp8, false, true) => vec![0x10, 1, 0, 0],
        (Codec::Vp8, _, false) => vec![0x00, 7],
        (Codec::Vp9, true, true) => vec![0x08, 0x80, 0x49, 0x83, 0x42, 0, 0x09, 0xf0, 0x08, 0x70],
        (Codec::Vp9, false, true) => vec![0x48, 0x84, 0],
        (Codec::Vp9, true, false) => vec![0x00, 7],
        (Codec::Vp9, false, false) => vec![0x40, 7],
        // Fragmentation units.
        (Codec::H264, true, true) => vec![0x7c, 0x85, 0x88],
        (Codec::H264, true, false) => vec![0x7c, 0x05],
        (Codec::H264, false, true) => vec![0x5c, 0x81, 0x9a],
        (Codec::H264, false, false) => vec![0x5c, 0x01],
        (Codec::H265, true, true) => vec![0x62, 0x01, 0x80 | 19, 0x80],
        (Codec::H265, true, false) => vec![0x62, 0x01, 19],
        (Codec::H265, false, true) => vec![0x62, 0x01, 0x81, 0x80],
        (Codec::H265, false, false) => vec![0x62, 0x01, 1],
        (Codec::Av1, true, true) => vec![0x18, 0x0a, 0x0b, 0, 0, 0],
        (Codec::Av1, false, true) => vec![0x10, 0x30, 0],
        (Codec::Av1, _, false) => vec![0x90, 7],
    };
    payload.resize(payload.len() + 100, 0x55);
    payload.extend_from_slice(&captured_us.to_be_bytes());
    payload
}

/// The capture time in a payload.
pub(crate) fn captured_us(payload: &[u8]) -> u64 {
    u64::from_be_bytes(*payload.last_chunk().unwrap())
}
