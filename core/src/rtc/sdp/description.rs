//! A description that holds what a whole SDP text says, in our words.

use std::io::Cursor;
use std::net::SocketAddr;

use rtc_sdp::SessionDescription;
use rtc_sdp::description::common::Attribute;

use super::candidate::parse_candidate;
use super::media::Media;
use super::{Credentials, Fingerprint, Remote, SdpError, Setup};
use crate::media::Mid;

/// One side's description.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) media: Vec<Media>,
    /// The identification tags of the first BUNDLE group, as listed.
    pub(super) bundle: Vec<Mid>,
    pub(super) has_bundle: bool,
    /// `a=extmap-allow-mixed` at session level.
    pub(super) allow_mixed: bool,
    ice_lite: bool,
    transport: TransportLines,
}

/// The attributes that describe a transport; they stand at session or at media level.
#[derive(Debug, Default)]
pub(super) struct TransportLines {
    ufrag: Option<String>,
    pwd: Option<String>,
    fingerprints: Vec<String>,
    setup: Option<String>,
    candidates: Vec<SocketAddr>,
}

/// More `m=` lines are refused.
const MAX_SECTIONS: usize = 32;
/// More candidates are ignored.
const MAX_CANDIDATES: usize = 64;
/// Longer texts are refused.
const MAX_BYTES: usize = 256 * 1024;

// === impl Description ===

impl Description {
    /// Reads an SDP text.
    pub(super) fn parse(text: &str) -> Result<Self, SdpError> {
        check_lines(text)?;
        let sdp = SessionDescription::unmarshal(&mut Cursor::new(text.as_bytes()))
            .map_err(|error| malformed(format!("it cannot be parsed: {}", one_line(&error))))?;
        if sdp.media_descriptions.is_empty() {
            return Err(malformed("it has no m= line"));
        }
        if sdp.media_descriptions.len() > MAX_SECTIONS {
            return Err(malformed(format!("it has more than {MAX_SECTIONS} m= lines")));
        }
        let groups = sdp.attributes.iter().filter(|line| line.key == "group");
        let bundle = groups
            .filter_map(|line| line.value.as_deref()?.trim().strip_prefix("BUNDLE"))
            .find(|tags| tags.is_empty() || tags.starts_with(' '));
        let description = Self {
            media: sdp
                .media_descriptions
                .iter()
                .enumerate()
                .map(|(index, media)| Media::read(index, media, &sdp.attributes))
                .collect::<Result<_, _>>()?,
            bundle: bundle
                .into_iter()
                .flat_map(str::split_ascii_whitespace)
                .take(MAX_SECTIONS)
                .map(Mid::from)
                .collect(),
            has_bundle: bundle.is_some(),
            allow_mixed: sdp.attributes.iter().any(|line| line.key == "extmap-allow-mixed"),
            ice_lite: sdp.attributes.iter().any(|line| line.key == "ice-lite"),
            transport: TransportLines::read(&sdp.attributes),
        };
        let twice = (0..description.media.len()).find(|&index| {
            let mid = &description.media[index].mid;
            !mid.as_str().is_empty()
                && description.media[..index].iter().any(|other| other.mid == *mid)
        });
        match twice {
            Some(index) => {
                Err(malformed(format!("a=mid:{} stands twice", description.media[index].mid)))
            }
            None => Ok(description),
        }
    }

    /// The section whose transport all the others share: the first of the BUNDLE group that is in
    /// use (RFC 9143 section 7.2), or the only section there is.
    pub(super) fn tagged(&self) -> Result<usize, SdpError> {
        let position =
            |mid: &Mid| self.media.iter().position(|media| media.enabled && media.mid == *mid);
        if self.has_bundle {
            return self.bundle.iter().find_map(position).ok_or_else(|| {
                unacceptable("the BUNDLE group names no media section that is in use")
            });
        }
        let mut enabled = (0..self.media.len()).filter(|&index| self.media[index].enabled);
        match (enabled.next(), enabled.next()) {
            (Some(index), None) => Ok(index),
            (None, _) => Err(unacceptable("every media section is disabled (port 0)")),
            (Some(_), Some(_)) => {
                Err(unacceptable("the media sections must share one transport (a=group:BUNDLE)"))
            }
        }
    }

    /// Whether a section travels over the shared transport.
    pub(super) fn is_bundled(&self, media: &Media) -> bool {
        !self.has_bundle || self.bundle.contains(&media.mid)
    }

    /// The other side, as the tagged section or else the session level describes it.
    pub(super) fn remote(&self, tagged: usize, default: Setup) -> Result<Remote, SdpError> {
        // Most specific first. The remaining sections help with descriptions that keep their
        // transport in a section of their own choice.
        let mut places = vec![&self.media[tagged].transport, &self.transport];
        let others = self.media.iter().enumerate().filter(|(index, _)| *index != tagged);
        places.extend(others.map(|(_, media)| &media.transport));
        let text = |pick: fn(&TransportLines) -> Option<&String>| {
            places.iter().find_map(|place| pick(place)).map(String::as_str)
        };

        let ufrag = text(|place| place.ufrag.as_ref());
        let pwd = text(|place| place.pwd.as_ref());
        let ice = Credentials {
            ufrag: ufrag.ok_or_else(|| malformed("it has no a=ice-ufrag"))?.into(),
            pwd: pwd.ok_or_else(|| malformed("it has no a=ice-pwd"))?.into(),
        };
        ice.check().map_err(malformed)?;
        let setup = match text(|place| place.setup.as_ref()) {
            None => default,
            Some("holdconn") => return Err(unacceptable("a=setup:holdconn")),
            Some(value) => Setup::parse(value)
                .ok_or_else(|| malformed(format!("a=setup:{} is unknown", one_line(&value))))?,
        };
        let candidates = places.iter().map(|place| &place.candidates).find(|list| !list.is_empty());
        Ok(Remote {
            ice,
            fingerprint: fingerprint(&places)?,
            setup,
            ice_lite: self.ice_lite,
            candidates: candidates.cloned().unwrap_or_default(),
        })
    }
}

fn fingerprint(places: &[&TransportLines]) -> Result<Fingerprint, SdpError> {
    let lines = places.iter().map(|place| &place.fingerprints).find(|lines| !lines.is_empty());
    let lines = lines.ok_or_else(|| malformed("it has no a=fingerprint"))?;
    let all = lines
        .iter()
        .map(|line| Fingerprint::parse(line))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| malformed("a=fingerprint is not a hash in hexadecimal"))?;
    match all.into_iter().find(|fingerprint| fingerprint.algorithm == "sha-256") {
        Some(fingerprint) if fingerprint.value.len() == 32 => Ok(fingerprint),
        Some(_) => Err(malformed("the sha-256 fingerprint does not have 32 bytes")),
        None => Err(unacceptable("a=fingerprint must use sha-256")),
    }
}

// === impl TransportLines ===

impl TransportLines {
    /// Picks the transport's lines out of all attributes of one level.
    pub(super) fn read(attributes: &[Attribute]) -> Self {
        let mut lines = Self::default();
        for line in attributes {
            let Some(value) = line.value.as_deref().map(str::trim) else { continue };
            match line.key.as_str() {
                "ice-ufrag" => _ = lines.ufrag.get_or_insert_with(|| value.into()),
                "ice-pwd" => _ = lines.pwd.get_or_insert_with(|| value.into()),
                "setup" => _ = lines.setup.get_or_insert_with(|| value.into()),
                "fingerprint" => lines.fingerprints.push(value.into()),
                "candidate" if lines.candidates.len() < MAX_CANDIDATES => {
                    lines.candidates.extend(parse_candidate(value));
                }
                _ => {}
            }
        }
        lines
    }
}

/// Refuses what the parser would take apart in surprising ways, with a sentence that has the place.
fn check_lines(text: &str) -> Result<(), SdpError> {
    if text.trim().is_empty() {
        return Err(malformed("it is empty"));
    }
    if text.len() > MAX_BYTES {
        return Err(malformed(format!("it is longer than {MAX_BYTES} bytes")));
    }
    let mut first = true;
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let number = index + 1;
        if line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(malformed(format!("line {number} has a control character")));
        }
        if line.is_empty() {
            continue;
        }
        if first && line.trim_end() != "v=0" {
            return Err(malformed("it does not begin with v=0"));
        }
        first = false;
        let bytes = line.as_bytes();
        if !bytes[0].is_ascii_lowercase() || bytes.get(1) != Some(&b'=') {
            return Err(malformed(format!("line {number} is not of the form x=value")));
        }
    }
    Ok(())
}

/// The beginning of a text from outside, fit for a message.
pub(super) fn one_line(text: &impl ToString) -> String {
    text.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).take(80).collect()
}

pub(super) fn malformed(sentence: impl Into<String>) -> SdpError {
    SdpError::Malformed(sentence.into())
}

pub(super) fn unacceptable(sentence: impl Into<String>) -> SdpError {
    SdpError::Unacceptable(sentence.into())
}
