//! The files of HTTPS: whether they can be read, belong together, and are valid today.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::finding::Finding;
use crate::config::Tls;

pub(super) fn examine(tls: &Tls) -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let read = |path: &std::path::Path| {
        fs::read(path).map_err(|error| {
            let what = format!("{} cannot be read: {error}", path.display());
            Finding::problem(CHECK, what, "let this account read it, or name another file")
        })
    };
    let pem = read(&tls.cert).and_then(|cert| Ok((cert, read(&tls.key)?)));
    pem.and_then(|(cert, key)| judge(tls, &cert, &key, now.as_secs()))
        .unwrap_or_else(|finding| finding)
}

fn judge(tls: &Tls, cert: &[u8], key: &[u8], now_s: u64) -> Result<Finding, Finding> {
    let (cert_name, key_name) = (tls.cert.display(), tls.key.display());
    let problem = |what: String, todo: &str| Finding::problem(CHECK, what, todo);
    let chain: Vec<_> = CertificateDer::pem_slice_iter(cert).filter_map(Result::ok).collect();
    let leaf = chain.first().ok_or_else(|| {
        problem(format!("{cert_name} holds no PEM certificate"), "put the chain there, leaf first")
    })?;
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| {
        problem(format!("the certificate of {cert_name} cannot be read: {error}"), "get another")
    })?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
        problem(format!("{key_name} holds no PEM private key"), "name the key of the certificate")
    })?;
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(key);
    let key = key.map_err(|error| {
        problem(format!("the key of {key_name} cannot be used: {error}"), "make another")
    })?;
    if CertifiedKey::new(chain.clone(), key).keys_match().is_err() {
        let what = format!("the key of {key_name} is not that of {cert_name}");
        return Err(problem(what, "name the two files of one certificate"));
    }
    let validity = parsed.validity();
    let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    let now = i64::try_from(now_s).unwrap_or(i64::MAX);
    if now < from {
        let what = format!("the certificate is valid only from {} on", validity.not_before);
        return Err(problem(what, "see whether the clock is right"));
    }
    if now > until {
        let what = format!("the certificate has expired on {}", validity.not_after);
        return Err(problem(what, "renew it"));
    }
    let days = (until - now) / 86_400;
    if days < SOON_DAYS {
        let what = format!("the certificate expires in {days} days");
        return Ok(Finding::warning(CHECK, what, "renew it"));
    }
    Ok(Finding::fine(CHECK, format!("the files fit together, for {days} more days")))
}

const CHECK: &str = "tls";
const SOON_DAYS: i64 = 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_do_not_serve_are_told_apart() {
        let made = |name: &str| {
            let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            (made.cert.pem(), made.signing_key.serialize_pem())
        };
        let ((cert, key), (_, other)) = (made("a.example"), made("b.example"));
        let tls = Tls { cert: "cert.pem".into(), key: "key.pem".into() };
        let said = |cert: &str, key: &str, now_s: u64| {
            let judged = judge(&tls, cert.as_bytes(), key.as_bytes(), now_s);
            judged.unwrap_or_else(|finding| finding).to_string()
        };
        // Such a certificate is valid from 1975 to 4096.
        let now = 1_800_000_000;
        let rows = [
            (cert.as_str(), key.as_str(), now, "fine     tls: the files fit together"),
            (&cert, &other, now, "PROBLEM  tls: the key of key.pem is not that of cert.pem"),
            ("", &key, now, "PROBLEM  tls: cert.pem holds no PEM certificate"),
            (&cert, "", now, "PROBLEM  tls: key.pem holds no PEM private key"),
            (&cert, &key, 0, "PROBLEM  tls: the certificate is valid only from"),
            (&cert, &key, 67_090_000_000 + 86_400_000, "PROBLEM  tls: the certificate has expired"),
        ];
        for (cert, key, now_s, start) in rows {
            let said = said(cert, key, now_s);
            assert!(said.starts_with(start), "{said}");
        }
        let missing = Tls { cert: "none/cert.pem".into(), key: "none/key.pem".into() };
        assert!(examine(&missing).to_string().contains("none/cert.pem cannot be read"));
    }
}
