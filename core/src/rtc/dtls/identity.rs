//! A certificate that a process shows to everybody, and the handshakes it is shown in.

use std::sync::Arc;
use std::time::Duration;

use rtc_crypto::{CryptoError, HashAlgorithm, RTCCryptoProvider};
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_shared::error::Error;

use crate::rtc::srtp::Profile;

/// A self-signed certificate with its key and fingerprint.
///
/// Its handshake settings are shared by every connection, which keeps connections small.
pub struct Identity {
    fingerprint: [u8; 32],
    server: Arc<HandshakeConfig>,
    fallback_server: Arc<HandshakeConfig>,
    client: Arc<HandshakeConfig>,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificate could not be made, or not be used.
    #[error("dtls identity: {0}")]
    Dtls(#[from] Error),
    /// The crypto provider cannot hash.
    #[error("dtls identity: {0}")]
    Crypto(#[from] CryptoError),
}

// === impl Identity ===

impl Identity {
    /// Makes a new key and certificate.
    ///
    /// **The one constructor that draws on the operating system's randomness**, whatever the
    /// provider: edges call it once at start. It reads no clock; the certificate's validity is
    /// wide and fixed. The provider also serves the DTLS of all connections with this identity.
    pub fn generate(crypto: &Arc<dyn RTCCryptoProvider>) -> Result<Arc<Self>, IdentityError> {
        let names = vec!["whitewater".to_owned()];
        let certificate = Certificate::generate_self_signed(names, crypto.crypto())?;
        Self::from_certificate(crypto, certificate).map(Arc::new)
    }

    /// SHA-256 of the certificate, as `a=fingerprint` prints it.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    pub(super) fn server(&self) -> Arc<HandshakeConfig> {
        self.server.clone()
    }

    pub(super) fn fallback_server(&self) -> Arc<HandshakeConfig> {
        self.fallback_server.clone()
    }

    pub(super) fn client(&self) -> Arc<HandshakeConfig> {
        self.client.clone()
    }

    fn from_certificate(
        crypto: &Arc<dyn RTCCryptoProvider>,
        certificate: Certificate,
    ) -> Result<Self, IdentityError> {
        let der = certificate.certificate.first().ok_or(Error::ErrNoCertificates)?;
        let digest = crypto.crypto().hash(HashAlgorithm::Sha256, der)?;
        let mut fingerprint = [0; 32];
        for (to, from) in fingerprint.iter_mut().zip(digest) {
            *to = from;
        }
        let config = |client: bool, profiles: &[Profile]| -> Result<_, Error> {
            let profiles = profiles.iter().map(|profile| profile.to_dtls()).collect();
            let config = ConfigBuilder::default()
                .with_crypto_provider(crypto.clone())
                .with_certificates(vec![certificate.clone()])
                .with_srtp_protection_profiles(profiles)
                .with_client_auth(ClientAuthType::RequireAnyClientCert)
                // The certificate is compared with the SDP's fingerprint instead.
                .with_insecure_skip_verify(true)
                .with_server_name("whitewater".to_owned())
                .with_flight_interval(FLIGHT_INTERVAL)
                .build(client, None)?;
            Ok(Arc::new(config))
        };
        let gcm = [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm];
        Ok(Self {
            fingerprint,
            server: config(false, &gcm)?,
            fallback_server: config(false, &[Profile::Aes128CmSha1_80])?,
            client: config(true, &Profile::ALL)?,
        })
    }
}

// Shorter than any retransmission interval: the association keeps the time, and the library only
// has to agree that it has passed.
const FLIGHT_INTERVAL: Duration = Duration::from_millis(100);
