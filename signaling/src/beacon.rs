//! An endpoint that hears what players say of themselves ([what](../../docs/beacon.md)).

use axum::extract::{Request, State};
use axum::http::StatusCode;

use crate::api::not_live;
use crate::auth::{Ask, client, token};
use crate::control::{Action, Beacon, Heard, Refusal};
use crate::limit;
use crate::problem::Problem;
use crate::router::Shared;

/// A player says how it fares, now and then.
///
/// The body is JSON whatever type it has: `navigator.sendBeacon` sends text.
#[utoipa::path(post, path = "/v1/beacon", tag = "streams", request_body = Beacon,
    responses((status = 204, description = "it is heard")))]
pub(crate) async fn hear(
    State(shared): State<Shared>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (parts, body) = request.into_parts();
    let text = limit::short_text(&parts.headers, body, MAX_BYTES, &shared.config).await?;
    let beacon: Beacon = limit::object(&text)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let ask = Ask {
        action: Action::Watch,
        stream: Some(beacon.stream.clone()),
        token: token(&parts),
        client: client(&parts.extensions),
    };
    shared.authority.authorize(ask).await.map_err(|no| shared.denied(&no))?;
    match shared.control.hear(beacon) {
        Ok(Heard::Taken | Heard::TooSoon) => Ok(StatusCode::NO_CONTENT),
        Ok(Heard::TooMany) => Err(shared.refused(&Refusal::Full("too many players speak".into()))),
        Err(refusal) => Err(not_live(&shared, &refusal)),
    }
}

/// What a player may say.
const MAX_BYTES: usize = 1_024;
