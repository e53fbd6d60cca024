//! The keys of the sections that are lists: ICE servers, and policies of streams.

use super::options::{Arity, Key, each};
use super::value::{self, Parsed};
use super::{IceServer, Policy, StreamPolicy};

pub(super) const ICE_SERVER_KEYS: &[Key<IceServer>] = &[
    Key {
        name: "urls",
        default: "",
        help: "One URL or a list: `stun:`, `stuns:`, `turn:` or `turns:`.",
        arity: Arity::Many,
        set: |server, v| each(v, value::ice_url).map(|urls| server.urls = urls),
    },
    Key {
        name: "username",
        default: "",
        help: "The user name; TURN needs one.",
        arity: Arity::One,
        set: |server, v| {
            server.username = Some(v[0].clone());
            Ok(())
        },
    },
    Key {
        name: "credential",
        default: "",
        help: "The password. It reaches every client, but no log of ours.",
        arity: Arity::One,
        set: |server, v| {
            server.credential = Some(v[0].clone());
            Ok(())
        },
    },
];

/// A `[[streams]]` section while it is read.
pub(super) type OpenPolicy = (Option<super::Pattern>, Policy);

pub(super) const STREAM_KEYS: &[Key<OpenPolicy>] = &[
    Key {
        name: "match",
        default: "",
        help: "The stream names it holds for; `*` stands for any run of characters.",
        arity: Arity::One,
        set: |(pattern, _), v| {
            *pattern =
                Some(v[0].parse().map_err(|e: super::pattern::InvalidPattern| e.to_string())?);
            Ok(())
        },
    },
    Key {
        name: "max_bitrate_bps",
        default: "",
        help: "Bits per second from the publisher, all layers together; none is \
               `max_publisher_bitrate`.",
        arity: Arity::One,
        set: |(_, policy), v| {
            value::bitrate_bps(&v[0]).map(|bps| policy.max_bitrate_bps = Some(bps))
        },
    },
    Key {
        name: "reconnect_window_s",
        default: "10",
        help: "Seconds that viewers wait for a publisher that went away, from its last packet \
               on; at most 3600.",
        arity: Arity::One,
        set: |(_, policy), v| value::seconds(&v[0]).map(|window| policy.reconnect_window = window),
    },
    Key {
        name: "takeover",
        default: "false",
        help: "Whether anybody may take the stream over from its publisher, also from one that \
               is there.",
        arity: Arity::One,
        set: |(_, policy), v| value::boolean(&v[0]).map(|takeover| policy.takeover = takeover),
    },
    Key {
        name: "hls",
        default: "on_demand",
        help: "When the stream is packaged for [HLS](hls.md): `on_demand` while somebody watches \
               it there, `always` while it is live, or `off`.",
        arity: Arity::One,
        set: |(_, policy), v| value::hls(&v[0]).map(|hls| policy.hls = hls),
    },
    Key {
        name: "hls_segment_s",
        default: "2",
        help: "Seconds that [HLS](hls.md) segments last, 2 to 10. Each begins with a keyframe: \
               longer ones leave more bits to the picture, and make a change of quality slower.",
        arity: Arity::One,
        set: |(_, policy), v| value::hls_segment(&v[0]).map(|lasts| policy.hls_segment = lasts),
    },
    Key {
        name: "hls_window_s",
        default: "120",
        help: "Seconds that players of HLS and DASH can go back, 10 to 86400. What is recorded is \
               read from there after `hls_memory_s`; else a rendition has to fit in 256 MiB.",
        arity: Arity::One,
        set: |(_, policy), v| value::hls_window(&v[0]).map(|window| policy.hls_window = window),
    },
    Key {
        name: "hls_memory_s",
        default: "180",
        help: "Seconds that media for HLS and DASH stays in memory where it is recorded too, 10 to 86400. \
               Less takes less memory where players can go back further.",
        arity: Arity::One,
        set: |(_, policy), v| value::hls_window(&v[0]).map(|memory| policy.hls_memory = memory),
    },
    Key {
        name: "hls_sound",
        default: "aac",
        help: "What HLS players get as sound: `aac`, which all of them take, `opus` as it comes \
               from WebRTC, or `both`, and each player chooses.",
        arity: Arity::One,
        set: |(_, policy), v| value::hls_sound(&v[0]).map(|sound| policy.hls_sound = sound),
    },
    Key {
        name: "hls_ladder",
        default: "off",
        help: "Qualities that are [transcoded](transcoding.md) out of a single layer: a list \
               such as `[\"720p\", \"360p\"]`, which is what `auto` means, or `off`. None is larger \
               than its source. VP8 is transcoded even where it says `off`, to one quality of 720p \
               at most.",
        arity: Arity::Many,
        set: |(_, policy), v| value::hls_ladder(v).map(|ladder| policy.hls_ladder = ladder),
    },
    Key {
        name: "hls_codec",
        default: "h264",
        help: "What transcoded pictures are encoded as: `h264`, or `h265`, which takes several \
               times the work.",
        arity: Arity::One,
        set: |(_, policy), v| value::hls_codec(&v[0]).map(|codec| policy.hls_codec = codec),
    },
    Key {
        name: "record",
        default: "always",
        help: "Whether the stream is [recorded](recording.md) whenever it is live: `always` or `off`. \
               The API starts and stops recordings either way.",
        arity: Arity::One,
        set: |(_, policy), v| value::record(&v[0]).map(|record| policy.record = record),
    },
    Key {
        name: "record_renditions",
        default: "source",
        help: "What is recorded of it: `source` as it comes, `ladder` what is transcoded, `aac` the \
               sound for every player, or renditions by name, such as `v0`. Sound and picture are \
               always among it.",
        arity: Arity::Many,
        set: |(_, policy), v| {
            each(v, value::rendition).map(|renditions| policy.record_renditions = renditions)
        },
    },
    Key {
        name: "record_max_age_h",
        default: "0",
        help: "Hours after their end that recordings are kept; 0 is for ever.",
        arity: Arity::One,
        set: |(_, policy), v| value::hours(&v[0]).map(|age| policy.record_max_age = age),
    },
    Key {
        name: "record_max_size",
        default: "0",
        help: "Bytes of all recordings of one stream, such as `50G`; the oldest are deleted above \
               it. 0 is no limit.",
        arity: Arity::One,
        set: |(_, policy), v| value::size(&v[0]).map(|bytes| policy.record_max_size = bytes),
    },
    Key {
        name: "access",
        default: "",
        help: "Who may publish and watch it: `open` everybody, `token` who has a token, `hook` \
               whom the hook lets; none is what `[auth]` calls for.",
        arity: Arity::One,
        set: |(_, policy), v| value::access(&v[0]).map(|access| policy.access = Some(access)),
    },
];

pub(super) fn complete_policy((pattern, policy): OpenPolicy) -> Parsed<StreamPolicy> {
    let pattern = pattern.ok_or("match is missing")?;
    Ok(StreamPolicy { pattern, policy })
}
