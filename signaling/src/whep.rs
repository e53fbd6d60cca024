//! A WHEP endpoint that lets viewers in, and their choice of a layer (draft-ietf-wish-whep-03).

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use serde_json::error::Category;

use crate::control::{LayerChoice, Side};
use crate::endpoint::{self, ACCEPT_POST, Offer, SDP, Target};
use crate::problem::Problem;
use crate::router::Shared;
use crate::{auth, cors, events, limit, session};

/// The endpoint, its sessions and their layer resources.
pub(crate) fn routes(shared: &Shared) -> Router<Shared> {
    let endpoint = get(look).head(discover).post(open).options(endpoint::options);
    let layer = post(choose).delete(unchoose).options(layer_options);
    Router::new()
        .route("/{stream}", endpoint)
        .route("/{stream}/{session}", session::methods())
        .route("/{stream}/{session}/layer", layer)
        .merge(events::routes())
        .route_layer(middleware::from_fn_with_state(Arc::clone(shared), auth::guard))
        .layer(Extension(Side::Watch))
}

fn look(_: Target) -> Ready<Response> {
    let response = (StatusCode::NO_CONTENT, [(header::CONTENT_TYPE, SDP)]).into_response();
    ready(response)
}

/// Tells a client that knows nothing but the URL that this is a WHEP endpoint.
fn discover(_: Target) -> Ready<Response> {
    let empty = HeaderValue::from_static("0");
    let headers = [(header::CONTENT_TYPE, SDP), (header::CONTENT_LENGTH, empty)];
    ready(headers.into_response())
}

async fn open(State(shared): State<Shared>, Offer(request): Offer) -> Result<Response, Problem> {
    let stream = request.stream.clone();
    let opened = shared.control.subscribe(request).await.map_err(|no| shared.refused(&no))?;
    endpoint::created(&shared, Side::Watch, stream, opened)
}

async fn choose(
    State(shared): State<Shared>,
    session::Target(session): session::Target,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let control = &shared.control;
    control.probe(session.clone()).await.map_err(|no| shared.refused(&no))?;
    if !limit::has_type(&headers, JSON) {
        return Err(Problem::wrong_type(JSON));
    }
    let text = limit::text(&headers, body, &shared.config).await?;
    let choice = parse_choice(&text)?;
    control.select_layer(session, choice).await.map_err(|no| shared.refused(&no))?;
    Ok(StatusCode::OK)
}

async fn unchoose(
    State(shared): State<Shared>,
    session::Target(session): session::Target,
) -> Result<StatusCode, Problem> {
    let automatic = LayerChoice::default();
    let selected = shared.control.select_layer(session, automatic).await;
    selected.map_err(|no| shared.refused(&no))?;
    Ok(StatusCode::OK)
}

fn layer_options(
    headers: HeaderMap,
    target: Result<session::Target, Problem>,
) -> Ready<Result<Response, Problem>> {
    ready(match target {
        Err(problem) if !cors::is_preflight(&Method::OPTIONS, &headers) => Err(problem),
        Ok(_) | Err(_) => Ok([(ACCEPT_POST, HeaderValue::from_static(JSON))].into_response()),
    })
}

/// Reads a choice: 400 for what is no JSON, 422 for JSON that is no choice.
pub(crate) fn parse_choice(text: &str) -> Result<LayerChoice, Problem> {
    limit::object(text).map_err(|error| match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => {
            Problem::new(StatusCode::BAD_REQUEST, "the body is not JSON")
        }
        Category::Data => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the body must be an object with no other members than mediaId, rid, spatialLayerId, \
             temporalLayerId, maxSpatialLayerId, maxTemporalLayerId, maxWidth and maxHeight",
        ),
    })
}

pub(crate) const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_by_its_names_in_the_extension() {
        let text = r#"{"mediaId":"0","rid":"h","maxWidth":640,"maxTemporalLayerId":1}"#;
        let expected = LayerChoice {
            media_id: Some("0".into()),
            rid: Some("h".into()),
            max_width: Some(640),
            max_temporal_layer_id: Some(1),
            ..LayerChoice::default()
        };
        assert_eq!(parse_choice(text), Ok(expected), "E41: the members");
        assert_eq!(parse_choice("{}"), Ok(LayerChoice::default()), "E42: automatic");
        assert!(parse_choice("[null, \"h\"]").is_err(), "a list has no names");
    }
}
