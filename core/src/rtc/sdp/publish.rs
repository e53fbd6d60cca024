//! The answer to a publisher (WHIP, RFC 9725): one codec per section, every layer accepted.

use super::description::unacceptable;
use super::format::{Choice, choices, names};
use super::media::{Direction, Media};
use super::offer::Offer;
use super::simulcast::Layer;
use super::watch::refuse_or_keep;
use super::write::{Frame, Head, Rtp, Writer, payload_types};
use super::{Agreed, Local, PublishPolicy, SdpError, Setup};
use crate::media::{Codec, ExtensionIds, ExtensionKind, Kind};
use crate::rtc::section::Section;

/// Answers the offer of a publisher.
pub fn answer_publish(
    offer: &str,
    local: &Local<'_>,
    policy: &PublishPolicy,
) -> Result<Agreed, SdpError> {
    let offer = Offer::read(offer)?;
    let mut takes = Vec::new();
    for (index, media) in offer.description.media.iter().enumerate() {
        let take = match media.kind {
            Some(kind) if media.enabled => Some(Take::new(media, kind, index == offer.tagged)?),
            Some(_) | None => None,
        };
        takes.push(take);
    }
    check_together(&takes)?;

    let tagged = &offer.description.media[offer.tagged].mid;
    let bundle = offer
        .bundle(|mid| mid == tagged || takes.iter().flatten().any(|take| take.media.mid == *mid));
    let allow_mixed = offer.description.allow_mixed;
    let head = Head { bundle: &bundle, allow_mixed, ice_lite: true };
    let mut writer = Writer::new(local, offer.setup, &head);
    for (media, take) in offer.description.media.iter().zip(&takes) {
        match take {
            Some(take) => take.write(&mut writer, allow_mixed, policy),
            None => refuse_or_keep(&mut writer, media, media.mid == *tagged)?,
        }
    }
    Ok(Agreed {
        answer: writer.finish(),
        dtls_client: offer.setup == Setup::Active,
        sections: takes.iter().flatten().map(Take::section).collect(),
        notes: Vec::new(),
        remote: offer.remote,
    })
}

/// A section that is taken, and what of it.
struct Take<'a> {
    media: &'a Media,
    kind: Kind,
    tagged: bool,
    choice: Choice<'a>,
    layers: Vec<&'a Layer>,
    extensions: ExtensionIds,
}

/// The most simulcast layers of one publisher.
const MAX_LAYERS: usize = 4;

/// Where Chromium's bandwidth estimate begins, in kbit/s. Its own default of 300 keeps the upper
/// layers of a simulcast back for many seconds.
const START_BITRATE_KBPS: u64 = 2_500;

// === impl Take ===

impl<'a> Take<'a> {
    fn new(media: &'a Media, kind: Kind, tagged: bool) -> Result<Self, SdpError> {
        if !media.direction.sends() {
            let direction = media.direction.name();
            return Err(unacceptable(format!(
                "the {kind} section is {direction}: a publisher must send"
            )));
        }
        let layers: Vec<&Layer> = media.layers.send.iter().collect();
        if layers.len() > MAX_LAYERS {
            let count = layers.len();
            return Err(unacceptable(format!(
                "{count} simulcast layers are offered: at most {MAX_LAYERS} are taken"
            )));
        }
        let choices = choices(&media.payloads, kind);
        let fits_all =
            |choice: &&Choice<'_>| layers.iter().all(|layer| layer.allows(choice.payload.pt));
        let choice = choices.iter().find(fits_all).or(choices.first());
        let Some(choice) = choice.cloned() else { return Err(nothing_in_common(media, kind)) };
        let layers = layers.into_iter().filter(|layer| layer.allows(choice.payload.pt)).collect();
        let feedback = choice.payload.feedback;
        let all = media.extension_ids(true, |_| true);
        let wide = feedback.transport_wide && all.id(ExtensionKind::TransportWide).is_some();
        let extensions = media.extension_ids(true, |extension| match extension {
            ExtensionKind::TransportWide => wide,
            ExtensionKind::AbsSendTime => !wide,
            ExtensionKind::Mid
            | ExtensionKind::Rid
            | ExtensionKind::RepairedRid
            | ExtensionKind::AbsCaptureTime
            | ExtensionKind::AudioLevel
            | ExtensionKind::VideoOrientation
            | ExtensionKind::PlayoutDelay
            | ExtensionKind::VideoContentType
            | ExtensionKind::ColorSpace
            | ExtensionKind::DependencyDescriptor => true,
        });
        Ok(Self { media, kind, tagged, choice, layers, extensions })
    }

    fn write(&self, writer: &mut Writer<'_>, allow_mixed: bool, policy: &PublishPolicy) {
        let max_bitrate_bps = match self.kind {
            Kind::Audio => 0,
            Kind::Video => policy.max_bitrate_bps,
        };
        writer.frame(&Frame {
            name: &self.media.name,
            proto: &self.media.proto,
            formats: payload_types(std::slice::from_ref(&self.choice)),
            mid: &self.media.mid,
            tagged: self.tagged,
            max_bitrate_bps,
        });
        writer.rtp(&Rtp {
            extensions: &self.extensions,
            allow_mixed: self.media.allow_mixed && !allow_mixed,
            direction: Direction::RecvOnly,
            track: None,
            reduced_size: self.media.rtcp_rsize,
        });
        writer.format(&self.choice, &self.fmtp(max_bitrate_bps));
        let pt = self.choice.payload.pt;
        for layer in &self.layers {
            writer.line(format_args!("a=rid:{} recv{}", layer.rid, layer.answer_restrictions(pt)));
        }
        if !self.layers.is_empty() {
            let rids: Vec<&str> = self.layers.iter().map(|layer| layer.rid.as_str()).collect();
            writer.line(format_args!("a=simulcast:recv {}", rids.join(";")));
        }
    }

    /// The offered parameters, and where to begin.
    fn fmtp(&self, max_bitrate_bps: u64) -> String {
        const NAME: &str = "x-google-start-bitrate";
        let format = &self.choice.format;
        if self.kind == Kind::Audio || format.parameter(NAME).is_some() {
            return format.fmtp.clone();
        }
        let start_kbps = match max_bitrate_bps / 1000 {
            0 => START_BITRATE_KBPS,
            limit => limit.min(START_BITRATE_KBPS),
        };
        let separator = if format.fmtp.is_empty() { "" } else { ";" };
        format!("{}{separator}{NAME}={start_kbps}", format.fmtp.trim_end_matches([';', ' ']))
    }

    fn section(&self) -> Section {
        let feedback = self.choice.payload.feedback;
        // With rids each layer has its own SSRC, and the announced ones tell nothing of which.
        let single = self.layers.is_empty();
        Section {
            mid: self.media.mid.clone(),
            kind: self.kind,
            formats: vec![self.choice.agreed()],
            extensions: self.extensions.clone(),
            nack: feedback.nack,
            pli: feedback.pli,
            transport_wide: self.extensions.id(ExtensionKind::TransportWide).is_some(),
            rids: self.layers.iter().map(|layer| layer.rid.clone()).collect(),
            ssrc: self.media.ssrc.filter(|_| single),
            rtx_ssrc: self.media.rtx_ssrc.filter(|_| single),
        }
    }
}

/// Checks what no section alone can tell.
fn check_together(takes: &[Option<Take<'_>>]) -> Result<(), SdpError> {
    let takes: Vec<&Take<'_>> = takes.iter().flatten().collect();
    for kind in [Kind::Audio, Kind::Video] {
        if takes.iter().filter(|take| take.kind == kind).count() > 1 {
            return Err(unacceptable(format!("a publisher may send one {kind} section only")));
        }
    }
    let types = |take: &Take<'_>| {
        let agreed = take.choice.agreed();
        [Some(agreed.pt), agreed.rtx]
    };
    if let [one, other] = takes.as_slice()
        && let Some(pt) =
            types(one).into_iter().flatten().find(|pt| types(other).contains(&Some(*pt)))
    {
        return Err(unacceptable(format!("payload type {pt} stands for two formats")));
    }
    Ok(())
}

/// The refusal of a section without a codec that is forwarded.
pub(super) fn nothing_in_common(media: &Media, kind: Kind) -> SdpError {
    let supported: Vec<&str> =
        [Codec::Opus, Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1]
            .into_iter()
            .filter(|codec| codec.kind() == kind)
            .map(Codec::name)
            .collect();
    let (offered, supported) = (names(&media.payloads), supported.join(", "));
    unacceptable(format!("no {kind} codec in common: offered {offered}; supported {supported}"))
}
