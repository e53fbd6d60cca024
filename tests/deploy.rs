//! Tests of what is in `deploy/`, and of the commands that the images run: without Docker, on loopback.

#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;

/// A process that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Varnish's manager takes its child with it when it is asked, not when it is killed.
        let pid = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(quiet.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// The answer of a URL, once there is one.
    async fn answers(&mut self, url: &str) -> (u16, String) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(answer) = reqwest::get(url).await {
                return (answer.status().as_u16(), answer.text().await.unwrap());
            }
            let ended = self.0.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{url}: {ended:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until it takes connections.
    async fn listens(&mut self, address: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while tokio::net::TcpStream::connect(address).await.is_err() {
            let ended = self.0.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{address}: {ended:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

const SECRET: &str = "a secret of more than thirty-two bytes";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A port that was free a moment ago, for programs that do not say which one they were given.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn compose() -> Value {
    let code = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))";
    let mut python = Command::new("python3");
    python
        .args(["-c", code])
        .stdin(std::fs::File::open(root().join("docker-compose.yml")).unwrap());
    serde_json::from_slice(&said(&mut python).stdout).unwrap()
}

/// The command of a service, with texts replaced that hold inside its container only.
fn command(compose: &Value, service: &str, replaced: &[(&str, &str)]) -> Vec<String> {
    let words = compose["services"][service]["command"].as_array().unwrap();
    let words: Vec<_> = words.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
    for (inside, _) in replaced {
        assert!(words.iter().any(|word| word.contains(inside)), "{service}: {inside}: {words:?}");
    }
    let replace = |word: String| {
        replaced.iter().fold(word, |word, (inside, outside)| word.replace(inside, outside))
    };
    words.into_iter().map(replace).collect()
}

/// What follows a word of the last stage of the Dockerfile, as JSON.
fn instruction(name: &str) -> Vec<String> {
    let text = read("Dockerfile");
    let (_, stage) = text.rsplit_once("\nFROM ").unwrap();
    let line = stage.lines().find(|line| line.starts_with(name)).unwrap();
    let list = &line[line.find('[').unwrap()..];
    serde_json::from_str(list).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// A text of the Compose file where a file `.env` sets this: with `${NAME:-value without NAME}` and
/// `${NAME:+value with NAME}` replaced. What is empty is not set.
fn interpolated(text: &str, set: &[(&str, &str)]) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let (inside, behind) = after.split_once('}').unwrap();
        let (name, other) = inside.split_once(':').unwrap();
        let value = set.iter().find(|(set, value)| *set == name && !value.is_empty());
        let value = value.map(|(_, value)| *value);
        out += before;
        out += match (other.split_at(1), value) {
            (("-", without), None) => without,
            (("-", _), Some(value)) => value,
            (("+", with), Some(_)) => with,
            (("+", _), None) => "",
            (_, _) => panic!("{text}"),
        };
        rest = behind;
    }
    out + rest
}

/// The server as the Compose file starts its image where `.env` sets this, with an address of its own.
fn server(compose: &Value, set: &[(&str, &str)], http: &str, data: &Path) -> Command {
    let text = read("Dockerfile");
    let (_, stage) = text.rsplit_once("\nFROM ").unwrap();
    let mut arguments = instruction("ENTRYPOINT");
    assert_eq!(arguments.remove(0), "whitewater");
    assert_eq!(command(compose, "whitewater", &[]), instruction("CMD"));
    arguments.extend(instruction("CMD"));
    let mut server = Command::new(env!("CARGO_BIN_EXE_whitewater"));
    server.args(&arguments).current_dir(data);
    let (_, pairs) = stage.split_once("\nENV ").unwrap();
    for pair in pairs.lines().next().unwrap().split_whitespace() {
        let (name, value) = pair.split_once('=').unwrap();
        // Containers have addresses of their own; here media is on loopback alone.
        let value = value.replace("0.0.0.0:8080", http).replace("0.0.0.0:7000", "127.0.0.1:0");
        server.env(name, value.replace("/var/lib/whitewater", data.to_str().unwrap()));
    }
    for line in compose["services"]["whitewater"]["environment"].as_array().unwrap() {
        let line = interpolated(line.as_str().unwrap(), set);
        let (name, value) = line.split_once('=').unwrap();
        server.env(name, value);
    }
    server
}

/// The Varnish of the Compose file, with a configuration and a port of its own.
fn varnish(compose: &Value, vcl: &Path, port: u16, folder: &Path) -> Command {
    let words = command(
        compose,
        "varnish",
        &[
            (":8081", &format!("127.0.0.1:{port}")),
            ("/etc/varnish/whitewater.vcl", vcl.to_str().unwrap()),
            ("512m", "64m"),
        ],
    );
    let mut varnish = Command::new("/usr/sbin/varnishd");
    varnish.args(&words[1..]).args(["-j", "none", "-n"]).arg(folder.join("varnish"));
    varnish
}

fn said(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&text));
    output
}

#[tokio::test]
async fn the_image_of_the_server_serves_and_its_health_check_tells() {
    let text = read("Dockerfile");
    let (_, stage) = text.rsplit_once("\nFROM ").unwrap();
    assert!(stage.contains("\nUSER whitewater\n"), "it does not run as root");
    let (compose, check) = (compose(), instruction("HEALTHCHECK"));
    let data = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["example.org".to_owned()]).unwrap();
    let (cert, key) = (data.path().join("cert.pem"), data.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    for is_secure in [false, true] {
        let http = format!("127.0.0.1:{}", free_port());
        let mut server = server(&compose, &[], &http, data.path());
        if is_secure {
            server.env("WHITEWATER_TLS_CERT", &cert).env("WHITEWATER_TLS_KEY", &key);
        }
        let is_healthy = || {
            let mut once = Command::new(&check[0]);
            let output = once.args(&check[1..]).env("WHITEWATER_HTTP", &http).output().unwrap();
            output.status.success()
        };
        assert!(!is_healthy(), "nobody is there yet");
        let mut server = Running::start(&mut server);
        server.listens(&http).await;
        assert!(is_healthy(), "with TLS: {is_secure}");
    }
}

#[test]
fn the_compose_file_opens_the_server_only_to_this_machine_unless_somebody_insists() {
    let compose = compose();
    for port in compose["services"]["whitewater"]["ports"].as_array().unwrap() {
        let port = port.as_str().unwrap();
        assert!(interpolated(port, &[]).starts_with("127.0.0.1:"), "{port}");
        assert!(interpolated(port, &[("BIND", "0.0.0.0")]).starts_with("0.0.0.0:"), "{port}");
    }
    // What `.env` sets, whether `whitewater.env` has a secret, and whether the server takes that.
    type Row<'a> = (&'a [(&'a str, &'a str)], bool, bool);
    let rows: [Row<'_>; 8] = [
        (&[], false, true),
        (&[], true, true),
        (&[("BIND", "")], false, true),
        (&[("BIND", "0.0.0.0")], false, false),
        (&[("BIND", "0.0.0.0")], true, true),
        (&[("BIND", "0.0.0.0"), ("INSECURE_OPEN", "true")], false, true),
        (&[("BIND", "0.0.0.0"), ("INSECURE_OPEN", "false")], false, false),
        (&[("INSECURE_OPEN", "false")], false, false),
    ];
    let data = tempfile::tempdir().unwrap();
    for (set, has_secret, starts) in rows {
        let mut server = server(&compose, set, "0.0.0.0:8080", data.path());
        if has_secret {
            server.env("WHITEWATER_AUTH_JWT_SECRET", SECRET);
        }
        // It reads everything, and opens nothing.
        let output = server.arg("--print-config").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), starts, "{set:?}, secret {has_secret}: {text}");
        assert!(starts || text.contains("no authentication is configured"), "{set:?}: {text}");
    }
}

#[tokio::test]
async fn the_cache_of_the_compose_file_runs_with_the_shipped_configuration() {
    let compose = compose();
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let vcl = root().join("deploy/varnish/whitewater.vcl");
    let mounted = compose["services"]["varnish"]["volumes"][0].as_str().unwrap();
    assert_eq!(mounted, "./deploy/varnish/whitewater.vcl:/etc/varnish/whitewater.vcl:ro");
    let mut varnish = Running::start(&mut varnish(&compose, &vcl, port, folder.path()));
    let (_, text) = varnish.answers(&format!("http://127.0.0.1:{port}/hls/a/index.m3u8")).await;
    assert!(text.contains("status\":"), "a problem, as there is no origin or no stream: {text}");
}

#[tokio::test]
async fn behind_the_cache_of_the_compose_file_bad_tokens_lock_out_nobody_else() {
    let compose = compose();
    let (folder, http, port) = (tempfile::tempdir().unwrap(), free_port(), free_port());
    let vcl = folder.path().join("test.vcl");
    let shipped = read("deploy/varnish/whitewater.vcl");
    std::fs::write(&vcl, shipped.replacen("\"8080\"", &format!("\"{http}\""), 1)).unwrap();
    let http = format!("127.0.0.1:{http}");
    let mut server = server(&compose, &[], &http, folder.path());
    let mut server = Running::start(server.env("WHITEWATER_AUTH_JWT_SECRET", SECRET));
    server.listens(&http).await;
    let mut varnish = Running::start(&mut varnish(&compose, &vcl, port, folder.path()));
    varnish.listens(&format!("127.0.0.1:{port}")).await;
    let mut token = Command::new(env!("CARGO_BIN_EXE_whitewater"));
    token.args(["token", "--admin", "--ttl", "1h"]).env("WHITEWATER_AUTH_JWT_SECRET", SECRET);
    let good = String::from_utf8(said(&mut token).stdout).unwrap().trim().to_owned();

    let url = format!("http://127.0.0.1:{port}/api/v1/sessions");
    let from = |last: u8| {
        let address = IpAddr::from([127, 0, 0, last]);
        Client::builder().local_address(address).build().unwrap()
    };
    let (guesser, neighbour) = (from(2), from(3));
    let ask = async |client: &Client, token: &str| {
        // Whom a client claims to be is nobody's concern.
        let request = client.get(&url).header("X-Forwarded-For", "127.0.0.3").bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    let mut refused = 0;
    while ask(&guesser, "a guess").await == 401 {
        refused += 1;
        assert!(refused < 1_000, "nobody counts");
    }
    assert!(refused >= 60, "{refused}");
    assert_eq!(ask(&guesser, &good).await, 429);
    assert_eq!(ask(&neighbour, &good).await, 200);
}

#[test]
fn every_proxy_tells_who_asks_and_nginx_logs_no_tokens() {
    let nginx = read("deploy/nginx/whitewater.conf");
    let proxied = nginx.matches("proxy_pass ").count();
    for line in ["X-Forwarded-For $remote_addr;", "Forwarded \"\";"] {
        let line = format!("proxy_set_header {line}");
        assert_eq!(nginx.matches(&line).count(), proxied, "a location inherits none: {line}");
    }
    assert!(nginx.contains("access_log /var/log/nginx/access.log whitewater;"));
    let (_, format) = nginx.split_once("log_format whitewater ").unwrap();
    let (format, _) = format.split_once(';').unwrap();
    for told in ["$request ", "$request\"", "$request_uri", "$args", "$query", "$http_referer"] {
        assert!(!format.contains(told), "{told} may hold a token: {format}");
    }
}

#[tokio::test]
async fn the_prometheus_of_the_compose_file_runs_with_the_shipped_rules() {
    let compose = compose();
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let shipped = root().join("deploy/prometheus/prometheus.yml");
    let data = folder.path().join("data");
    let words = command(
        &compose,
        "prometheus",
        &[
            ("/etc/prometheus/prometheus.yml", shipped.to_str().unwrap()),
            ("path=/prometheus", &format!("path={}", data.display())),
        ],
    );
    let mut prometheus = Command::new("prometheus");
    prometheus.args(words).arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let mut prometheus = Running::start(&mut prometheus);
    let url = format!("http://127.0.0.1:{port}/api/v1/rules");
    let deadline = Instant::now() + Duration::from_secs(60);
    // It answers 503 until it is ready.
    let text = loop {
        match prometheus.answers(&url).await {
            (200, text) => break text,
            (status, text) => assert!(Instant::now() < deadline, "{status}: {text}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let answer: Value = serde_json::from_str(&text).unwrap();
    let rules = answer["data"]["groups"][0]["rules"].as_array().unwrap();
    let alerts = read("deploy/prometheus/whitewater.rules.yml").matches("- alert:").count();
    assert_eq!(rules.len(), alerts);
}

#[test]
fn promtool_finds_the_scrape_configuration_and_the_rules_right() {
    let folder = root().join("deploy/prometheus");
    for arguments in
        [["check", "config", "prometheus.yml"], ["test", "rules", "whitewater.test.yml"]]
    {
        said(Command::new("promtool").args(arguments).current_dir(&folder));
    }
    // Every rule is tried.
    let tests = read("deploy/prometheus/whitewater.test.yml");
    for line in read("deploy/prometheus/whitewater.rules.yml").lines() {
        if let Some((_, alert)) = line.split_once("- alert: ") {
            assert!(tests.contains(alert), "whitewater.test.yml tries {alert}");
        }
    }
}

#[test]
fn systemd_takes_the_unit_and_finds_little_exposed() {
    let shipped = read("deploy/systemd/whitewater.service");
    let unit = shipped.replace("/usr/local/bin/whitewater", env!("CARGO_BIN_EXE_whitewater"));
    assert_ne!(unit, shipped);
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("whitewater.service");
    let with_credentials = unit.replace("\n#LoadCredential=", "\nLoadCredential=");
    assert_ne!(with_credentials, unit);
    for unit in [unit, with_credentials] {
        std::fs::write(&path, unit).unwrap();
        let checked = said(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path));
        let text = String::from_utf8_lossy(&checked.stderr).into_owned();
        // It also reads the system's other units, and complains about those.
        assert!(!text.contains("whitewater.service"), "{text}");
        // 2.0 of 10, where a unit without any of it has 9.6.
        let security = ["security", "--offline=true", "--threshold=20", "--no-pager"];
        said(Command::new("systemd-analyze").args(security).arg(&path));
    }
}

#[test]
fn every_command_line_of_the_deployment_is_one_that_the_server_takes() {
    let unit = read("deploy/systemd/whitewater.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("whitewater.toml");
    // A port that is no address ends it at once, after all of the line was read.
    std::fs::write(&config, "http = \"nowhere\"\n").unwrap();
    let words = line.split_whitespace().skip(1).map(|word| match word {
        "/etc/whitewater/whitewater.toml" => config.to_str().unwrap(),
        other => other,
    });
    let output = Command::new(env!("CARGO_BIN_EXE_whitewater")).args(words).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("bad value for http"), "{text}");
}
