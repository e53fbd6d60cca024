//! Secrets: the random names and passwords that nobody may guess.

use std::sync::Arc;

use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;
use whitewater_core::rtc::Credentials;
use whitewater_core::shard::{ShardId, ufrag_letter};

/// A source of secrets: the operating system's generator.
#[derive(Clone)]
pub struct Secrets {
    provider: Arc<dyn RTCCryptoProvider>,
}

// === impl Secrets ===

impl Secrets {
    /// The generator.
    pub fn new() -> Self {
        Self { provider: Arc::new(AwsLcRsProvider::new()) }
    }

    /// The cryptography behind it.
    pub fn provider(&self) -> &Arc<dyn RTCCryptoProvider> {
        &self.provider
    }

    /// Letters and digits; each is worth 5.9 bits.
    pub fn text(&self, len: usize) -> String {
        let mut text = String::with_capacity(len);
        while text.len() < len {
            let mut bytes = [0; 32];
            self.fill(&mut bytes);
            // Bytes from 248 on would favour the first letters.
            let fair = bytes.iter().filter(|byte| **byte < 248);
            text.extend(fair.map(|byte| char::from(LETTERS[usize::from(byte % 62)])));
        }
        text.truncate(len);
        text
    }

    /// A random number.
    pub fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    }

    /// ICE credentials of a session in a shard (RFC 8445 section 5.3).
    pub fn credentials(&self, shard: ShardId) -> Credentials {
        let ufrag = format!("{}{}", ufrag_letter(shard), self.text(11));
        Credentials { ufrag, pwd: self.text(32) }
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.provider.random().fill(bytes).expect("the operating system gives random bytes");
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::new()
    }
}

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_their_length_and_differ() {
        let secrets = Secrets::new();
        let texts: std::collections::HashSet<_> = (0..1000).map(|_| secrets.text(22)).collect();
        assert_eq!(texts.len(), 1000);
        assert!(texts.iter().all(|text| text.len() == 22));
    }
}
