//! Flags that clap parses from the table of options.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::options::{Arity, OPTIONS, Opt};
use super::setting::{Origin, Setting, variable};

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The configuration file, named by `--config` or `WHITEWATER_CONFIG`.
    pub config: Option<PathBuf>,
    pub(super) settings: Vec<Setting>,
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .help("TOML file with the same keys; flags and environment win over it [env: WHITEWATER_CONFIG]")
            .env("WHITEWATER_CONFIG")
            .hide_env(true)
            .value_parser(clap::value_parser!(PathBuf));
        command.arg(config).args(OPTIONS.iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let settings = OPTIONS.iter().filter_map(|option| setting(option, matches)).collect();
        Ok(Self { config: matches.get_one(CONFIG).cloned(), settings })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn argument(option: &'static Opt) -> Arg {
    let default = match option.default {
        "" => "none",
        default => default,
    };
    let help = plain(option.help);
    let help = format!("{help} [default: {default}] [env: {}]", variable(option.key));
    let arg = Arg::new(option.flag).long(option.flag).help(help);
    match (option.placeholder, option.arity) {
        ("", _) => arg.action(ArgAction::SetTrue),
        (placeholder, Arity::One) => arg.value_name(placeholder).action(ArgAction::Set),
        (placeholder, Arity::Many) => arg.value_name(placeholder).action(ArgAction::Append),
    }
}

/// Markdown without its marks: backticks go, and of a link its text stays.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once('[') {
        text += before;
        let linked = after
            .split_once("](")
            .and_then(|(label, target)| target.split_once(')').map(|(_, rest)| (label, rest)));
        match linked {
            Some((label, after)) => (text, rest) = (text + label, after),
            None => (text, rest) = (text + "[", after),
        }
    }
    (text + rest).replace('`', "")
}

fn setting(option: &Opt, matches: &ArgMatches) -> Option<Setting> {
    if matches.value_source(option.flag) != Some(ValueSource::CommandLine) {
        return None;
    }
    let values = match option.placeholder {
        "" => vec!["true".to_owned()],
        _ => matches.get_many::<String>(option.flag)?.cloned().collect(),
    };
    let origin = Origin::Flag(format!("--{}", option.flag));
    Some(Setting { key: option.key.into(), values, origin })
}

const CONFIG: &str = "config";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_has_no_marks() {
        let rows = [
            ("for [HLS](hls.md): `on_demand`.", "for HLS: on_demand."),
            ("at `[::1]:80`", "at [::1]:80"),
            ("plain", "plain"),
        ];
        for (markdown, text) in rows {
            assert_eq!(plain(markdown), text);
        }
    }
}
