//! A publisher of VP8 that a decoder takes.

use std::time::Duration;

use whitewater_core::media::Kind;

use super::support::Server;
use super::support::peer::{Ask, Outgoing, Peer};
use super::{media, pictures};

/// Publishes VP8 that a decoder takes, and packets of sound, until it is dropped.
pub(super) struct Publisher(tokio::task::AbortHandle);

impl Publisher {
    pub(super) async fn start(server: &Server, stream: &str) -> Self {
        let pictures = pictures::vp8((640, 360), 90);
        let sound = media::opus(&media::hiss(3), 2, "20");
        let peer = Peer::publish(server, stream, &Ask::default()).await.connected().await;
        let task = async move {
            let mut tick = tokio::time::interval(Duration::from_micros(33_333));
            let (mut seq, mut heard) = (7_u16, 0_u64);
            for number in 0_u64.. {
                tick.tick().await;
                // Three seconds of pictures, again and again.
                let frame = &pictures[(number % 90) as usize];
                let chunks: Vec<_> = frame.data.chunks(1_100).collect();
                for (at, chunk) in chunks.iter().enumerate() {
                    let mut payload = vec![if at == 0 { 0x10 } else { 0 }];
                    payload.extend_from_slice(chunk);
                    let packet = Outgoing {
                        marker: at + 1 == chunks.len(),
                        seq,
                        timestamp: (number * 3_000) as u32,
                        payload,
                        ..Outgoing::default()
                    };
                    peer.send(Kind::Video, 0, &packet);
                    seq = seq.wrapping_add(1);
                }
                while heard * 3 < number * 5 {
                    let packet = Outgoing {
                        marker: false,
                        seq: heard as u16,
                        timestamp: (heard * 960) as u32,
                        payload: sound[(heard % 150) as usize].clone(),
                        ..Outgoing::default()
                    };
                    peer.send(Kind::Audio, 0, &packet);
                    heard += 1;
                }
            }
        };
        Self(tokio::spawn(task).abort_handle())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.0.abort();
    }
}
