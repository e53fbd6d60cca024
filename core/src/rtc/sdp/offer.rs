//! An offer that passed what every answer demands of it.

use super::description::{Description, one_line, unacceptable};
use super::media::Media;
use super::{Remote, SdpError, Setup};
use crate::media::{Kind, Mid};

/// An offer, the section that carries its transport, and its side's identity.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) description: Description,
    /// Index of the section whose transport all share.
    pub(super) tagged: usize,
    pub(super) remote: Remote,
    /// The DTLS role that our answer takes.
    pub(super) setup: Setup,
}

// === impl Offer ===

impl Offer {
    /// Reads an offer.
    pub(super) fn read(text: &str) -> Result<Self, SdpError> {
        let description = Description::parse(text)?;
        // A missing transport is a fault of the text itself, whatever the sections are about.
        let first = description.media.iter().position(|media| media.enabled).unwrap_or(0);
        description.remote(first, Setup::ActPass)?;
        let tagged = description.tagged()?;
        let remote = description.remote(tagged, Setup::ActPass)?;
        let setup = match remote.setup {
            Setup::Active | Setup::ActPass => Setup::Passive,
            // FFmpeg's default, foreseen by RFC 8842 though not by RFC 9725.
            Setup::Passive => Setup::Active,
        };
        let offer = Self { description, tagged, remote, setup };
        for (media, kind) in offer.sections() {
            offer.check(media, kind)?;
        }
        if offer.sections().next().is_none() {
            return Err(unacceptable("the offer has neither an audio nor a video section"));
        }
        Ok(offer)
    }

    /// The sections of sound and picture that are in use.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&Media, Kind)> {
        self.description
            .media
            .iter()
            .filter(|media| media.enabled)
            .filter_map(|media| Some((media, media.kind?)))
    }

    /// The tags of the answer's BUNDLE group, given the sections that stay in use.
    pub(super) fn bundle(&self, in_use: impl Fn(&Mid) -> bool) -> Vec<&Mid> {
        let mut tags: Vec<&Mid> = Vec::new();
        for mid in &self.description.bundle {
            if in_use(mid) && !tags.contains(&mid) {
                tags.push(mid);
            }
        }
        tags
    }

    fn check(&self, media: &Media, kind: Kind) -> Result<(), SdpError> {
        if !self.description.is_bundled(media) {
            return Err(unacceptable(format!(
                "the {kind} section with a=mid:{} is outside the BUNDLE group",
                media.mid
            )));
        }
        if !media.proto.split('/').any(|part| part == "SAVPF" || part == "SAVP") {
            let proto = one_line(&media.proto);
            return Err(unacceptable(format!("{proto} is not encrypted: UDP/TLS/RTP/SAVPF is")));
        }
        if !media.rtcp_mux {
            return Err(unacceptable(format!("the {kind} section lacks a=rtcp-mux")));
        }
        Ok(())
    }
}
