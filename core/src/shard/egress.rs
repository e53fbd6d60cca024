//! The egress of one viewer's session: packets of a stream out, feedback in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::command::{StreamId, Subscribe};
use super::history::History;
use super::repair::Repair;
use super::session_report::Meter;
use super::stencil::Stencil;
use crate::congestion::Allocator;
use crate::forward::{Forwarder, Parts, Target, Wish};
use crate::media::ext::extension_at;
use crate::media::rtcp::ReportBlock;
use crate::media::{
    Arrived, Codec, ExtensionKind, Format, Kind, Ntp, PayloadType, Ssrc, dependency, time,
};
use crate::rtc::connection;
use crate::rtc::section::{AgreedFormat, Section};
use crate::rtc::srtp::{Sender, Slot};

/// The sending side of a viewer's session.
pub(super) struct Egress {
    /// The stream it shows.
    pub stream: StreamId,
    /// Its sound.
    pub audio: Option<Outgoing>,
    /// Its picture.
    pub video: Option<Outgoing>,
    /// Sent packets by transport-wide number.
    pub history: History,
    /// Decides how much of the picture the network carries, where there is a choice.
    pub allocator: Option<Box<Allocator<Target>>>,
    /// Our canonical name.
    pub cname: String,
    /// How much may be sent again.
    pub repair: Repair,
    /// Retransmissions asked for and not yet sent, newest last.
    pub resend: VecDeque<u16>,
    /// How long a packet and its report take, as the viewer's latest report shows.
    pub round_trip: Option<Duration>,
    /// When sender reports are due; never while nothing is sent.
    pub next_report: Option<Instant>,
    reported: u64,
    opened: Instant,
    transport_seq: u16,
}

/// One track on its way to a viewer.
pub(super) struct Outgoing {
    /// What was agreed.
    pub section: Section,
    /// Decides and rewrites.
    pub forwarder: Forwarder,
    /// Our SSRC.
    pub ssrc: Ssrc,
    /// Our SSRC of retransmissions.
    pub rtx_ssrc: Ssrc,
    /// Where the sender keeps the keys of each, once connected.
    pub slots: Option<(Slot, Slot)>,
    /// Payload types of media and of retransmissions for the codec that the stream has now.
    pub payload: Option<(PayloadType, Option<PayloadType>)>,
    /// Payload type of sound with older frames repeated in it.
    pub red: Option<PayloadType>,
    /// The codec of that payload type.
    pub codec: Option<Codec>,
    /// The generation of the track that `payload` was chosen for.
    pub payload_generation: Option<u32>,
    /// Sequence number of the next retransmission.
    pub rtx_seq: u16,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
    /// What the viewer reported last.
    pub loss: Option<f32>,
    /// Payload bytes per second.
    pub meter: Meter,
    /// The header extensions of packets without any of the publisher's; the second with a capture
    /// time.
    stencils: [Option<Stencil>; 2],
}

// === impl Egress ===

impl Egress {
    /// The egress of what was agreed, and its connection's beginnings; `seed` chooses first sequence
    /// numbers and timestamps.
    pub(super) fn new(now: Instant, request: Subscribe, seed: u64) -> (connection::Opening, Self) {
        let mut egress = Self {
            stream: request.stream,
            audio: None,
            video: None,
            history: History::default(),
            allocator: None,
            repair: Repair::default(),
            cname: request.cname,
            resend: VecDeque::new(),
            round_trip: None,
            next_report: None,
            reported: 0,
            opened: now,
            transport_seq: 1,
        };
        for (index, section) in request.sections.into_iter().enumerate() {
            let (ssrc, rtx_ssrc) = match section.kind {
                Kind::Audio => (request.audio, request.audio),
                Kind::Video => (request.video, request.video_rtx),
            };
            let clock_rate = match section.kind {
                Kind::Audio => 48_000,
                Kind::Video => 90_000,
            };
            let seed = seed.rotate_left(index as u32 * 17) ^ u64::from(ssrc.0);
            let kind = section.kind;
            let outgoing = Outgoing {
                forwarder: Forwarder::new(section.kind, clock_rate, seed),
                ssrc,
                rtx_ssrc,
                slots: None,
                payload: None,
                red: None,
                codec: None,
                payload_generation: None,
                rtx_seq: (seed >> 48) as u16,
                packets: 0,
                octets: 0,
                loss: None,
                meter: Meter::default(),
                stencils: [false, true].map(|captured| stencil(&section, captured)),
                section,
            };
            *egress.slot_mut(kind) = Some(outgoing);
        }
        (request.connection, egress)
    }

    /// One track.
    pub(super) fn track(&self, kind: Kind) -> Option<&Outgoing> {
        match kind {
            Kind::Audio => self.audio.as_ref(),
            Kind::Video => self.video.as_ref(),
        }
    }

    /// One track.
    pub(super) fn track_mut(&mut self, kind: Kind) -> Option<&mut Outgoing> {
        self.slot_mut(kind).as_mut()
    }

    /// The tracks there are.
    pub(super) fn tracks_mut(&mut self) -> impl Iterator<Item = &mut Outgoing> {
        self.audio.iter_mut().chain(self.video.iter_mut())
    }

    /// Registers our SSRCs with the connection's sender.
    pub(super) fn connected(&mut self, sender: &mut Sender) {
        for outgoing in self.tracks_mut() {
            outgoing.slots = Some((sender.add(outgoing.ssrc), sender.add(outgoing.rtx_ssrc)));
        }
    }

    /// Takes note that something is being sent; returns whether reports become due by that.
    pub(super) fn note_sending(&mut self, now: Instant) -> bool {
        let idle = self.next_report.is_none();
        if idle {
            self.next_report = Some(now + FIRST_REPORT);
        }
        idle
    }

    /// When reports, or packets that wait for their time, are due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let packets = self.video.as_ref().and_then(|video| video.forwarder.due());
        [self.next_report, packets].into_iter().flatten().min()
    }

    /// Whether packets waited for this moment.
    pub(super) fn takes_due(&mut self, now: Instant) -> bool {
        self.video.as_mut().is_some_and(|video| video.forwarder.takes_due(now))
    }

    /// Whether a report is due now. Without news since the last one there are no more.
    pub(super) fn takes_report(&mut self, now: Instant) -> bool {
        if self.next_report.is_none_or(|due| due > now) {
            return false;
        }
        for outgoing in self.tracks_mut() {
            outgoing.meter.read(now, outgoing.octets);
        }
        let tracks = self.audio.iter().chain(&self.video);
        let sent = tracks.map(|outgoing| u64::from(outgoing.packets)).sum();
        let has_news = sent != self.reported;
        self.reported = sent;
        self.next_report = has_news.then_some(now + REPORT_INTERVAL);
        has_news
    }

    /// Chooses the video layer, and how much of it.
    pub(super) fn choose(&mut self, wish: Wish, parts: Parts) {
        if let Some(video) = &mut self.video {
            video.forwarder.choose(wish);
            video.forwarder.restrict(parts);
        }
    }

    /// Takes in a NACK: what is still remembered will be sent again.
    pub(super) fn handle_nack(&mut self, now: Instant, seqs: impl Iterator<Item = u16>) {
        let Some(video) = &mut self.video else { return };
        let mut lacks_left = false;
        let again_after_ms = self.repair.again_after_ms();
        for seq in seqs {
            let sent = video.forwarder.sent.get_mut(seq).map(|sent| (sent.layer, sent.spatial));
            let Some((layer, spatial)) = sent else { continue };
            if video.forwarder.has_left(now, layer, spatial) {
                lacks_left = true;
                continue;
            }
            let Some(sent) = video.forwarder.sent.get_mut(seq) else { continue };
            // A viewer may repeat its NACK before a retransmission can have reached it.
            let now_ms = now.saturating_duration_since(self.opened).as_millis() as u32 + 1;
            let waited = sent.resent_ms == 0 || now_ms - sent.resent_ms >= again_after_ms;
            if self.resend.len() < MAX_RESEND && waited {
                sent.resent_ms = now_ms;
                self.resend.push_back(seq);
            }
        }
        if lacks_left {
            self.puts_off_keyframe(now);
        }
    }

    /// The viewer needs a keyframe: whether its network is too busy for one.
    pub(super) fn puts_off_keyframe(&mut self, now: Instant) -> bool {
        let busy = self.allocator.as_mut().map(|allocator| allocator.path_mut().backlog(now));
        let Some((busy, video)) = busy.zip(self.video.as_mut()) else { return false };
        video.forwarder.puts_off_keyframe(now, busy)
    }

    /// Takes in what the viewer reports of our SSRCs.
    pub(super) fn handle_report(&mut self, wall: Ntp, block: &ReportBlock) {
        let own = self.tracks_mut().find(|outgoing| outgoing.ssrc == block.ssrc);
        let Some(outgoing) = own else { return };
        outgoing.loss = Some(f32::from(block.fraction_lost) / 256.0);
        self.round_trip = time::round_trip(wall, block.lsr, block.dlsr).or(self.round_trip);
    }

    /// Our SSRCs, retransmissions too.
    pub(super) fn ssrcs(&self) -> Vec<Ssrc> {
        let audio = self.audio.iter().map(|audio| audio.ssrc);
        let video = self.video.iter().flat_map(|video| [video.ssrc, video.rtx_ssrc]);
        audio.chain(video).collect()
    }

    /// The next transport-wide number.
    pub(super) fn next_transport_seq(&mut self) -> u16 {
        let seq = self.transport_seq;
        self.transport_seq = seq.wrapping_add(1);
        seq
    }

    fn slot_mut(&mut self, kind: Kind) -> &mut Option<Outgoing> {
        match kind {
            Kind::Audio => &mut self.audio,
            Kind::Video => &mut self.video,
        }
    }
}

// === impl Outgoing ===

impl Outgoing {
    /// Chooses the payload types for a track's format, anew with each of its publishers.
    ///
    /// Without a match the viewer's decoder is told nothing wrong: the track is not sent.
    pub(super) fn match_format(&mut self, generation: u32, format: &Format) {
        if self.payload_generation == Some(generation) {
            return;
        }
        self.payload_generation = Some(generation);
        self.codec = Some(format.codec);
        // Whoever reads AV1 without the descriptor takes every hole for a loss, and Chromium decodes
        // nothing of several sizes (docs/clients.md).
        let described = self.section.extensions.id(ExtensionKind::DependencyDescriptor).is_some();
        self.forwarder.take_parts(format.codec != Codec::Av1 || described);
        let agreed = best_match(&self.section.formats, format);
        self.payload = agreed.map(|agreed| (agreed.pt, agreed.rtx));
        self.red = agreed.and_then(|agreed| agreed.red);
    }

    /// What of a packet's payload this viewer gets. Older frames that a publisher repeats reach only
    /// those who can read them.
    pub(super) fn body<'a>(&self, arrived: &'a Arrived) -> &'a [u8] {
        let payload = arrived.packet.payload();
        let start = if self.red.is_some() { 0 } else { usize::from(arrived.info.primary) };
        payload.get(start..).unwrap_or_default()
    }

    /// The payload type of a packet with older frames in it; `None` for any other.
    pub(super) fn redundant(&self, arrived: &Arrived) -> Option<PayloadType> {
        self.red.filter(|_| arrived.info.primary > 0)
    }

    /// Writes a frame number over that of the dependency descriptor in a packet's extensions.
    pub(super) fn renumber(&self, block: &mut [u8], arrived: &Arrived, number: Option<u16>) {
        let kind = ExtensionKind::DependencyDescriptor;
        if arrived.packet.extension(kind).is_some()
            && let (Some(number), Some(id)) = (number, self.section.extensions.id(kind))
            && let Some(place) = extension_at(block, id)
        {
            dependency::renumber(&mut block[place], number);
        }
    }

    /// Collects the header extension elements of a packet.
    pub(super) fn elements<'a>(
        &'a self,
        arrived: &'a Arrived,
        scratch: &'a Scratch,
    ) -> Elements<'a> {
        let ids = &self.section.extensions;
        let mut elements = own_elements(&self.section, arrived.capture.is_some(), scratch);
        for kind in PASSED_THROUGH {
            if let Some(value) = arrived.packet.extension(kind)
                && let Some(id) = ids.id(kind)
            {
                elements.push((id, value));
            }
        }
        elements
    }

    /// What writes the header extensions of a packet, unless it has some of the publisher's.
    pub(super) fn stencil(&self, arrived: &Arrived) -> Option<&Stencil> {
        if arrived.packet.carries_one_of(&PASSED_THROUGH) {
            return None;
        }
        self.stencils[usize::from(arrived.capture.is_some())].as_ref()
    }
}

/// The header extension elements that are not the publisher's.
fn own_elements<'a>(section: &'a Section, captured: bool, scratch: &'a Scratch) -> Elements<'a> {
    let ids = &section.extensions;
    let mut elements = Elements::new();
    if let Some(id) = ids.id(ExtensionKind::Mid) {
        elements.push((id, section.mid.as_str().as_bytes()));
    }
    if let Some(id) = ids.id(ExtensionKind::TransportWide) {
        elements.push((id, &scratch.transport_seq[..]));
    }
    if let Some(id) = ids.id(ExtensionKind::AbsCaptureTime)
        && captured
    {
        elements.push((id, &scratch.capture[..]));
    }
    elements
}

fn stencil(section: &Section, captured: bool) -> Option<Stencil> {
    let scratch = Scratch::default();
    Stencil::new(&own_elements(section, captured, &scratch), &section.extensions)
}

/// Header extension elements: id and data.
pub(super) type Elements<'a> = SmallVec<[(u8, &'a [u8]); 8]>;

/// The bytes of extension values that are not the publisher's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scratch {
    /// Transport-wide number.
    pub transport_seq: [u8; 2],
    /// Capture time in the server's clock.
    pub capture: [u8; 8],
}

impl Scratch {
    /// The values for one packet.
    pub(super) fn new(transport_seq: u16, capture: Option<Ntp>) -> Self {
        Self {
            transport_seq: transport_seq.to_be_bytes(),
            capture: capture.map_or([0; 8], |ntp| ntp.0.to_be_bytes()),
        }
    }
}

/// The agreed format that carries what a publisher sends, closest parameters first.
pub(super) fn best_match<'a>(
    formats: &'a [AgreedFormat],
    published: &Format,
) -> Option<&'a AgreedFormat> {
    let closeness = |agreed: &AgreedFormat| match published.codec {
        Codec::H264 => {
            let same = |name: &str, default: &str, digits: usize| {
                let of = |format: &Format| {
                    let value = format.parameter(name).unwrap_or(default);
                    value.get(..digits).unwrap_or(value).to_ascii_lowercase()
                };
                of(&agreed.format) == of(published)
            };
            match (same("packetization-mode", "0", 1), same("profile-level-id", "42001f", 4)) {
                (true, true) => 3,
                (true, false) => 2,
                (false, true) => 1,
                (false, false) => 0,
            }
        }
        Codec::Vp9 => {
            let of = |format: &Format| format.parameter("profile-id").unwrap_or("0").to_owned();
            i32::from(of(&agreed.format) == of(published))
        }
        Codec::Opus | Codec::H265 | Codec::Vp8 | Codec::Av1 => 0,
    };
    // Of equally close ones the first: the viewer's own order.
    formats
        .iter()
        .rev()
        .filter(|agreed| agreed.format.codec == published.codec)
        .max_by_key(|agreed| closeness(agreed))
}

/// What the publisher's packets say that its viewers should know.
const PASSED_THROUGH: [ExtensionKind; 6] = [
    ExtensionKind::AudioLevel,
    ExtensionKind::VideoOrientation,
    ExtensionKind::PlayoutDelay,
    ExtensionKind::VideoContentType,
    ExtensionKind::ColorSpace,
    ExtensionKind::DependencyDescriptor,
];

/// Sender reports go out this often.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The first ones sooner: sound and picture are not in step before.
const FIRST_REPORT: Duration = Duration::from_millis(200);

const MAX_RESEND: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(pt: u8, codec: Codec, fmtp: &str) -> AgreedFormat {
        AgreedFormat {
            format: Format::video(codec, fmtp),
            pt: PayloadType(pt),
            rtx: None,
            red: None,
        }
    }

    #[test]
    fn the_closest_format_is_chosen_and_the_viewer_s_first_of_equals() {
        let h264 = |mode: u8, profile: &str| {
            format!(
                "level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile}"
            )
        };
        let formats = [
            agreed(96, Codec::Vp8, ""),
            agreed(97, Codec::H264, &h264(0, "42001f")),
            agreed(98, Codec::H264, &h264(1, "42e01f")),
            agreed(99, Codec::H264, &h264(1, "4d001f")),
            agreed(100, Codec::Vp9, "profile-id=2"),
            agreed(101, Codec::Vp9, ""),
            agreed(102, Codec::H264, &h264(1, "42E034")),
        ];
        let rows = [
            (Codec::Vp8, String::new(), Some(96)),
            (Codec::H264, h264(1, "42e01f"), Some(98)),
            (Codec::H264, h264(1, "42e028"), Some(98)),
            (Codec::H264, h264(1, "4D0028"), Some(99)),
            (Codec::H264, h264(1, "640032"), Some(98)),
            (Codec::H264, h264(0, "42001f"), Some(97)),
            (Codec::H264, h264(0, "640032"), Some(97)),
            (Codec::H264, String::new(), Some(97)),
            (Codec::H264, "profile-level-id=4".into(), Some(97)),
            (Codec::Vp9, String::new(), Some(101)),
            (Codec::Vp9, "profile-id=2".into(), Some(100)),
            (Codec::Vp9, "profile-id=1".into(), Some(100)),
            (Codec::Av1, String::new(), None),
            (Codec::H265, String::new(), None),
        ];
        for (codec, fmtp, want) in rows {
            let published = Format::video(codec, fmtp.as_str());
            let best = best_match(&formats, &published).map(|agreed| agreed.pt.0);
            assert_eq!(best, want, "{codec} {fmtp}");
        }
    }
}
