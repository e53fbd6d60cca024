//! An identity that tells whether two requests came with the same secret, without keeping the secret.

use std::fmt;

use sha2::{Digest, Sha256};

/// Who holds a grant: a digest of the bearer token that came with it.
///
/// The token is not kept, and the digest is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity([u8; 32]);

// === impl Identity ===

impl Identity {
    /// The identity of whoever knows this token.
    pub fn of_token(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// The digest, to tell holders apart. It is never shown.
    pub fn digest(&self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_token_is_the_same_identity_and_neither_is_shown() {
        let secret = Identity::of_token("secret");
        assert_eq!(secret, Identity::of_token("secret"));
        assert_ne!(secret, Identity::of_token("Secret"));
        assert_eq!(format!("{secret:?}"), "Identity(..)");
    }
}
