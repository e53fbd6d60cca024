//! What of a changed configuration can hold while the server runs.

use serde_json::Value;

use super::{Config, ConfigError};

/// Keys and sections that hold at once. What they say about a session or an HLS timeline holds for those
/// that begin afterwards.
pub(super) const LIVE: &[&str] = &[
    "max_streams",
    "max_viewers",
    "max_publisher_bitrate",
    "max_total_bitrate",
    "trusted_proxies",
    "cors_origins",
    "tls_cert",
    "tls_key",
    "log",
    "drain_delay_s",
    "drain_timeout_s",
    "insecure_open",
    "auth",
    "limits",
    "streams",
];

// === impl Config ===

impl Config {
    /// This configuration as far as it can follow another without a restart, and the keys that cannot.
    pub fn as_far_as_running(mut self, running: &Self) -> Result<(Self, Vec<String>), ConfigError> {
        let mut waiting = self.changes_from(running);
        waiting.retain(|key| !LIVE.contains(&key.as_str()));
        self.http = running.http;
        self.http_redirect = running.http_redirect;
        self.udp = running.udp;
        self.tcp = running.tcp;
        self.data.clone_from(&running.data);
        self.public_ips.clone_from(&running.public_ips);
        self.ice_servers.clone_from(&running.ice_servers);
        self.webhooks.clone_from(&running.webhooks);
        self.recording.clone_from(&running.recording);
        self.shards = running.shards;
        self.max_burst = running.max_burst;
        self.limits.max_http_connections = running.limits.max_http_connections;
        self.log.format = running.log.format;
        // HTTPS can change its certificate, but HTTP cannot become HTTPS.
        if self.tls.is_some() != running.tls.is_some() {
            self.tls.clone_from(&running.tls);
            waiting.extend(["tls_cert".to_owned(), "tls_key".to_owned()]);
        }
        self.check()?;
        Ok((self, waiting))
    }

    /// Keys, and sections as a whole, that are others than in another configuration, in order of the
    /// alphabet.
    pub fn changes_from(&self, other: &Self) -> Vec<String> {
        let (Value::Object(own), Value::Object(others)) = (self.to_json(), other.to_json()) else {
            return Vec::new();
        };
        let mut changed: Vec<String> = Vec::new();
        for key in own.keys().chain(others.keys()) {
            if own.get(key) != others.get(key) {
                changed.push(key.clone());
            }
        }
        // What is not shown.
        if self.auth != other.auth {
            changed.push("auth".into());
        }
        if self.ice_servers != other.ice_servers {
            changed.push("ice_servers".into());
        }
        if self.webhooks != other.webhooks {
            changed.push("webhooks".into());
        }
        if self.recording != other.recording {
            changed.push("recording".into());
        }
        changed.sort();
        changed.dedup();
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::super::{File, Flags, documented};
    use super::*;

    fn read(text: &str) -> Config {
        Config::merge(Some(File { path: "w.toml", text }), [], &Flags::default()).unwrap()
    }

    #[test]
    fn what_can_follow_does_and_the_rest_is_named() {
        let running = read("[auth]\njwt_secret = \"one\"\n");
        let text = "http = \"127.0.0.1:81\"\nshards = 3\nmax_viewers = 7\ntls_cert = \"c\"\n\
                    tls_key = \"k\"\n[auth]\njwt_secret = \"two\"\n[[streams]]\nmatch = \"a\"\n";
        let (now, waiting) = read(text).as_far_as_running(&running).unwrap();
        assert_eq!(waiting, ["http", "shards", "tls_cert", "tls_key"]);
        assert_eq!(now.changes_from(&running), ["auth", "max_viewers", "streams"]);
        assert_eq!((now.http, now.shards, &now.tls), (running.http, running.shards, &None));
    }

    #[test]
    fn every_key_is_live_or_stays_as_it_was() {
        let running = Config::default();
        let text = "http = \"127.0.0.1:81\"\nhttp_redirect = \"127.0.0.1:80\"\nudp = \"127.0.0.1:82\"\n\
                    tcp = false\ndata = \"d\"\npublic_ips = [\"192.0.2.1\"]\nshards = 3\n\
                    max_burst = 3\nmax_http_connections = 3\nmax_streams = 3\nmax_viewers = 3\n\
                    max_publisher_bitrate = 3000\nmax_total_bitrate = 3000\ntls_cert = \"c\"\n\
                    tls_key = \"k\"\nlog = \"debug\"\nlog_format = \"json\"\ndrain_delay_s = 3\n\
                    drain_timeout_s = 30\ninsecure_open = true\ncors_origins = [\"https://a.b\"]\n\
                    trusted_proxies = [\"10.0.0.0/8\"]\n[limits]\naddress_burst = 3\n[auth]\n\
                    grace_s = 3\n[recording]\nenabled = false\n[[streams]]\nmatch = \"a\"\n[[ice_servers]]\nurls = \"stun:a\"\n\
                    [[webhooks]]\nurl = \"http://a.b\"\nsecret = \"c\"\n";
        let all = read(text).changes_from(&running);
        let mut keys: Vec<String> = documented()
            .into_iter()
            .map(|key| key.key.split('.').next().unwrap_or_default().to_owned())
            .collect();
        keys.sort();
        keys.dedup();
        assert_eq!(all, keys, "the text has to change every key, and each has to be shown");
        let (now, waiting) = read(text).as_far_as_running(&running).unwrap();
        let changed = now.changes_from(&running);
        for key in keys {
            assert_ne!(changed.contains(&key), waiting.contains(&key), "{key}");
        }
    }

    #[test]
    fn what_would_open_a_running_server_to_everybody_is_refused() {
        let running = read("http = \"0.0.0.0:80\"\n[auth]\njwt_secret = \"one\"\n");
        let error = read("").as_far_as_running(&running).unwrap_err().to_string();
        assert!(error.contains("0.0.0.0:80"), "{error}");
    }
}
