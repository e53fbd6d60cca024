//! The answer to a viewer (WHEP): one audio and one video section on fixed SSRCs.

use super::description::{one_line, unacceptable};
use super::format::{Choice, Fit, choices, fit, names};
use super::media::{Direction, Media};
use super::offer::Offer;
use super::publish::nothing_in_common;
use super::write::{Frame, Head, Rtp, Writer, payload_types};
use super::{Agreed, Local, Note, Published, SdpError, Setup, WatchSsrcs};
use crate::media::{Codec, ExtensionIds, ExtensionKind, Format, Kind, Ssrc};
use crate::rtc::section::Section;

/// Answers the offer of a viewer.
pub fn answer_watch(
    offer: &str,
    local: &Local<'_>,
    published: &Published,
    ssrcs: &WatchSsrcs,
) -> Result<Agreed, SdpError> {
    let offer = Offer::read(offer)?;
    for (media, kind) in offer.sections() {
        if !media.direction.receives() {
            let direction = media.direction.name();
            return Err(unacceptable(format!(
                "the {kind} section is {direction}: a viewer must receive"
            )));
        }
    }
    let mut notes = Vec::new();
    let mut gives = Vec::new();
    for kind in [Kind::Audio, Kind::Video] {
        let first = offer.sections().find(|(_, other)| *other == kind).map(|(media, _)| media);
        if let Some(media) = first {
            gives.extend(Give::new(media, kind, published, ssrcs, &mut notes)?);
        }
    }
    let allow_mixed = offer.description.allow_mixed;
    for give in gives.iter_mut().filter(|give| !allow_mixed && !give.media.allow_mixed) {
        // A keyframe's descriptor is longer than the 16 bytes of the short form.
        give.extensions.insert(ExtensionKind::DependencyDescriptor, 0);
    }
    if gives.is_empty()
        && let Some((media, kind)) = offer.sections().next()
    {
        return Err(nothing_in_common(media, kind));
    }
    let given = |media: &Media| gives.iter().find(|give| give.media.mid == media.mid);

    // Further sections stay in use but silent; what cannot even do that is refused.
    let silent = |media: &Media| media.enabled && media.kind.is_some() && is_further(&offer, media);
    let tagged = offer.description.media[offer.tagged].mid.clone();
    let bundle = offer.bundle(|mid| {
        let media = offer.description.media.iter().find(|media| media.mid == *mid);
        media.is_some_and(|media| *mid == tagged || given(media).is_some() || silent(media))
    });
    let head = Head { bundle: &bundle, allow_mixed, ice_lite: true };
    let mut writer = Writer::new(local, offer.setup, &head);
    let mut sections = Vec::new();
    for media in &offer.description.media {
        let is_tagged = media.mid == tagged;
        match given(media).filter(|_| media.enabled) {
            Some(give) => {
                give.write(&mut writer, is_tagged, allow_mixed);
                sections.push(give.section());
            }
            None if silent(media) => keep_silent(&mut writer, media, is_tagged),
            None => refuse_or_keep(&mut writer, media, is_tagged && media.enabled)?,
        }
    }
    Ok(Agreed {
        answer: writer.finish(),
        dtls_client: offer.setup == Setup::Active,
        sections,
        notes,
        remote: offer.remote,
    })
}

/// A section that is served, and with what.
struct Give<'a> {
    media: &'a Media,
    kind: Kind,
    /// Preferred first.
    choices: Vec<Choice<'a>>,
    extensions: ExtensionIds,
    ssrc: Ssrc,
    rtx_ssrc: Option<Ssrc>,
}

// === impl Give ===

impl<'a> Give<'a> {
    /// Serves a section; `None` if it has nothing in common with us and nothing is published for it.
    fn new(
        media: &'a Media,
        kind: Kind,
        published: &Published,
        ssrcs: &WatchSsrcs,
        notes: &mut Vec<Note>,
    ) -> Result<Option<Self>, SdpError> {
        let (published, ssrc, rtx_ssrc) = match kind {
            Kind::Audio => (published.audio.as_ref(), ssrcs.audio, None),
            Kind::Video => (published.video.as_ref(), ssrcs.video, Some(ssrcs.video_rtx)),
        };
        let mut choices = choices(&media.payloads, kind);
        if let Some(published) = published {
            put_first(&mut choices, published, media, kind, notes)?;
        }
        let Some(first) = choices.first() else { return Ok(None) };
        let wide = first.payload.feedback.transport_wide;
        let extensions = media.extension_ids(false, |extension| match extension {
            ExtensionKind::TransportWide => wide,
            ExtensionKind::Rid | ExtensionKind::RepairedRid | ExtensionKind::AbsSendTime => false,
            ExtensionKind::Mid
            | ExtensionKind::AbsCaptureTime
            | ExtensionKind::AudioLevel
            | ExtensionKind::VideoOrientation
            | ExtensionKind::PlayoutDelay
            | ExtensionKind::VideoContentType
            | ExtensionKind::ColorSpace => true,
            ExtensionKind::DependencyDescriptor => kind == Kind::Video,
        });
        let rtx_ssrc = rtx_ssrc.filter(|_| choices.iter().any(|choice| choice.rtx.is_some()));
        Ok(Some(Self { media, kind, choices, extensions, ssrc, rtx_ssrc }))
    }

    fn write(&self, writer: &mut Writer<'_>, tagged: bool, allow_mixed: bool) {
        let track = self.kind.to_string();
        writer.frame(&Frame {
            name: &self.media.name,
            proto: &self.media.proto,
            formats: payload_types(&self.choices),
            mid: &self.media.mid,
            tagged,
            max_bitrate_bps: 0,
        });
        writer.rtp(&Rtp {
            extensions: &self.extensions,
            allow_mixed: self.media.allow_mixed && !allow_mixed,
            direction: Direction::SendOnly,
            track: Some(&track),
            reduced_size: self.media.rtcp_rsize,
        });
        for choice in &self.choices {
            writer.format(choice, &choice.format.fmtp);
        }
        writer.ssrcs(&track, self.ssrc, self.rtx_ssrc);
    }

    fn section(&self) -> Section {
        let feedback = self.choices[0].payload.feedback;
        Section {
            mid: self.media.mid.clone(),
            kind: self.kind,
            formats: self.choices.iter().map(Choice::agreed).collect(),
            extensions: self.extensions.clone(),
            nack: feedback.nack,
            pli: feedback.pli,
            transport_wide: self.extensions.id(ExtensionKind::TransportWide).is_some(),
            rids: Vec::new(),
            ssrc: Some(self.ssrc),
            rtx_ssrc: self.rtx_ssrc,
        }
    }
}

/// Moves the payload type that carries the published format best to the front.
fn put_first(
    choices: &mut Vec<Choice<'_>>,
    published: &Format,
    media: &Media,
    kind: Kind,
    notes: &mut Vec<Note>,
) -> Result<(), SdpError> {
    let best = choices
        .iter()
        .enumerate()
        .filter_map(|(index, choice)| Some((fit(published, &choice.format)?, index)))
        .min();
    let Some((fit, index)) = best else {
        let offered = names(&media.payloads);
        let published = format!("{} {}", published.codec, published.fmtp);
        return Err(unacceptable(format!(
            "no {kind} codec in common: offered {offered}; published {}",
            one_line(&published.trim_end())
        )));
    };
    let choice = choices.remove(index);
    if published.codec == Codec::H264 && fit != Fit::Exact {
        let level = |format: &Format| format.parameter("profile-level-id").unwrap_or("").into();
        notes.push(Note::H264ProfileMismatch {
            published: level(published),
            answered: level(&choice.format),
        });
    }
    choices.insert(0, choice);
    Ok(())
}

/// Whether an earlier section of the offer has the same kind.
fn is_further(offer: &Offer, media: &Media) -> bool {
    let first = offer.sections().find(|(_, kind)| Some(*kind) == media.kind);
    first.is_some_and(|(first, _)| first.mid != media.mid)
}

/// Writes a section of sound or picture that stays in use and carries nothing.
fn keep_silent(writer: &mut Writer<'_>, media: &Media, tagged: bool) {
    let choices: Vec<Choice<'_>> = match media.kind {
        Some(kind) => choices(&media.payloads, kind).into_iter().take(1).collect(),
        None => Vec::new(),
    };
    let formats = match choices.is_empty() {
        false => payload_types(&choices),
        true => media.payloads.first().map(|payload| payload.pt.to_string()).unwrap_or_default(),
    };
    writer.frame(&Frame {
        name: &media.name,
        proto: &media.proto,
        formats,
        mid: &media.mid,
        tagged,
        max_bitrate_bps: 0,
    });
    writer.rtp(&Rtp {
        extensions: &ExtensionIds::default(),
        allow_mixed: false,
        direction: Direction::Inactive,
        track: None,
        reduced_size: media.rtcp_rsize,
    });
    for choice in &choices {
        writer.format(choice, &choice.format.fmtp);
    }
    if let (true, Some(payload)) = (choices.is_empty(), media.payloads.first())
        && payload.clock_rate != 0
    {
        let (pt, name, rate) = (payload.pt, &payload.name, payload.clock_rate);
        writer.line(format_args!("a=rtpmap:{pt} {name}/{rate}"));
    }
}

/// Refuses a section with port 0, unless the shared transport stands in it.
pub(super) fn refuse_or_keep(
    writer: &mut Writer<'_>,
    media: &Media,
    tagged: bool,
) -> Result<(), SdpError> {
    if !tagged {
        writer.refused(media);
        return Ok(());
    }
    if media.kind.is_some() {
        keep_silent(writer, media, tagged);
        return Ok(());
    }
    if media.name != "application" || !media.proto.ends_with("SCTP") {
        let name = &media.name;
        return Err(unacceptable(format!("the first bundled section must not be {name}")));
    }
    // Nothing will open the association; the section stays for its transport's sake.
    writer.frame(&Frame {
        name: &media.name,
        proto: &media.proto,
        formats: media.formats.join(" "),
        mid: &media.mid,
        tagged,
        max_bitrate_bps: 0,
    });
    writer.line(format_args!("a=sctp-port:5000"));
    Ok(())
}
