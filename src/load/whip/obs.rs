//! An offer that reads like OBS Studio's: no candidates, no transport-wide numbers, and layers named by
//! number, the highest first.

use std::fmt::Write;

use whitewater_core::media::Rid;
use whitewater_core::rtc::sdp::{Local, PublishOffer};

/// The layers' names, smallest first; without simulcast there are none.
pub(super) fn rids(layers: u8) -> Vec<Rid> {
    match layers {
        1 => Vec::new(),
        layers => (0..layers).rev().map(|rid| Rid::new(rid.to_string())).collect(),
    }
}

/// The offer.
pub(super) fn offer(local: &Local<'_>, offer: &PublishOffer<'_>) -> String {
    let mut sdp = format!(
        "v=0\r\n\
         o=rtc {} 0 IN IP4 127.0.0.1\r\n\
         s=-\r\n\
         t=0 0\r\n\
         a=group:BUNDLE {tags}\r\n\
         a=group:LS {tags}\r\n\
         a=msid-semantic:WMS *\r\n\
         a=setup:actpass\r\n\
         a=ice-ufrag:{}\r\n\
         a=ice-pwd:{}\r\n\
         a=ice-options:ice2,trickle\r\n\
         a=fingerprint:{}\r\n",
        local.session_id & u64::from(u32::MAX),
        local.ice.ufrag,
        local.ice.pwd,
        local.fingerprint,
        tags = if offer.audio { "0 1" } else { "1" },
    );
    if offer.audio {
        let ssrc = offer.audio_ssrc.0;
        let _ = write!(
            sdp,
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
             c=IN IP4 0.0.0.0\r\n\
             a=mid:0\r\n\
             a=sendonly\r\n\
             a=ssrc:{ssrc} cname:obs\r\n\
             a=ssrc:{ssrc} msid:obs obs-audio\r\n\
             a=msid:obs obs-audio\r\n\
             a=rtcp-mux\r\n\
             a=rtpmap:111 opus/48000/2\r\n\
             a=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1\r\n"
        );
    }
    sdp.push_str(
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n\
         c=IN IP4 0.0.0.0\r\n\
         a=mid:1\r\n\
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
         a=extmap:2 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
         a=sendonly\r\n",
    );
    if offer.rids.is_empty() {
        let (ssrc, rtx) = (offer.video_ssrc.0, offer.video_rtx_ssrc.0);
        let _ = write!(
            sdp,
            "a=ssrc-group:FID {ssrc} {rtx}\r\n\
             a=ssrc:{ssrc} cname:obs\r\n\
             a=ssrc:{ssrc} msid:obs obs-video\r\n\
             a=ssrc:{rtx} cname:obs\r\n\
             a=ssrc:{rtx} msid:obs obs-video\r\n"
        );
    } else {
        let highest_first: Vec<&str> = offer.rids.iter().rev().map(Rid::as_str).collect();
        for rid in &highest_first {
            let _ = write!(sdp, "a=rid:{rid} send\r\n");
        }
        let _ = write!(sdp, "a=simulcast:send {}\r\n", highest_first.join(";"));
    }
    sdp.push_str(
        "a=msid:obs obs-video\r\n\
         a=rtcp-mux\r\n\
         a=rtpmap:96 H264/90000\r\n\
         a=rtcp-fb:96 nack\r\n\
         a=rtcp-fb:96 nack pli\r\n\
         a=rtcp-fb:96 goog-remb\r\n\
         a=fmtp:96 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1\r\n\
         a=rtpmap:97 rtx/90000\r\n\
         a=fmtp:97 apt=96\r\n",
    );
    sdp
}

#[cfg(test)]
mod tests {
    use whitewater_core::media::{Codec, Format, Ssrc};
    use whitewater_core::rtc::Credentials;
    use whitewater_core::rtc::sdp::{Fingerprint, PublishPolicy, answer_publish};

    use super::*;

    #[test]
    fn the_offer_is_answered_with_all_layers() {
        let ice = Credentials { ufrag: "Ky8Z".into(), pwd: "M8xq0dQm3zYHc1TnN4uRbE".into() };
        let local = Local {
            ice: &ice,
            fingerprint: &Fingerprint::sha256([7; 32]),
            candidates: &[],
            tcp: false,
            session_id: 1,
            cname: "x",
        };
        let video = Format::video(Codec::H264, "profile-level-id=42e01f");
        for (layers, want) in [(1, ""), (2, "0;1"), (3, "0;1;2")] {
            let rids = rids(layers);
            let parts = PublishOffer {
                audio: true,
                video: Some(&video),
                rids: &rids,
                audio_ssrc: Ssrc(1),
                video_ssrc: Ssrc(2),
                video_rtx_ssrc: Ssrc(3),
            };
            let agreed =
                answer_publish(&offer(&local, &parts), &local, &PublishPolicy::default()).unwrap();
            assert_eq!(agreed.sections.len(), 2);
            let line = format!("a=simulcast:recv {want}\r\n");
            assert_eq!(agreed.answer.contains(&line), layers > 1, "{}", agreed.answer);
            assert!(!agreed.sections[1].transport_wide && agreed.sections[1].nack);
        }
    }
}
