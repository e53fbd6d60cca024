//! A WHIP endpoint that takes publishers in (RFC 9725).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router, middleware};

use crate::auth;
use crate::control::Side;
use crate::endpoint::{self, Offer, Target};
use crate::problem::Problem;
use crate::router::Shared;
use crate::session;

/// The endpoint and its sessions.
pub(crate) fn routes(shared: &Shared) -> Router<Shared> {
    Router::new()
        .route("/{stream}", get(look).post(open).options(endpoint::options))
        .route("/{stream}/{session}", session::methods())
        .route_layer(middleware::from_fn_with_state(Arc::clone(shared), auth::guard))
        .layer(Extension(Side::Publish))
}

fn look(_: Target) -> std::future::Ready<StatusCode> {
    std::future::ready(StatusCode::NO_CONTENT)
}

async fn open(State(shared): State<Shared>, Offer(request): Offer) -> Result<Response, Problem> {
    let stream = request.stream.clone();
    let opened = shared.control.publish(request).await.map_err(|no| shared.refused(&no))?;
    endpoint::created(&shared, Side::Publish, stream, opened)
}
