//! The ingress of one publisher's session: datagrams in, packets of known tracks and layers out,
//! feedback back.
//!
//! An SSRC is bound to its layer by what SDP announced, by rid and mid, or by payload type, and only
//! after a packet of it was authenticated. Feedback comes from two interceptors that see different
//! things: transport-wide feedback every packet as it arrives, NACK only unwrapped originals.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtc_interceptor::{
    Interceptor, NackGeneratorBuilder, NackGeneratorInterceptor, Packet as Intercepted,
    RTCPFeedback, RTPHeaderExtension, StreamInfo, TaggedPacket, TwccReceiverBuilder,
    TwccReceiverInterceptor,
};
use sansio::Protocol;

use super::command::StreamId;
use super::receiver_report::Reception;
use crate::hub::Offered;
use crate::media::arrived::PictureIds;
use crate::media::codec;
use crate::media::header::HeaderView;
use crate::media::rtcp::SenderReport;
use crate::media::{Codec, ExtensionKind, Kind, Ntp, Packet, Rid, Ssrc, frame_info, red, rtx};
use crate::rtc::connection::{Connection, Dropped};
use crate::rtc::section::Section;
use crate::rtc::transport::Transport;

/// The receiving side of a publisher's session.
pub(super) struct Ingress {
    /// The stream it feeds.
    pub stream: StreamId,
    sections: Vec<Section>,
    sources: Vec<Source>,
    /// SSRCs that gave way to others, so that their last packets do not take the layer back.
    retired: Vec<Ssrc>,
    strangers: u32,
    bound: u32,
    ssrc: u32,
    nack: NackGeneratorInterceptor,
    transport_wide: TwccReceiverInterceptor,
    next_report: Instant,
    budget: Budget,
}

/// Where an SSRC belongs.
#[derive(Debug)]
struct Source {
    ssrc: Ssrc,
    section: usize,
    layer: u8,
    repairs: bool,
    /// Of a source that repairs, whose packets it sends again.
    repairs_of: Option<Ssrc>,
    reception: Reception,
    frames: frame_info::Reader,
}

/// A packet with its place.
#[derive(Debug)]
pub(super) struct Inbound {
    /// The track.
    pub kind: Kind,
    /// The layer.
    pub layer: u8,
    /// The packet.
    pub offered: Offered,
}

/// Why a publisher's packet went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is not RTP.
    Malformed,
    /// Its SSRC belongs to no layer.
    UnknownSsrc,
    /// The connection refused it.
    Connection(Dropped),
    /// A retransmission without content: a probe.
    Probe,
    /// The publisher sends more than its limit.
    OverLimit,
}

/// Bytes of the running second against a limit.
#[derive(Debug)]
struct Budget {
    max_bytes: u64,
    since: Option<Instant>,
    bytes: u64,
}

// === impl Ingress ===

impl Ingress {
    /// The ingress of what was agreed; `max_bitrate_bps` 0 is no limit.
    pub(super) fn new(
        now: Instant,
        stream: StreamId,
        sections: Vec<Section>,
        max_bitrate_bps: u64,
        ssrc: u32,
    ) -> Self {
        let mut transport_wide =
            TwccReceiverBuilder::new().with_interval(TRANSPORT_WIDE_INTERVAL).build();
        if let Some(section) = sections.iter().find(|section| section.transport_wide) {
            // Simulcast announces no SSRC: the extension id alone has to do from the first packet.
            transport_wide.bind_remote_stream(&stream_info(section, Ssrc(0)));
        }
        Self {
            stream,
            sections,
            sources: Vec::new(),
            retired: Vec::new(),
            strangers: 0,
            bound: 0,
            ssrc,
            nack: NackGeneratorBuilder::new()
                .with_size(NACK_SPAN)
                .with_interval(NACK_INTERVAL)
                .with_max_nacks_per_packet(NACK_TRIES)
                .build(),
            transport_wide,
            next_report: now + REPORT_INTERVAL,
            budget: Budget { max_bytes: max_bitrate_bps / 8, since: None, bytes: 0 },
        }
    }

    /// The sections that were agreed.
    pub(super) fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The share of a track's packets that did not come, as the latest reports to the publisher say.
    pub(super) fn loss(&self, kind: Kind) -> Option<f32> {
        let of_kind =
            |source: &&Source| !source.repairs && self.sections[source.section].kind == kind;
        let latest = self.sources.iter().filter(of_kind).filter_map(|it| it.reception.latest());
        let (expected, lost) = latest.reduce(|one, other| (one.0 + other.0, one.1 + other.1))?;
        Some(if expected > 0 { lost as f32 / expected as f32 } else { 0.0 })
    }

    /// Reads one protected RTP datagram.
    pub(super) fn handle_rtp(
        &mut self,
        now: Instant,
        connection: &mut Connection,
        transport: &Transport,
        datagram: &[u8],
    ) -> Result<Inbound, Why> {
        let header = HeaderView::parse(datagram).map_err(|_| Why::Malformed)?;
        let known = self.sources.iter().position(|source| source.ssrc == header.ssrc);
        let place = match known {
            Some(index) => (self.sources[index].section, self.sources[index].layer),
            None if self.retired.contains(&header.ssrc) => return Err(Why::UnknownSsrc),
            None if self.strangers >= MAX_STRANGERS || self.bound >= MAX_BOUND => {
                return Err(Why::UnknownSsrc);
            }
            None => self.identify(&header).ok_or(Why::UnknownSsrc)?,
        };
        let repairs = self.sections[place.0].formats[0].rtx == Some(header.pt);
        let seq = header.seq;
        let transport_seq = self.sections[place.0]
            .extensions
            .id(ExtensionKind::TransportWide)
            .and_then(|id| Some((id, Bytes::copy_from_slice(header.extension(id)?))));
        let ssrc = header.ssrc;
        let plain = connection.unprotect_rtp(now, transport, datagram).map_err(|dropped| {
            self.strangers += u32::from(known.is_none());
            Why::Connection(dropped)
        })?;
        let index = known.unwrap_or_else(|| self.bind(ssrc, place, repairs));
        self.note_transport_wide(now, ssrc, seq, transport_seq);
        if !self.budget.allows(now, plain.len()) {
            if !repairs {
                // It is not missing: to ask for it again would only add to what is too much.
                self.note_original(now, ssrc, seq);
            }
            return Err(Why::OverLimit);
        }
        self.read(now, index, plain.freeze())
    }

    /// Takes in a sender report and tells which layer it is about.
    pub(super) fn handle_report(
        &mut self,
        now: Instant,
        report: &SenderReport,
    ) -> Option<(Kind, u8)> {
        let source = self.sources.iter_mut().find(|source| source.ssrc == report.ssrc)?;
        source.reception.note_sender_report(now, report.ntp);
        (!source.repairs).then(|| (self.sections[source.section].kind, source.layer))
    }

    /// The SSRC to ask for a keyframe of a layer.
    pub(super) fn ssrc_of(&self, kind: Kind, layer: u8) -> Option<Ssrc> {
        self.sources
            .iter()
            .find(|source| {
                !source.repairs
                    && source.layer == layer
                    && self.sections[source.section].kind == kind
            })
            .map(|source| source.ssrc)
    }

    /// Our own SSRC in feedback.
    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// When feedback is due next.
    pub(super) fn poll_timeout(&mut self) -> Option<Instant> {
        [Some(self.next_report), self.nack.poll_timeout(), self.transport_wide.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Writes the feedback that is due as compound RTCP packets.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<BytesMut>) {
        // The interceptors only fail on closed transports, which these have none of.
        let _ = self.nack.handle_timeout(now);
        let _ = self.transport_wide.handle_timeout(now);
        let first = out.len();
        while let Some(tagged) = self.nack.poll_write() {
            out.extend(marshal(tagged, self.ssrc));
        }
        // The interceptor walks a hash map: by their media sources they are in one order always.
        out[first..].sort_by(|one, other| one.get(MEDIA_SSRC).cmp(&other.get(MEDIA_SSRC)));
        while let Some(tagged) = self.transport_wide.poll_write() {
            out.extend(marshal(tagged, self.ssrc));
        }
        if now >= self.next_report {
            self.next_report = now + REPORT_INTERVAL;
            let blocks = self.sources.iter_mut();
            let blocks: Vec<_> =
                blocks.filter_map(|source| source.reception.block(now, source.ssrc)).collect();
            out.extend(super::receiver_report::compound(self.ssrc, &blocks));
        }
    }

    fn read(&mut self, now: Instant, index: usize, plain: Bytes) -> Result<Inbound, Why> {
        let (section_ix, layer, repairs) = {
            let source = &self.sources[index];
            (source.section, source.layer, source.repairs)
        };
        let section = &self.sections[section_ix];
        let agreed = &section.formats[0];
        let bytes = if repairs {
            let original = self.sources[index].repairs_of.ok_or(Why::UnknownSsrc)?;
            rtx::unwrap_rtx(&plain, original, agreed.pt).ok_or(Why::Probe)?
        } else {
            plain
        };
        let packet = Packet::parse(bytes, &section.extensions).map_err(|_| Why::Malformed)?;
        let (codec, clock_rate) = (agreed.format.codec, agreed.format.clock_rate);
        let (kind, pt) = (section.kind, agreed.pt);
        let is_redundant = packet.pt != pt && agreed.red == Some(packet.pt);
        if packet.pt != pt && !is_redundant {
            return Err(Why::UnknownSsrc);
        }
        let primary = match is_redundant {
            true => red::primary(packet.payload()).ok_or(Why::Malformed)?,
            false => 0,
        };
        if !repairs {
            self.sources[index].reception.note_packet(now, &packet, clock_rate);
        }
        self.note_original(now, packet.ssrc, packet.seq);
        let payload = &packet.payload()[primary..];
        let mut info = codec::inspect(codec, payload);
        info.primary = u16::try_from(primary).map_err(|_| Why::Malformed)?;
        // Every sound packet can be started from: there is nothing to ask for.
        info.keyframe &= kind == Kind::Video;
        let of = self.sources.iter_mut().find(|source| source.ssrc == packet.ssrc);
        if let Some(source) = of.filter(|_| kind == Kind::Video) {
            source.frames.read(codec, &packet, &mut info);
        }
        let picture = picture_ids(codec, payload);
        let offered = Offered { packet, info, picture, received: now, capture: None };
        Ok(Inbound { kind, layer, offered })
    }

    /// Finds the section and layer of a new SSRC: announced, by rid, by mid, by payload type.
    fn identify(&self, header: &HeaderView<'_>) -> Option<(usize, u8)> {
        let text = |section: &Section, kind: ExtensionKind| {
            let value = header.extension(section.extensions.id(kind)?)?;
            std::str::from_utf8(value).ok().map(str::to_owned)
        };
        let carries = |section: &Section| {
            let agreed = &section.formats[0];
            agreed.pt == header.pt
                || [agreed.rtx, agreed.red].into_iter().flatten().any(|pt| pt == header.pt)
        };
        let announced = self.sections.iter().position(|section| {
            section.ssrc == Some(header.ssrc) || section.rtx_ssrc == Some(header.ssrc)
        });
        if let Some(section) = announced {
            return Some((section, 0));
        }
        let section_ix = self.sections.iter().position(|section| {
            carries(section)
                && text(section, ExtensionKind::Mid).is_none_or(|mid| mid == section.mid.as_str())
        })?;
        let section = &self.sections[section_ix];
        if section.rids.is_empty() {
            return Some((section_ix, 0));
        }
        let rid = text(section, ExtensionKind::RepairedRid)
            .or_else(|| text(section, ExtensionKind::Rid))
            .map(Rid::new)?;
        let layer = section.rids.iter().position(|known| *known == rid)?;
        Some((section_ix, u8::try_from(layer).ok()?))
    }

    fn bind(&mut self, ssrc: Ssrc, (section, layer): (usize, u8), repairs: bool) -> usize {
        // A restarted encoder comes with new SSRCs for the same layer: the old ones are forgotten.
        let is_here = |source: &Source| (source.section, source.layer) == (section, layer);
        let old = self.sources.iter().find(|it| is_here(it) && it.repairs == repairs);
        let old = old.map(|source| source.ssrc);
        let (nack, sections, retired) = (&mut self.nack, &self.sections, &mut self.retired);
        self.sources.retain(|source| {
            let goes = old.is_some()
                && is_here(source)
                && (source.repairs == repairs || !repairs && source.repairs_of == old);
            if goes {
                retired.push(source.ssrc);
                nack.unbind_remote_stream(&stream_info(&sections[source.section], source.ssrc));
            }
            !goes
        });
        let mut repairs_of = None;
        if repairs {
            // Retransmissions that change first belong to media that is yet to come.
            let media = self.sources.iter().find(|it| is_here(it) && !it.repairs);
            repairs_of = media.map(|media| media.ssrc).filter(|_| old.is_none());
        } else {
            for source in self.sources.iter_mut().filter(|source| is_here(source)) {
                source.repairs_of = Some(ssrc);
            }
        }
        self.bound += 1;
        let info = stream_info(&self.sections[section], ssrc);
        if !repairs {
            self.nack.bind_remote_stream(&info);
        }
        self.sources.push(Source {
            ssrc,
            section,
            layer,
            repairs,
            repairs_of,
            reception: Reception::default(),
            frames: frame_info::Reader::default(),
        });
        self.sources.len() - 1
    }

    fn note_transport_wide(
        &mut self,
        now: Instant,
        ssrc: Ssrc,
        seq: u16,
        element: Option<(u8, Bytes)>,
    ) {
        let Some((id, payload)) = element else { return };
        let _ = self.transport_wide.handle_read(header_only(now, ssrc, seq, Some((id, payload))));
        while self.transport_wide.poll_read().is_some() {}
    }

    fn note_original(&mut self, now: Instant, ssrc: Ssrc, seq: u16) {
        let _ = self.nack.handle_read(header_only(now, ssrc, seq, None));
        while self.nack.poll_read().is_some() {}
    }
}

// === impl Budget ===

impl Budget {
    fn allows(&mut self, now: Instant, bytes: usize) -> bool {
        if self.max_bytes == 0 {
            return true;
        }
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= Duration::from_secs(1) {
            (self.since, self.bytes) = (Some(now), 0);
        }
        self.bytes += bytes as u64;
        self.bytes <= self.max_bytes
    }
}

/// The capture time that a packet carries in its publisher's clock.
pub(super) fn carried_capture(packet: &Packet) -> Option<Ntp> {
    let value = packet.extension(ExtensionKind::AbsCaptureTime)?;
    Some(Ntp(u64::from_be_bytes(value.get(..8)?.try_into().ok()?)))
}

fn picture_ids(codec: Codec, payload: &[u8]) -> PictureIds {
    match codec {
        Codec::Vp8 => codec::vp8::Descriptor::parse(payload).map(|descriptor| PictureIds {
            picture_id: descriptor.picture_id,
            picture_id_bits: descriptor.picture_id_bits,
            tl0_pic_idx: descriptor.tl0_pic_idx,
        }),
        Codec::Vp9 => codec::vp9::Descriptor::parse(payload).map(|descriptor| PictureIds {
            picture_id: descriptor.picture_id,
            picture_id_bits: descriptor.picture_id_bits,
            tl0_pic_idx: descriptor.tl0_pic_idx,
        }),
        Codec::Opus | Codec::H264 | Codec::H265 | Codec::Av1 => None,
    }
    .unwrap_or_default()
}

fn stream_info(section: &Section, ssrc: Ssrc) -> StreamInfo {
    let nack = RTCPFeedback { typ: "nack".into(), parameter: String::new() };
    StreamInfo {
        ssrc: ssrc.0,
        rtcp_feedback: section.nack.then_some(nack).into_iter().collect(),
        rtp_header_extensions: section
            .extensions
            .id(ExtensionKind::TransportWide)
            .filter(|_| section.transport_wide)
            .map(|id| RTPHeaderExtension {
                uri: ExtensionKind::TransportWide.uri().into(),
                id: u16::from(id),
            })
            .into_iter()
            .collect(),
        ..StreamInfo::default()
    }
}

fn header_only(now: Instant, ssrc: Ssrc, seq: u16, element: Option<(u8, Bytes)>) -> TaggedPacket {
    let extensions = element
        .map(|(id, payload)| rtc_rtp::header::Extension { id, payload })
        .into_iter()
        .collect::<Vec<_>>();
    let header = rtc_rtp::Header {
        version: 2,
        sequence_number: seq,
        ssrc: ssrc.0,
        extension: !extensions.is_empty(),
        extension_profile: 0x1000,
        extensions,
        ..rtc_rtp::Header::default()
    };
    let packet = rtc_rtp::Packet { header, payload: Bytes::new() };
    TaggedPacket {
        now,
        transport: rtc_shared::TransportContext::default(),
        message: Intercepted::Rtp(packet).into(),
    }
}

/// Writes feedback as from our SSRC: the interceptors draw one of their own.
fn marshal(tagged: TaggedPacket, ssrc: u32) -> Option<BytesMut> {
    let Intercepted::Rtcp(packets) = tagged.message.packet else { return None };
    let mut compound = BytesMut::new();
    for packet in packets {
        let start = compound.len();
        compound.extend_from_slice(&packet.marshal().ok()?);
        compound.get_mut(start..)?.get_mut(SENDER_SSRC)?.copy_from_slice(&ssrc.to_be_bytes());
    }
    (!compound.is_empty()).then_some(compound)
}

/// Where feedback has the SSRC of who sends it, and of what it is about.
const SENDER_SSRC: Range<usize> = 4..8;
const MEDIA_SSRC: Range<usize> = 8..12;

const TRANSPORT_WIDE_INTERVAL: Duration = Duration::from_millis(50);
const NACK_INTERVAL: Duration = Duration::from_millis(20);
const NACK_TRIES: u16 = 10;
const NACK_SPAN: u16 = 1024;
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Packets of unbound SSRCs that may fail to authenticate before unknown ones are not looked at.
const MAX_STRANGERS: u32 = 256;

/// SSRCs that one session may bind in its life: each leaves state behind in the SRTP context.
const MAX_BOUND: u32 = 256;
