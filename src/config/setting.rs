//! A setting that remembers where it was written.

use std::fmt;

/// One key with what a source gave for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// The key, as the configuration file spells it.
    pub(super) key: String,
    /// One value, or the items of a list.
    pub(super) values: Vec<String>,
    /// Where it was written.
    pub(super) origin: Origin,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere.
    Default,
    /// In the configuration file.
    File {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// In this variable of the environment.
    Environment(String),
    /// On the command line, as this flag.
    Flag(String),
}

/// The settings of the environment.
///
/// What an orchestrator injects for a service of our name (`WHITEWATER_PORT`,
/// `WHITEWATER_SERVICE_HOST` and the like) and what only our tools read is no setting.
pub(super) fn from_environment(env: impl IntoIterator<Item = (String, String)>) -> Vec<Setting> {
    let mut settings: Vec<_> = env
        .into_iter()
        .filter(|(name, _)| !FOR_TOOLS.contains(&name.as_str()) && !is_service_link(name))
        .filter_map(|(name, value)| {
            let key = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
            let values = match super::options::takes_list(&key) {
                true => value.split_whitespace().map(str::to_owned).collect(),
                false => vec![value],
            };
            Some(Setting { key, values, origin: Origin::Environment(name) })
        })
        .collect();
    settings.sort_by(|a, b| a.key.cmp(&b.key));
    settings
}

/// The variable of the environment for a key.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase())
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("by default"),
            Self::File { path, line } => write!(f, "in {path} line {line}"),
            Self::Environment(name) => write!(f, "in the environment as {name}"),
            Self::Flag(flag) => write!(f, "given as {flag}"),
        }
    }
}

fn is_service_link(name: &str) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"].iter().any(|part| name.contains(part))
        || name.ends_with("_PORT")
}

const PREFIX: &str = "WHITEWATER_";

/// The file to read, which is known before this is asked, and the server under test.
const FOR_TOOLS: [&str; 2] = ["WHITEWATER_CONFIG", "WHITEWATER_URL"];
