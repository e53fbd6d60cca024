//! The marks by which two sides recognise each other: certificate fingerprints and DTLS roles.

use std::fmt::{self, Write as _};

/// The hash of a certificate (`a=fingerprint`, RFC 8122).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The hash function, `sha-256`.
    pub algorithm: String,
    /// The hash.
    pub value: Vec<u8>,
}

/// A DTLS role (`a=setup`, RFC 8842).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// The DTLS client.
    Active,
    /// The DTLS server.
    Passive,
    /// Either; the answer decides.
    ActPass,
}

// === impl Fingerprint ===

impl Fingerprint {
    /// A SHA-256 hash.
    pub fn sha256(value: impl Into<Vec<u8>>) -> Self {
        Self { algorithm: "sha-256".into(), value: value.into() }
    }

    /// Reads the value of an `a=fingerprint` line, such as `sha-256 AA:BB`.
    pub fn parse(line: &str) -> Option<Self> {
        let (algorithm, hex) = line.trim().split_once(char::is_whitespace)?;
        let value = hex
            .trim()
            .split(':')
            .map(|byte| match byte.len() {
                2 if byte.bytes().all(|c| c.is_ascii_hexdigit()) => {
                    u8::from_str_radix(byte, 16).ok()
                }
                _ => None,
            })
            .collect::<Option<Vec<u8>>>()?;
        Some(Self { algorithm: algorithm.to_ascii_lowercase(), value })
    }
}

impl fmt::Display for Fingerprint {
    /// Writes the value of an `a=fingerprint` line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.algorithm)?;
        for (index, byte) in self.value.iter().enumerate() {
            f.write_char(if index == 0 { ' ' } else { ':' })?;
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

// === impl Setup ===

impl Setup {
    /// Reads the value of an `a=setup` line.
    pub fn parse(value: &str) -> Option<Self> {
        match value.trim() {
            "active" => Some(Self::Active),
            "passive" => Some(Self::Passive),
            "actpass" => Some(Self::ActPass),
            _ => None,
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
        })
    }
}
