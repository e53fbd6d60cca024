//! The `[[webhooks]]` sections: who is told by HTTP what happens.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use whitewater_signaling::control::Topic;

use super::auth::Secret;
use super::options::{Arity, Key};
use super::value::{self, Parsed};
use super::{Config, ConfigError};

/// Somebody who is told what happens.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// What it is called in logs, metrics and the API, as its URL may be secret.
    pub name: String,
    /// Where events are posted to.
    pub url: String,
    /// What signs them.
    pub secret: SecretSource,
    /// What it is told of.
    pub topics: Vec<Topic>,
    /// How long one request may take.
    pub timeout: Duration,
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// It stands in the configuration.
    Inline(Secret),
    /// A file holds it.
    File(PathBuf),
    /// A variable of the environment holds it.
    Environment(String),
}

/// A `[[webhooks]]` section while it is read.
pub(super) struct OpenWebhook {
    name: Option<String>,
    url: Option<String>,
    secrets: Vec<SecretSource>,
    topics: Vec<Topic>,
    timeout: Duration,
}

pub(super) const WEBHOOK_KEYS: &[Key<OpenWebhook>] = &[
    Key {
        name: "url",
        default: "",
        help: "Where events are posted to. It is not logged.",
        arity: Arity::One,
        set: |hook, v| value::http_url(&v[0]).map(|url| hook.url = Some(url)),
    },
    Key {
        name: "name",
        default: "",
        help: "What it is called in logs, metrics and the API; none is the host of the URL.",
        arity: Arity::One,
        set: |hook, v| value::not_empty(&v[0]).map(|name| hook.name = Some(name)),
    },
    Key {
        name: "secret",
        default: "",
        help: "What signs events: `whsec_` and 24 to 64 bytes in Base64.",
        arity: Arity::One,
        set: |hook, v| {
            let inline = |text| SecretSource::Inline(Secret::new(text));
            value::not_empty(&v[0]).map(|text: String| hook.secrets.push(inline(text)))
        },
    },
    Key {
        name: "secret_file",
        default: "",
        help: "A file that holds the secret. White space at its end does not count.",
        arity: Arity::One,
        set: |hook, v| value::path(&v[0]).map(|path| hook.secrets.push(SecretSource::File(path))),
    },
    Key {
        name: "secret_env",
        default: "",
        help: "A variable of the environment that holds the secret.",
        arity: Arity::One,
        set: |hook, v| {
            let named = value::not_empty(&v[0]);
            named.map(|name| hook.secrets.push(SecretSource::Environment(name)))
        },
    },
    Key {
        name: "events",
        default: "stream.started stream.ended publisher.lost publisher.back recording.ready",
        help: "What it is told of: a list of these, `viewer.joined` and `viewer.left`.",
        arity: Arity::Many,
        set: |hook, v| topics(v).map(|topics| hook.topics = topics),
    },
    Key {
        name: "timeout_s",
        default: "10",
        help: "Seconds that one request may take.",
        arity: Arity::One,
        set: |hook, v| value::seconds(&v[0]).map(|timeout| hook.timeout = timeout),
    },
];

pub(super) fn complete_webhook(open: OpenWebhook) -> Parsed<Webhook> {
    let url = open.url.ok_or("url is missing")?;
    let mut secrets = open.secrets.into_iter();
    let (Some(secret), None) = (secrets.next(), secrets.next()) else {
        return Err(
            "it takes one of secret, secret_file and secret_env, to sign what it is sent".into()
        );
    };
    if open.timeout.is_zero() {
        return Err("timeout_s must be at least 1".into());
    }
    let name = open.name.unwrap_or_else(|| host_of(&url));
    Ok(Webhook { name, url, secret, topics: open.topics, timeout: open.timeout })
}

/// Refuses webhooks that could not be told apart.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let mut names: Vec<_> = config.webhooks.iter().map(|hook| &hook.name).collect();
    names.sort();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ConfigError::Conflict(format!(
            "two webhooks are called {}: give each a name of its own with webhooks.name",
            pair[0]
        ))),
        None => Ok(()),
    }
}

fn topics(texts: &[String]) -> Parsed<Vec<Topic>> {
    let mut topics = Vec::new();
    for text in texts {
        let known = || Topic::ALL.map(Topic::name).join(", ");
        let topic = Topic::of(text).ok_or_else(|| format!("{text:?} is none of {}", known()))?;
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    if topics.is_empty() { Err("it names no event".into()) } else { Ok(topics) }
}

fn host_of(url: &str) -> String {
    let url = reqwest::Url::parse(url).expect("it was parsed before");
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

// === impl OpenWebhook ===

impl Default for OpenWebhook {
    fn default() -> Self {
        let topics = Topic::ALL.into_iter().filter(|topic| !topic.is_of_viewers());
        Self {
            name: None,
            url: None,
            secrets: Vec::new(),
            topics: topics.collect(),
            timeout: Duration::from_secs(10),
        }
    }
}

// === impl Webhook ===

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("name", &self.name)
            .field("url", &"redacted")
            .field("secret", &self.secret)
            .field("topics", &self.topics)
            .field("timeout", &self.timeout)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{File, Flags};
    use super::*;

    fn read(section: &str) -> Result<Vec<Webhook>, String> {
        let text = format!("[[webhooks]]\n{section}");
        let config = Config::merge(Some(File { path: "a", text: &text }), [], &Flags::default());
        config.map(|config| config.webhooks).map_err(|error| error.to_string())
    }

    #[test]
    fn a_section_has_a_url_and_one_secret() {
        let hooks = read("url = \"https://example.org:8443/a?b\"\nsecret_env = \"S\"").unwrap();
        let [hook] = &hooks[..] else { panic!("{hooks:?}") };
        assert_eq!(hook.name, "example.org:8443");
        assert_eq!(hook.secret, SecretSource::Environment("S".into()));
        assert_eq!(hook.topics.len(), 5, "nothing of viewers");
        assert_eq!(hook.timeout.as_secs(), 10);
        assert!(!format!("{hook:?}").contains("?b"), "a URL may be secret");
        for (section, expected) in [
            ("secret = \"x\"", "url is missing"),
            ("url = \"http://a\"", "one of secret, secret_file and secret_env"),
            ("url = \"http://a\"\nsecret = \"x\"\nsecret_file = \"y\"", "one of secret"),
            ("url = \"ftp://a\"", "no http:// or https:// URL"),
            ("url = \"http://a\"\nevents = [\"stream\"]", "none of stream.started"),
            ("url = \"http://a\"\nevents = []", "it names no event"),
            ("url = \"http://a\"\nsecret = \"x\"\ntimeout_s = 0", "at least 1"),
            ("url = \"http://a\"\nsecrets = \"x\"", "unknown key"),
        ] {
            let error = read(section).unwrap_err();
            assert!(error.contains(expected), "{section}: {error}");
        }
    }

    #[test]
    fn two_of_one_host_need_names() {
        let one = "url = \"http://a/1\"\nsecret = \"x\"\n";
        let two = "[[webhooks]]\nurl = \"http://a/2\"\nsecret = \"x\"\n";
        let error = read(&format!("{one}{two}")).unwrap_err();
        assert!(error.contains("two webhooks are called a"), "{error}");
        assert_eq!(read(&format!("{one}{two}name = \"b\"\n")).unwrap().len(), 2);
    }
}
