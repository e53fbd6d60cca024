use std::io::Write;

use jsonwebtoken::EncodingKey;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use serde_json::{Value, json};

use super::*;

fn now() -> u64 {
    crate::auth::unix_time().as_secs()
}

fn claims() -> Value {
    json!({"exp": now() + 60, "action": "watch", "stream": "show"})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn signed(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, key).unwrap()
}

fn secret(text: &str) -> (Vec<Key>, EncodingKey) {
    let keys = vec![of_secret(&Secret::new(text)).unwrap()];
    (keys, EncodingKey::from_secret(text.as_bytes()).unwrap())
}

fn why(keys: &[Key], demands: &Demands, token: &str) -> String {
    match verify(keys, demands, token) {
        Ok(_) => "valid".into(),
        Err(Wrong::UnknownKey) => "unknown key".into(),
        Err(Wrong::NoToken(why) | Wrong::Invalid(why)) => why,
    }
}

#[test]
fn a_token_is_valid_in_its_time_for_its_audience() {
    let (keys, key) = secret("0123456789abcdef0123456789abcdef");
    let anybody = Demands::default();
    let demanding = Demands { audience: Some("us".into()), issuer: Some("them".into()) };
    let mut complete = with("aud", json!(["us", "others"]));
    complete["iss"] = json!("them");
    let rows = [
        (&anybody, claims(), "valid"),
        (&anybody, with("aud", json!("whoever")), "valid"),
        (&anybody, with("exp", json!(now() - 10)), "it has expired"),
        (&anybody, with("nbf", json!(now() + 60)), "it is not valid yet"),
        (&anybody, with("nbf", json!(now() - 60)), "valid"),
        (&demanding, complete.clone(), "valid"),
        (&demanding, with("aud", json!("us")), "it has no iss"),
        (&demanding, with("iss", json!("them")), "it has no aud"),
        (
            &demanding,
            {
                complete["aud"] = json!("others");
                complete
            },
            "it is for another audience",
        ),
    ];
    for (demands, claims, want) in rows {
        let token = signed(Algorithm::HS512, &key, &claims);
        assert_eq!(why(&keys, demands, &token), want, "W14: {claims}");
    }
    let mut endless = claims();
    endless.as_object_mut().unwrap().remove("exp");
    let token = signed(Algorithm::HS256, &key, &endless);
    assert_ne!(why(&keys, &anybody, &token), "valid", "W14: every token ends");
}

#[test]
fn a_token_of_another_key_or_none_is_worth_nothing() {
    let (keys, _) = secret("0123456789abcdef0123456789abcdef");
    let (_, other) = secret("another secret, also long enough");
    let demands = Demands::default();
    let token = signed(Algorithm::HS256, &other, &claims());
    assert_eq!(why(&keys, &demands, &token), "unknown key");
    // {"alg":"none"}
    let body = token.split('.').nth(1).unwrap();
    for text in
        [format!("eyJhbGciOiJub25lIn0.{body}."), "a.b.c".into(), "".into(), "x".repeat(9000)]
    {
        assert!(
            !["valid", "unknown key"].contains(&why(&keys, &demands, &text).as_str()),
            "{text}"
        );
    }
}

#[test]
fn public_keys_of_each_kind_check_tokens_and_are_no_secrets() {
    let demands = Demands::default();
    let pem = |text: &str| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    };
    let p256 = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let ed = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let ec_key =
        |pair: &KeyPair| EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    let ed_key = EncodingKey::from_ed_pem(ed.serialize_pem().as_bytes()).unwrap();
    let rows = [
        (&p256, Algorithm::ES256, ec_key(&p256)),
        (&p384, Algorithm::ES384, ec_key(&p384)),
        (&ed, Algorithm::EdDSA, ed_key),
    ];
    for (pair, algorithm, signer) in rows {
        let public = pair.public_key_pem();
        let keys = vec![read_pem(pem(&public).path()).unwrap()];
        let token = signed(algorithm, &signer, &claims());
        assert_eq!(why(&keys, &demands, &token), "valid", "{algorithm:?}");
        // Everybody knows the public key: it must not pass as a shared secret.
        let forged = EncodingKey::from_secret(public.as_bytes()).unwrap();
        let token = signed(Algorithm::HS256, &forged, &claims());
        assert_eq!(why(&keys, &demands, &token), "unknown key", "{algorithm:?}");
    }
    assert!(read_pem(pem("no key").path()).is_err());
}

#[test]
fn a_key_of_a_set_that_is_for_encryption_checks_no_tokens() {
    let set = |purpose: Value| {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let key = json!({"kty": "OKP", "crv": "Ed25519", "use": purpose, "x": x});
        serde_json::from_value::<JwkSet>(json!({"keys": [key]})).unwrap()
    };
    assert_eq!(of_set(&set(json!("sig"))).len(), 1);
    assert_eq!(of_set(&set(Value::Null)).len(), 1, "for anything");
    assert_eq!(of_set(&set(json!("enc"))).len(), 0);
}
