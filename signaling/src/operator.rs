//! The operator's part of the API: what holds for the process as a whole.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::router::Shared;

/// What knows the configuration of the process.
pub trait Operator: Send + Sync + 'static {
    /// What holds, without secrets.
    fn config(&self) -> serde_json::Value;

    /// Reads the configuration again and lets hold what can; else says why nothing has changed. It may
    /// read files.
    fn reload(&self) -> Result<Reloaded, String>;
}

/// What a configuration that was read again did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reloaded {
    /// Keys and sections that hold in another way now.
    pub changed: Vec<String>,
    /// Keys that were changed and wait for a restart.
    pub needs_restart: Vec<String>,
}

/// The configuration that holds, without secrets.
#[utoipa::path(get, path = "/v1/config", tag = "server",
    responses((status = 200, description = "what holds", body = serde_json::Value)))]
pub(crate) async fn show(State(shared): State<Shared>) -> Result<Json<serde_json::Value>, Problem> {
    let operator = operator(&shared)?;
    run(move || Json(operator.config())).await
}

/// Reads the configuration again, and lets hold what can without a restart.
#[utoipa::path(post, path = "/v1/config/reload", tag = "server",
    responses((status = 200, description = "what holds now, and what waits", body = Reloaded)))]
pub(crate) async fn reload(State(shared): State<Shared>) -> Result<Json<Reloaded>, Problem> {
    let operator = operator(&shared)?;
    let outcome = run(move || operator.reload()).await?;
    outcome.map(Json).map_err(|why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why))
}

fn operator(shared: &Shared) -> Result<Arc<dyn Operator>, Problem> {
    shared.operator.get().cloned().ok_or_else(Problem::nowhere)
}

/// Runs what may read files.
async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let span = tracing::Span::current();
    let work = tokio::task::spawn_blocking(move || span.in_scope(work));
    work.await.map_err(|_| Problem::fault())
}
