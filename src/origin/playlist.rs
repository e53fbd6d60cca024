//! A handler of media playlists, which holds those that ask for what comes next.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tokio::sync::Semaphore;
use whitewater_core::playlist::{Answer, Directives, Form, decide};

use super::answer::{self, Age};
use super::epoch::Epoch;
use super::hold::{Held, hold};
use super::rendition::{Rendition, Shown};

/// What a request ends with.
enum Outcome {
    Send(Form),
    Refuse(String),
    Gone,
}

pub(super) async fn serve(
    epoch: &Epoch,
    rendition: &Rendition,
    held: &Semaphore,
    query: &str,
    headers: &HeaderMap,
) -> Response {
    let target = rendition.config().target_duration();
    let directives = match Directives::parse(query) {
        Ok(directives) => directives,
        // Section 6.2.5.2: of a playlist that has ended they mean nothing.
        Err(_) if rendition.shown().state.ended => Directives::default(),
        Err(why) => {
            let age = Age::of(target * BLOCKING_ERROR_TARGETS);
            return answer::problem(StatusCode::BAD_REQUEST, &why.to_string(), age);
        }
    };
    let check = |shown: Shown| {
        if shown.gone {
            return Some(Outcome::Gone);
        }
        match decide(&directives, &shown.state) {
            Answer::Now => Some(Outcome::Send(Form::Full)),
            Answer::Delta => Some(Outcome::Send(Form::Delta)),
            Answer::BadRequest(why) => Some(Outcome::Refuse(why.to_string())),
            Answer::Wait => None,
        }
    };
    let (age, error_age) = match directives.is_blocking() {
        true => (target * BLOCKING_TARGETS, target * BLOCKING_ERROR_TARGETS),
        false => (target / 2, target),
    };
    match hold(rendition.changes(), held, patience(target), check).await {
        Held::Ready(Outcome::Send(form)) => {
            rendition.text(form, || epoch.reports(rendition)).answer(headers, Age::of(age))
        }
        Held::Ready(Outcome::Refuse(why)) => {
            answer::problem(StatusCode::BAD_REQUEST, &why, Age::of(error_age))
        }
        Held::Ready(Outcome::Gone) => answer::nowhere(Age::of(error_age)),
        Held::Late => answer::late(),
        Held::TooMany => answer::too_many(),
    }
}

/// How long a request is held: three target durations (section 6.2.5.2), or less where proxies would give up before.
pub(super) fn patience(target: Duration) -> Duration {
    (target * 3).min(LONGEST_PATIENCE)
}

const LONGEST_PATIENCE: Duration = Duration::from_secs(10);

/// How long caches may keep answers to requests that name a part (appendix B.1).
pub(super) const BLOCKING_TARGETS: u32 = 6;

const BLOCKING_ERROR_TARGETS: u32 = 4;
