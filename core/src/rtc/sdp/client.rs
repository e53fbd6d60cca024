//! The offering side: what a publisher or a viewer of ours asks a server for, and how it reads the
//! answer.

use super::description::{Description, malformed, unacceptable};
use super::format::{Choice, Feedback, Payload, choices};
use super::media::{Direction, Media};
use super::write::{Frame, Head, Rtp, Writer, payload_types};
use super::{Agreed, Local, SdpError, Setup};
use crate::media::{ExtensionIds, ExtensionKind, Format, Kind, Mid, PayloadType, Rid, Ssrc};
use crate::rtc::section::Section;

/// What a publisher of ours offers to send.
#[derive(Clone, Copy, Debug)]
pub struct PublishOffer<'a> {
    /// Whether there is sound (Opus).
    pub audio: bool,
    /// The format of the picture, if there is one.
    pub video: Option<&'a Format>,
    /// The simulcast layers of the picture; empty for a single one.
    pub rids: &'a [Rid],
    /// SSRC of the sound.
    pub audio_ssrc: Ssrc,
    /// SSRC of the picture. With layers it is not announced, as in Chromium's offers.
    pub video_ssrc: Ssrc,
    /// SSRC of the picture's retransmissions, announced as `video_ssrc` is.
    pub video_rtx_ssrc: Ssrc,
}

/// Writes the offer of a publisher. Sound comes first, and mids count from 0.
pub fn offer_publish(local: &Local<'_>, offer: &PublishOffer<'_>) -> String {
    let opus = Format::opus();
    let mut sections = Vec::new();
    if offer.audio {
        let ssrcs = Some((offer.audio_ssrc, None));
        sections.push(Ask::new(Kind::Audio, &[&opus], &[], ssrcs));
    }
    if let Some(video) = offer.video {
        let ssrcs = Some((offer.video_ssrc, Some(offer.video_rtx_ssrc)));
        let ssrcs = ssrcs.filter(|_| offer.rids.is_empty());
        sections.push(Ask::new(Kind::Video, &[video], offer.rids, ssrcs));
    }
    write_offer(local, Direction::SendOnly, &sections)
}

/// Writes the offer of a viewer that can receive these formats, preferred first. Kinds without a
/// format get no section; at most 16 formats of each kind are listed.
pub fn offer_watch(local: &Local<'_>, formats: &[Format]) -> String {
    let sections: Vec<Ask<'_>> = [Kind::Audio, Kind::Video]
        .into_iter()
        .filter_map(|kind| {
            let formats = formats.iter().filter(|format| format.codec.kind() == kind);
            let formats: Vec<&Format> = formats.take(MAX_FORMATS).collect();
            (!formats.is_empty()).then(|| Ask::new(kind, &formats, &[], None))
        })
        .collect();
    write_offer(local, Direction::RecvOnly, &sections)
}

/// Reads the answer to an offer of ours.
pub fn read_answer(offer: &str, answer: &str) -> Result<Agreed, SdpError> {
    let offer = Description::parse(offer)?;
    let text = answer;
    let answer = Description::parse(text)?;
    if answer.media.len() != offer.media.len() {
        return Err(malformed("the answer does not have the media sections of the offer"));
    }
    let mut sections = Vec::new();
    for (ours, theirs) in offer.media.iter().zip(&answer.media) {
        if let (Some(kind), true) = (ours.kind, ours.enabled && theirs.enabled) {
            sections.extend(read_section(kind, ours, theirs)?);
        }
    }
    if sections.is_empty() {
        return Err(unacceptable("the answer takes none of the media sections"));
    }
    // RFC 4145 section 4: an answer without a role takes the active one.
    let remote = answer.remote(answer.tagged()?, Setup::Active)?;
    let dtls_client = match remote.setup {
        Setup::Active => false,
        Setup::Passive => true,
        Setup::ActPass => return Err(malformed("a=setup:actpass in an answer")),
    };
    Ok(Agreed { answer: text.into(), remote, dtls_client, sections, notes: Vec::new() })
}

/// The most formats of one kind in an offer of ours.
const MAX_FORMATS: usize = 16;

/// The payload types of one format and of its retransmissions. Those from 96 come first: some
/// servers know no others.
fn payload_types_of(kind: Kind, index: u8) -> (PayloadType, Option<PayloadType>) {
    let first = match (kind, index) {
        (Kind::Audio, index) => return (PayloadType(111 + index), None),
        (Kind::Video, ..=6) => 96 + 2 * index,
        (Kind::Video, index) => 36 + 2 * (index - 7),
    };
    (PayloadType(first), Some(PayloadType(first + 1)))
}

/// A section that our side asks for.
struct Ask<'a> {
    kind: Kind,
    formats: Vec<(Payload, Option<Payload>)>,
    rids: &'a [Rid],
    ssrcs: Option<(Ssrc, Option<Ssrc>)>,
    extensions: ExtensionIds,
}

// === impl Ask ===

impl<'a> Ask<'a> {
    fn new(
        kind: Kind,
        formats: &[&Format],
        rids: &'a [Rid],
        ssrcs: Option<(Ssrc, Option<Ssrc>)>,
    ) -> Self {
        let feedback = match kind {
            Kind::Audio => Feedback { transport_wide: true, ..Feedback::default() },
            Kind::Video => Feedback { nack: true, pli: true, fir: true, transport_wide: true },
        };
        let formats = formats.iter().zip(0u8..).map(|(format, index)| {
            let (pt, rtx) = payload_types_of(kind, index);
            let rtx = rtx.map(|rtx| Payload {
                pt: rtx,
                name: "rtx".into(),
                clock_rate: format.clock_rate,
                channels: 1,
                fmtp: format!("apt={pt}"),
                feedback: Feedback::default(),
            });
            (payload(pt, format, feedback), rtx)
        });
        Self { kind, formats: formats.collect(), rids, ssrcs, extensions: extensions(kind, rids) }
    }

    fn write(&self, writer: &mut Writer<'_>, direction: Direction, mid: &Mid, tagged: bool) {
        let list: Vec<Payload> = self
            .formats
            .iter()
            .flat_map(|(payload, rtx)| [Some(payload.clone()), rtx.clone()])
            .flatten()
            .collect();
        let choices: Vec<Choice<'_>> = choices(&list, self.kind);
        let track = self.kind.to_string();
        writer.frame(&Frame {
            name: &track,
            proto: "UDP/TLS/RTP/SAVPF",
            formats: payload_types(&choices),
            mid,
            tagged,
            max_bitrate_bps: 0,
        });
        writer.rtp(&Rtp {
            extensions: &self.extensions,
            allow_mixed: false,
            direction,
            track: direction.sends().then_some(track.as_str()),
            reduced_size: true,
        });
        for choice in &choices {
            writer.format(choice, &choice.format.fmtp);
        }
        if let Some((ssrc, rtx)) = self.ssrcs {
            writer.ssrcs(&track, ssrc, rtx);
        }
        for rid in self.rids {
            writer.line(format_args!("a=rid:{rid} send"));
        }
        if !self.rids.is_empty() {
            let rids: Vec<&str> = self.rids.iter().map(Rid::as_str).collect();
            writer.line(format_args!("a=simulcast:send {}", rids.join(";")));
        }
    }
}

fn payload(pt: PayloadType, format: &Format, feedback: Feedback) -> Payload {
    Payload {
        pt,
        name: format.codec.name().into(),
        clock_rate: format.clock_rate,
        channels: format.channels,
        fmtp: format.fmtp.clone(),
        feedback,
    }
}

/// The extensions of our offers. An id means the same in all sections, as BUNDLE demands.
fn extensions(kind: Kind, rids: &[Rid]) -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    ids.insert(ExtensionKind::Mid, 4);
    ids.insert(ExtensionKind::TransportWide, 3);
    ids.insert(ExtensionKind::AbsCaptureTime, 5);
    match kind {
        Kind::Audio => ids.insert(ExtensionKind::AudioLevel, 1),
        Kind::Video => ids.insert(ExtensionKind::VideoOrientation, 13),
    }
    if !rids.is_empty() {
        ids.insert(ExtensionKind::Rid, 10);
        ids.insert(ExtensionKind::RepairedRid, 11);
    }
    ids
}

fn write_offer(local: &Local<'_>, direction: Direction, sections: &[Ask<'_>]) -> String {
    let mids: Vec<Mid> = (0..sections.len()).map(|index| Mid::new(index.to_string())).collect();
    let bundle: Vec<&Mid> = mids.iter().collect();
    let head = Head { bundle: &bundle, allow_mixed: true, ice_lite: false };
    let mut writer = Writer::new(local, Setup::ActPass, &head);
    for (index, (section, mid)) in sections.iter().zip(&mids).enumerate() {
        section.write(&mut writer, direction, mid, index == 0);
    }
    writer.finish()
}

/// Reads what the answer makes of one offered section; `None` if nothing will flow in it.
fn read_section(kind: Kind, ours: &Media, theirs: &Media) -> Result<Option<Section>, SdpError> {
    let we_send = ours.direction.sends() && theirs.direction.receives();
    let we_receive = ours.direction.receives() && theirs.direction.sends();
    if !we_send && !we_receive {
        return Ok(None);
    }
    if ours.mid != theirs.mid {
        return Err(malformed(format!("a=mid:{} answers a=mid:{}", theirs.mid, ours.mid)));
    }
    let offered = choices(&ours.payloads, kind);
    let answered = choices(&theirs.payloads, kind);
    // The answer's payload types choose; the parameters are those we offered.
    let chosen: Vec<(&Choice<'_>, Choice<'_>)> = answered
        .iter()
        .filter_map(|theirs| {
            let ours = offered.iter().find(|ours| {
                ours.payload.pt == theirs.payload.pt && ours.format.codec == theirs.format.codec
            })?;
            let same = |rtx: &&Payload| theirs.rtx.is_some_and(|other| other.pt == rtx.pt);
            let same_red = |red: &&Payload| theirs.red.is_some_and(|other| other.pt == red.pt);
            let (rtx, red) = (ours.rtx.filter(same), ours.red.filter(same_red));
            Some((theirs, Choice { rtx, red, ..ours.clone() }))
        })
        .collect();
    let Some((first, _)) = chosen.first() else {
        return Err(unacceptable(format!("the answer's {kind} section has no offered codec")));
    };
    let feedback = first.payload.feedback;
    let mut extensions = ours.extension_ids(we_send, |_| true);
    let kept = theirs.extension_ids(we_receive, |_| true);
    for extension in ExtensionKind::ALL {
        if kept.id(extension) != extensions.id(extension) {
            extensions.insert(extension, 0);
        }
    }
    let sender = if we_send { ours } else { theirs };
    let layers = theirs.layers.recv.iter().map(|layer| layer.rid.clone());
    let layers = layers.filter(|rid| ours.layers.send.iter().any(|layer| layer.rid == *rid));
    Ok(Some(Section {
        mid: ours.mid.clone(),
        kind,
        formats: chosen.iter().map(|(_, choice)| choice.agreed()).collect(),
        nack: feedback.nack,
        pli: feedback.pli,
        transport_wide: feedback.transport_wide
            && extensions.id(ExtensionKind::TransportWide).is_some(),
        extensions,
        rids: layers.collect(),
        ssrc: sender.ssrc,
        rtx_ssrc: sender.rtx_ssrc,
    }))
}
