//! Tests of HLS as a strict player sees it: a simulcast publisher, playlists followed by blocking reloads.

#![allow(clippy::unwrap_used)]

mod support;

#[path = "transcode/media.rs"]
#[allow(dead_code, reason = "it makes pictures only")]
mod media;

#[path = "transcode/pictures.rs"]
#[allow(dead_code, reason = "it makes VP8 only")]
mod pictures;

#[path = "hls/boxes.rs"]
mod boxes;

#[path = "hls/slow.rs"]
mod slow;

#[path = "hls/bare.rs"]
mod bare;

#[path = "hls/vp8.rs"]
mod vp8;

#[path = "hls/ending.rs"]
mod ending;

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use support::Server;

/// What keeps a machine busy does so alone: encoders that do not keep up leave gaps.
static BUSY: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A publisher of three layers that ends with the test.
struct Publisher(Child);

impl Publisher {
    fn start(server: &Server, stream: &str) -> Self {
        Self::with(server, stream, &[])
    }

    fn with(server: &Server, stream: &str, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whitewater"));
        command.args(["load", "whip", "--seconds", "60"]).args(options);
        if !options.contains(&"--layers") {
            command.args(["--layers", "3"]);
        }
        command.arg("--url");
        command.arg(server.url(&format!("/whip/{stream}")));
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A media playlist as far as a player reads it.
#[derive(Clone, Debug, Default)]
struct Playlist {
    target_duration: f64,
    part_target: f64,
    first: u64,
    init: String,
    /// When segments begin by the wall clock.
    dates: Vec<String>,
    /// Complete segments: duration and address.
    segments: Vec<(f64, String)>,
    /// Each part with the place of its segment; whether the segment is complete.
    parts: Vec<Part>,
    gaps: usize,
    discontinuities: usize,
    ended: bool,
}

#[derive(Clone, Debug)]
struct Part {
    segment: usize,
    duration: f64,
    uri: String,
    independent: bool,
    gap: bool,
}

impl Playlist {
    fn read(text: &str) -> Self {
        let mut playlist = Self::default();
        let mut duration = 0.0;
        for line in text.lines() {
            let open =
                || playlist.parts.last().is_some_and(|p| p.segment == playlist.segments.len());
            if ["MAP", "DISCONTINUITY", "PROGRAM-DATE-TIME"].iter().any(|tag| is_tag(line, tag)) {
                assert!(!open(), "H12: {line} stands behind a part of its segment: {text}");
            }
            let value = |name: &str| -> Option<String> {
                let rest = line.split_once(&format!("{name}="))?.1;
                let rest = rest.trim_start_matches('"');
                Some(rest.split(['"', ',']).next()?.to_owned())
            };
            if line.starts_with("#EXT-X-PART-INF") {
                playlist.part_target = value("PART-TARGET").unwrap().parse().unwrap();
            } else if let Some(target) = line.strip_prefix("#EXT-X-TARGETDURATION:") {
                playlist.target_duration = target.parse().unwrap();
            } else if let Some(first) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                playlist.first = first.parse().unwrap();
            } else if line.starts_with("#EXT-X-MAP") {
                playlist.init = value("URI").unwrap();
            } else if line.starts_with("#EXT-X-PART:") {
                playlist.parts.push(Part {
                    segment: playlist.segments.len(),
                    duration: value("DURATION").unwrap().parse().unwrap(),
                    uri: value("URI").unwrap(),
                    independent: line.contains("INDEPENDENT=YES"),
                    gap: line.contains("GAP=YES"),
                });
                playlist.gaps += usize::from(line.contains("GAP=YES"));
            } else if let Some(date) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
                playlist.dates.push(date.to_owned());
            } else if let Some(text) = line.strip_prefix("#EXTINF:") {
                duration = text.trim_end_matches(',').parse().unwrap();
            } else if line == "#EXT-X-DISCONTINUITY" {
                playlist.discontinuities += 1;
            } else if line == "#EXT-X-ENDLIST" {
                playlist.ended = true;
            } else if !line.starts_with('#') && !line.is_empty() {
                playlist.segments.push((duration, line.to_owned()));
            }
        }
        playlist
    }

    /// The part after the last one.
    fn next(&self) -> (u64, usize) {
        let open = self.parts.iter().filter(|part| part.segment == self.segments.len());
        (self.first + self.segments.len() as u64, open.count())
    }

    fn assert_parts(&self, name: &str) {
        for (at, part) in self.parts.iter().enumerate() {
            let last = self.parts.get(at + 1).is_none_or(|next| next.segment != part.segment);
            let before_gap = self.parts.get(at + 1).is_some_and(|next| next.gap);
            assert!(part.duration <= self.part_target + 1e-5, "H9: {name}: {part:?}");
            let short = part.duration < self.part_target * 0.85 - 1e-5;
            assert!(
                !short || last || part.gap || before_gap || part.independent,
                "H9: {name}: {part:?}"
            );
        }
    }
}

/// Whether a line is that tag and no longer one.
fn is_tag(line: &str, tag: &str) -> bool {
    let rest = line.strip_prefix("#EXT-X-").and_then(|line| line.strip_prefix(tag));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

async fn get(server: &Server, path: &str) -> (StatusCode, bytes::Bytes) {
    let response = Client::new().get(server.url(path)).send().await.unwrap();
    (response.status(), response.bytes().await.unwrap())
}

/// The index once it is there; a player goes on asking, too.
async fn index(server: &Server, stream: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        let (status, body) = get(server, &format!("/hls/{stream}/index.m3u8")).await;
        if status.is_success() {
            return String::from_utf8(body.to_vec()).unwrap();
        }
        assert!(Instant::now() < deadline, "{status}: {body:?}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// The addresses of the media playlists that an index names, relative to the stream.
fn playlists(index: &str) -> Vec<String> {
    let quoted = |line: &str| Some(line.split_once("URI=\"")?.1.split('"').next()?.to_owned());
    let sound = index.lines().filter(|line| line.starts_with("#EXT-X-MEDIA:")).filter_map(quoted);
    let pictures = index.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    pictures.map(str::to_owned).chain(sound).collect()
}

/// Follows a playlist part by part until it has so many whole segments.
async fn follow(server: &Server, stream: &str, path: &str, segments: usize) -> Playlist {
    let read = |body: bytes::Bytes| Playlist::read(std::str::from_utf8(&body).unwrap());
    let mut playlist = read(get(server, &format!("/hls/{stream}/{path}")).await.1);
    while playlist.segments.len() < segments && !playlist.ended {
        let (msn, part) = playlist.next();
        let query = format!("/hls/{stream}/{path}?_HLS_msn={msn}&_HLS_part={part}");
        let (status, body) = get(server, &query).await;
        assert!(status.is_success(), "H42: {query}: {status}");
        let newer = read(body);
        assert!(newer.next() > (msn, part), "H42: {:?} after {:?}", newer.next(), (msn, part));
        assert!(newer.first >= playlist.first, "H5");
        newer.assert_parts(path);
        playlist = newer;
    }
    playlist
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn layers_are_qualities_with_the_same_segments_and_parts_that_decode() {
    let server = Server::start().await;
    let (status, body) = get(&server, "/hls/show/index.m3u8").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body:?}");
    let publisher = Publisher::start(&server, "show");
    let index = index(&server, "show").await;
    let paths = playlists(&index);
    assert_eq!(paths.len(), 4, "three pictures and their sound: {index}");
    let avc1_and_aac = index.contains("CODECS=\"avc1.") && index.contains("mp4a.40.2\"");
    assert!(avc1_and_aac, "H81, H89, H91: {index}");

    let follow = |at: usize| follow(&server, "show", &paths[at], 4);
    let (a, b, c, d) = tokio::join!(follow(0), follow(1), follow(2), follow(3));
    let all = [a, b, c, d];
    let folder = tempfile::tempdir().unwrap();
    let mut durations = BTreeMap::new();
    for (path, playlist) in paths.iter().zip(&all) {
        assert_eq!(playlist.gaps, 0, "{path}: {playlist:#?}");
        assert!(playlist.segments.iter().all(|(seconds, _)| *seconds < 3.5), "H4: {path}");
        let name = path.rsplit('/').next().unwrap().trim_end_matches(".m3u8");
        let base = format!("/hls/show/{}", path.rsplit_once('/').unwrap().0);
        let mut file = get(&server, &format!("{base}/{}", playlist.init)).await.1.to_vec();
        let (timescale, mut ends) = (boxes::timescale(&file), None);
        for (number, (_, uri)) in playlist.segments.iter().enumerate() {
            let whole = get(&server, &format!("{base}/{uri}")).await.1;
            let mut joined = Vec::new();
            for part in playlist.parts.iter().filter(|part| part.segment == number) {
                joined.extend(get(&server, &format!("{base}/{}", part.uri)).await.1);
            }
            // The parts of old segments are no longer listed.
            assert!(joined.is_empty() || joined == whole, "H13: {name} {number}");
            let fragment = boxes::Fragment::read(&whole);
            assert!(fragment.starts_with_sync, "H24, C6: {name} {number}");
            assert!(fragment.rising, "{name} {number}: the numbers of fragments rise");
            if let Some(end) = ends {
                assert_eq!(fragment.start, end, "H30, C5: {name} {number}");
            }
            let seconds = (fragment.end - fragment.start) as f64 / f64::from(timescale);
            let said = playlist.segments[number].0;
            assert!((seconds - said).abs() < 0.000_01, "H30: {name}: {seconds} s, EXTINF {said}");
            ends = Some(fragment.end);
            file.extend(&whole);
        }
        let file_name = folder.path().join(format!("{name}.mp4"));
        std::fs::write(&file_name, file).unwrap();
        let decoded = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "warning", "-i"])
            .arg(&file_name)
            .args(["-f", "null", "-"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&decoded.stderr).into_owned();
        assert!(decoded.status.success() && said.is_empty(), "{name}: {said}");
        if name.starts_with('v') {
            let list: Vec<_> = playlist.segments.iter().map(|(seconds, _)| *seconds).collect();
            durations.insert(name.to_owned(), list[..4].to_vec());
        }
    }
    let dates: Vec<_> = all.iter().map(|playlist| playlist.dates[..4].to_vec()).collect();
    assert!(dates[..3].iter().all(|list| *list == dates[0]), "H19, H87: {dates:?}");
    let first = durations.values().next().unwrap().clone();
    assert!(durations.values().all(|list| *list == first), "H87: {durations:?}");
    drop(publisher);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_is_replaced_is_a_discontinuity_in_the_same_playlists() {
    let server = Server::with_config("[[streams]]\nmatch = \"*\"\ntakeover = true\n").await;
    let first = Publisher::start(&server, "show");
    let before = index(&server, "show").await;
    let second = Publisher::start(&server, "show");
    let paths = playlists(&before);
    let deadline = Instant::now() + Duration::from_secs(30);
    for path in &paths {
        loop {
            let (status, body) = get(&server, &format!("/hls/show/{path}")).await;
            let playlist = Playlist::read(std::str::from_utf8(&body).unwrap());
            assert!(status.is_success() && !playlist.ended, "the epoch goes on: {status}");
            if playlist.discontinuities == 1 && playlist.parts.last().is_some_and(|part| !part.gap)
            {
                break;
            }
            assert!(Instant::now() < deadline, "H21: {path}: {playlist:#?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    drop((first, second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_last_as_long_as_the_gop_of_a_publisher_that_ignores_requests() {
    let server = Server::start().await;
    let publisher = Publisher::with(&server, "show", &["--like", "obs", "--gop", "4"]);
    // Its first keyframe is none of its clock; who comes later sees regular ones.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let index = index(&server, "show").await;
    let paths = playlists(&index);
    let follow = |at: usize| follow(&server, "show", &paths[at], 4);
    let (a, b, c, d) = tokio::join!(follow(0), follow(1), follow(2), follow(3));
    for (path, playlist) in paths.iter().zip([a, b, c, d]) {
        assert_eq!(playlist.target_duration, 5.0, "H4: {path}");
        assert_eq!((playlist.gaps, playlist.ended), (0, false), "{path}: {playlist:#?}");
        playlist.assert_parts(path);
        let pictures = !path.ends_with("aac.m3u8");
        let regular = |seconds: &f64| (3.7..4.3).contains(seconds);
        assert!(playlist.segments[1..].iter().all(|(s, _)| regular(s)), "H87: {path}");
        let mut begins = playlist.parts.iter().zip(playlist.parts.iter().skip(1));
        assert!(
            !pictures || begins.all(|(one, next)| one.segment == next.segment || next.independent),
            "H2: {path}"
        );
    }
    drop(publisher);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_comes_as_both_codecs_where_that_is_configured() {
    let policy = "[[streams]]\nmatch = \"*\"\nhls_sound = \"both\"\n";
    let server = Server::with_config(policy).await;
    let publisher = Publisher::start(&server, "show");
    let index = index(&server, "show").await;
    let with = |codec: &str| {
        let variants = index.lines().filter(|line| line.starts_with("#EXT-X-STREAM-INF"));
        variants.filter(|line| line.contains(&format!(",{codec}\""))).count()
    };
    assert_eq!((with("mp4a.40.2"), with("Opus")), (3, 3), "{index}");
    for sound in ["aac.m3u8", "opus.m3u8"] {
        let path = playlists(&index).into_iter().find(|path| path.ends_with(sound)).unwrap();
        let playlist = follow(&server, "show", &path, 3).await;
        assert_eq!(playlist.gaps, 0, "{sound}: {playlist:#?}");
    }
    ending::ends_properly(server, "show", &playlists(&index)).await;
    drop(publisher);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_and_the_window_last_what_the_policy_says() {
    let policy = "[[streams]]\nmatch = \"*\"\nhls_segment_s = 3\nhls_window_s = 10\n";
    let server = Server::with_config(policy).await;
    let publisher = Publisher::start(&server, "show");
    let index = index(&server, "show").await;
    let path = playlists(&index).into_iter().find(|path| !path.ends_with("aac.m3u8")).unwrap();
    let playlist = follow(&server, "show", &path, 5).await;
    assert_eq!(playlist.target_duration, 4.0, "H4: {playlist:#?}");
    let (segments, _) = playlist.segments[1..].as_chunks::<4>();
    let mean = segments[0].iter().map(|(seconds, _)| seconds).sum::<f64>() / 4.0;
    assert!((2.8..3.2).contains(&mean), "H80: {mean}: {playlist:#?}");
    // The least that a playlist has is six segments, whatever the window.
    let deadline = Instant::now() + Duration::from_secs(20);
    let window = loop {
        let (_, text) = get(&server, &format!("/hls/show/{path}")).await;
        let playlist = Playlist::read(std::str::from_utf8(&text).unwrap());
        if playlist.first > 0 {
            break playlist;
        }
        assert!(Instant::now() < deadline, "nothing leaves the playlist: {playlist:#?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    assert_eq!((window.first, window.segments.len()), (1, 6), "{window:#?}");
    drop(publisher);
}

#[tokio::test]
async fn a_stream_whose_policy_says_off_is_not_packaged() {
    let server = Server::with_config("[[streams]]\nmatch = \"*\"\nhls = \"off\"\n").await;
    let publisher = Publisher::start(&server, "show");
    while !get(&server, "/api/v1/streams/show").await.0.is_success() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let deadline = Instant::now() + Duration::from_secs(3);
    while Instant::now() < deadline {
        let (status, body) = get(&server, "/hls/show/index.m3u8").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["detail"], "HLS is off for this stream", "{problem}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    drop(publisher);
}

/// What `ffprobe` finds in a file: rows of these entries.
fn probed(file: &std::path::Path, entries: &str) -> Vec<Vec<String>> {
    let output = Command::new("ffprobe")
        .args(["-v", "warning", "-select_streams", "v", "-of", "csv=p=0", "-show_entries", entries])
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vp8_becomes_h264_whose_segments_are_exact_and_begin_with_keyframes() {
    let _alone = BUSY.lock().await;
    let server = Server::start().await;
    let publisher = vp8::Publisher::start(&server, "show").await;
    let index = index(&server, "show").await;
    let paths = playlists(&index);
    assert_eq!(paths.len(), 2, "a picture and its sound: {index}");
    assert!(index.contains("CODECS=\"avc1.4d40") && index.contains("mp4a.40.2\""), "H81: {index}");
    assert!(index.contains("RESOLUTION=640x360") && index.contains("FRAME-RATE=30"), "{index}");

    let (picture, sound) =
        tokio::join!(follow(&server, "show", &paths[0], 4), follow(&server, "show", &paths[1], 4));
    assert_eq!((picture.gaps, sound.gaps), (0, 0), "{picture:#?} {sound:#?}");
    let base = format!("/hls/show/{}", paths[0].rsplit_once('/').unwrap().0);
    let init = get(&server, &format!("{base}/{}", picture.init)).await.1;
    let folder = tempfile::tempdir().unwrap();
    for (number, (seconds, uri)) in picture.segments.iter().enumerate() {
        assert!((seconds - 2.0).abs() < 1e-5, "segment {number} lasts {seconds} s");
        let segment = get(&server, &format!("{base}/{uri}")).await.1;
        let file = folder.path().join(format!("{number}.mp4"));
        std::fs::write(&file, [&init[..], &segment[..]].concat()).unwrap();
        let streams = probed(&file, "stream=codec_name,width,height");
        assert_eq!(streams, [["h264", "640", "360"]]);
        let packets = probed(&file, "packet=pts_time,flags");
        // A machine that is busy with other tests may leave some out.
        assert!((45..=60).contains(&packets.len()), "segment {number}: {} frames", packets.len());
        let mut last = None;
        for (at, packet) in packets.iter().enumerate() {
            assert_eq!(packet[1].starts_with('K'), at == 0, "segment {number}: {packets:?}");
            let tick = packet[0].parse::<f64>().unwrap() * 30.0;
            assert!((tick - tick.round()).abs() < 3e-3, "segment {number}: {packet:?}");
            assert!(at > 0 || tick.round() as usize == number * 60, "{number}: {packet:?}");
            assert!(last < Some(tick.round() as u64), "{packets:?}");
            last = Some(tick.round() as u64);
        }
    }
    drop(publisher);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_layer_is_a_ladder_where_the_policy_says_so() {
    let _alone = BUSY.lock().await;
    let toml = "[[streams]]\nmatch = \"*\"\nhls_ladder = [\"720p\", \"360p\"]\n";
    let server = Server::with_config(toml).await;
    let publisher = Publisher::with(&server, "show", &["--layers", "1"]);
    let index = index(&server, "show").await;
    let paths = playlists(&index);
    assert_eq!(paths.len(), 3, "the layer, what is below it, and sound: {index}");
    assert!(paths[0].ends_with("/v0.m3u8") && paths[1].ends_with("/t1.m3u8"), "{index}");
    assert!(
        index.contains("RESOLUTION=1280x720") && index.contains("RESOLUTION=640x360"),
        "{index}"
    );
    let (layer, rung) =
        tokio::join!(follow(&server, "show", &paths[0], 4), follow(&server, "show", &paths[1], 4));
    assert_eq!((layer.gaps, rung.gaps), (0, 0), "{layer:#?} {rung:#?}");
    assert_eq!(layer.first, rung.first, "H87");
    // The layer is cut at its own keyframes about the ticks, what is made of it at the ticks.
    assert!(rung.segments.iter().all(|(seconds, _)| (seconds - 2.0).abs() < 1e-5), "{rung:#?}");
    drop(publisher);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_slow_connections_harm_nobody() {
    let _alone = BUSY.lock().await;
    let process = slow::Process::start();
    let server = &process.server;
    let publisher = Publisher::start(server, "show");
    let path = playlists(&index(server, "show").await).remove(0);
    let before = follow(server, "show", &path, 2).await;
    let media = format!("/hls/show/{}/{}", path.rsplit_once('/').unwrap().0, before.segments[0].1);
    let count = slow::allowed(10_000);
    let resident = process.resident_kib();
    let mut crowd = slow::Crowd::connect(server, count, &media).await;
    let began = Instant::now();
    let after = follow(server, "show", &path, before.segments.len() + 2).await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?} for 4 s", began.elapsed());
    assert_eq!(after.gaps, 0, "{after:#?}");
    let each = process.resident_kib().saturating_sub(resident) / count;
    assert!(each < 64, "{each} KiB for each of {count}");
    // Who does not finish a request is given up after 10 s.
    let given_up = crowd.given_up(Duration::from_secs(20)).await;
    assert_eq!(given_up, crowd.silent.len(), "of {count} connections");
    let (status, _) = get(server, &media).await;
    assert!(status.is_success(), "{status} beside {} who do not read", crowd.deaf.len());
    drop(publisher);
}
