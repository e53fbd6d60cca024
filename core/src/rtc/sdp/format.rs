//! A reader of payload types, and a judge of which of them carry the same format.

use rtc_sdp::description::common::Attribute;

use super::SdpError;
use super::description::{malformed, one_line};
use super::media::values;
use crate::media::{Codec, Format, Kind, PayloadType};
use crate::rtc::section::AgreedFormat;

/// One payload type of an `m=` line.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    pub(super) pt: PayloadType,
    /// The encoding name, as written.
    pub(super) name: String,
    pub(super) clock_rate: u32,
    pub(super) channels: u8,
    pub(super) fmtp: String,
    pub(super) feedback: Feedback,
}

/// The kinds of `a=rtcp-fb` that are understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Feedback {
    pub(super) nack: bool,
    pub(super) pli: bool,
    pub(super) fir: bool,
    pub(super) transport_wide: bool,
}

/// How well a payload type fits a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// The same format.
    Exact,
    /// Another profile that is likely to be decoded all the same; fewer is nearer.
    Near(u8),
}

/// A format that both sides know, with its retransmission format.
#[derive(Clone, Debug)]
pub(super) struct Choice<'a> {
    pub(super) payload: &'a Payload,
    pub(super) format: Format,
    pub(super) rtx: Option<&'a Payload>,
    pub(super) red: Option<&'a Payload>,
    /// Whether the redundant format stands before the plain one.
    pub(super) prefers_red: bool,
}

const MAX_PAYLOAD_TYPES: usize = 128;

/// Reads the payload types of a section, in the order of its `m=` line.
pub(super) fn read_payloads(
    formats: &[String],
    lines: &[Attribute],
) -> Result<Vec<Payload>, SdpError> {
    if formats.len() > MAX_PAYLOAD_TYPES {
        return Err(malformed(format!("an m= line has more than {MAX_PAYLOAD_TYPES} formats")));
    }
    let mut payloads: Vec<Payload> = Vec::with_capacity(formats.len());
    for text in formats {
        let Some(pt) = text.parse::<u8>().ok().filter(|pt| *pt < 128).map(PayloadType) else {
            return Err(malformed(format!("{} is no payload type", one_line(text))));
        };
        if !payloads.iter().any(|other| other.pt == pt) {
            payloads.push(Payload::unnamed(pt));
        }
    }
    for value in values(lines, "rtpmap") {
        if let Some((payload, text)) = addressed(&mut payloads, value) {
            payload.read_rtpmap(text);
        }
    }
    for value in values(lines, "fmtp") {
        if let Some((payload, text)) = addressed(&mut payloads, value)
            && payload.fmtp.is_empty()
        {
            payload.fmtp = text.into();
        }
    }
    for value in values(lines, "rtcp-fb") {
        if let Some(text) = value.trim().strip_prefix("* ") {
            payloads.iter_mut().for_each(|payload| payload.feedback.read(text));
        } else if let Some((payload, text)) = addressed(&mut payloads, value) {
            payload.feedback.read(text);
        }
    }
    Ok(payloads)
}

/// The payload types of a codec that is forwarded, in order, each with its retransmission format.
pub(super) fn choices(payloads: &[Payload], kind: Kind) -> Vec<Choice<'_>> {
    payloads
        .iter()
        .filter_map(|payload| {
            let format = payload.format().filter(|format| format.codec.kind() == kind)?;
            let rtx = payloads.iter().find(|other| other.repairs(payload));
            let red = payloads.iter().find(|other| other.repeats(payload));
            let place = |wanted: &Payload| payloads.iter().position(|it| it.pt == wanted.pt);
            let prefers_red = red.is_some_and(|red| place(red) < place(payload));
            Some(Choice { payload, format, rtx, red, prefers_red })
        })
        .collect()
}

/// The names of what a section offers, each once, for a message.
pub(super) fn names(payloads: &[Payload]) -> String {
    let mut names: Vec<&str> = Vec::new();
    let helpers = ["rtx", "red", "ulpfec", "flexfec-03", "cn", "telephone-event"];
    for payload in payloads {
        let name = payload.name.as_str();
        let helper = helpers.iter().any(|helper| helper.eq_ignore_ascii_case(name));
        if !helper && !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { "nothing".into() } else { one_line(&names.join(", ")) }
}

/// How well a payload type carries what a publisher sends; `None` if it does not at all.
pub(super) fn fit(published: &Format, offered: &Format) -> Option<Fit> {
    if published.codec != offered.codec {
        return None;
    }
    let parameter = |format: &Format, name, default: &str| {
        format.parameter(name).unwrap_or(default).to_ascii_lowercase()
    };
    let same =
        |name, default| parameter(published, name, default) == parameter(offered, name, default);
    match published.codec {
        Codec::Opus | Codec::Vp8 => Some(Fit::Exact),
        Codec::Vp9 => same("profile-id", "0").then_some(Fit::Exact),
        Codec::Av1 => same("profile", "0").then_some(Fit::Exact),
        Codec::H265 => {
            let exact = same("profile-id", "1") && same("tier-flag", "0");
            Some(if exact { Fit::Exact } else { Fit::Near(0) })
        }
        Codec::H264 if !same("packetization-mode", "0") => None,
        Codec::H264 => {
            let (published, offered) = (H264Profile::of(published), H264Profile::of(offered));
            Some(match (offered.richness(), published.richness()) {
                _ if published == offered => Fit::Exact,
                // The least profile that contains the published one, else the richest below it.
                (offered, published) if offered >= published => Fit::Near(offered - published),
                (offered, published) => Fit::Near(16 + (published - offered)),
            })
        }
    }
}

// === impl Payload ===

impl Payload {
    /// A payload type without `a=rtpmap`: one of the static ones of RFC 3551, or unknown.
    fn unnamed(pt: PayloadType) -> Self {
        let (name, clock_rate) = match pt.0 {
            0 => ("PCMU", 8_000),
            3 => ("GSM", 8_000),
            8 => ("PCMA", 8_000),
            9 => ("G722", 8_000),
            13 => ("CN", 8_000),
            18 => ("G729", 8_000),
            _ => ("unknown", 0),
        };
        Self {
            pt,
            name: name.into(),
            clock_rate,
            channels: 1,
            fmtp: String::new(),
            feedback: Feedback::default(),
        }
    }

    fn read_rtpmap(&mut self, text: &str) {
        let mut parts = text.split('/').map(str::trim);
        let (Some(name), Some(clock_rate)) = (parts.next(), parts.next()) else { return };
        let Ok(clock_rate) = clock_rate.parse() else { return };
        self.name = name.into();
        self.clock_rate = clock_rate;
        self.channels = parts.next().and_then(|channels| channels.parse().ok()).unwrap_or(1);
    }

    /// The format, if it is one that is forwarded.
    fn format(&self) -> Option<Format> {
        // RFC 5761 section 4: on a shared port these look like RTCP.
        if (64..96).contains(&self.pt.0) {
            return None;
        }
        let codec = Codec::from_name(&self.name)?;
        let channels = match codec.kind() {
            Kind::Audio => 2,
            Kind::Video => 0,
        };
        let clock_rate = match codec.kind() {
            Kind::Audio => 48_000,
            Kind::Video => 90_000,
        };
        let usual = self.clock_rate == clock_rate && (channels == 0 || self.channels == channels);
        usual.then(|| Format { codec, clock_rate, channels, fmtp: self.fmtp.clone() })
    }

    /// Whether this is the retransmission format (RFC 4588) of another payload type.
    fn repairs(&self, other: &Self) -> bool {
        let apt = self.fmtp.split(';').find_map(|pair| pair.trim().strip_prefix("apt="));
        self.name.eq_ignore_ascii_case("rtx")
            && self.clock_rate == other.clock_rate
            && !(64..96).contains(&self.pt.0)
            && apt.and_then(|apt| apt.trim().parse().ok()) == Some(other.pt.0)
    }

    /// Whether this is the redundant format (RFC 2198) of another payload type of sound.
    fn repeats(&self, other: &Self) -> bool {
        let is_of = |pt: &str| pt.trim().parse() == Ok(other.pt.0);
        self.name.eq_ignore_ascii_case("red")
            && Codec::from_name(&other.name) == Some(Codec::Opus)
            && (self.clock_rate, self.channels) == (other.clock_rate, other.channels)
            && !(64..96).contains(&self.pt.0)
            && !self.fmtp.is_empty()
            && self.fmtp.split('/').all(is_of)
    }
}

// === impl Feedback ===

impl Feedback {
    fn read(&mut self, text: &str) {
        let mut words = text.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (Some("nack"), None) => self.nack = true,
            (Some("nack"), Some("pli")) => self.pli = true,
            (Some("ccm"), Some("fir")) => self.fir = true,
            (Some("transport-cc"), None) => self.transport_wide = true,
            _ => {}
        }
    }
}

// === impl Choice ===

impl Choice<'_> {
    /// The agreement on this choice.
    pub(super) fn agreed(&self) -> AgreedFormat {
        AgreedFormat {
            format: self.format.clone(),
            pt: self.payload.pt,
            rtx: self.rtx.map(|rtx| rtx.pt),
            red: self.red.map(|red| red.pt),
        }
    }
}

/// The H.264 profiles of RFC 6184 table 5, poorest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum H264Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    ConstrainedHigh,
    High,
    High444,
    Other(u8, u8),
}

// === impl H264Profile ===

impl H264Profile {
    /// The profile that `profile-level-id` names; its level does not matter here.
    fn of(format: &Format) -> Self {
        // RFC 6184 section 8.1: without the parameter, Baseline at level 1.
        let id = format.parameter("profile-level-id").unwrap_or("420010");
        let id = if id.len() == 6 { u32::from_str_radix(id, 16).unwrap_or(0x42_0010) } else { 0 };
        let [_, profile, constraints, _] = id.to_be_bytes();
        match (profile, constraints) {
            (0x42, c) if c & 0x4f == 0x40 => Self::ConstrainedBaseline,
            (0x4d, c) if c & 0x8f == 0x80 => Self::ConstrainedBaseline,
            (0x58, c) if c & 0xcf == 0xc0 => Self::ConstrainedBaseline,
            (0x42, c) if c & 0x4f == 0x00 => Self::Baseline,
            (0x58, c) if c & 0xcf == 0x80 => Self::Baseline,
            (0x4d, c) if c & 0xaf == 0x00 => Self::Main,
            (0x64, 0x00) => Self::High,
            (0x64, 0x0c) => Self::ConstrainedHigh,
            (0xf4, 0x00) => Self::High444,
            (profile, constraints) => Self::Other(profile, constraints),
        }
    }

    /// A place on the line from the poorest profile to the richest.
    fn richness(self) -> u8 {
        match self {
            Self::ConstrainedBaseline => 0,
            Self::Baseline => 1,
            Self::Main => 2,
            Self::ConstrainedHigh => 3,
            Self::High => 4,
            Self::High444 | Self::Other(..) => 5,
        }
    }
}

/// Finds the payload type that an attribute's value begins with, and the rest of the value.
fn addressed<'p, 'v>(
    payloads: &'p mut [Payload],
    value: &'v str,
) -> Option<(&'p mut Payload, &'v str)> {
    let (pt, text) = value.trim().split_once(char::is_whitespace)?;
    let pt = PayloadType(pt.parse().ok()?);
    Some((payloads.iter_mut().find(|payload| payload.pt == pt)?, text.trim()))
}
