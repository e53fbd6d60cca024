//! A receiver that opens SRTP and SRTCP, and protects outgoing SRTCP.
//!
//! The library keeps state for an SSRC before it has authenticated anything from it. An SSRC
//! that is not known therefore has to get one packet through a throw-away context first, so that
//! forged packets leave little behind. That context serves a number of forged packets: making one
//! costs what opening twenty packets does.

use std::sync::Arc;

use bytes::BytesMut;
use rtc_crypto::RTCCryptoProvider;
use rtc_rtp::Header;
use rtc_shared::error::Error;
use rtc_srtp::context::Context;
use rtc_srtp::option::ContextOption;
use smallvec::SmallVec;

use super::replay::Window;
use super::{KeyError, MasterKey, Profile, SessionKeys};

/// The incoming half of a session's SRTP, and SRTCP both ways.
pub struct Receiver {
    crypto: Arc<dyn RTCCryptoProvider>,
    profile: Profile,
    master: MasterKey,
    inbound: Context,
    outbound: Context,
    // Of SSRCs that have not proved themselves; boxed, as few sessions ever see a forged packet.
    probe: Option<Box<Context>>,
    probed: u32,
    rtp_ssrcs: SmallVec<[u32; 4]>,
    rtcp_ssrcs: SmallVec<[u32; 4]>,
    // Carries SSRC, sequence number and length into the library; see `open_rtp`.
    header: Header,
}

/// Why a protected packet was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its header or trailer does not hold together.
    Malformed,
    /// Authentication failed.
    Forged,
    /// It came before, or is older than the window.
    Replayed,
    /// The session has as many SSRCs as it may.
    TooManySsrcs,
}

// === impl Receiver ===

impl Receiver {
    /// Derives the session keys of incoming packets and of outgoing reports.
    pub fn new(
        crypto: Arc<dyn RTCCryptoProvider>,
        profile: Profile,
        keys: &SessionKeys,
    ) -> Result<Self, KeyError> {
        keys.local.check(profile)?;
        keys.remote.check(profile)?;
        Ok(Self {
            inbound: context(&*crypto, profile, &keys.remote)?,
            outbound: context(&*crypto, profile, &keys.local)?,
            crypto,
            profile,
            master: keys.remote.clone(),
            probe: None,
            probed: 0,
            rtp_ssrcs: SmallVec::new(),
            rtcp_ssrcs: SmallVec::new(),
            header: Header::default(),
        })
    }

    /// Opens an SRTP packet and returns the plain one.
    pub fn open_rtp(&mut self, datagram: &[u8]) -> Result<BytesMut, Refused> {
        let header_len = rtp_header_len(datagram).ok_or(Refused::Malformed)?;
        if datagram.len() < header_len + self.profile.tag_len() {
            return Err(Refused::Malformed);
        }
        let ssrc = u32::from_be_bytes([datagram[8], datagram[9], datagram[10], datagram[11]]);
        // The library asks the header for its length as it would write it, which differs from the
        // packet's where extensions are padded in another way. A stand-in of the right length is
        // exact, and spares parsing the extensions here.
        self.header.ssrc = ssrc;
        self.header.sequence_number = u16::from_be_bytes([datagram[2], datagram[3]]);
        self.header.csrc.resize((header_len - RTP_HEADER_LEN) / 4, 0);
        if !self.rtp_ssrcs.contains(&ssrc) {
            if self.rtp_ssrcs.len() >= MAX_SSRCS {
                return Err(Refused::TooManySsrcs);
            }
            let mut probe = self.probe()?;
            if let Err(error) = probe.decrypt_rtp_with_header(datagram, &self.header) {
                self.keep(probe);
                return Err(refused(error));
            }
            self.rtp_ssrcs.push(ssrc);
        }
        self.inbound.decrypt_rtp_with_header(datagram, &self.header).map_err(refused)
    }

    /// Opens an SRTCP packet and returns the plain one.
    pub fn open_rtcp(&mut self, datagram: &[u8]) -> Result<BytesMut, Refused> {
        let (flag_at, least) = match self.profile {
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => (4, 8 + 16 + 4),
            Profile::Aes128CmSha1_80 => (14, 8 + 4 + 10),
        };
        if datagram.len() < least {
            return Err(Refused::Malformed);
        }
        // The library returns a packet without the encryption flag as it is, its tag unseen.
        if datagram[datagram.len() - flag_at] & 0x80 == 0 {
            return Err(Refused::Forged);
        }
        let ssrc = u32::from_be_bytes([datagram[4], datagram[5], datagram[6], datagram[7]]);
        if !self.rtcp_ssrcs.contains(&ssrc) {
            if self.rtcp_ssrcs.len() >= MAX_SSRCS {
                return Err(Refused::TooManySsrcs);
            }
            let mut probe = self.probe()?;
            if let Err(error) = probe.decrypt_rtcp(datagram) {
                self.keep(probe);
                return Err(refused(error));
            }
            self.rtcp_ssrcs.push(ssrc);
        }
        self.inbound.decrypt_rtcp(datagram).map_err(refused)
    }

    /// Protects a compound RTCP packet; `None` if it is not one.
    pub fn protect_rtcp(&mut self, plain: &[u8]) -> Option<BytesMut> {
        self.outbound.encrypt_rtcp(plain).ok()
    }

    fn probe(&mut self) -> Result<Box<Context>, Refused> {
        if let Some(probe) = self.probe.take() {
            return Ok(probe);
        }
        let made = context(&*self.crypto, self.profile, &self.master);
        made.map(Box::new).map_err(|_| Refused::Forged)
    }

    // What the context remembers of forged packets is bounded by how many it sees.
    fn keep(&mut self, probe: Box<Context>) {
        self.probed = (self.probed + 1) % PROBES;
        self.probe = (self.probed > 0).then_some(probe);
    }
}

fn context(
    crypto: &dyn RTCCryptoProvider,
    profile: Profile,
    master: &MasterKey,
) -> Result<Context, KeyError> {
    Ok(Context::new(
        master.key.as_ref(),
        master.salt.as_ref(),
        profile.to_srtp(),
        Some(window(RTP_WINDOW_WORDS, MAX_SEQUENCE)),
        Some(window(RTCP_WINDOW_WORDS, MAX_SRTCP_INDEX)),
        crypto.crypto(),
    )?)
}

fn window(words: usize, max: u64) -> ContextOption {
    Box::new(move || Box::new(Window::new(words, max)))
}

fn rtp_header_len(datagram: &[u8]) -> Option<usize> {
    let first = *datagram.first()?;
    if first >> 6 != 2 {
        return None;
    }
    let mut len = RTP_HEADER_LEN + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = datagram.get(len + 2..len + 4)?;
        len += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    (datagram.len() >= len).then_some(len)
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the library has hundreds of errors")]
fn refused(error: Error) -> Refused {
    match error {
        Error::SrtpSsrcDuplicated(..) | Error::SrtcpSsrcDuplicated(..) => Refused::Replayed,
        Error::ErrTooShortRtp | Error::ErrTooShortRtcp => Refused::Malformed,
        _ => Refused::Forged,
    }
}

const RTP_HEADER_LEN: usize = 12;
const RTP_WINDOW_WORDS: usize = 1_024 / 64;
const RTCP_WINDOW_WORDS: usize = 128 / 64;
const MAX_SEQUENCE: u64 = 0xffff;
const MAX_SRTCP_INDEX: u64 = 0x7fff_ffff;
// Each may leave a replay window of 128 bytes and its place in a map.
const PROBES: u32 = 32;
// Four layers with retransmission and sound need ten; the rest is for sources that restart.
const MAX_SSRCS: usize = 64;
