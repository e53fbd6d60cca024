//! A dialler that opens sessions at a WHIP or WHEP server: HTTP for the SDP, a UDP socket for each.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use socket2::{Domain, Protocol, Socket, Type};
use whitewater_core::rtc::connection::{self, Connection};
use whitewater_core::rtc::sdp::{self, Agreed, Fingerprint, Local};
use whitewater_core::rtc::{Credentials, IceRole, Identity, Section};

use super::secrets::Secrets;

/// Opens sessions at one endpoint. Cheap to clone.
#[derive(Clone)]
pub(super) struct Dialler {
    http: reqwest::Client,
    url: Url,
    token: Option<String>,
    local_ip: IpAddr,
    secrets: Secrets,
    identity: Arc<Identity>,
}

/// A session whose SDP is agreed on; its handshake begins with the first timeout.
pub(super) struct Dialled {
    /// Nonblocking and not connected.
    pub(super) socket: UdpSocket,
    pub(super) connection: Connection,
    pub(super) sections: Vec<Section>,
    /// Where to delete the session.
    pub(super) session: Option<Url>,
    /// When the answer was there.
    pub(super) answered_at: Instant,
    /// From the POST to the answer.
    pub(super) answer_took: Duration,
}

// === impl Dialler ===

impl Dialler {
    pub(super) async fn new(url: &Url, token: Option<String>) -> anyhow::Result<Self> {
        let host = url.host_str().with_context(|| format!("URL without a host: {url}"))?;
        let port = url.port_or_known_default().unwrap_or(80);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut found = tokio::net::lookup_host((host, port))
            .await
            .with_context(|| format!("host is not known: {host}"))?;
        let server = found.next().with_context(|| format!("host has no address: {host}"))?;
        let secrets = Secrets::new();
        let identity = Identity::generate(secrets.provider())?;
        Ok(Self {
            http: reqwest::Client::builder().timeout(HTTP_TIMEOUT).build()?,
            url: url.clone(),
            token,
            local_ip: local_ip_towards(server)?,
            secrets,
            identity,
        })
    }

    pub(super) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Opens one session. The offer is made by the caller, who may keep what is in it.
    pub(super) async fn dial(
        &self,
        offer: impl FnOnce(&Local<'_>) -> String,
    ) -> anyhow::Result<Dialled> {
        let socket = bind(self.local_ip).context("no UDP socket")?;
        let candidate = SocketAddr::new(self.local_ip, socket.local_addr()?.port());
        let (ufrag, pwd) = (self.secrets.text(8), self.secrets.text(24));
        let credentials = Credentials { ufrag, pwd };
        let cname = self.secrets.text(16);
        let offer = offer(&Local {
            ice: &credentials,
            fingerprint: &Fingerprint::sha256(*self.identity.fingerprint()),
            candidates: &[candidate],
            tcp: false,
            session_id: self.secrets.number() >> 2,
            cname: &cname,
        });
        let asked_at = Instant::now();
        let (session, answer) = self.post(&offer).await?;
        let answered_at = Instant::now();
        let agreed = sdp::read_answer(&offer, &answer).context("the answer is not usable")?;
        let connection = self.connection(answered_at, credentials, &agreed)?;
        Ok(Dialled {
            socket,
            connection,
            sections: agreed.sections,
            session,
            answered_at,
            answer_took: answered_at - asked_at,
        })
    }

    /// Ends a session; a server that does not answer has ended it too.
    pub(super) async fn delete(&self, session: Url) {
        let _ = self.authorised(self.http.delete(session)).send().await;
    }

    /// Fetches any JSON of the server.
    pub(super) async fn fetch(&self, url: &Url) -> Option<serde_json::Value> {
        self.authorised(self.http.get(url.clone())).send().await.ok()?.json().await.ok()
    }

    async fn post(&self, offer: &str) -> anyhow::Result<(Option<Url>, String)> {
        let request = self.authorised(self.http.post(self.url.clone()));
        let request = request.header(CONTENT_TYPE, "application/sdp").body(offer.to_owned());
        let response = request.send().await.context("no answer over HTTP")?;
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|it| it.to_str().ok());
        if status != StatusCode::CREATED && status != StatusCode::OK {
            let later = header(RETRY_AFTER).map(|after| format!(", retry after {after} s"));
            bail!("{status}{}", later.unwrap_or_default());
        }
        let session = match header(LOCATION) {
            // Relative to where a redirect has led.
            Some(location) => Some(response.url().join(location).context("bad Location")?),
            None => None,
        };
        Ok((session, response.text().await.context("the answer broke off")?))
    }

    fn authorised(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    fn connection(
        &self,
        now: Instant,
        local: Credentials,
        agreed: &Agreed,
    ) -> anyhow::Result<Connection> {
        let remote = &agreed.remote;
        let reachable = |candidate: &&SocketAddr| candidate.is_ipv4() == self.local_ip.is_ipv4();
        let remote_candidates: Vec<_> =
            remote.candidates.iter().filter(reachable).copied().collect();
        if remote_candidates.is_empty() {
            return Err(anyhow!("the answer has no UDP candidate of our address family"));
        }
        Ok(Connection::new(
            now,
            connection::Config {
                ice: IceRole::Controlling,
                local,
                remote: Credentials {
                    ufrag: remote.ice.ufrag.clone(),
                    pwd: remote.ice.pwd.clone(),
                },
                remote_fingerprint: remote.fingerprint.value.clone(),
                dtls_client: agreed.dtls_client,
                identity: Arc::clone(&self.identity),
                crypto: Arc::clone(self.secrets.provider()),
                remote_candidates,
                seed: self.secrets.number(),
            },
        )?)
    }
}

fn bind(local_ip: IpAddr) -> io::Result<UdpSocket> {
    let any = match local_ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let address = SocketAddr::new(any, 0);
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // The kernel grants what its limits allow.
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

// The kernel's routes say which of our addresses the server sees.
fn local_ip_towards(server: SocketAddr) -> anyhow::Result<IpAddr> {
    let any = match server {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server).with_context(|| format!("no route to {server}"))?;
    Ok(socket.local_addr()?.ip())
}

const HTTP_TIMEOUT: Duration = Duration::from_secs(20);
const BUFFER_BYTES: usize = 4 << 20;
