//! A certificate that is read from its files, and read again when they change.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::task::JoinHandle;

use super::HttpError;
use crate::config::Tls;

/// A certificate that is served. It is cheap to clone; all clones change together.
#[derive(Clone)]
pub struct Certificate {
    served: RustlsConfig,
    files: Arc<Mutex<Files>>,
}

/// A certificate that was read and can be served.
pub struct Read {
    config: Arc<ServerConfig>,
    files: Files,
}

/// The files, and how they were when they were read.
#[derive(Clone, PartialEq, Eq)]
struct Files {
    tls: Tls,
    state: Vec<Option<(SystemTime, u64)>>,
}

// === impl Certificate ===

impl Certificate {
    /// Reads a certificate.
    pub(super) fn new(tls: &Tls) -> Result<Self, HttpError> {
        let Read { config, files } = read(tls)?;
        let files = Arc::new(Mutex::new(files));
        Ok(Self { served: RustlsConfig::from_config(config), files })
    }

    /// Reads another one, which [`Self::set`] lets hold.
    pub fn read(&self, tls: &Tls) -> Result<Read, HttpError> {
        read(tls)
    }

    /// Serves another one to whoever connects from now on.
    pub fn set(&self, read: Read) {
        *self.files() = read.files;
        self.served.reload_from_config(read.config);
    }

    pub(super) fn served(&self) -> RustlsConfig {
        self.served.clone()
    }

    /// Looks after the files every few seconds. The task ends when it is aborted.
    ///
    /// Looking works wherever files are: a certificate is replaced by renaming, by turning a link of a
    /// folder above it, or on a network's file system.
    pub(super) fn watch(&self) -> JoinHandle<()> {
        let me = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let me = me.clone();
                // Files may hang.
                let _ = tokio::task::spawn_blocking(move || me.look()).await;
            }
        })
    }

    fn look(&self) {
        let known = self.files().clone();
        let state = state(&known.tls);
        if state == known.state {
            return;
        }
        match read(&known.tls) {
            Ok(read) => {
                self.set(read);
                tracing::info!("the certificate has changed: the new one is served from now on");
            }
            Err(error) => {
                // It is told once; whoever is still writing will change the files again.
                self.files().state = state;
                tracing::error!(
                    %error,
                    "the certificate has changed and cannot be used: the one before stays in force"
                );
            }
        }
    }

    fn files(&self) -> std::sync::MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn state(tls: &Tls) -> Vec<Option<(SystemTime, u64)>> {
    let of = |path: &PathBuf| {
        let about = fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len()))
    };
    [&tls.cert, &tls.key].map(of).into()
}

fn read(tls: &Tls) -> Result<Read, HttpError> {
    let unusable =
        |key, path: &Path, reason: String| HttpError::File { key, path: path.into(), reason };
    let cert = |reason| unusable("tls_cert", &tls.cert, reason);
    let key = |reason| unusable("tls_key", &tls.key, reason);

    // What changes while it is read is looked at once more.
    let files = Files { tls: tls.clone(), state: state(tls) };
    let pem = fs::read(&tls.cert).map_err(|error| cert(error.to_string()))?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| cert(error.to_string()))?;
    if chain.is_empty() {
        return Err(cert("it holds no PEM certificate".into()));
    }
    let pem = fs::read(&tls.key).map_err(|error| key(error.to_string()))?;
    let private = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| key("it holds no PEM private key".into()))?;

    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Read { config: Arc::new(config), files })
}

const LOOK_EVERY: Duration = Duration::from_secs(2);
