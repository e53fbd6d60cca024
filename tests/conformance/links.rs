//! Tests of the `Link` headers: ICE servers and extensions (RFC 9725 sections 4.6 and 4.9).

use reqwest::Method;

use super::client::{headers, post, request, send};
use crate::support::{Server, offers};

const ICE_SERVERS: &str = r#"
[[ice_servers]]
urls = ["stun:stun.example:3478"]

[[ice_servers]]
urls = ["turn:turn.example?transport=udp", "turn:turn.example?transport=tcp"]
username = "u"
credential = "p"
"#;

const LINKS: [&str; 3] = [
    r#"<stun:stun.example:3478>; rel="ice-server""#,
    r#"<turn:turn.example?transport=udp>; rel="ice-server"; username="u"; credential="p""#,
    r#"<turn:turn.example?transport=tcp>; rel="ice-server"; username="u"; credential="p""#,
];

#[tokio::test]
async fn ice_servers_are_handed_out_one_header_line_each() {
    let server = Server::with_config(ICE_SERVERS).await;
    let whip = post(&server, "/whip/a", &offers::publish_simulcast()).await;
    assert_eq!(headers(&whip, "link"), LINKS, "W60, W61: on WHIP's 201");
    let whep = post(&server, "/whep/a", &offers::watch()).await;
    assert_eq!(headers(&whep, "link")[..3], LINKS, "E17: on WHEP's 201");
}

#[tokio::test]
async fn a_preflight_learns_of_no_ice_servers() {
    let server = Server::with_config(ICE_SERVERS).await;
    for path in ["/whip/a", "/whep/a"] {
        let plain = send(&server, Method::OPTIONS, path).await;
        assert_eq!(headers(&plain, "link"), LINKS, "W62: plain OPTIONS {path}");
        let preflight = request(&server, Method::OPTIONS, path)
            .header("Origin", "https://page.example")
            .header("Access-Control-Request-Method", "POST");
        let preflight = preflight.send().await.unwrap();
        assert_eq!(preflight.status(), 200, "W62: preflight of {path}");
        assert!(headers(&preflight, "link").is_empty(), "W62: preflight of {path}");
    }
}

#[tokio::test]
async fn whip_advertises_no_extension() {
    let server = Server::start().await;
    let whip = post(&server, "/whip/a", &offers::publish_simulcast()).await;
    assert_eq!(whip.status(), 201, "W63: without any extension");
    assert!(headers(&whip, "link").is_empty(), "W63: WHIP has none");
}
