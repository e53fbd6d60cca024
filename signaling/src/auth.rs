//! A guard that asks who may do what before anything else is done (RFC 9725 section 4.7, RFC 6750).
//!
//! Who decides is behind [`Authority`]. What needs a permission: opening, changing and ending sessions,
//! and reading the API. Event streams of a session need none beside their unguessable path.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, RequestPartsExt};

use crate::audit::Deed;
use crate::control::{Action, Grant, Identity, Side, StreamName};
use crate::problem::Problem;
use crate::rate::{self, TooMany};
use crate::router::Shared;

/// Who wants to do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What for.
    pub action: Action,
    /// On which stream; `None` is none in particular.
    pub stream: Option<StreamName>,
    /// The bearer token, as it came.
    pub token: Option<String>,
    /// Who asks.
    pub client: Option<IpAddr>,
}

/// Why somebody may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No token came where one is needed (401).
    #[error("this needs a token: Authorization: Bearer TOKEN")]
    Missing,
    /// The token is worth nothing (401).
    #[error("the token is not accepted: {0}")]
    Invalid(String),
    /// The token is for something else (403).
    #[error("the token is for something else: {0}")]
    Insufficient(String),
    /// Too many of the tokens that came from there were refused (429).
    #[error("too many tokens from your address were refused: the next is looked at in {} s", .0.seconds())]
    TooMany(TooMany),
    /// Nobody can tell at the moment (503).
    #[error("who may do this cannot be told at the moment")]
    Unavailable,
}

impl Denied {
    /// What it is over HTTP: the status, and the challenge for `WWW-Authenticate` (RFC 6750 section 3).
    pub fn over_http(&self) -> (StatusCode, Option<HeaderValue>) {
        let (status, challenge) = match self {
            Self::Missing => (StatusCode::UNAUTHORIZED, Some("Bearer")),
            Self::Invalid(_) => (StatusCode::UNAUTHORIZED, Some("Bearer error=\"invalid_token\"")),
            Self::Insufficient(_) => {
                (StatusCode::FORBIDDEN, Some("Bearer error=\"insufficient_scope\""))
            }
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, None),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, None),
        };
        (status, challenge.map(HeaderValue::from_static))
    }
}

/// The future of a decision.
pub type Decision<'a, T> = Pin<Box<dyn Future<Output = Result<T, Denied>> + Send + 'a>>;

/// Which streams somebody may watch.
pub type Sight = Arc<dyn Fn(&StreamName) -> bool + Send + Sync>;

/// What decides who may do what.
pub trait Authority: Send + Sync + 'static {
    /// Whether somebody may do something, and under which terms.
    fn authorize(&self, ask: Ask) -> Decision<'_, Grant>;

    /// Which streams whoever has this token may know of, as far as that can be told without asking for
    /// each: others may turn out to be among them by [`Self::authorize`].
    fn sight(&self, token: Option<String>, client: Option<IpAddr>) -> Decision<'_, Sight>;
}

/// An authority that lets everybody do everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Everybody;

// === impl Everybody ===

impl Authority for Everybody {
    fn authorize(&self, ask: Ask) -> Decision<'_, Grant> {
        let identity = ask.token.as_deref().map(Identity::of_token);
        Box::pin(std::future::ready(Ok(Grant::new(ask.action, ask.stream, identity))))
    }

    fn sight(&self, _: Option<String>, _: Option<IpAddr>) -> Decision<'_, Sight> {
        let all: Sight = Arc::new(|_| true);
        Box::pin(std::future::ready(Ok(all)))
    }
}

/// Lets a request on a stream's endpoint or session pass if it may, with its [`Grant`].
pub(crate) async fn guard(
    State(shared): State<Shared>,
    Extension(side): Extension<Side>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let changes = [Method::POST, Method::PATCH, Method::DELETE].contains(&parts.method);
    let client = client(&parts.extensions);
    let names = parts.extract::<Path<HashMap<String, String>>>().await;
    let names = names.map(|Path(names)| names).unwrap_or_default();
    // The path of an event stream is a secret of its own.
    let stream = names.get("stream").filter(|_| changes && !names.contains_key("events"));
    // What is no name finds nothing further on.
    if let Some(stream) = stream.and_then(|name| name.parse::<StreamName>().ok()) {
        let action = match side {
            Side::Publish => Action::Publish,
            Side::Watch => Action::Watch,
        };
        let token = bearer_token(&parts.headers).map(str::to_owned);
        let ask = Ask { action, stream: Some(stream), token, client };
        let grant = authorized(&shared, ask).await?;
        parts.extensions.insert(grant);
    }
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// Lets only who may do everything pass, and keeps a record of what they change.
pub(crate) async fn admin(
    State(shared): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if request.method() == Method::OPTIONS {
        return Ok(next.run(request).await);
    }
    let client = client(request.extensions());
    let deed = rate::changes(request.method()).then(|| Deed::of(&request, client));
    let (parts, body) = request.into_parts();
    let ask = Ask { action: Action::Admin, stream: None, token: token(&parts), client };
    let (who, response) = match authorized(&shared, ask).await {
        Ok(grant) => (grant.holder, next.run(Request::from_parts(parts, body)).await),
        Err(problem) => (None, problem.into_response()),
    };
    if let Some(deed) = deed {
        deed.record(who.as_deref(), response.status());
    }
    Ok(response)
}

/// Which streams a request may be told of.
pub(crate) struct Seen {
    sight: Sight,
    token: Option<String>,
    client: Option<IpAddr>,
}

// === impl Seen ===

impl Seen {
    /// Which they are, as far as can be told of all at once.
    pub(crate) fn sight(&self) -> Sight {
        Arc::clone(&self.sight)
    }

    /// Refuses a stream that its bearer may not watch. Of one stream by itself a hook is asked too: its
    /// grant is given back, and none for what is within sight.
    pub(crate) async fn check(
        &self,
        shared: &Shared,
        stream: &StreamName,
    ) -> Result<Option<Grant>, Problem> {
        if (self.sight)(stream) {
            return Ok(None);
        }
        let Self { token, client, .. } = self;
        let stream = Some(stream.clone());
        let ask = Ask { action: Action::Watch, stream, token: token.clone(), client: *client };
        let granted = shared.authority.authorize(ask).await;
        granted.map(Some).map_err(|no| shared.denied(&no))
    }
}

impl axum::extract::FromRequestParts<Shared> for Seen {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let (token, client) = (token(parts), client(&parts.extensions));
        let sight = shared.authority.sight(token.clone(), client).await;
        Ok(Self { sight: sight.map_err(|no| shared.denied(&no))?, token, client })
    }
}

/// Asks the authority, and counts what it allows against its token.
async fn authorized(shared: &Shared, ask: Ask) -> Result<Grant, Problem> {
    let token = ask.token.clone();
    let grant = shared.authority.authorize(ask).await.map_err(|no| shared.denied(&no))?;
    if let Some(token) = token {
        shared.rates.token(&token)?;
    }
    Ok(grant)
}

/// Who asks, where the server tells: it does by `ConnectInfo<SocketAddr>`.
pub fn client(extensions: &Extensions) -> Option<IpAddr> {
    let client = extensions.get::<ConnectInfo<SocketAddr>>();
    client.map(|ConnectInfo(address)| address.ip().to_canonical())
}

/// The bearer token of a request; of one that reads also from its query, as event sources and players
/// can send no header (RFC 6750 section 2.3).
pub(crate) fn token(parts: &Parts) -> Option<String> {
    bearer_token(&parts.headers).map(str::to_owned).or_else(|| query_token(&parts.uri))
}

/// The `token` of a query.
pub fn query_token(uri: &axum::http::Uri) -> Option<String> {
    let Query(query) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    query.into_iter().find_map(|(key, value)| (key == TOKEN).then_some(value))
}

/// The token of the one `Authorization: Bearer` (RFC 6750 section 2.1).
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The key of a token in a query.
pub(crate) const TOKEN: &str = "token";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read_and_nothing_else() {
        let rows: [(&[&str], Option<&str>); 8] = [
            (&[], None),
            (&["Bearer abc"], Some("abc")),
            (&["bearer  abc "], Some("abc")),
            (&["Bearer"], None),
            (&["Bearer "], None),
            (&["Basic abc"], None),
            (&["abc"], None),
            (&["Bearer abc", "Bearer abc"], None),
        ];
        for (values, token) in rows {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            assert_eq!(bearer_token(&headers), token, "{values:?}");
        }
    }

    #[test]
    fn a_query_has_a_token_too() {
        let rows = [("/x", None), ("/x?token=a.b-c", Some("a.b-c")), ("/x?a=1&token=z", Some("z"))];
        for (uri, token) in rows {
            assert_eq!(query_token(&uri.parse().unwrap()).as_deref(), token, "{uri}");
        }
    }
}
