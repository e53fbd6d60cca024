//! The command line of `whitewater load`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Url;

/// What to load a server with.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Watches a stream many times over, at any WHEP server.
    Whep(Whep),
    /// Publishes a stream of H.264 and Opus, at any WHIP server.
    Whip(Whip),
    /// Plays a Low-Latency HLS stream many times over, through a cache or not.
    Hls(Hls),
    /// Floods a media port with datagrams that belong to nobody, or to nobody who may send them.
    Flood(Flood),
    /// Receives on a server's sockets without a server behind them; what a flood costs at least.
    #[command(hide = true)]
    Sink(Sink),
    /// Lets a crowd ask for one playlist at once, when it is there and before it is.
    #[command(hide = true)]
    Held(Held),
    /// Seals and sends without a server around it: the measure of what a server can reach.
    #[command(hide = true)]
    Bare(Bare),
    /// Receives and throws away; what `bare` sends to.
    #[command(hide = true)]
    Drain(Drain),
}

/// Options of `load whep`.
#[derive(Args, Clone, Debug)]
pub struct Whep {
    /// The WHEP endpoint of a stream, such as http://127.0.0.1:8080/whep/NAME.
    #[arg(long)]
    pub url: Url,
    /// Viewers.
    #[arg(long, default_value_t = 1)]
    pub viewers: usize,
    /// How long to measure once all viewers have joined.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub seconds: Duration,
    /// How long to wait before that, for everybody's picture to settle. For the first 2 s all is
    /// decrypted, which costs time of its own.
    #[arg(long, default_value = "2.5", value_parser = seconds)]
    pub settle: Duration,
    /// The viewers join evenly within these seconds.
    #[arg(long, default_value = "1", value_parser = seconds)]
    pub ramp: Duration,
    /// Which packets are decrypted and their frames looked into.
    #[arg(long, value_enum, default_value_t = Verify::Sample)]
    pub verify: Verify,
    /// Threads that receive; the default is one per core, at most four.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Media comes over TCP (ICE-TCP), as it does to viewers whose network lets no UDP through.
    #[arg(long)]
    pub tcp: bool,
    /// Bearer token.
    #[arg(long)]
    pub token: Option<String>,
    /// A process whose CPU time and memory are measured too, such as the server's.
    #[arg(long)]
    pub pid: Option<u32>,
    /// A URL that is fetched when measuring begins and ends; both answers stand in the JSON.
    #[arg(long)]
    pub sample: Option<Url>,
    /// Prints one JSON object in place of the table.
    #[arg(long)]
    pub json: bool,
}

/// Which packets a viewer decrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Verify {
    /// All of the first two seconds and while waiting for a keyframe; afterwards those of every
    /// tenth viewer. Headers are read of all.
    Sample,
    /// All.
    All,
}

/// Options of `load hls`.
#[derive(Args, Clone, Debug)]
pub struct Hls {
    /// The index of a stream, such as http://127.0.0.1:8080/hls/NAME/index.m3u8.
    #[arg(long)]
    pub url: Url,
    /// The server behind the cache that `url` leads to, such as http://127.0.0.1:8080. One player per
    /// playlist asks there, and answers to every twentieth player are compared with theirs.
    #[arg(long)]
    pub origin: Option<Url>,
    /// A file for the time at which each answer of the origin was complete: a line of microseconds since
    /// 1970, the status, and the address.
    #[arg(long, requires = "origin")]
    pub times: Option<PathBuf>,
    /// A file of tokens, one per line: each player asks for the index with its own.
    #[arg(long)]
    pub tokens: Option<PathBuf>,
    /// Players.
    #[arg(long, default_value_t = 1)]
    pub viewers: usize,
    /// How long to play.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub seconds: Duration,
    /// The players begin evenly within these seconds.
    #[arg(long, default_value = "1", value_parser = seconds)]
    pub ramp: Duration,
    /// Prints one JSON object in place of the table.
    #[arg(long)]
    pub json: bool,
}

/// Options of `load held`.
#[derive(Args, Clone, Debug)]
pub struct Held {
    /// A media playlist.
    #[arg(long)]
    pub url: Url,
    /// Connections.
    #[arg(long, default_value_t = 5_000)]
    pub count: usize,
    /// How many parts after the next one are waited for.
    #[arg(long, default_value_t = 3)]
    pub ahead: u64,
    /// How soon all have asked; none may be answered before.
    #[arg(long, default_value = "0.5", value_parser = seconds)]
    pub settle: Duration,
    /// Turns.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// A process whose memory is measured, such as the server's.
    #[arg(long)]
    pub pid: Option<u32>,
    /// Prints one JSON object in place of the table.
    #[arg(long)]
    pub json: bool,
}

/// Options of `load whip`.
#[derive(Args, Clone, Debug)]
pub struct Whip {
    /// The WHIP endpoint of a stream, such as http://127.0.0.1:8080/whip/NAME.
    #[arg(long)]
    pub url: Url,
    /// Simulcast layers: 3 (320x180, 640x360, 1280x720), 2, or 1 without simulcast.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=3))]
    pub layers: u8,
    /// How long to publish; the default is until interrupted.
    #[arg(long, value_parser = seconds)]
    pub seconds: Option<Duration>,
    /// The arrival trace that paces the largest layer: browser-2500k-30fps, browser-1100k-4ppf, or
    /// a file like them.
    #[arg(long, default_value = "browser-2500k-30fps")]
    pub trace: String,
    /// Whose manners the publisher has.
    #[arg(long, value_enum, default_value_t = Like::Browser)]
    pub like: Like,
    /// The time between the keyframes of an OBS-like publisher, at most 10 s.
    #[arg(long, default_value = "2", value_parser = seconds)]
    pub gop: Duration,
    /// Publishes no sound.
    #[arg(long)]
    pub no_audio: bool,
    /// Bearer token.
    #[arg(long)]
    pub token: Option<String>,
    /// Prints one JSON object in place of the table.
    #[arg(long)]
    pub json: bool,
}

/// Manners of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Like {
    /// Keyframes when asked, in all layers at once; rids q, h and f; transport-wide numbers.
    Browser,
    /// OBS Studio 32: rids 0 (the highest), 1 and 2, keyframes by its own clock in each layer and at no
    /// request, parameter sets in packets of their own, a first sender report about nothing, no
    /// candidates, no transport-wide numbers.
    Obs,
}

/// Options of `load bare`.
#[derive(Args, Clone, Debug)]
pub struct Bare {
    /// Arrival trace, as for `whip`.
    #[arg(long, default_value = "browser-2500k-30fps")]
    pub trace: String,
    /// Receivers.
    #[arg(long, default_value_t = 200)]
    pub viewers: usize,
    /// How long to measure.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub seconds: Duration,
    /// Most packets in one write.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub burst: u16,
    /// The cipher.
    #[arg(long, value_enum, default_value_t = Cipher::Aes128Gcm)]
    pub cipher: Cipher,
    /// Replays without pauses, in the trace's bursts.
    #[arg(long)]
    pub full_speed: bool,
    /// The core that the receiving process is bound to.
    #[arg(long)]
    pub drain_cpu: Option<usize>,
    /// Prints one JSON object in place of the table.
    #[arg(long)]
    pub json: bool,
}

/// A cipher of `load bare`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cipher {
    /// What clients of ours negotiate.
    #[value(name = "aes-128-gcm")]
    Aes128Gcm,
    /// What Chromium negotiates.
    #[value(name = "aes-256-gcm")]
    Aes256Gcm,
}

/// Options of `load drain`.
#[derive(Args, Clone, Debug)]
pub struct Drain {
    /// Sockets to open; their ports are printed.
    #[arg(long)]
    pub sockets: usize,
    /// The core to be bound to.
    #[arg(long)]
    pub cpu: Option<usize>,
}

/// Options of `load flood`.
#[derive(Args, Clone, Debug)]
pub struct Flood {
    /// The media port.
    #[arg(long)]
    pub udp: SocketAddr,
    /// What to send.
    #[arg(long, value_enum, default_value_t = Junk::Random)]
    pub kind: Junk,
    /// Datagrams per second.
    #[arg(long, default_value_t = 50_000)]
    pub rate: u32,
    /// How long.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub seconds: Duration,
    /// Addresses that it comes from.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub sources: u16,
    /// The WHEP endpoint of a stream, where a session is opened whose name or address is then
    /// misused; for the kinds that need one.
    #[arg(long)]
    pub url: Option<Url>,
    /// Floods a machine that is not this one.
    #[arg(long)]
    pub anywhere: bool,
    /// Prints one JSON object in place of the table.
    #[arg(long)]
    pub json: bool,
}

/// What a flood consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Junk {
    /// Random bytes.
    Random,
    /// Media that belongs to no session.
    Rtp,
    /// Checks for sessions that do not exist.
    Stun,
    /// The first message of DTLS, from addresses that passed no check.
    Hello,
    /// Checks for a session that does exist, with a wrong password.
    WrongPassword,
    /// Media of unknown sources from a viewer's own address.
    KnownRtp,
    /// Reports of unknown sources from a viewer's own address.
    KnownRtcp,
    /// The first message of DTLS from a viewer's own address.
    KnownHello,
}

/// Options of `load sink`.
#[derive(Args, Clone, Debug)]
pub struct Sink {
    /// Sockets on one port, each with its thread.
    #[arg(long, default_value_t = 1)]
    pub sockets: usize,
}

// === impl Junk ===

impl Junk {
    /// Whether it misuses a session.
    pub fn needs_session(self) -> bool {
        match self {
            Self::Random | Self::Rtp | Self::Stun | Self::Hello => false,
            Self::WrongPassword | Self::KnownRtp | Self::KnownRtcp | Self::KnownHello => true,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.trim_end_matches('s').parse().map_err(|_| "not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
