//! A media section that holds what one `m=` line and the lines below it say.

use rtc_sdp::MediaDescription;
use rtc_sdp::description::common::Attribute;

use super::SdpError;
use super::description::{TransportLines, malformed, one_line};
use super::format::{Payload, read_payloads};
use super::simulcast::Layers;
use crate::media::{ExtensionIds, ExtensionKind, Kind, Mid, Ssrc};

/// One `m=` section.
#[derive(Debug)]
pub(super) struct Media {
    /// `audio`, `video`, `application` or another registered type.
    pub(super) name: String,
    /// `None` for what is neither sound nor picture.
    pub(super) kind: Option<Kind>,
    pub(super) proto: String,
    /// The formats of the `m=` line as they stand.
    pub(super) formats: Vec<String>,
    /// False where the offer itself switched the section off with port 0.
    pub(super) enabled: bool,
    /// Empty only where the section is off.
    pub(super) mid: Mid,
    pub(super) direction: Direction,
    pub(super) rtcp_mux: bool,
    pub(super) rtcp_rsize: bool,
    /// `a=extmap-allow-mixed` in this section.
    pub(super) allow_mixed: bool,
    /// The payload types of sound and picture, in the order of the `m=` line.
    pub(super) payloads: Vec<Payload>,
    pub(super) extensions: Vec<Extension>,
    pub(super) layers: Layers,
    pub(super) ssrc: Option<Ssrc>,
    pub(super) rtx_ssrc: Option<Ssrc>,
    pub(super) transport: TransportLines,
}

/// Who may send in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

/// One `a=extmap` line whose meaning is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extension {
    pub(super) kind: ExtensionKind,
    pub(super) id: u8,
    pub(super) direction: Direction,
}

/// Longer identification tags are refused: each packet of a viewer carries one.
const MAX_MID_BYTES: usize = 64;

// === impl Media ===

impl Media {
    /// Reads one section; `session` are the attributes above all sections.
    pub(super) fn read(
        index: usize,
        media: &MediaDescription,
        session: &[Attribute],
    ) -> Result<Self, SdpError> {
        let name = media.media_name.media.clone();
        let kind = match name.as_str() {
            "audio" => Some(Kind::Audio),
            "video" => Some(Kind::Video),
            _ => None,
        };
        let lines = &media.attributes;
        let enabled = media.media_name.port.value != 0 || has(lines, "bundle-only");
        let (ssrc, rtx_ssrc) = read_ssrcs(lines);
        let payloads = match kind {
            Some(_) => read_payloads(&media.media_name.formats, lines)?,
            None => Vec::new(),
        };
        Ok(Self {
            kind,
            proto: media.media_name.protos.join("/"),
            formats: media.media_name.formats.clone(),
            enabled,
            mid: read_mid(index, lines, enabled)?,
            direction: Direction::of(lines)
                .or_else(|| Direction::of(session))
                .unwrap_or(Direction::SendRecv),
            rtcp_mux: has(lines, "rtcp-mux") || has(lines, "rtcp-mux-only"),
            rtcp_rsize: has(lines, "rtcp-rsize"),
            allow_mixed: has(lines, "extmap-allow-mixed"),
            payloads,
            extensions: read_extensions(lines.iter().chain(session)),
            layers: match kind {
                Some(Kind::Video) => Layers::read(lines)?,
                Some(Kind::Audio) | None => Layers::default(),
            },
            ssrc,
            rtx_ssrc,
            transport: TransportLines::read(lines),
            name,
        })
    }

    /// The ids of the wanted extensions that the other side lets us use: those it `sends` to us, or
    /// else those it takes from us.
    pub(super) fn extension_ids(
        &self,
        sends: bool,
        wanted: impl Fn(ExtensionKind) -> bool,
    ) -> ExtensionIds {
        let mut ids = ExtensionIds::default();
        for extension in &self.extensions {
            let direction = extension.direction;
            let open = if sends { direction.sends() } else { direction.receives() };
            if open && wanted(extension.kind) && ids.id(extension.kind).is_none() {
                ids.insert(extension.kind, extension.id);
            }
        }
        ids
    }
}

// === impl Direction ===

impl Direction {
    fn of(lines: &[Attribute]) -> Option<Self> {
        lines.iter().find_map(|line| Self::parse(&line.key))
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "sendrecv" => Some(Self::SendRecv),
            "sendonly" => Some(Self::SendOnly),
            "recvonly" => Some(Self::RecvOnly),
            "inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    /// Whether the side that wrote it sends.
    pub(super) fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the side that wrote it receives.
    pub(super) fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The attribute's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

fn has(lines: &[Attribute], key: &str) -> bool {
    lines.iter().any(|line| line.key == key)
}

/// The values of all attributes with one name.
pub(super) fn values<'a>(
    lines: &'a [Attribute],
    key: &'static str,
) -> impl Iterator<Item = &'a str> {
    lines.iter().filter(move |line| line.key == key).filter_map(|line| line.value.as_deref())
}

fn read_mid(index: usize, lines: &[Attribute], enabled: bool) -> Result<Mid, SdpError> {
    let number = index + 1;
    match values(lines, "mid").next().map(str::trim) {
        None if !enabled => Ok(Mid::from("")),
        None => Err(malformed(format!("media section {number} has no a=mid"))),
        Some(mid) if mid.len() > MAX_MID_BYTES || !is_token(mid) => {
            Err(malformed(format!("a=mid of media section {number} is no tag: {}", one_line(&mid))))
        }
        Some(mid) => Ok(Mid::from(mid)),
    }
}

/// RFC 8866 section 9: a token.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|c| c.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&c))
}

fn read_extensions<'a>(lines: impl Iterator<Item = &'a Attribute>) -> Vec<Extension> {
    let mut extensions: Vec<Extension> = Vec::new();
    for line in lines.filter(|line| line.key == "extmap") {
        let mut fields = line.value.as_deref().unwrap_or_default().split_ascii_whitespace();
        let (Some(id), Some(uri)) = (fields.next(), fields.next()) else { continue };
        let (id, direction) = match id.split_once('/') {
            None => (id, Some(Direction::SendRecv)),
            Some((id, direction)) => (id, Direction::parse(direction)),
        };
        // RFC 8285: 0 is padding, 15 ends a one-byte header, and ids from 4096 wait for the answerer
        // to choose a real one.
        let id = id.parse::<u8>().ok().filter(|id| !matches!(id, 0 | 15));
        let (Some(id), Some(direction), Some(kind)) = (id, direction, ExtensionKind::from_uri(uri))
        else {
            continue;
        };
        if !extensions.iter().any(|other| other.id == id || other.kind == kind) {
            extensions.push(Extension { kind, id, direction });
        }
    }
    extensions
}

/// The SSRC of the media and of its retransmissions: the first FID group, or else the first SSRC.
fn read_ssrcs(lines: &[Attribute]) -> (Option<Ssrc>, Option<Ssrc>) {
    let number = |text: &str| text.parse().ok().map(Ssrc);
    let pair = values(lines, "ssrc-group").find_map(|group| {
        let mut fields = group.split_ascii_whitespace();
        match (fields.next(), fields.next().and_then(number), fields.next().and_then(number)) {
            (Some("FID"), Some(media), Some(rtx)) if media != rtx => Some((media, rtx)),
            _ => None,
        }
    });
    match pair {
        Some((media, rtx)) => (Some(media), Some(rtx)),
        None => (
            values(lines, "ssrc").find_map(|line| number(line.split_ascii_whitespace().next()?)),
            None,
        ),
    }
}
