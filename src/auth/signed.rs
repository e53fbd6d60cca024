//! Paths that carry their own permission, so that a cache keeps what many viewers see once.
//!
//! A playlist's addresses are relative, and players drop the query of the playlist that they follow. So
//! the multivariant playlist, which needs a token, names everything else below a prefix that is signed
//! for the stream until a full hour: viewers whose tokens end in the same hour share it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;
use sha2::Sha256;

use crate::config::Secret;

/// What signs and checks prefixes.
#[derive(Clone)]
pub struct SignedPaths(Hmac<Sha256>);

// === impl SignedPaths ===

impl SignedPaths {
    /// Signs with a key that follows from the secret; without one, with a key of this process.
    pub fn new(secret: Option<&Secret>) -> Self {
        let mut random = [0; 32];
        let generator = AwsLcRsProvider::new();
        generator.random().fill(&mut random).expect("the operating system gives random bytes");
        let seed = secret.map_or(random.as_slice(), |secret| secret.reveal().as_bytes());
        let mut derive = mac(seed);
        derive.update(b"whitewater signed paths");
        Self(mac(&derive.finalize().into_bytes()))
    }

    /// The prefix of what belongs to a stream, for permissions that end at `until`, both in time since
    /// 1970: `~EXPIRY.SIGNATURE`.
    pub fn sign(&self, stream: &str, until: Duration, now: Duration) -> String {
        let until = until.min(now + LONGEST).as_secs().div_ceil(HOUR_S) * HOUR_S;
        let signature =
            URL_SAFE_NO_PAD.encode(&self.mac(stream, until).finalize().into_bytes()[..16]);
        format!("~{until}.{signature}")
    }

    /// Whether a prefix is one of ours, for this stream, and not over.
    pub fn check(&self, stream: &str, prefix: &str, now: Duration) -> bool {
        let parts = prefix.strip_prefix('~').and_then(|rest| rest.split_once('.'));
        let Some((until, signature)) = parts else { return false };
        let Ok(seconds) = until.parse::<u64>() else { return false };
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        // One spelling for one resource.
        seconds.to_string() == until
            && Duration::from_secs(seconds) > now
            && signature.len() == 16
            && self.mac(stream, seconds).verify_truncated_left(&signature).is_ok()
    }

    fn mac(&self, stream: &str, until: u64) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(stream.as_bytes());
        mac.update(&[0]);
        mac.update(&until.to_be_bytes());
        mac
    }
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("a key of any length will do")
}

const HOUR_S: u64 = 3_600;

/// No prefix is good for longer.
const LONGEST: Duration = Duration::from_secs(24 * HOUR_S);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    #[test]
    fn a_prefix_is_good_for_its_stream_until_the_end_of_an_hour() {
        let paths = SignedPaths::new(Some(&Secret::new("a secret")));
        let hour = Duration::from_secs(HOUR_S);
        let prefix = paths.sign("show", NOW + Duration::from_secs(61), NOW);
        assert_eq!(paths.sign("show", NOW + Duration::from_secs(62), NOW), prefix, "shared");
        assert!(paths.check("show", &prefix, NOW));
        assert!(!paths.check("show", &prefix, NOW + hour));
        assert!(!paths.check("other", &prefix, NOW));
        assert!(!SignedPaths::new(Some(&Secret::new("another"))).check("show", &prefix, NOW));
        assert!(!SignedPaths::new(None).check("show", &prefix, NOW));
        let again = SignedPaths::new(Some(&Secret::new("a secret")));
        assert!(again.check("show", &prefix, NOW), "also after a restart");
        let far = paths.sign("show", NOW + 9000 * hour, NOW);
        assert!(paths.check("show", &far, NOW + 23 * hour));
        assert!(!paths.check("show", &far, NOW + 26 * hour), "a day at most");
    }

    #[test]
    fn a_key_without_a_secret_does_not_follow_from_what_can_be_guessed() {
        let sign = || {
            // It seeds itself by the clock.
            fastrand::seed(7);
            SignedPaths::new(None).sign("show", NOW, NOW)
        };
        assert_ne!(sign(), sign());
    }

    #[test]
    fn what_is_bent_is_refused() {
        let paths = SignedPaths::new(None);
        let prefix = paths.sign("show", NOW + Duration::from_secs(61), NOW);
        let (until, signature) = prefix[1..].split_once('.').unwrap();
        for bent in [
            String::new(),
            "~".into(),
            format!("~{until}"),
            format!("~{until}."),
            format!("~0{until}.{signature}"),
            format!("~{until}0.{signature}"),
            format!("~{until}.{}", &signature[..20]),
            format!("~{until}.{}", "A".repeat(22)),
            format!("{until}.{signature}"),
        ] {
            assert!(!paths.check("show", &bent, NOW), "{bent}");
        }
    }
}
