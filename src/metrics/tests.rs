use whitewater_signaling::control::{
    DelayInfo, DeliveryState, Heard, LayerInfo, PlayerProtocol, ShardInfo, TrackInfo,
};

use super::*;

fn snapshot() -> Snapshot {
    let shard = ShardInfo {
        packets_out: 12,
        bytes_out: 9,
        bytes_in: 7,
        nacked: 5,
        links_waiting: 8,
        dropped_flood: 3,
        ..ShardInfo::default()
    };
    let layer = LayerInfo { rid: Some("h".into()), bitrate_bps: 700_000, ..LayerInfo::default() };
    let video = TrackInfo { kind: "video".into(), layers: vec![layer], ..TrackInfo::default() };
    Snapshot {
        server: ServerInfo {
            version: "1.2.3".into(),
            turns: DelayInfo { count: 2, buckets: vec![(150, 2)], ..DelayInfo::default() },
            tap_waiting: 4,
            forwarding_delay: DelayInfo {
                count: 5,
                buckets: vec![(90, 1), (900, 3), (400_000, 1)],
                ..DelayInfo::default()
            },
            shards: vec![shard, ShardInfo::default()],
            ..ServerInfo::default()
        },
        streams: vec![StreamInfo {
            name: "show".into(),
            live: true,
            viewers: 4,
            hls_viewers: 6,
            dash_viewers: 2,
            tracks: vec![video],
            ..StreamInfo::default()
        }],
        held: 2,
        refused: 6,
    }
}

#[test]
fn requests_are_told_apart_by_their_files() {
    let rows = [
        ("/hls/a/index.m3u8", "index"),
        ("/hls/a/e-1/v0.m3u8", "playlist"),
        ("/hls/a/~1.x/e-1/v0/7.m4s", "segment"),
        ("/hls/a/e-1/v0/7.3.m4s", "part"),
        ("/hls/a/e-1/v0/init-0.mp4", "init"),
        ("/replay/a/e-1/download.mp4", "download"),
        ("/hls/a", "other"),
    ];
    for (path, kind) in rows {
        assert_eq!(kind_of(path), kind, "{path}");
    }
}

#[test]
fn names_units_and_labels_are_as_documented() {
    let counted = Counted::default();
    let hls = &counted.hls;
    hls.answered("part", 200);
    hls.answered("part", 200);
    hls.packaged(2, 1, Some(Duration::from_millis(3)));
    hls.skew(Duration::from_millis(15));
    hls.transcoded(3, 20, 1);
    counted.webhooks.knows("w");
    counted.webhooks.tried("w", Some(500), Duration::from_millis(20));
    counted.webhooks.finished("w", DeliveryState::GivenUp);
    counted.webhooks.waits("w", 3);
    let over_hls = PlayerProtocol::Hls;
    counted.audience.heard(over_hls, Heard::Taken);
    counted.audience.started(over_hls, Duration::from_millis(600));
    counted.audience.latency(PlayerProtocol::Whep, Duration::from_millis(150));
    counted.audience.waited(over_hls, 2, Duration::from_millis(1_500), 1);
    let text = text(&counted, snapshot()).unwrap();
    for line in [
        "whitewater_build{version=\"1.2.3\"} 1.0",
        "whitewater_http_requests_refused_total 6",
        "whitewater_packets_sent_total{shard=\"0\"} 12",
        "whitewater_packets_sent_total{shard=\"1\"} 0",
        "whitewater_sent_bytes_total{shard=\"0\"} 9",
        "whitewater_dropped_total{shard=\"0\",reason=\"flood\"} 3",
        "whitewater_streams{state=\"live\"} 1.0",
        "whitewater_stream_viewers{stream=\"show\"} 4.0",
        "whitewater_stream_hls_viewers{stream=\"show\"} 6.0",
        "whitewater_viewers{protocol=\"whep\"} 4.0",
        "whitewater_viewers{protocol=\"hls\"} 6.0",
        "whitewater_stream_dash_viewers{stream=\"show\"} 2.0",
        "whitewater_viewers{protocol=\"dash\"} 2.0",
        "whitewater_beacons_total{protocol=\"hls\",outcome=\"taken\"} 1",
        "whitewater_player_stalls_total{protocol=\"hls\"} 2",
        "whitewater_player_stalled_seconds_total{protocol=\"hls\"} 1.5",
        "whitewater_player_errors_total{protocol=\"hls\"} 1",
        "whitewater_player_startup_seconds_bucket{le=\"1.0\",protocol=\"hls\"} 1",
        "whitewater_glass_to_glass_latency_seconds_bucket{le=\"0.2\",protocol=\"whep\"} 1",
        "whitewater_layer_bitrate_bps{stream=\"show\",kind=\"video\",rid=\"h\"} 700000.0",
        "whitewater_forwarding_delay_seconds_bucket{le=\"0.0001\"} 1",
        "whitewater_forwarding_delay_seconds_bucket{le=\"0.001\"} 4",
        "whitewater_forwarding_delay_seconds_bucket{le=\"+Inf\"} 5",
        "whitewater_forwarding_delay_seconds_count 5",
        "whitewater_shard_turn_seconds_bucket{le=\"0.0002\"} 2",
        "whitewater_received_bytes_total{shard=\"0\"} 7",
        "whitewater_packets_nacked_total{shard=\"0\"} 5",
        "whitewater_queued{queue=\"link\",shard=\"0\"} 8.0",
        "whitewater_queued{queue=\"tap\",shard=\"\"} 4.0",
        "whitewater_hls_requests_total{kind=\"part\",code=\"200\"} 2",
        "whitewater_hls_held_requests 2",
        "whitewater_hls_parts_total 2",
        "whitewater_hls_gap_parts_total 1",
        "whitewater_transcoder_dropped_pictures_total 3",
        "whitewater_transcoder_repeated_pictures_total 20",
        "whitewater_transcoder_rebuilt_pipelines_total 1",
        "whitewater_hls_part_latency_seconds_bucket{le=\"0.005\"} 1",
        "whitewater_webhook_events_total{webhook=\"w\",outcome=\"given_up\"} 1",
        "whitewater_webhook_events_total{webhook=\"w\",outcome=\"dropped\"} 0",
        "whitewater_webhook_requests_total{webhook=\"w\",code=\"500\"} 1",
        "whitewater_webhook_waiting{webhook=\"w\"} 3",
        "whitewater_webhook_request_seconds_bucket{le=\"0.03\"} 1",
        "whitewater_layer_keyframe_skew_seconds_bucket{le=\"0.01\"} 0",
        "whitewater_layer_keyframe_skew_seconds_bucket{le=\"0.02\"} 1",
    ] {
        assert!(text.lines().any(|have| have == line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
    let described = text.lines().filter(|line| line.starts_with("# TYPE")).count();
    let helped = text.lines().filter(|line| line.starts_with("# HELP")).count();
    assert_eq!(described, helped);
}
