//! A cipher suite that protects media: its profiles, its keys, and both directions.

pub mod derive;

pub mod receiver;

mod replay;

pub mod sender;

#[cfg(any(test, feature = "nonce-ledger"))]
mod ledger;

use std::fmt;

use rtc_crypto::SecretVec;
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_srtp::protection_profile::ProtectionProfile;

pub use receiver::Receiver;
pub use sender::{Sender, Slot};

/// How packets are encrypted and authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Profile {
    /// RFC 7714 with 128-bit keys.
    AeadAes128Gcm,
    /// RFC 7714 with 256-bit keys.
    AeadAes256Gcm,
    /// RFC 3711's mandatory cipher, the fallback: nearly three times as expensive.
    Aes128CmSha1_80,
}

/// One direction's master key and salt.
#[derive(Clone)]
pub struct MasterKey {
    /// As long as [`Profile::key_len`].
    pub key: SecretVec,
    /// As long as [`Profile::salt_len`].
    pub salt: SecretVec,
}

/// The master keys of both directions.
#[derive(Clone)]
pub struct SessionKeys {
    /// Protects what leaves.
    pub local: MasterKey,
    /// Opens what arrives.
    pub remote: MasterKey,
}

/// Why keys were refused.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key or the salt does not have the profile's length.
    #[error("wrong length of SRTP keying material for {profile}: {length} bytes")]
    Length {
        /// The profile the keys were meant for.
        profile: Profile,
        /// What was given.
        length: usize,
    },
    /// The crypto provider refused.
    #[error("crypto provider: {0}")]
    Crypto(#[from] rtc_crypto::CryptoError),
    /// The SRTP library refused.
    #[error("srtp: {0}")]
    Srtp(#[from] rtc_shared::error::Error),
}

// === impl Profile ===

impl Profile {
    /// Every profile, the preferred first.
    pub const ALL: [Self; 3] = [Self::AeadAes128Gcm, Self::AeadAes256Gcm, Self::Aes128CmSha1_80];

    /// Bytes of a master key.
    pub fn key_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::Aes128CmSha1_80 => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of a master salt.
    pub fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            Self::Aes128CmSha1_80 => 14,
        }
    }

    /// Bytes that protection adds to an RTP packet.
    pub fn tag_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
            Self::Aes128CmSha1_80 => 10,
        }
    }

    /// Bytes that DTLS has to export for both directions (RFC 5764 section 4.2).
    pub fn keying_material_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }

    /// The name that DTLS gives the profile.
    pub fn name(self) -> &'static str {
        match self {
            Self::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
            Self::Aes128CmSha1_80 => "SRTP_AES128_CM_HMAC_SHA1_80",
        }
    }

    pub(super) fn to_dtls(self) -> SrtpProtectionProfile {
        match self {
            Self::AeadAes128Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            Self::AeadAes256Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
            Self::Aes128CmSha1_80 => SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        }
    }

    pub(super) fn from_dtls(profile: SrtpProtectionProfile) -> Option<Self> {
        Self::ALL.into_iter().find(|candidate| candidate.to_dtls() == profile)
    }

    fn to_srtp(self) -> ProtectionProfile {
        match self {
            Self::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            Self::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
            Self::Aes128CmSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl MasterKey, SessionKeys ===

impl MasterKey {
    /// Takes a key and a salt.
    pub fn new(key: &[u8], salt: &[u8]) -> Self {
        Self { key: SecretVec::new(key.to_vec()), salt: SecretVec::new(salt.to_vec()) }
    }

    fn check(&self, profile: Profile) -> Result<(), KeyError> {
        if self.key.len() != profile.key_len() || self.salt.len() != profile.salt_len() {
            return Err(KeyError::Length { profile, length: self.key.len() + self.salt.len() });
        }
        Ok(())
    }
}

impl SessionKeys {
    /// Splits what DTLS exported (RFC 5764 section 4.2).
    pub fn from_keying_material(
        profile: Profile,
        material: &[u8],
        dtls_client: bool,
    ) -> Result<Self, KeyError> {
        if material.len() != profile.keying_material_len() {
            return Err(KeyError::Length { profile, length: material.len() });
        }
        let (keys, salts) = material.split_at(2 * profile.key_len());
        let (client_key, server_key) = keys.split_at(profile.key_len());
        let (client_salt, server_salt) = salts.split_at(profile.salt_len());
        let client = MasterKey::new(client_key, client_salt);
        let server = MasterKey::new(server_key, server_salt);
        Ok(if dtls_client {
            Self { local: client, remote: server }
        } else {
            Self { local: server, remote: client }
        })
    }

    /// The keys of the other side.
    pub fn swapped(&self) -> Self {
        Self { local: self.remote.clone(), remote: self.local.clone() }
    }
}

#[cfg(test)]
mod tests;
