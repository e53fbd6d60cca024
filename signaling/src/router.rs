//! A router that puts every path of the HTTP half together.

use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

use axum::http::HeaderValue;
use axum::routing::{any, get};
use axum::{Router, extract, middleware};

use crate::archive::Archive;
use crate::auth::{Authority, Denied};
use crate::config::Config;
use crate::control::{Control, Refusal};
use crate::cors::{self, Origins};
use crate::operator::Operator;
use crate::problem::{self, Problem};
use crate::rate::{self, Rates};
use crate::{api, time, whep, whip};

/// What every handler gets.
pub(crate) type Shared = Arc<State>;

/// What the handlers need beside the request.
pub(crate) struct State {
    pub(crate) control: Arc<dyn Control>,
    pub(crate) authority: Arc<dyn Authority>,
    pub(crate) config: Config,
    pub(crate) ice_links: Vec<HeaderValue>,
    pub(crate) origins: RwLock<Origins>,
    pub(crate) rates: rate::Guard,
    pub(crate) operator: OnceLock<Arc<dyn Operator>>,
    pub(crate) archive: OnceLock<Arc<dyn Archive>>,
}

/// What can be changed of a router while it runs. It does not keep the router's parts alive.
#[derive(Clone)]
pub struct Switch(Weak<State>);

/// The HTTP half as a router: it never binds, and has no fallback of its own outside `/whip`, `/whep`
/// and `/api`, so that others can be merged with it.
///
/// `axum::extract::ConnectInfo<SocketAddr>`, where the server provides it, tells the port who asks.
pub fn router(config: Config, control: Arc<dyn Control>, authority: Arc<dyn Authority>) -> Router {
    router_and_switch(config, control, authority).0
}

/// As [`router()`], with what changes it later.
pub fn router_and_switch(
    config: Config,
    control: Arc<dyn Control>,
    authority: Arc<dyn Authority>,
) -> (Router, Switch) {
    let shared = Arc::new(State {
        control,
        authority,
        ice_links: config.ice_links(),
        origins: RwLock::new(Origins::new(&config.cors_origins)),
        rates: rate::Guard::new(config.rates),
        operator: OnceLock::new(),
        archive: OnceLock::new(),
        config,
    });
    let switch = Switch(Arc::downgrade(&shared));
    let router = Router::new()
        .nest("/whip", whip::routes(&shared).fallback(problem::nowhere))
        .nest("/whep", whep::routes(&shared).fallback(problem::nowhere))
        .nest("/api", api::routes(&shared).fallback(problem::nowhere))
        .route("/whip/", any(problem::nowhere))
        .route("/whep/", any(problem::nowhere))
        .route("/api/", any(problem::nowhere))
        .route("/time", get(time::now).options(cors::options))
        .route("/healthz", get("ok").options(cors::options))
        .route("/readyz", get(ready).options(cors::options))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(middleware::from_fn_with_state(shared.clone(), rate::limit))
        .layer(middleware::from_fn_with_state(shared.clone(), cors::share))
        .with_state(shared);
    (router, switch)
}

/// Tells whoever balances load whether new sessions are taken here.
async fn ready(extract::State(shared): extract::State<Shared>) -> Result<&'static str, Problem> {
    if shared.control.is_ready() { Ok("ok") } else { Err(shared.refused(&Refusal::Closing)) }
}

// === impl Switch ===

impl Switch {
    /// Lets these origins' pages call us from now on.
    pub fn set_cors_origins(&self, origins: &[String]) {
        let origins = Origins::new(origins);
        if let Some(shared) = self.0.upgrade() {
            *shared.origins.write().unwrap_or_else(PoisonError::into_inner) = origins;
        }
    }

    /// Lets these rates hold from now on.
    pub fn set_rates(&self, rates: Rates) {
        if let Some(shared) = self.0.upgrade() {
            shared.rates.set(rates);
        }
    }

    /// Lets administrators ask the operator, who may change things by this switch. It is set once.
    pub fn set_operator(&self, operator: Arc<dyn Operator>) {
        if let Some(shared) = self.0.upgrade() {
            let _ = shared.operator.set(operator);
        }
    }

    /// Lets the API show these recordings. It is set once.
    pub fn set_archive(&self, archive: Arc<dyn Archive>) {
        if let Some(shared) = self.0.upgrade() {
            let _ = shared.archive.set(archive);
        }
    }

    /// How many requests were refused because there were too many.
    pub fn refused(&self) -> u64 {
        self.0.upgrade().map_or(0, |shared| shared.rates.refused())
    }
}

// === impl State ===

impl State {
    /// What a refusal of the port is over HTTP.
    pub(crate) fn refused(&self, refusal: &Refusal) -> Problem {
        Problem::refused(refusal, self.config.retry_after_s)
    }

    /// What a denial of the authority is over HTTP.
    pub(crate) fn denied(&self, denied: &Denied) -> Problem {
        Problem::denied(denied, self.config.retry_after_s)
    }
}
