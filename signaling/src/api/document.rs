//! A document that describes the API (OpenAPI 3.1), made of what the handlers say.

use axum::body::Bytes;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, ResponseBuilder,
    ServerBuilder,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::router::Shared;

/// The stream that a path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "it is described, and read by `endpoint::Target`")]
pub(super) struct Stream {
    /// A stream's name.
    #[param(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
    stream: String,
}

/// The session that a path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "it is described, and read by the handlers as text")]
pub(super) struct Session {
    /// A session's `id`, as the list of sessions has it.
    session: String,
}

/// Why a request was refused (RFC 9457).
#[derive(ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code, reason = "it is described, and written by `problem`")]
pub(super) struct Problem {
    /// `about:blank`: the status says what it is.
    r#type: String,
    /// The status in words.
    title: String,
    /// The status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// A sentence for the person on the other side.
    detail: String,
}

/// The document before any route is in it.
pub(super) fn beginning() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A token, as `whitewater token` makes it. Where the server is open, none is needed. \
             Who can send no header puts it into the query: `?token=`.",
        ))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme(BEARER, SecurityScheme::Http(bearer))
        .schema_from::<Problem>();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Whitewater")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some("What is live, and what administrators see and change."))
                .build(),
        )
        .servers(Some([ServerBuilder::new().url("/api").build()]))
        .components(Some(components.build()))
        .build()
}

/// Marks every operation as one for administrators.
pub(super) fn for_administrators(mut router: OpenApiRouter<Shared>) -> OpenApiRouter<Shared> {
    for item in router.get_openapi_mut().paths.paths.values_mut() {
        for operation in operations(item) {
            operation.security = Some(vec![SecurityRequirement::new(BEARER, [] as [&str; 0])]);
        }
    }
    router
}

/// The whole document as it is sent. Whatever is not said of an operation is a problem.
pub(super) fn text(mut document: OpenApi) -> Bytes {
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            let optional = SecurityRequirement::default();
            let bearer = SecurityRequirement::new(BEARER, [] as [&str; 0]);
            operation.security.get_or_insert_with(|| vec![optional, bearer]);
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
            let refused = ResponseBuilder::new()
                .description("it was refused")
                .content("application/problem+json", content.build());
            operation.responses.responses.insert("default".into(), refused.build().into());
        }
    }
    document.to_json().expect("a document serialises").into()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

const BEARER: &str = "bearer";
