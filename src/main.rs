//! A command line that starts the server.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs, io};

use anyhow::Context;
use clap::{ArgGroup, Args, Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};
use whitewater::auth::{Claims, Deed, OneOrMany};
use whitewater::config::{Config, File, Flags, Pattern};
use whitewater::priority::Behind;
use whitewater::{app, auth, doctor, load, telemetry};

#[derive(Parser)]
#[command(version, about)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves pages, WHIP, WHEP and media until it is told to stop.
    ///
    /// Flags win over the environment, which wins over the file. SIGHUP lets it read them again.
    Serve(Serve),
    /// Prints a token that lets its bearer publish or watch.
    ///
    /// It is signed with `auth.jwt_secret` of the configuration.
    Token(Token),
    /// Says why media would not flow: ports, addresses, firewall, clock, files, limits and plugins.
    ///
    /// It fails if anything is wrong.
    Doctor(doctor::Options),
    /// Loads a WHIP or WHEP server with publishers or viewers, and measures.
    #[command(subcommand)]
    Load(Box<load::Command>),
}

fn main() -> ExitCode {
    let outcome = match Line::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Token(token) => token.print(),
        Command::Load(command) => load::run(&command),
        Command::Doctor(options) => return told(doctor::run(&options, environment())),
    };
    told(outcome.map(|()| ExitCode::SUCCESS))
}

fn told(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "logging may not have started")]
            {
                eprintln!("whitewater: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Options of `serve`.
#[derive(Args)]
struct Serve {
    /// Prints what holds, as a configuration file without secrets, and ends
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Options of `token`.
#[derive(Args)]
#[command(group(ArgGroup::new("action").required(true).multiple(true)))]
struct Token {
    /// TOML file with `[auth] jwt_secret`; the environment wins over it
    #[arg(long, value_name = "FILE", env = "WHITEWATER_CONFIG")]
    config: Option<PathBuf>,
    /// Stream that it is for, or a pattern such as `team-*`; repeatable
    #[arg(long, value_name = "NAME", required_unless_present = "admin")]
    stream: Vec<Pattern>,
    /// Lets publish
    #[arg(long, group = "action")]
    publish: bool,
    /// Lets watch
    #[arg(long, group = "action")]
    watch: bool,
    /// Lets do everything, on all streams
    #[arg(long, group = "action")]
    admin: bool,
    /// How long it is valid: a number of s, m, h or d
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    ttl: Duration,
    /// Whom it belongs to: with the same name a publisher may come back to its stream
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Bits per second that it lets publish at most
    #[arg(long, value_name = "BPS")]
    max_bitrate_bps: Option<u64>,
}

// === impl Token ===

impl Token {
    fn print(&self) -> anyhow::Result<()> {
        let config = read_config(self.config.as_deref(), &Flags::default())?;
        let deeds =
            [(self.publish, Deed::Publish), (self.watch, Deed::Watch), (self.admin, Deed::Admin)];
        let deeds = deeds.into_iter().filter_map(|(wanted, deed)| wanted.then_some(deed)).collect();
        let streams: Vec<_> = self.stream.iter().map(ToString::to_string).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let claims = Claims {
            exp: now.saturating_add(self.ttl).as_secs(),
            nbf: None,
            aud: config.auth.audience.clone().map(OneOrMany::One),
            iss: config.auth.issuer.clone(),
            sub: self.subject.clone(),
            jti: Some(auth::token_name()),
            stream: (!streams.is_empty()).then_some(OneOrMany::Many(streams)),
            action: OneOrMany::Many(deeds),
            max_bitrate_bps: self.max_bitrate_bps,
        };
        let token = auth::issue(&config, &claims)?;
        writeln!(io::stdout(), "{token}")?;
        Ok(())
    }
}

// === impl Serve ===

impl Serve {
    fn run(self) -> anyhow::Result<()> {
        let config = read_config(self.flags.config.as_deref(), &self.flags)?;
        if self.print_config {
            write!(io::stdout(), "{}", config.to_toml()?)?;
            return Ok(());
        }
        serve(&config, self.flags)
    }
}

fn serve(config: &Config, flags: Flags) -> anyhow::Result<()> {
    telemetry::init(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_start(|| Behind::Requests.stand())
        .build()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let source = Box::new(move || read_config(flags.config.as_deref(), &flags));
        let running = app::start_from(config, source)?;
        greet(&running);
        while signals.next().await == Told::Reload {
            let operator = running.operator();
            // It reads files, and says in the log what came of it.
            drop(tokio::task::spawn_blocking(move || operator.reload()).await);
        }
        tracing::info!("stopping");
        limit_stopping(running.config().drain.timeout)?;
        tokio::spawn(async move {
            while signals.next().await == Told::Reload {}
            exit_at_once("told to stop a second time");
        });
        running.stop().await
    })
}

fn read_config(path: Option<&Path>, flags: &Flags) -> anyhow::Result<Config> {
    let read = path.map(|path| {
        let shown = path.display().to_string();
        let text = fs::read_to_string(path)
            .with_context(|| format!("the configuration file {shown} cannot be read"))?;
        anyhow::Ok((shown, text))
    });
    let read = read.transpose()?;
    let file = read.as_ref().map(|(path, text)| File { path, text });
    Ok(Config::merge(file, environment(), flags)?)
}

/// The variables. What is not Unicode cannot be one of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Says on standard output where to go; scripts read the first line.
fn greet(running: &app::Running) {
    let url = running.url();
    let text = format!(
        "whitewater listens on {url} (media: udp {})\n  publish  {url}/publish\n  \
         watch    {url}/watch/NAME\n  streams  {url}/\n",
        running.udp_addr()
    );
    // Who has read enough may have closed the pipe; that is no reason to end.
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Sees to it that the process ends in time, whatever hangs: from a thread that waits for nothing.
fn limit_stopping(timeout: Duration) -> io::Result<()> {
    let watch = std::thread::Builder::new().name("deadline".into());
    watch.spawn(move || {
        std::thread::sleep(timeout);
        exit_at_once("stopping took longer than drain_timeout_s");
    })?;
    Ok(())
}

fn exit_at_once(why: &str) -> ! {
    tracing::warn!(why, "stopped at once");
    std::process::exit(1)
}

/// What tells the server to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// To stop.
    Stop,
    /// To read the configuration again.
    Reload,
}

// === impl Signals ===

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}
