//! A load generator that watches and publishes at any WHEP, WHIP or HLS server, and measures.
//!
//! It is a client of its own: nothing of the server runs in it but the sessions' client role.

mod arrivals;
mod bare;
mod clip;
mod dial;
mod drain;
mod flood;
mod frames;
mod gaps;
mod held;
mod hls;
mod options;
mod packetize;
mod receive;
mod secrets;
mod sink;
mod source;
mod tell;
mod trace;
mod tunnel;
mod usage;
mod viewer;
mod whep;
mod whip;

pub use options::Command;

/// Does what the command line asks for, and prints what was measured.
///
/// # Errors
///
/// Fails if nothing could be measured at all.
pub fn run(command: &Command) -> anyhow::Result<()> {
    // Whoever asks rustls for its default gets this; `Err` means that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match command {
        Command::Whep(options) => whep::run(options),
        Command::Whip(options) => whip::run(options),
        Command::Hls(options) => hls::run(options),
        Command::Held(options) => held::run(options),
        Command::Bare(options) => bare::run(options),
        Command::Drain(options) => drain::run(options),
        Command::Flood(options) => flood::run(options),
        Command::Sink(options) => sink::run(options),
    }
}
