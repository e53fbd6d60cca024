//! A writer of SDP text, section by section.

use std::fmt;

use super::candidate::{host_candidate, passive_candidate};
use super::format::Choice;
use super::media::{Direction, Media};
use super::{Local, Setup};
use crate::media::{ExtensionIds, Mid, PayloadType, Ssrc};

/// An SDP text in the making.
pub(super) struct Writer<'a> {
    text: String,
    local: &'a Local<'a>,
    setup: Setup,
}

/// What stands above the sections.
pub(super) struct Head<'a> {
    /// The tags of the BUNDLE group; without any there is no group.
    pub(super) bundle: &'a [&'a Mid],
    pub(super) allow_mixed: bool,
    /// Whether our side answers checks and sends none.
    pub(super) ice_lite: bool,
}

/// What stands in every section that is in use.
pub(super) struct Frame<'a> {
    pub(super) name: &'a str,
    pub(super) proto: &'a str,
    pub(super) formats: String,
    pub(super) mid: &'a Mid,
    /// Whether the transport of all sections is described here.
    pub(super) tagged: bool,
    /// In bit/s; 0 for no limit.
    pub(super) max_bitrate_bps: u64,
}

/// What stands in every section with sound or picture.
pub(super) struct Rtp<'a> {
    pub(super) extensions: &'a ExtensionIds,
    pub(super) allow_mixed: bool,
    pub(super) direction: Direction,
    /// The track's identifier where our side sends.
    pub(super) track: Option<&'a str>,
    pub(super) reduced_size: bool,
}

// === impl Writer ===

impl<'a> Writer<'a> {
    /// Begins a text.
    pub(super) fn new(local: &'a Local<'a>, setup: Setup, head: &Head<'_>) -> Self {
        let mut writer = Self { text: String::with_capacity(4096), local, setup };
        writer.line(format_args!("v=0"));
        writer.line(format_args!("o=- {} 1 IN IP4 127.0.0.1", local.session_id));
        writer.line(format_args!("s=-"));
        writer.line(format_args!("t=0 0"));
        if !head.bundle.is_empty() {
            let tags: Vec<&str> = head.bundle.iter().map(|mid| mid.as_str()).collect();
            writer.line(format_args!("a=group:BUNDLE {}", tags.join(" ")));
        }
        if head.allow_mixed {
            writer.line(format_args!("a=extmap-allow-mixed"));
        }
        writer.line(format_args!("a=msid-semantic: WMS *"));
        writer.ice_options(head.ice_lite);
        writer
    }

    /// The finished text.
    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Writes one line.
    pub(super) fn line(&mut self, line: fmt::Arguments<'_>) {
        push_line(&mut self.text, line);
    }

    fn ice_options(&mut self, lite: bool) {
        if lite {
            self.line(format_args!("a=ice-lite"));
        }
        self.line(format_args!("a=ice-options:trickle"));
    }

    /// Begins a section.
    ///
    /// Credentials and roles are repeated in each, as browsers do it: some clients demand them there.
    /// Candidates stand in the tagged section only.
    pub(super) fn frame(&mut self, frame: &Frame<'_>) {
        let Frame { name, proto, formats, mid, tagged, max_bitrate_bps } = frame;
        self.line(format_args!("m={name} 9 {proto} {formats}"));
        self.line(format_args!("c=IN IP4 0.0.0.0"));
        if *max_bitrate_bps != 0 {
            self.line(format_args!("b=AS:{}", (max_bitrate_bps / 1000).max(1)));
            self.line(format_args!("b=TIAS:{max_bitrate_bps}"));
        }
        let (local, setup) = (self.local, self.setup);
        if *tagged {
            push_candidates(&mut self.text, local.candidates, local.tcp);
        }
        self.line(format_args!("a=ice-ufrag:{}", local.ice.ufrag));
        self.line(format_args!("a=ice-pwd:{}", local.ice.pwd));
        self.line(format_args!("a=fingerprint:{}", local.fingerprint));
        self.line(format_args!("a=setup:{setup}"));
        self.line(format_args!("a=mid:{mid}"));
    }

    /// Continues a section with what sound and picture have.
    pub(super) fn rtp(&mut self, rtp: &Rtp<'_>) {
        if rtp.allow_mixed {
            self.line(format_args!("a=extmap-allow-mixed"));
        }
        for (kind, id) in rtp.extensions.iter() {
            self.line(format_args!("a=extmap:{id} {}", kind.uri()));
        }
        self.line(format_args!("a={}", rtp.direction.name()));
        if let Some(track) = rtp.track {
            self.line(format_args!("a=msid:{} {track}", self.local.cname));
        }
        self.line(format_args!("a=rtcp:9 IN IP4 0.0.0.0"));
        self.line(format_args!("a=rtcp-mux"));
        // RFC 9725 section 4.4.1 demands it, RFC 8858 section 4.3 forbids it in answers; the newer
        // and more specific text prevails, and no known client minds.
        self.line(format_args!("a=rtcp-mux-only"));
        if rtp.reduced_size {
            self.line(format_args!("a=rtcp-rsize"));
        }
    }

    /// Describes one payload type and its retransmissions; `fmtp` is what the parameters shall be.
    pub(super) fn format(&mut self, choice: &Choice<'_>, fmtp: &str) {
        let pt = choice.payload.pt;
        let format = &choice.format;
        let (codec, clock_rate) = (format.codec, format.clock_rate);
        match format.channels {
            0 => self.line(format_args!("a=rtpmap:{pt} {codec}/{clock_rate}")),
            channels => self.line(format_args!("a=rtpmap:{pt} {codec}/{clock_rate}/{channels}")),
        }
        let feedback = choice.payload.feedback;
        let lines = [
            (feedback.transport_wide, "transport-cc"),
            (feedback.fir, "ccm fir"),
            (feedback.nack, "nack"),
            (feedback.pli, "nack pli"),
        ];
        for (_, text) in lines.into_iter().filter(|(offered, _)| *offered) {
            self.line(format_args!("a=rtcp-fb:{pt} {text}"));
        }
        if !fmtp.is_empty() {
            self.line(format_args!("a=fmtp:{pt} {fmtp}"));
        }
        if let Some(rtx) = choice.rtx {
            self.rtx(rtx.pt, pt, clock_rate);
        }
    }

    fn rtx(&mut self, rtx: PayloadType, pt: PayloadType, clock_rate: u32) {
        self.line(format_args!("a=rtpmap:{rtx} rtx/{clock_rate}"));
        self.line(format_args!("a=fmtp:{rtx} apt={pt}"));
    }

    /// Announces the SSRCs of what our side sends.
    pub(super) fn ssrcs(&mut self, track: &str, ssrc: Ssrc, rtx: Option<Ssrc>) {
        let cname = self.local.cname;
        if let Some(rtx) = rtx {
            self.line(format_args!("a=ssrc-group:FID {ssrc} {rtx}"));
        }
        for ssrc in [Some(ssrc), rtx].into_iter().flatten() {
            self.line(format_args!("a=ssrc:{ssrc} cname:{cname}"));
            self.line(format_args!("a=ssrc:{ssrc} msid:{cname} {track}"));
        }
    }

    /// Writes a section that is not used at all (RFC 3264 section 6).
    pub(super) fn refused(&mut self, media: &Media) {
        let formats = media.formats.join(" ");
        self.line(format_args!("m={} 0 {} {formats}", media.name, media.proto));
        self.line(format_args!("c=IN IP4 0.0.0.0"));
        if !media.mid.as_str().is_empty() {
            self.line(format_args!("a=mid:{}", media.mid));
        }
        if media.kind.is_some() {
            self.line(format_args!("a=inactive"));
        }
    }
}

/// The formats of an `m=` line for some choices.
pub(super) fn payload_types(choices: &[Choice<'_>]) -> String {
    let both = |choice: &Choice<'_>| {
        [Some(choice.payload.pt), choice.rtx.map(|rtx| rtx.pt)].into_iter().flatten()
    };
    choices.iter().flat_map(both).map(|pt| pt.to_string()).collect::<Vec<_>>().join(" ")
}

pub(super) fn push_candidates(text: &mut String, candidates: &[std::net::SocketAddr], tcp: bool) {
    for (rank, address) in candidates.iter().enumerate() {
        push_line(text, format_args!("a=candidate:{}", host_candidate(rank, *address)));
    }
    for (rank, address) in candidates.iter().enumerate().filter(|_| tcp) {
        let candidate = passive_candidate(candidates.len() + rank, *address);
        push_line(text, format_args!("a=candidate:{candidate}"));
    }
    push_line(text, format_args!("a=end-of-candidates"));
}

/// Appends one line with its end.
pub(super) fn push_line(text: &mut String, line: fmt::Arguments<'_>) {
    use fmt::Write as _;
    write!(text, "{line}\r\n").expect("a String takes any text");
}
