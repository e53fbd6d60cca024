//! A sender that protects RTP packets in place (RFC 3711, RFC 7714).
//!
//! **One nonce, one packet:** the caller never lets one SSRC and sequence number stand for two
//! different packets. Resending identical bytes is allowed.

use rtc_crypto::{
    AeadAlgorithm, AeadCipher, HmacAlgorithm, Mac, RTCCrypto, StreamCipher, StreamCipherAlgorithm,
};

use super::derive::{Label, derive};
use super::{KeyError, MasterKey, Profile};
use crate::media::Ssrc;

/// Where a sender keeps an outgoing SSRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(u16);

/// The outgoing half of a session's SRTP.
pub struct Sender {
    cipher: Cipher,
    profile: Profile,
    salt: [u8; IV_LEN],
    lanes: Vec<Lane>,
}

enum Cipher {
    Gcm(Box<dyn AeadCipher>),
    CmSha1 { stream: Box<dyn StreamCipher>, mac: Box<dyn Mac> },
}

struct Lane {
    ssrc: Ssrc,
    // The salt with the SSRC already mixed in.
    iv: [u8; IV_LEN],
    // The highest index so far: rollover counter and sequence number.
    highest: Option<u64>,
    #[cfg(any(test, feature = "nonce-ledger"))]
    ledger: super::ledger::Ledger,
}

// === impl Sender ===

impl Sender {
    /// Derives the session keys from a master key.
    pub fn new(
        crypto: &dyn RTCCrypto,
        profile: Profile,
        master: &MasterKey,
    ) -> Result<Self, KeyError> {
        master.check(profile)?;
        let (key, salt) = (master.key.as_ref(), master.salt.as_ref());
        let mut session_salt = [0; IV_LEN];
        derive(crypto, key, salt, Label::RtpSalt, &mut session_salt[..profile.salt_len()])?;
        let mut session_key = [0; 32];
        let session_key = &mut session_key[..profile.key_len()];
        derive(crypto, key, salt, Label::RtpEncryption, session_key)?;
        let cipher = match profile {
            Profile::AeadAes128Gcm => {
                Cipher::Gcm(crypto.new_aead(AeadAlgorithm::Aes128Gcm, session_key)?)
            }
            Profile::AeadAes256Gcm => {
                Cipher::Gcm(crypto.new_aead(AeadAlgorithm::Aes256Gcm, session_key)?)
            }
            Profile::Aes128CmSha1_80 => {
                let mut auth_key = [0; SHA1_LEN];
                derive(crypto, key, salt, Label::RtpAuthentication, &mut auth_key)?;
                Cipher::CmSha1 {
                    stream: crypto
                        .new_stream_cipher(StreamCipherAlgorithm::Aes128Ctr, session_key)?,
                    mac: crypto.new_hmac(HmacAlgorithm::Sha1, &auth_key)?,
                }
            }
        };
        Ok(Self { cipher, profile, salt: session_salt, lanes: Vec::new() })
    }

    /// Registers an outgoing SSRC; the same SSRC always gets the same slot.
    pub fn add(&mut self, ssrc: Ssrc) -> Slot {
        let known = self.lanes.iter().position(|lane| lane.ssrc == ssrc);
        let at = known.unwrap_or_else(|| {
            self.lanes.push(Lane::new(ssrc, self.profile, &self.salt));
            self.lanes.len() - 1
        });
        Slot(u16::try_from(at).expect("a session sends far fewer than 65,536 SSRCs"))
    }

    /// Bytes that protection adds to each packet.
    pub fn overhead(&self) -> usize {
        self.profile.tag_len()
    }

    /// The profile in use.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Seals the packet in `out[..plain_len]`, of which the first `header_len` bytes are the RTP
    /// header, in place, appends the tag and returns the total length.
    ///
    /// The sequence number is read from the header. A number up to half the range older than the
    /// newest counts as a retransmission and gets its own rollover counter, also over a wrap.
    /// Returns 0 if the packet cannot be sealed (no room for the tag, header longer than the
    /// packet, an SSRC that is not the slot's); nothing of `out` may be sent then.
    pub fn protect(
        &mut self,
        slot: Slot,
        out: &mut [u8],
        header_len: usize,
        plain_len: usize,
    ) -> usize {
        let Some(lane) = self.lanes.get_mut(usize::from(slot.0)) else { return 0 };
        let total = plain_len + self.profile.tag_len();
        if header_len < RTP_HEADER_LEN || header_len > plain_len || out.len() < total {
            return 0;
        }
        let ssrc = u32::from_be_bytes([out[8], out[9], out[10], out[11]]);
        if ssrc != lane.ssrc.0 {
            return 0;
        }
        let index = lane.index(u16::from_be_bytes([out[2], out[3]]));
        #[cfg(any(test, feature = "nonce-ledger"))]
        lane.ledger.record(ssrc, index, &out[..plain_len]);
        let (plain, tag) = out[..total].split_at_mut(plain_len);
        let sealed = match &mut self.cipher {
            Cipher::Gcm(aead) => {
                let (header, payload) = plain.split_at_mut(header_len);
                let mut nonce = [0; GCM_NONCE_LEN];
                nonce.copy_from_slice(&lane.iv[..GCM_NONCE_LEN]);
                mix(&mut nonce[6..], index);
                aead.seal_in_place(&nonce, header, payload, tag)
            }
            Cipher::CmSha1 { stream, mac } => {
                let mut iv = lane.iv;
                mix(&mut iv[8..14], index);
                let rollover = ((index >> 16) as u32).to_be_bytes();
                let mut full_tag = [0; SHA1_LEN];
                stream
                    .apply_keystream(&iv, &mut plain[header_len..])
                    .and_then(|()| mac.sign(&[plain, &rollover], &mut full_tag))
                    .map(|()| tag.copy_from_slice(&full_tag[..SHA1_80_LEN]))
            }
        };
        if sealed.is_err() {
            return 0;
        }
        lane.highest = Some(lane.highest.map_or(index, |highest| highest.max(index)));
        total
    }
}

// === impl Lane ===

impl Lane {
    fn new(ssrc: Ssrc, profile: Profile, salt: &[u8; IV_LEN]) -> Self {
        // RFC 7714 section 8.1 puts the SSRC behind two octets, RFC 3711 section 4.1.1 behind four.
        let at = match profile {
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 2,
            Profile::Aes128CmSha1_80 => 4,
        };
        let mut iv = *salt;
        for (byte, part) in iv[at..].iter_mut().zip(ssrc.0.to_be_bytes()) {
            *byte ^= part;
        }
        Self {
            ssrc,
            iv,
            highest: None,
            #[cfg(any(test, feature = "nonce-ledger"))]
            ledger: super::ledger::Ledger::default(),
        }
    }

    // The index with this sequence number that lies nearest to the highest so far.
    fn index(&self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else { return u64::from(sequence) };
        let ahead = sequence.wrapping_sub(highest as u16) as i16;
        highest.checked_add_signed(i64::from(ahead)).unwrap_or(u64::from(sequence))
    }
}

fn mix(bytes: &mut [u8], index: u64) {
    for (byte, part) in bytes.iter_mut().zip(&index.to_be_bytes()[2..]) {
        *byte ^= part;
    }
}

const RTP_HEADER_LEN: usize = 12;
const IV_LEN: usize = 16;
const GCM_NONCE_LEN: usize = 12;
const SHA1_LEN: usize = 20;
const SHA1_80_LEN: usize = 10;
