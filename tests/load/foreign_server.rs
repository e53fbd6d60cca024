//! A WHIP and WHEP server whose every session is the `webrtc` crate's peer connection.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::{delete, post};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::transport::RTCDtlsRole;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCIceGatheringState, RTCSessionDescription, Registry, register_default_interceptors,
};
use whitewater_core::media::Kind;

/// A server that runs as long as its runtime.
pub(crate) struct ForeignServer {
    address: std::net::SocketAddr,
    shared: Arc<Shared>,
}

/// What the server does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// Asks publishers for keyframes.
    pub(crate) asks: bool,
    /// Leaves out every 40th picture packet for its viewers, and cannot repeat it.
    pub(crate) skips: bool,
    /// Takes the active DTLS role.
    pub(crate) active: bool,
}

struct Shared {
    manner: Manner,
    sessions: Mutex<Vec<Arc<dyn PeerConnection>>>,
    received: Mutex<Vec<(Kind, rtp::Packet)>>,
    deleted: AtomicUsize,
}

struct Handler {
    shared: Arc<Shared>,
    gathered: Arc<tokio::sync::Notify>,
}

// === impl ForeignServer ===

impl ForeignServer {
    pub(crate) async fn start(manner: Manner) -> Self {
        let shared = Arc::new(Shared {
            manner,
            sessions: Mutex::default(),
            received: Mutex::default(),
            deleted: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/whip/a", post(take_publisher))
            .route("/whep/a", post(take_viewer))
            .route("/session", delete(end))
            .with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The packets of a track that publishers sent, in the order of their arrival.
    pub(crate) fn received(&self, kind: Kind) -> Vec<rtp::Packet> {
        let received = self.shared.received.lock().unwrap();
        received.iter().filter(|(of, _)| *of == kind).map(|(_, packet)| packet.clone()).collect()
    }

    /// How many sessions were deleted.
    pub(crate) fn deleted(&self) -> usize {
        self.shared.deleted.load(Ordering::Relaxed)
    }
}

type Answered = (StatusCode, HeaderMap, String);

async fn take_publisher(State(shared): State<Arc<Shared>>, offer: String) -> Answered {
    answer(shared, offer, &[]).await
}

async fn take_viewer(State(shared): State<Arc<Shared>>, offer: String) -> Answered {
    let opus = codec("audio/opus", 48_000, 2, "minptime=10;useinbandfec=1");
    let h264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
    let h264 = codec("video/H264", 90_000, 0, h264);
    let tracks = [(RtpCodecKind::Audio, opus, 77), (RtpCodecKind::Video, h264, 78)];
    let tracks = tracks.map(|(kind, codec, ssrc)| {
        let encoding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                ssrc: Some(ssrc),
                ..RTCRtpCodingParameters::default()
            },
            codec,
            ..RTCRtpEncodingParameters::default()
        };
        let name = format!("track-{ssrc}");
        let track =
            MediaStreamTrack::new("stream".into(), name.clone(), name, kind, vec![encoding]);
        Arc::new(TrackLocalStaticRTP::new(track))
    });
    let answered = answer(shared.clone(), offer, &tracks).await;
    // The payload types are the offer's; the answer repeats them.
    let pts = ["opus/", "H264/"].map(|name| payload_type(&answered.2, name));
    tokio::spawn(play(shared.manner, tracks, pts));
    answered
}

async fn end(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.deleted.fetch_add(1, Ordering::Relaxed);
    StatusCode::OK
}

async fn answer(
    shared: Arc<Shared>,
    offer: String,
    tracks: &[Arc<TrackLocalStaticRTP>],
) -> Answered {
    let gathered = Arc::new(tokio::sync::Notify::new());
    let mut engine = MediaEngine::default();
    engine.register_default_codecs().unwrap();
    let registry = register_default_interceptors(Registry::new(), &mut engine).unwrap();
    let role = if shared.manner.active { RTCDtlsRole::Client } else { RTCDtlsRole::Server };
    let settings = SettingEngineBuilder::new().with_answering_dtls_role(role);
    let handler = Handler { shared: shared.clone(), gathered: gathered.clone() };
    let connection = PeerConnectionBuilder::new()
        .with_media_engine(engine)
        .with_setting_engine(settings.build())
        .with_interceptor_registry(registry)
        .with_handler(Arc::new(handler))
        .with_udp_addrs(vec!["127.0.0.1:0"])
        .build()
        .await
        .unwrap();
    let connection: Arc<dyn PeerConnection> = Arc::new(connection);
    for track in tracks {
        connection.add_track(track.clone() as Arc<dyn TrackLocal>).await.unwrap();
    }
    let offer = RTCSessionDescription::offer(offer).unwrap();
    connection.set_remote_description(offer).await.unwrap();
    let answer = connection.create_answer(None).await.unwrap();
    connection.set_local_description(answer).await.unwrap();
    let _ = tokio::time::timeout(Duration::from_secs(5), gathered.notified()).await;
    let answer = connection.local_description().await.unwrap().sdp;
    shared.sessions.lock().unwrap().push(connection);
    let headers = HeaderMap::from_iter([
        (axum::http::header::CONTENT_TYPE, HeaderValue::from_static("application/sdp")),
        // Relative to the endpoint's path.
        (axum::http::header::LOCATION, HeaderValue::from_static("../session")),
    ]);
    (StatusCode::CREATED, headers, answer)
}

/// Sends 25 pictures of two packets and 50 sounds a second; every 25th picture is a keyframe.
async fn play(manner: Manner, [sound, picture]: [Arc<TrackLocalStaticRTP>; 2], pts: [u8; 2]) {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let mut seq = 0_u16;
    for number in 0_u32.. {
        tick.tick().await;
        let packet = packet(77, pts[0], number as u16, number * 960, true, &[0x78, 1, 2, 3]);
        if sound.write_rtp(packet).await.is_err() {
            return;
        }
        if number % 2 != 0 {
            continue;
        }
        let keyframe = number % 50 == 0;
        // The two halves of a fragmented slice.
        let (indicator, kind) = if keyframe { (0x7C, 5) } else { (0x5C, 1) };
        for (flags, marker) in [(0x80, false), (0x40, true)] {
            let mut payload = vec![indicator, flags | kind, 0x88];
            payload.resize(600, 0x55);
            let packet = self::packet(78, pts[1], seq, number * 1800, marker, &payload);
            let is_skipped = manner.skips && seq % 40 == 39;
            if !is_skipped && picture.write_rtp(packet).await.is_err() {
                return;
            }
            seq = seq.wrapping_add(1);
        }
    }
}

fn packet(
    ssrc: u32,
    payload_type: u8,
    sequence_number: u16,
    timestamp: u32,
    marker: bool,
    payload: &[u8],
) -> rtp::Packet {
    let header = rtp::Header {
        version: 2,
        marker,
        payload_type,
        sequence_number,
        timestamp,
        ssrc,
        ..rtp::Header::default()
    };
    rtp::Packet { header, payload: payload.to_vec().into() }
}

fn payload_type(sdp: &str, name: &str) -> u8 {
    let line = sdp.lines().find(|line| line.starts_with("a=rtpmap:") && line.contains(name));
    let (pt, _) = line.unwrap()["a=rtpmap:".len()..].split_once(' ').unwrap();
    pt.parse().unwrap()
}

fn codec(mime_type: &str, clock_rate: u32, channels: u16, fmtp: &str) -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: mime_type.into(),
        clock_rate,
        channels,
        sdp_fmtp_line: fmtp.into(),
        rtcp_feedback: vec![],
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.notify_one();
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let is_audio = track.kind().await == RtpCodecKind::Audio;
            let kind = if is_audio { Kind::Audio } else { Kind::Video };
            let mut count = 0_u32;
            while let Some(event) = track.poll().await {
                let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
                let media_ssrc = packet.header.ssrc;
                shared.received.lock().unwrap().push((kind, packet));
                count += 1;
                if shared.manner.asks && kind == Kind::Video && count.is_multiple_of(300) {
                    let pli = PictureLossIndication { sender_ssrc: 1, media_ssrc };
                    track.write_rtcp(vec![Box::new(pli)]).await.unwrap();
                }
            }
        });
    }
}
