//! A doctor that says why media would not flow: one finding per check, with what to do about it.
//!
//! It opens what the server would open, on the machine and under the account that the server runs on,
//! and closes it again. It changes nothing.

mod clock;

mod finding;

mod machine;

mod network;

mod tls;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::Args;

use crate::config::{Config, File, Flags};
use finding::Finding;

/// Options of `doctor`.
#[derive(Args)]
pub struct Options {
    /// TOML file that `serve` gets; the environment wins over it
    #[arg(long, value_name = "FILE", env = "WHITEWATER_CONFIG")]
    config: Option<PathBuf>,
    /// Web server whose `Date` the clock is compared with, such as <https://example.org>
    #[arg(long, value_name = "URL")]
    clock_url: Option<String>,
    /// Writes the findings as JSON
    #[arg(long)]
    json: bool,
}

/// Examines the machine, and fails where media would not flow.
pub fn run(
    options: &Options,
    env: impl IntoIterator<Item = (String, String)>,
) -> anyhow::Result<ExitCode> {
    let findings = match read(options.config.as_deref(), env) {
        Ok(config) => examine(&config, options.clock_url.as_deref()),
        Err(finding) => vec![finding],
    };
    let mut out = io::stdout().lock();
    if options.json {
        serde_json::to_writer_pretty(&mut out, &findings)?;
        writeln!(out)?;
    } else {
        for finding in &findings {
            writeln!(out, "{finding}")?;
        }
    }
    let sick = findings.iter().any(Finding::is_problem);
    Ok(if sick { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn examine(config: &Config, clock_url: Option<&str>) -> Vec<Finding> {
    let mut findings = vec![Finding::fine("configuration", "it can be read, and fits together")];
    findings.push(access(config));
    findings.extend(network::examine(config));
    findings.extend(clock::examine(clock_url));
    findings.extend(config.tls.as_ref().map(tls::examine));
    findings.push(machine::data(&config.data));
    findings.push(machine::files(config));
    findings.push(machine::buffers());
    findings.extend(machine::plugins());
    findings
}

/// Reads the configuration as `serve` does. What it refuses, as an open server on a public address, is a
/// finding.
fn read(
    path: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Finding> {
    let text = path.map(|path| {
        let shown = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| {
            Finding::problem(
                "configuration",
                format!("{shown} cannot be read: {error}"),
                "name a file that this account may read",
            )
        })?;
        Ok((shown, text))
    });
    let text = text.transpose()?;
    let file = text.as_ref().map(|(path, text)| File { path, text });
    Config::merge(file, env, &Flags::default()).map_err(|error| {
        Finding::problem("configuration", error.to_string(), "see docs/configuration.md")
    })
}

fn access(config: &Config) -> Finding {
    let open = config.auth.usual_access() == crate::config::Access::Open;
    let public = !config.http.ip().to_canonical().is_loopback();
    match (open, public) {
        (true, true) => Finding::warning(
            "access",
            format!("everybody who reaches {} may publish and watch", config.http),
            "configure [auth] (docs/auth.md), unless that is meant",
        ),
        (true, false) => Finding::fine("access", "everybody on this machine may publish and watch"),
        (false, _) => Finding::fine("access", "who publishes and watches needs permission"),
    }
}
