//! Deliveries in the API: what became of what webhooks were sent.

#![allow(unused_qualifications, reason = "the macros of utoipa write them")]

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::control::DeliveryInfo;
use crate::problem::Problem;
use crate::router::Shared;

/// How many deliveries are asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Latest {
    /// So many at most; 100 if it is not said.
    #[param(minimum = 0, maximum = 1000)]
    limit: Option<usize>,
    /// A token, for who can send no header.
    #[param(ignore)]
    #[serde(rename = "token")]
    _token: Option<String>,
}

/// What became of the latest events that webhooks were sent, the newest first.
#[utoipa::path(get, path = "/v1/webhooks/deliveries", tag = "webhooks", params(Latest),
    responses((status = 200, description = "the newest first", body = Vec<DeliveryInfo>)))]
pub(super) async fn list(
    State(shared): State<Shared>,
    latest: Result<Query<Latest>, QueryRejection>,
) -> Result<Json<Vec<DeliveryInfo>>, Problem> {
    let bad = |_| Problem::new(StatusCode::BAD_REQUEST, "the query may be limit=NUMBER only");
    let Query(Latest { limit, .. }) = latest.map_err(bad)?;
    let limit = limit.unwrap_or(USUAL_DELIVERIES);
    if limit > MAX_DELIVERIES {
        let detail = format!("limit must be from 0 to {MAX_DELIVERIES}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    Ok(Json(shared.control.deliveries(limit)))
}

/// Deliveries that are shown to who does not say how many.
const USUAL_DELIVERIES: usize = 100;

/// No more are kept. The document says it too.
const MAX_DELIVERIES: usize = 1_000;
