//! A door that lets in who may watch a stream.
//!
//! An open stream is for everybody. For any other one the multivariant playlist needs a token, in
//! `Authorization` or as `token` in the query, and names what is below it under a pass that is part of
//! the path: `/hls/{stream}/{pass}/{epoch}/...`. So players need no token any more, and a cache keeps
//! one copy for all who have the same pass.

use std::pin::Pin;

use axum::http::{HeaderValue, header, request};
use axum::response::Response;
use whitewater_signaling::auth::{Ask, Decision, Denied, bearer_token, client, query_token};
use whitewater_signaling::control::{Action, StreamName};

use super::answer::{self, Age};

/// A part of a path that lets in whoever knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass(pub String);

/// Who decides who may watch.
pub trait Doors: Send + Sync + 'static {
    /// Whether everybody may watch a stream.
    fn is_open(&self, stream: &StreamName) -> bool;

    /// Whether a pass is good for a stream.
    fn admits(&self, stream: &StreamName, pass: &str) -> bool;

    /// Whether whoever asks may watch, and a pass for everything below.
    fn admit(&self, ask: Ask) -> Decision<'_, Pass>;
}

/// Doors that are open.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenDoors;

/// How somebody came in.
pub(crate) enum Entered {
    /// The stream is for everybody, or the path has a pass: caches may keep the answer.
    Openly,
    /// With a token: the answer is for nobody else.
    WithToken(Pass),
}

// === impl OpenDoors ===

impl Doors for OpenDoors {
    fn is_open(&self, _: &StreamName) -> bool {
        true
    }

    fn admits(&self, _: &StreamName, _: &str) -> bool {
        false
    }

    fn admit(&self, _: Ask) -> Decision<'_, Pass> {
        let no: Result<Pass, Denied> = Err(Denied::Missing);
        Pin::from(Box::new(std::future::ready(no)))
    }
}

/// Lets a request in, or says why not. `is_first`: it is for what names all the rest.
pub(crate) async fn enter(
    doors: &dyn Doors,
    stream: &StreamName,
    pass: Option<&str>,
    is_first: bool,
    parts: &request::Parts,
) -> Result<Entered, Response> {
    let is_open = doors.is_open(stream);
    match pass {
        // What is for everybody has one address, and so has the multivariant playlist.
        Some(_) if is_open || is_first => return Err(answer::nowhere(Age::SHORT)),
        Some(pass) if doors.admits(stream, pass) => return Ok(Entered::Openly),
        None if is_open => return Ok(Entered::Openly),
        Some(_) | None => {}
    }
    let token = bearer_token(&parts.headers).map(str::to_owned);
    let token = token.or_else(|| query_token(&parts.uri));
    let ask = Ask {
        action: Action::Watch,
        stream: Some(stream.clone()),
        token,
        client: client(&parts.extensions),
    };
    doors.admit(ask).await.map(Entered::WithToken).map_err(|denied| refuse(&denied))
}

/// Keeps caches from giving an answer to anybody else.
pub(crate) fn keep_private(response: &mut Response) {
    let private = HeaderValue::from_static("private, no-cache");
    response.headers_mut().insert(header::CACHE_CONTROL, private);
}

fn refuse(denied: &Denied) -> Response {
    let (status, challenge) = denied.over_http();
    let Some(challenge) = challenge else {
        return answer::problem_later(status, &denied.to_string(), Age::NONE);
    };
    let mut response = answer::problem(status, &denied.to_string(), Age::NONE);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}
