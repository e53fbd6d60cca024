//! A client that is not ours: the `webrtc` crate's peer connection, as publisher and as viewer.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCOfferOptions;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RtpCodecKind,
};
use tokio::task::AbortHandle;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCIceGatheringState, RTCPeerConnectionState, RTCSessionDescription, Registry,
    SettingEngineBuilder, SrtpProtectionProfile, register_default_interceptors,
};
use webrtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use whitewater_core::media::{Codec, Kind};

use super::Server;
use super::camera::payload;
use super::http::{self, Opened, value_of};

/// How a client connects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// The DTLS role that it offers.
    pub(crate) setup: &'static str,
    /// Whether it knows nothing but the oldest protection.
    pub(crate) only_sha1: bool,
    /// Whether its offer has candidates.
    pub(crate) candidates: bool,
    /// What it publishes.
    pub(crate) codec: Codec,
}

/// One client with its session.
pub(crate) struct Foreign {
    pub(crate) session: Opened,
    connection: Arc<dyn PeerConnection>,
    seen: Arc<Mutex<Seen>>,
    tracks: Vec<(Kind, u8, Arc<TrackLocalStaticRTP>)>,
    shots: Arc<Mutex<Vec<Shot>>>,
    shooting: Option<AbortHandle>,
    codec: Codec,
}

/// What a client saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) states: Vec<RTCPeerConnectionState>,
    /// Packets in the order of their arrival.
    pub(crate) packets: Vec<(Kind, Instant, rtp::Packet)>,
    gathered: bool,
}

/// A track and the payload that was sent on it.
type Shot = (Kind, Vec<u8>);

struct Handler(Arc<Mutex<Seen>>);

// === impl Manner ===

impl Default for Manner {
    fn default() -> Self {
        Self { setup: "actpass", only_sha1: false, candidates: true, codec: Codec::Vp8 }
    }
}

// === impl Foreign ===

impl Foreign {
    /// Opens a publisher's session with sound and picture, and waits until it is connected.
    pub(crate) async fn publish(server: &Server, stream: &str, manner: Manner) -> Self {
        let (audio, video) = (parameters(Codec::Opus), parameters(manner.codec));
        let mut engine = MediaEngine::default();
        engine.register_codec(audio.clone(), RtpCodecKind::Audio).unwrap();
        engine.register_codec(video.clone(), RtpCodecKind::Video).unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let connection = build(engine, manner, seen.clone()).await;
        let mut tracks = Vec::new();
        for (kind, parameters, ssrc) in [(Kind::Audio, audio, 77), (Kind::Video, video, 78)] {
            let pt = parameters.payload_type;
            let track = Arc::new(TrackLocalStaticRTP::new(track(kind, parameters.rtp_codec, ssrc)));
            let init = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Sendonly,
                streams: vec![],
                send_encodings: vec![],
            };
            connection.add_transceiver_from_track(track.clone(), Some(init)).await.unwrap();
            tracks.push((kind, pt, track));
        }
        Self::open(server, &format!("/whip/{stream}"), manner, connection, seen, tracks).await
    }

    /// Opens a viewer's session, and waits until it is connected.
    pub(crate) async fn watch(server: &Server, stream: &str, manner: Manner) -> Self {
        let mut engine = MediaEngine::default();
        engine.register_default_codecs().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let connection = build(engine, manner, seen.clone()).await;
        for kind in [RtpCodecKind::Audio, RtpCodecKind::Video] {
            let init = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Recvonly,
                streams: vec![],
                send_encodings: vec![],
            };
            connection.add_transceiver_from_kind(kind, Some(init)).await.unwrap();
        }
        Self::open(server, &format!("/whep/{stream}"), manner, connection, seen, Vec::new()).await
    }

    async fn open(
        server: &Server,
        endpoint: &str,
        manner: Manner,
        connection: Arc<dyn PeerConnection>,
        seen: Arc<Mutex<Seen>>,
        tracks: Vec<(Kind, u8, Arc<TrackLocalStaticRTP>)>,
    ) -> Self {
        let offer = connection.create_offer(None).await.unwrap();
        connection.set_local_description(offer).await.unwrap();
        until("candidates are gathered", &seen, |seen| seen.gathered).await;
        let offer = connection.local_description().await.unwrap().sdp;
        let offer = offer.replace("a=setup:actpass", &format!("a=setup:{}", manner.setup));
        let kept = |line: &&str| manner.candidates || !line.starts_with("a=candidate:");
        let offer: String = offer.lines().filter(kept).map(|line| format!("{line}\r\n")).collect();
        let session = http::open(server, endpoint, &offer, None).await;
        let answer = RTCSessionDescription::answer(session.answer.clone()).unwrap();
        connection.set_remote_description(answer).await.unwrap();
        until("it is connected", &seen, |seen| {
            seen.states.contains(&RTCPeerConnectionState::Connected)
        })
        .await;
        let (shots, codec) = (Arc::default(), manner.codec);
        Self { session, connection, seen, tracks, shots, shooting: None, codec }
    }

    /// Begins to send: a picture and a sound every 20 ms, every 15th picture a keyframe.
    pub(crate) fn shoot(&mut self) {
        let (tracks, shots, codec) = (self.tracks.clone(), self.shots.clone(), self.codec);
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            for number in 0_u32.. {
                tick.tick().await;
                for (kind, pt, track) in &tracks {
                    let (codec, hz) = match kind {
                        Kind::Audio => (Codec::Opus, 48_000),
                        Kind::Video => (codec, 90_000),
                    };
                    let body = payload(codec, number % 15 == 0, true, u64::from(number));
                    shots.lock().unwrap().push((*kind, body.clone()));
                    let header = rtp::Header {
                        version: 2,
                        marker: true,
                        payload_type: *pt,
                        sequence_number: number as u16,
                        timestamp: number.wrapping_mul(hz / 50),
                        ssrc: if *kind == Kind::Audio { 77 } else { 78 },
                        ..rtp::Header::default()
                    };
                    let packet = rtp::Packet { header, payload: body.into() };
                    if track.write_rtp(packet).await.is_err() {
                        return;
                    }
                }
            }
        });
        self.shooting = Some(task.abort_handle());
    }

    /// The payloads of a track that were sent so far.
    pub(crate) fn shots(&self, kind: Kind) -> Vec<Vec<u8>> {
        let shots = self.shots.lock().unwrap();
        shots.iter().filter(|(of, _)| *of == kind).map(|(_, payload)| payload.clone()).collect()
    }

    /// The packets of a track that came so far.
    pub(crate) fn received(&self, kind: Kind) -> Vec<(Instant, rtp::Packet)> {
        let seen = self.seen.lock().unwrap();
        let packets = seen.packets.iter().filter(|(of, ..)| *of == kind);
        packets.map(|(_, at, packet)| (*at, packet.clone())).collect()
    }

    /// Waits until so many more packets of each track came.
    pub(crate) async fn receives(&self, more: usize) {
        let count = |seen: &Seen, kind| seen.packets.iter().filter(|(of, ..)| *of == kind).count();
        let counts = |seen: &Seen| [Kind::Audio, Kind::Video].map(|kind| count(seen, kind));
        let before = counts(&self.seen.lock().unwrap());
        until("sound and picture arrive", &self.seen, |seen| {
            counts(seen).iter().zip(before).all(|(now, before)| *now >= before + more)
        })
        .await;
    }

    /// Begins another ICE session through the session's URL.
    pub(crate) async fn restart_ice(&mut self) -> reqwest::StatusCode {
        let options = RTCOfferOptions { ice_restart: true };
        let offer = self.connection.create_offer(Some(options)).await.unwrap();
        let (ufrag, pwd) = ("a=ice-ufrag:", "a=ice-pwd:");
        let credentials = [ufrag, pwd].map(|name| value_of(&offer.sdp, name).to_owned());
        self.connection.set_local_description(offer).await.unwrap();
        let [new_ufrag, new_pwd] = &credentials;
        let (status, _, fragment) = http::patch(&self.session.url, "*", new_ufrag, new_pwd).await;
        let mut answer = self.session.answer.clone();
        for name in [ufrag, pwd] {
            let (old, new) = (value_of(&answer, name).to_owned(), value_of(&fragment, name));
            answer = answer.replace(&format!("{name}{old}"), &format!("{name}{new}"));
        }
        self.session.answer = answer.clone();
        let answer = RTCSessionDescription::answer(answer).unwrap();
        self.connection.set_remote_description(answer).await.unwrap();
        status
    }

    /// Says goodbye.
    pub(crate) async fn close(&self) {
        self.connection.close().await.unwrap();
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(task) = &self.shooting {
            task.abort();
        }
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        self.0.lock().unwrap().gathered |= state == RTCIceGatheringState::Complete;
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.0.lock().unwrap().states.push(state);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let seen = self.0.clone();
        tokio::spawn(async move {
            let is_audio = track.kind().await == RtpCodecKind::Audio;
            let kind = if is_audio { Kind::Audio } else { Kind::Video };
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    seen.lock().unwrap().packets.push((kind, Instant::now(), packet));
                }
            }
        });
    }
}

async fn build(
    mut engine: MediaEngine,
    manner: Manner,
    seen: Arc<Mutex<Seen>>,
) -> Arc<dyn PeerConnection> {
    let registry = register_default_interceptors(Registry::new(), &mut engine).unwrap();
    let mut settings = SettingEngineBuilder::new();
    if manner.only_sha1 {
        let only = SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80;
        settings = settings.with_srtp_protection_profiles(vec![only]);
    }
    let connection = PeerConnectionBuilder::new()
        .with_media_engine(engine)
        .with_setting_engine(settings.build())
        .with_interceptor_registry(registry)
        .with_handler(Arc::new(Handler(seen)))
        .with_udp_addrs(vec!["127.0.0.1:0"])
        .build()
        .await
        .unwrap();
    Arc::new(connection)
}

async fn until(what: &str, seen: &Mutex<Seen>, is: impl Fn(&Seen) -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !is(&seen.lock().unwrap()) {
        let shown = || {
            let seen = seen.lock().unwrap();
            format!("{:?}, {} packets", seen.states, seen.packets.len())
        };
        assert!(tokio::time::Instant::now() < deadline, "{what}: {}", shown());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn track(kind: Kind, codec: RTCRtpCodec, ssrc: u32) -> MediaStreamTrack {
    let media = match kind {
        Kind::Audio => RtpCodecKind::Audio,
        Kind::Video => RtpCodecKind::Video,
    };
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            ssrc: Some(ssrc),
            ..RTCRtpCodingParameters::default()
        },
        codec,
        ..RTCRtpEncodingParameters::default()
    };
    let name = kind.to_string();
    MediaStreamTrack::new("stream".into(), name.clone(), name, media, vec![encoding])
}

fn parameters(codec: Codec) -> RTCRtpCodecParameters {
    let (media, clock_rate, channels, pt, fmtp) = match codec {
        Codec::Opus => ("audio", 48_000, 2, 111, "minptime=10;useinbandfec=1"),
        Codec::H264 => {
            let fmtp = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
            ("video", 90_000, 0, 125, fmtp)
        }
        Codec::Vp9 => ("video", 90_000, 0, 98, "profile-id=0"),
        Codec::Vp8 => ("video", 90_000, 0, 96, ""),
        Codec::Av1 => ("video", 90_000, 0, 41, ""),
        Codec::H265 => ("video", 90_000, 0, 126, ""),
    };
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: format!("{media}/{}", codec.name()),
            clock_rate,
            channels,
            sdp_fmtp_line: fmtp.into(),
            rtcp_feedback: vec![],
        },
        payload_type: pt,
    }
}
