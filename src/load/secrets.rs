//! A source of random names and passwords: the operating system's generator.

use std::sync::Arc;

use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;

/// The generator, and the cryptography behind it.
#[derive(Clone)]
pub(super) struct Secrets {
    provider: Arc<dyn RTCCryptoProvider>,
}

// === impl Secrets ===

impl Secrets {
    pub(super) fn new() -> Self {
        Self { provider: Arc::new(AwsLcRsProvider::new()) }
    }

    pub(super) fn provider(&self) -> &Arc<dyn RTCCryptoProvider> {
        &self.provider
    }

    /// Letters that ICE and SDP permit, each worth 6 bits.
    pub(super) fn text(&self, len: usize) -> String {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes);
        bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 64)])).collect()
    }

    pub(super) fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.provider.random().fill(bytes).expect("the operating system gives random bytes");
    }
}

// RFC 8839 section 5.4: ice-char.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
