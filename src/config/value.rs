//! Values as people write them: addresses, numbers, bit rates, origins, ICE servers.
//!
//! A parser answers what is wrong in words that follow "bad value for KEY: ".

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use super::{Access, Hls, HlsCodec, HlsSound, IceServer, LogFormat, Record};

/// What a parser answers.
pub(super) type Parsed<T> = Result<T, String>;

pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| {
        format!("{text:?} is not an address with a port, such as 127.0.0.1:8080 or [::1]:8080")
    })
}

pub(super) fn public_ip(text: &str) -> Parsed<IpAddr> {
    let ip: IpAddr = text
        .parse()
        .map_err(|_| format!("{text:?} is not an IP address (no port, no name, no comma)"))?;
    if ip.is_unspecified() || ip.is_multicast() {
        return Err(format!("{ip} is not an address that anybody can send to"));
    }
    Ok(ip)
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    if text.is_empty() {
        return Err("it is empty, but must name a file or folder".into());
    }
    Ok(text.into())
}

pub(super) fn at_least_one(text: &str) -> Parsed<usize> {
    match number(text)? {
        0 => Err("0 would refuse everybody: give 1 or more".into()),
        number => Ok(number),
    }
}

/// How many; 0 is no limit.
pub(super) fn count(text: &str) -> Parsed<u32> {
    match number(text)? {
        count @ 0..=MAX_COUNT => Ok(count),
        count => Err(format!("{count} is more than {MAX_COUNT}; 0 is no limit")),
    }
}

/// A network, or one address.
pub(super) fn network(text: &str) -> Parsed<IpNet> {
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse().ok().map(IpAddr::into));
    network.map(|network| network.trunc()).ok_or_else(|| {
        format!("{text:?} is neither an address nor a network, such as 10.0.0.0/8 or fd00::/8")
    })
}

pub(super) fn burst(text: &str) -> Parsed<usize> {
    match number(text)? {
        burst @ 1..=64 => Ok(burst),
        burst => Err(format!("{burst} is not between 1 and 64")),
    }
}

pub(super) fn shards(text: &str) -> Parsed<Option<NonZeroUsize>> {
    match number(text)? {
        shards @ 0..=MAX_SHARDS => Ok(NonZeroUsize::new(shards)),
        shards => Err(format!("{shards} is more than {MAX_SHARDS} shards")),
    }
}

/// Bits per second: a number, or one with `k`, `M` or `G` after it.
pub(super) fn bitrate_bps(text: &str) -> Parsed<u64> {
    let wrong =
        || format!("{text:?} is not a bit rate in bits per second, such as 8000000, 800k or 8M");
    let (digits, scale) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'm' | 'M')) => (&text[..at], 1e6),
        Some((at, 'g' | 'G')) => (&text[..at], 1e9),
        _ => (text, 1.0),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.contains(['e', 'E']) {
        return Err(wrong());
    }
    let bps = digits.parse::<f64>().map_err(|_| wrong())? * scale;
    if !(1_000.0..=1e12).contains(&bps) {
        return Err(format!("{text} is not between 1k and 1000G bits per second"));
    }
    Ok(bps as u64)
}

/// Bytes; 0 is none, or no limit.
pub(super) fn size(text: &str) -> Parsed<u64> {
    let wrong = || format!("{text:?} is not a size in bytes, such as 500000000, 500M or 2T");
    let (digits, scale) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1_000),
        Some((at, 'm' | 'M')) => (&text[..at], 1_000_000),
        Some((at, 'g' | 'G')) => (&text[..at], 1_000_000_000),
        Some((at, 't' | 'T')) => (&text[..at], 1_000_000_000_000),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(scale)).ok_or_else(wrong)
}

/// Hours, up to a hundred years of them.
pub(super) fn hours(text: &str) -> Parsed<Duration> {
    match number::<u64>(text)? {
        hours @ 0..=876_000 => Ok(Duration::from_secs(hours * 3_600)),
        hours => Err(format!("{hours} is more than 876000 hours")),
    }
}

pub(super) fn record(text: &str) -> Parsed<Record> {
    match text {
        "always" => Ok(Record::Always),
        "off" => Ok(Record::Off),
        _ => Err(format!("{text:?} is neither always nor off")),
    }
}

/// The name of a rendition, or of some of them.
pub(super) fn rendition(text: &str) -> Parsed<String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=64).contains(&text.len()) && text.chars().all(valid) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is neither source, ladder, aac nor the name of a rendition, such as v0"))
}

pub(super) fn seconds(text: &str) -> Parsed<Duration> {
    match number(text)? {
        seconds @ 0..=3_600 => Ok(Duration::from_secs(seconds)),
        seconds => Err(format!("{seconds} is more than 3600 seconds")),
    }
}

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(format!("{other:?} is neither true nor false")),
    }
}

pub(super) fn hls(text: &str) -> Parsed<Hls> {
    match text {
        "on_demand" => Ok(Hls::OnDemand),
        "always" => Ok(Hls::Always),
        "off" => Ok(Hls::Off),
        other => Err(format!("{other:?} is none of on_demand, always and off")),
    }
}

pub(super) fn hls_sound(text: &str) -> Parsed<HlsSound> {
    match text {
        "aac" => Ok(HlsSound::Aac),
        "opus" => Ok(HlsSound::Opus),
        "both" => Ok(HlsSound::Both),
        other => Err(format!("{other:?} is none of aac, opus and both")),
    }
}

pub(super) fn access(text: &str) -> Parsed<Access> {
    match text {
        "open" => Ok(Access::Open),
        "token" => Ok(Access::Token),
        "hook" => Ok(Access::Hook),
        other => Err(format!("{other:?} is none of open, token and hook")),
    }
}

pub(super) fn when_down(text: &str) -> Parsed<bool> {
    match text {
        "deny" => Ok(false),
        "allow" => Ok(true),
        other => Err(format!("{other:?} is neither deny nor allow")),
    }
}

pub(super) fn not_empty(text: &str) -> Parsed<String> {
    if text.is_empty() { Err("it is empty".into()) } else { Ok(text.into()) }
}

pub(super) fn http_url(text: &str) -> Parsed<String> {
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(text.into()),
        Ok(_) | Err(_) => Err(format!("{text:?} is no http:// or https:// URL")),
    }
}

/// A ladder: `off`, `auto`, or qualities by their short sides.
pub(super) fn hls_ladder(texts: &[String]) -> Parsed<Vec<u16>> {
    let words: Vec<&str> = texts.iter().map(String::as_str).collect();
    match words[..] {
        ["off"] => return Ok(Vec::new()),
        ["auto"] => return Ok(AUTO_LADDER.to_vec()),
        _ if words.len() > MAX_RUNGS => return Err(format!("more than {MAX_RUNGS} qualities")),
        _ => {}
    }
    let side = |text: &&str| {
        let side = text.strip_suffix('p').unwrap_or(text).parse::<u16>().ok();
        let fits = side.filter(|side| SIDES.contains(side) && side % 2 == 0);
        fits.ok_or_else(|| {
            format!("{text:?} is none of off and auto, and no quality, such as 720p or 360p")
        })
    };
    let mut sides = words.iter().map(side).collect::<Parsed<Vec<u16>>>()?;
    sides.sort_unstable_by(|a, b| b.cmp(a));
    sides.dedup();
    Ok(sides)
}

const AUTO_LADDER: &[u16] = &[720, 360];
const MAX_RUNGS: usize = 6;
/// Short sides that anybody could mean.
const SIDES: std::ops::RangeInclusive<u16> = 90..=2160;

/// What segments last: whole seconds, as playlists name them. Publishers are not asked for keyframes
/// every second.
pub(super) fn hls_segment(text: &str) -> Parsed<Duration> {
    within(text, SEGMENTS_S)
}

pub(super) fn hls_window(text: &str) -> Parsed<Duration> {
    within(text, WINDOWS_S)
}

fn within(text: &str, bounds: std::ops::RangeInclusive<u64>) -> Parsed<Duration> {
    let seconds: u64 = number(text)?;
    let (least, most) = (bounds.start(), bounds.end());
    if bounds.contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    Err(format!("{seconds} is not from {least} to {most}"))
}

const SEGMENTS_S: std::ops::RangeInclusive<u64> = 2..=10;
const WINDOWS_S: std::ops::RangeInclusive<u64> = 10..=86_400;

pub(super) fn hls_codec(text: &str) -> Parsed<HlsCodec> {
    match text {
        "h264" => Ok(HlsCodec::H264),
        "h265" => Ok(HlsCodec::H265),
        other => Err(format!("{other:?} is neither h264 nor h265")),
    }
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("{other:?} is neither text nor json")),
    }
}

pub(super) fn log_filter(text: &str) -> Parsed<String> {
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) if !text.trim().is_empty() => Ok(text.into()),
        _ => Err(format!("{text:?} is not a level (error, warn, info, debug, trace) or a filter")),
    }
}

pub(super) fn cors_origin(text: &str) -> Parsed<String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fits = host.is_some_and(|host| {
        let printable = |c: char| c.is_ascii_graphic() && !"/?#@,*\"\\".contains(c);
        !host.is_empty() && host.chars().all(printable)
    });
    if fits || text == "*" {
        return Ok(text.into());
    }
    Err(format!("{text:?} is neither * nor an origin such as https://example.org, without a path"))
}

pub(super) fn ice_url(text: &str) -> Parsed<String> {
    let rest = ["stun:", "stuns:", "turn:", "turns:"].iter().find_map(|s| text.strip_prefix(s));
    let printable = |c: char| c.is_ascii_graphic() && !"<>\",;".contains(c);
    if rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(printable)) {
        return Ok(text.into());
    }
    Err(format!("{text:?} is not a stun:, stuns:, turn: or turns: URL"))
}

/// `URL[,USER,CREDENTIAL]`. Nothing of it is repeated in an error, as it may hold a secret.
pub(super) fn ice_server(text: &str) -> Parsed<IceServer> {
    let mut parts = text.splitn(3, ',');
    let url = parts.next().unwrap_or_default();
    let server = IceServer {
        urls: vec![ice_url(url)?],
        username: parts.next().map(str::to_owned),
        credential: parts.next().map(str::to_owned),
    };
    complete_ice_server(server)
}

/// Refuses a server that no client could use.
pub(super) fn complete_ice_server(server: IceServer) -> Parsed<IceServer> {
    if server.urls.is_empty() {
        return Err("urls is missing".into());
    }
    if server.username.is_some() != server.credential.is_some() {
        return Err("username and credential come together or not at all".into());
    }
    let visible = |text: &Option<String>| {
        text.as_deref().is_none_or(|text| {
            !text.is_empty() && text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
        })
    };
    if !visible(&server.username) || !visible(&server.credential) {
        return Err("username and credential are printable ASCII and not empty".into());
    }
    if server.urls.iter().any(|url| url.starts_with("turn")) && server.credential.is_none() {
        return Err("a TURN server needs username and credential".into());
    }
    Ok(server)
}

fn number<N: FromStr>(text: &str) -> Parsed<N> {
    text.parse().map_err(|_| format!("{text:?} is not a whole number that fits"))
}

const MAX_SHARDS: usize = 256;
const MAX_COUNT: u32 = 1_000_000;
