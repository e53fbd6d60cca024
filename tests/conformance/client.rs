//! A WHIP and WHEP client that shows every answer as it is.

use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response};

use crate::support::{Server, offers};

/// The media type of a trickle ICE fragment.
pub(crate) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// A session that was opened.
pub(crate) struct Session {
    pub(crate) path: String,
    pub(crate) etag: String,
    pub(crate) answer: String,
    /// The ICE credentials that the client offered.
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
}

/// A request to a path of the server; redirects are not followed.
pub(crate) fn request(server: &Server, method: Method, path: &str) -> RequestBuilder {
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    client.request(method, server.url(path))
}

/// Sends a request without anything in it.
pub(crate) async fn send(server: &Server, method: Method, path: &str) -> Response {
    request(server, method, path).send().await.unwrap()
}

/// Posts an offer.
pub(crate) async fn post(server: &Server, path: &str, offer: &str) -> Response {
    let request = request(server, Method::POST, path).header("Content-Type", "application/sdp");
    request.body(offer.to_owned()).send().await.unwrap()
}

/// Posts an offer that must be answered.
pub(crate) async fn open(server: &Server, path: &str, offer: &str) -> Session {
    let response = post(server, path, offer).await;
    let status = response.status();
    let (path, etag) = (header(&response, "location"), header(&response, "etag"));
    let answer = response.text().await.unwrap();
    assert_eq!(status, 201, "the session opens: {answer}");
    let ufrag = value_of(offer, "a=ice-ufrag:").to_owned();
    let pwd = value_of(offer, "a=ice-pwd:").to_owned();
    Session { path, etag, answer, ufrag, pwd }
}

/// Opens a publisher's session as Chromium does.
pub(crate) async fn publish(server: &Server, stream: &str) -> Session {
    open(server, &format!("/whip/{stream}"), &offers::publish_simulcast()).await
}

/// Opens a viewer's session as Chromium does.
pub(crate) async fn watch(server: &Server, stream: &str) -> Session {
    open(server, &format!("/whep/{stream}"), &offers::watch()).await
}

/// Patches a session with a fragment.
pub(crate) async fn patch(
    server: &Server,
    path: &str,
    if_match: Option<&str>,
    fragment: String,
) -> Response {
    let mut request = request(server, Method::PATCH, path).header("Content-Type", FRAGMENT);
    if let Some(if_match) = if_match {
        request = request.header("If-Match", if_match);
    }
    request.body(fragment).send().await.unwrap()
}

/// A fragment with these credentials and one usable candidate.
pub(crate) fn fragment(ufrag: &str, pwd: &str) -> String {
    format!(
        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
         a=candidate:1 1 udp 2122260223 127.0.0.1 50000 typ host\r\na=end-of-candidates\r\n"
    )
}

/// The rest of the first line that begins like this; the empty text if there is none.
pub(crate) fn value_of<'a>(sdp: &'a str, prefix: &str) -> &'a str {
    sdp.lines().find_map(|line| line.strip_prefix(prefix)).unwrap_or_default().trim_end()
}

/// A header's value; the empty text if it is not there.
pub(crate) fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map_or(String::new(), |value| value.to_str().unwrap().into())
}

/// The values of a header, line by line.
pub(crate) fn headers(response: &Response, name: &str) -> Vec<String> {
    let values = response.headers().get_all(name).iter();
    values.map(|value| value.to_str().unwrap().to_owned()).collect()
}

/// Checks that a response is a problem with one of these statuses that any page may read.
pub(crate) async fn assert_problem(response: Response, statuses: &[u16], item: &str) {
    let status = response.status().as_u16();
    let url = response.url().path().to_owned();
    assert!(statuses.contains(&status), "{item}: {url} answers {status}, not {statuses:?}");
    let kind = header(&response, "content-type");
    assert_eq!(kind, "application/problem+json", "{item}: type of {url}");
    let origin = header(&response, "access-control-allow-origin");
    assert_eq!(origin, "*", "{item}: CORS of {url}");
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["status"], status, "{item}: {body}");
    for member in ["type", "title", "detail"] {
        assert!(body[member].is_string(), "{item}: {member} of {body}");
    }
}
