use super::*;
use clap::Parser;

/// Names and values.
type Variables = &'static [(&'static str, &'static str)];

#[derive(Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

fn merged(file: &str, env: &[(&str, &str)], args: &[&str]) -> Result<Config, ConfigError> {
    let line = Line::try_parse_from(args).expect("the flags exist");
    let env = env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    let file = File { path: "w.toml", text: file };
    Config::merge(Some(file), env, &line.flags)
}

fn refusal(file: &str, env: &[(&str, &str)], args: &[&str]) -> String {
    merged(file, env, args).expect_err("it is refused").to_string()
}

#[test]
fn nothing_at_all_is_the_defaults() {
    let config = Config::merge(None, [], &Flags::default()).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.http.to_string(), "127.0.0.1:8080");
    assert_eq!(config.udp.to_string(), "127.0.0.1:7000");
    assert_eq!(config.data, PathBuf::from("./data"));
    assert_eq!(config.limits.max_publisher_bitrate_bps, 50_000_000);
    assert_eq!(config.cors_origins, ["*"]);
    assert_eq!(config.log, Log { format: LogFormat::Text, filter: "info".into() });
    assert_eq!((config.shards, &config.tls), (None, &None));
}

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let file = "max_viewers = 1\nmax_streams = 1\nshards = 1\n";
    let env = [("WHITEWATER_MAX_STREAMS", "2"), ("WHITEWATER_SHARDS", "2")];
    let config = merged(file, &env, &["--shards", "3"]).unwrap();
    assert_eq!(config.limits.max_viewers, 1);
    assert_eq!(config.limits.max_streams, 2);
    assert_eq!(config.shards, NonZeroUsize::new(3));
}

#[test]
fn a_list_of_a_later_source_replaces_the_whole_list() {
    let file = "public_ips = ['192.0.2.1', '192.0.2.2']";
    let config = merged(file, &[("WHITEWATER_PUBLIC_IPS", "192.0.2.3  192.0.2.4")], &[]).unwrap();
    assert_eq!(
        config.public_ips,
        ["192.0.2.3", "192.0.2.4"].map(|ip| ip.parse::<IpAddr>().unwrap())
    );
    let args = ["--public-ip", "192.0.2.5", "--public-ip", "192.0.2.6"];
    let config = merged(file, &[("WHITEWATER_PUBLIC_IPS", "192.0.2.3")], &args).unwrap();
    assert_eq!(
        config.public_ips,
        ["192.0.2.5", "192.0.2.6"].map(|ip| ip.parse::<IpAddr>().unwrap())
    );
}

#[test]
fn every_key_can_be_set_in_the_file() {
    let file = r#"
        http = "[::1]:1"
        udp = "[::1]:2"
        tcp = false
        data = "/srv/whitewater"
        public_ips = ["2001:db8::1"]
        shards = 4
        max_streams = 5
        max_viewers = 6
        max_http_connections = 7
        max_publisher_bitrate = "7.5M"
        cors_origins = ["https://example.org", "http://localhost:5173"]
        tls_cert = "c.pem"
        tls_key = "k.pem"
        log_format = "json"
        log = "warn,whitewater=debug"
        insecure_open = true
        drain_delay_s = 5
        drain_timeout_s = 30

        [[ice_servers]]
        urls = ["turn:turn.example.org:3478?transport=udp", "turns:turn.example.org"]
        username = "u"
        credential = "s3cret"

        [[ice_servers]]
        urls = "stun:stun.example.org"

        [[streams]]
        match = "show-*"
        max_bitrate_bps = 6_000_000
        reconnect_window_s = 30
    "#;
    let config = merged(file, &[], &[]).unwrap();
    assert_eq!(config.limits.max_publisher_bitrate_bps, 7_500_000);
    assert_eq!(config.tls, Some(Tls { cert: "c.pem".into(), key: "k.pem".into() }));
    assert_eq!(config.log.format, LogFormat::Json);
    assert!(config.insecure_open);
    let seconds = Duration::from_secs;
    assert_eq!(config.drain, Drain { delay: seconds(5), timeout: seconds(30) });
    assert!(!config.tcp);
    assert_eq!(config.ice_servers.len(), 2);
    assert_eq!(config.ice_servers[0].urls.len(), 2);
    assert_eq!(config.ice_servers[0].credential.as_deref(), Some("s3cret"));
    assert_eq!(config.ice_servers[1].urls, ["stun:stun.example.org"]);
    assert_eq!(config.streams.len(), 1);
}

#[test]
fn http_and_media_over_tcp_cannot_share_a_port() {
    let file = "http = '127.0.0.1:443'\nudp = '127.0.0.1:443'\n";
    let refusal = merged(file, &[], &[]).unwrap_err().to_string();
    assert!(refusal.contains("--tcp false"), "{refusal}");
    assert!(!merged(&format!("{file}tcp = false\n"), &[], &[]).unwrap().tcp);
    assert!(
        merged(&file.replace("udp = '127.0.0.1:443'", "udp = '127.0.0.1:444'"), &[], &[])
            .unwrap()
            .tcp
    );
}

#[test]
fn the_first_section_that_matches_decides_for_a_stream() {
    let file = r#"
        [[streams]]
        match = "show-hd"
        max_bitrate_bps = "12M"
        [[streams]]
        match = "show-*"
        reconnect_window_s = 30
        takeover = true
        hls = "always"
        hls_segment_s = 4
        hls_window_s = 600
        hls_memory_s = 60
        hls_sound = "both"
        hls_ladder = ["360p", "1080p", "540"]
        hls_codec = "h265"
    "#;
    let config = merged(file, &[], &[]).unwrap();
    let hd = config.policy("show-hd");
    assert_eq!(hd.max_bitrate_bps, Some(12_000_000));
    assert_eq!(hd.reconnect_window, Duration::from_secs(10));
    assert!(!hd.takeover && config.policy("show-2").takeover);
    assert_eq!((hd.hls, config.policy("show-2").hls), (Hls::OnDemand, Hls::Always));
    let sound = |name| config.policy(name).hls_sound;
    assert_eq!((hd.hls_sound, sound("show-2")), (HlsSound::Aac, HlsSound::Both));
    let cut = |name| {
        let Policy { hls_segment, hls_window, hls_memory, .. } = config.policy(name);
        [hls_segment, hls_window, hls_memory].map(|lasts| lasts.as_secs())
    };
    assert_eq!((cut("show-hd"), cut("show-2")), ([2, 120, 180], [4, 600, 60]));
    let (ladder, codec) = (config.policy("show-2").hls_ladder, config.policy("show-2").hls_codec);
    assert_eq!((ladder, codec), (vec![1080, 540, 360], HlsCodec::H265));
    assert_eq!((hd.hls_ladder, hd.hls_codec), (vec![], HlsCodec::H264));
    assert_eq!(config.policy("show-2").reconnect_window, Duration::from_secs(30));
    assert_eq!(config.policy("other"), Policy::default());
}

#[test]
fn an_unknown_key_is_one_sentence_that_names_key_and_place() {
    let rows: [(&str, Variables, &str); 5] = [
        (
            "\n\nmax_viwers = 3",
            &[],
            "unknown key max_viwers in w.toml line 3; is max_viewers meant?",
        ),
        ("quux = [[1]]", &[], "unknown key quux in w.toml line 1"),
        (
            "[[streams]]\nmatch = '*'\nmax_bitrate = 1",
            &[],
            "unknown key max_bitrate in w.toml line 3",
        ),
        (
            "[[ice_servers]]\nurls = []\nuser_name = ''",
            &[],
            "unknown key user_name in w.toml line 3; is username meant?",
        ),
        (
            "",
            &[("WHITEWATER_HTPP", "x")],
            "unknown key htpp in the environment as WHITEWATER_HTPP; is http meant?",
        ),
    ];
    for (file, env, sentence) in rows {
        assert_eq!(refusal(file, env, &[]).lines().count(), 1);
        assert!(refusal(file, env, &[]).starts_with(sentence), "{}", refusal(file, env, &[]));
    }
}

#[test]
fn a_bad_value_is_one_sentence_that_names_key_and_place() {
    let rows: [(&str, &[&str], &str); 17] = [
        ("http = 8080", &[], "bad value for http in w.toml line 1: \"8080\" is not an address"),
        ("", &["--udp", "localhost:1"], "bad value for udp given as --udp: \"localhost:1\""),
        ("shards = -1", &[], "bad value for shards in w.toml line 1: \"-1\" is not a whole number"),
        ("shards = [1, 2]", &[], "bad value for shards in w.toml line 1: it takes one value"),
        (
            "[[streams]]\nmatch = '*'\nhls_segment_s = 1",
            &[],
            "bad value for streams.hls_segment_s in w.toml line 3: 1 is not from 2 to 10",
        ),
        ("\nhttp.listen = 1", &[], "bad value for http in w.toml line 2: it is a section"),
        ("max_viewers = 0", &[], "bad value for max_viewers in w.toml line 1: 0 would refuse"),
        ("data = ''", &[], "bad value for data in w.toml line 1: it is empty"),
        ("max_publisher_bitrate = '8 M'", &[], "bad value for max_publisher_bitrate"),
        ("cors_origins = ['https://a.example/']", &[], "bad value for cors_origins"),
        ("insecure_open = 'yes'", &[], "bad value for insecure_open"),
        ("log = 'info,,=x=y'", &[], "bad value for log in"),
        ("public_ips = '0.0.0.0'", &[], "bad value for public_ips in"),
        ("[streams]\nmatch = '*'", &[], "bad value for streams in w.toml line 1: a section"),
        ("[[streams]]\n", &[], "bad value for streams in w.toml line 1: match is missing"),
        (
            "[[streams]]\nmatch = '*'\nreconnect_window_s = 9999",
            &[],
            "bad value for streams.reconnect_window_s in w.toml line 3",
        ),
        (
            "[[ice_servers]]\nurls='turn:a'",
            &[],
            "bad value for ice_servers in w.toml line 1: a TURN",
        ),
    ];
    for (file, args, sentence) in rows {
        let refusal = refusal(file, &[], args);
        assert!(refusal.starts_with(sentence), "{refusal}");
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
    }
}

#[test]
fn what_is_not_toml_is_one_sentence_with_the_line() {
    let refusal = refusal("shards = 1\nhttp = \n", &[], &[]);
    assert!(refusal.starts_with("w.toml line 2 is not valid TOML: "), "{refusal}");
    assert_eq!(refusal.lines().count(), 1);
}

#[test]
fn variables_that_are_not_ours_are_passed_over() {
    let env = [
        ("PATH", "/bin"),
        ("WHITEWATER_CONFIG", "w.toml"),
        ("WHITEWATER_URL", "http://127.0.0.1:1"),
        ("WHITEWATER_PORT", "tcp://10.0.0.1:80"),
        ("WHITEWATER_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("WHITEWATER_SERVICE_HOST", "10.0.0.1"),
    ];
    assert_eq!(merged("", &env, &[]).unwrap(), Config::default());
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    assert_eq!(
        refusal("", &[], &["--tls-cert", "c.pem"]),
        "tls_cert needs tls_key beside it: HTTPS takes both"
    );
    assert_eq!(
        refusal("tls_key = 'k.pem'", &[], &[]),
        "tls_key needs tls_cert beside it: HTTPS takes both"
    );
}

#[test]
fn an_open_server_for_others_is_refused_unless_insisted_upon() {
    let refusal = refusal("", &[], &["--http", "0.0.0.0:8080"]);
    assert!(refusal.contains("--insecure-open"), "{refusal}");
    assert!(merged("", &[], &["--http", "0.0.0.0:8080", "--insecure-open"]).is_ok());
    assert!(merged("", &[("WHITEWATER_INSECURE_OPEN", "1")], &["--udp", "0.0.0.0:1"]).is_ok());
}

#[test]
fn secrets_stay_out_of_debug_output_and_errors() {
    let args = ["--ice-server", "turn:turn.example.org,ann,s3,cret"];
    let config = merged("", &[], &args).unwrap();
    assert_eq!(config.ice_servers[0].credential.as_deref(), Some("s3,cret"));
    assert!(!format!("{config:?}").contains("s3,cret"));
    let refusal = refusal("", &[], &["--ice-server", "turn:t.example.org,,s3cret"]);
    assert!(!refusal.contains("s3cret"), "{refusal}");
}

#[test]
fn bit_rates_are_written_as_people_write_them() {
    let rows =
        [("8000000", 8_000_000), ("8M", 8_000_000), ("800k", 800_000), ("1.5G", 1_500_000_000)];
    for (text, bps) in rows {
        assert_eq!(value::bitrate_bps(text), Ok(bps), "{text}");
    }
    for text in ["", "M", "8MB", "-8M", "inf", "nan", "8e6", "1", "9999999G", "8é"] {
        assert!(value::bitrate_bps(text).is_err(), "{text}");
    }
}

#[test]
fn a_drain_needs_time_left_after_its_delay() {
    for (file, expected) in [
        ("drain_delay_s = 9", None),
        ("drain_delay_s = 10", Some("drain_delay_s must be less than drain_timeout_s: 10 and 10")),
        ("drain_timeout_s = 0", Some("drain_delay_s must be less than drain_timeout_s: 0 and 0")),
        ("drain_delay_s = 40\ndrain_timeout_s = 60", None),
    ] {
        let error = merged(file, &[], &[]).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), expected, "{file}");
    }
}
