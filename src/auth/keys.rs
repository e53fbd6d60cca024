//! Keys that tokens are checked with, and the one that signs ours.

use std::path::Path;

use anyhow::{Context, bail};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};

use super::claims::Claims;
use crate::config::{Auth, Secret};

/// A key and what it may be used for: an algorithm that a token names decides nothing by itself.
#[derive(Clone)]
pub(super) struct Key {
    id: Option<String>,
    algorithms: &'static [Algorithm],
    key: DecodingKey,
}

/// What a token has to say beside its permissions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Demands {
    pub(super) audience: Option<String>,
    pub(super) issuer: Option<String>,
}

/// What is wrong with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// No key that is known fits it: another may.
    UnknownKey,
    /// It is no token at all.
    NoToken(String),
    /// It is worth nothing.
    Invalid(String),
}

/// The keys that the configuration holds.
pub(super) fn load(auth: &Auth) -> anyhow::Result<Vec<Key>> {
    let secret = super::secret(auth)?.map(|secret| Ok(of_secret(&secret)?));
    let public = auth.jwt_public_keys.iter().map(|path| {
        read_pem(path).with_context(|| format!("auth.jwt_public_keys: {}", path.display()))
    });
    secret.into_iter().chain(public).collect()
}

/// The keys of a JSON Web Key Set that can check signatures.
pub(super) fn of_set(set: &JwkSet) -> Vec<Key> {
    set.keys.iter().filter_map(of_jwk).collect()
}

/// Signs claims (HS256).
pub(super) fn sign(secret: &Secret, claims: &Claims) -> jsonwebtoken::errors::Result<String> {
    let key = EncodingKey::from_secret(secret.reveal().as_bytes())?;
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key)
}

/// What a token says, if one of the keys signed it and it is valid now.
#[allow(clippy::wildcard_enum_match_arm, reason = "what else there is means the same")]
pub(super) fn verify(keys: &[Key], demands: &Demands, token: &str) -> Result<Claims, Wrong> {
    let invalid = |why: &str| Wrong::Invalid(why.into());
    let none = |why: &str| Wrong::NoToken(why.into());
    if token.len() > MAX_TOKEN_BYTES {
        return Err(none("it is too long"));
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| none("it is no JSON Web Token"))?;
    let fits = |key: &&Key| {
        let same = header.kid.is_none() || key.id.is_none() || key.id == header.kid;
        same && key.algorithms.contains(&header.alg)
    };
    let mut outcome = Err(Wrong::UnknownKey);
    for key in keys.iter().filter(fits) {
        let validation = demands.validation(header.alg);
        match jsonwebtoken::decode::<Claims>(token, &key.key, &validation) {
            Ok(data) => return Ok(data.claims),
            Err(error) => match error.kind() {
                ErrorKind::InvalidSignature => {}
                ErrorKind::ExpiredSignature => outcome = Err(invalid("it has expired")),
                ErrorKind::ImmatureSignature => outcome = Err(invalid("it is not valid yet")),
                ErrorKind::InvalidAudience => outcome = Err(invalid("it is for another audience")),
                ErrorKind::InvalidIssuer => outcome = Err(invalid("it is of another issuer")),
                ErrorKind::MissingRequiredClaim(claim) => {
                    outcome = Err(Wrong::Invalid(format!("it has no {claim}")));
                }
                ErrorKind::Json(_) => {
                    outcome = Err(invalid(
                        "it needs exp, action (publish, watch or admin) and, but for admin, stream",
                    ));
                }
                _ => outcome = Err(invalid("it cannot be read")),
            },
        }
    }
    outcome
}

fn of_secret(secret: &Secret) -> jsonwebtoken::errors::Result<Key> {
    Ok(Key {
        id: None,
        algorithms: &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512],
        key: DecodingKey::from_secret(secret.reveal().as_bytes())?,
    })
}

fn read_pem(path: &Path) -> anyhow::Result<Key> {
    let pem = std::fs::read(path)?;
    if let Ok(key) = DecodingKey::from_rsa_pem(&pem) {
        return Ok(Key { id: None, algorithms: RSA, key });
    }
    if let Ok(key) = DecodingKey::from_ec_pem(&pem) {
        // One of the two fits the key; with the other no signature does.
        return Ok(Key { id: None, algorithms: EC, key });
    }
    if let Ok(key) = DecodingKey::from_ed_pem(&pem) {
        return Ok(Key { id: None, algorithms: ED, key });
    }
    bail!("it holds no public key of RSA, EC or Ed25519 in PEM")
}

#[allow(clippy::wildcard_enum_match_arm, reason = "what else there is means the same")]
fn of_jwk(jwk: &Jwk) -> Option<Key> {
    // RFC 7517 section 4.2: who has its private half may decrypt, and not sign.
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => RSA,
        AlgorithmParameters::EllipticCurve(curve)
            if matches!(curve.curve, EllipticCurve::P256 | EllipticCurve::P384) =>
        {
            EC
        }
        AlgorithmParameters::OctetKeyPair(_) => ED,
        // A secret that everybody can fetch signs nothing.
        _ => return None,
    };
    let key = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key { id: jwk.common.key_id.clone(), algorithms, key })
}

// === impl Demands ===

impl Demands {
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        match &self.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                validation.required_spec_claims.insert("aud".into());
            }
            None => validation.validate_aud = false,
        }
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".into());
        }
        validation
    }
}

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];
const EC: &[Algorithm] = &[Algorithm::ES256, Algorithm::ES384];
const ED: &[Algorithm] = &[Algorithm::EdDSA];

/// Clocks of two machines differ a little.
const LEEWAY_S: u64 = 5;

const MAX_TOKEN_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests;
