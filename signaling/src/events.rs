//! A resource of a viewer's session that tells events (WHEP server-sent events extension).

use std::collections::BTreeMap;
use std::future::{Ready, ready};

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::json;

use crate::control::{
    EventType, EventsId, EventsPath, Happened, Happening, LayerInfo, PartInfo, Refusal,
    SessionPath, TrackInfo,
};
use crate::endpoint::{ACCEPT_POST, no_stream, side_of};
use crate::problem::Problem;
use crate::router::Shared;
use crate::{cors, limit, location, session, sse};

/// The event streams of sessions.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/{stream}/{session}/sse", post(open).options(options))
        .route("/{stream}/{session}/sse/{events}", get(read).delete(close).options(cors::options))
}

/// The `Link` header lines that tell a viewer of what its session can do beside playing.
pub(crate) fn links(session: &SessionPath) -> Vec<HeaderValue> {
    let path = location::path(session);
    let types = EventType::ALL.map(EventType::name).join(",");
    let links = [
        format!("<{path}/sse>; rel=\"{EXTENSIONS}server-sent-events\"; events=\"{types}\""),
        format!("<{path}/layer>; rel=\"{EXTENSIONS}layer\""),
    ];
    links.into_iter().filter_map(|link| HeaderValue::try_from(link).ok()).collect()
}

/// The event stream that the path names; whether it is there, the port knows.
struct Target(EventsPath);

/// A layer, or a part of a scalable one, as the extension describes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Layer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    rid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spatial_layer_id: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temporal_layer_id: Option<u8>,
    bitrate: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
}

async fn open(
    State(shared): State<Shared>,
    session::Target(session): session::Target,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let control = &shared.control;
    control.probe(session.clone()).await.map_err(|no| shared.refused(&no))?;
    let text = limit::text_or_nothing(&headers, body, &shared.config).await?;
    if !text.is_empty() && !limit::has_type(&headers, JSON) {
        return Err(Problem::wrong_type(JSON));
    }
    let types = parse_types(&text)?;
    let path = location::path(&session);
    let id = control.open_events(session, types).await.map_err(|no| shared.refused(&no))?;
    let Ok(location) = HeaderValue::try_from(format!("{path}/sse/{id}")) else {
        tracing::error!("the port's name of an event stream fits no header");
        return Err(Problem::fault());
    };
    Ok((StatusCode::CREATED, [(header::LOCATION, location)]).into_response())
}

async fn read(State(shared): State<Shared>, Target(events): Target) -> Result<Response, Problem> {
    let events = shared.control.read_events(events).await.map_err(|no| shared.refused(&no))?;
    let (types, video) = (events.types, events.video_section);
    let mut told_layers = false;
    Ok(sse::tell(events.follow, move |happened| {
        let (kind, event) = event(&happened, video, &mut told_layers)?;
        types.contains(&kind).then_some(event)
    }))
}

async fn close(
    State(shared): State<Shared>,
    Target(events): Target,
) -> Result<StatusCode, Problem> {
    shared.control.close_events(events).await.map_err(|no| shared.refused(&no))?;
    Ok(StatusCode::OK)
}

fn options(
    headers: HeaderMap,
    target: Result<session::Target, Problem>,
) -> Ready<Result<Response, Problem>> {
    ready(match target {
        Err(problem) if !cors::is_preflight(&Method::OPTIONS, &headers) => Err(problem),
        Ok(_) | Err(_) => Ok([(ACCEPT_POST, HeaderValue::from_static(JSON))].into_response()),
    })
}

/// Reads which types a client wants: all where it names none, none that we do not have.
fn parse_types(text: &str) -> Result<Vec<EventType>, Problem> {
    if text.is_empty() {
        return Ok(EventType::ALL.into());
    }
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let names: Vec<String> = serde_json::from_str(text)
        .map_err(|_| bad("the body must be a JSON array of event types".into()))?;
    let mut types = Vec::new();
    for name in names {
        let Some(kind) = EventType::of(&name) else {
            let known = EventType::ALL.map(EventType::name).join(", ");
            return Err(bad(format!("the event types are {known}")));
        };
        if !types.contains(&kind) {
            types.push(kind);
        }
    }
    Ok(types)
}

/// An event as the extension wants it.
fn event(
    happened: &Happened,
    video_section: Option<usize>,
    told_layers: &mut bool,
) -> Option<(EventType, Event)> {
    let (kind, data) = match &happened.what {
        Happening::Active => (EventType::Active, json!({})),
        Happening::Inactive => (EventType::Inactive, json!({})),
        Happening::Reconnect => (EventType::Reconnect, json!({})),
        // The session goes on; whether the stream does, the end of its window tells. Who watches over HLS
        // or DASH is not counted by the extension.
        Happening::Lost | Happening::HlsViewers(_) | Happening::DashViewers(_) => return None,
        Happening::Viewers(count) => (EventType::ViewerCount, json!({ "viewercount": count })),
        Happening::Layers(tracks) => {
            let sections = layers(tracks, video_section);
            if sections.is_empty() && !*told_layers {
                return None;
            }
            *told_layers = true;
            (EventType::Layers, json!(sections))
        }
    };
    Some((kind, sse::event(kind.name(), &data)))
}

/// What a viewer can choose by a name or a number, under the index of its section: layers with a rid,
/// and the parts of scalable ones.
fn layers(tracks: &[TrackInfo], video_section: Option<usize>) -> BTreeMap<String, Vec<Layer<'_>>> {
    let video = tracks.iter().find(|track| track.kind == "video");
    let layers: Vec<_> = video
        .into_iter()
        .flat_map(|track| &track.layers)
        .flat_map(|layer| {
            named(layer).into_iter().chain(layer.parts.iter().map(|it| part(layer, it)))
        })
        .collect();
    let section = video_section.filter(|_| !layers.is_empty());
    section.map(|index| (index.to_string(), layers)).into_iter().collect()
}

fn named(layer: &LayerInfo) -> Option<Layer<'_>> {
    Some(Layer {
        rid: Some(layer.rid.as_deref()?),
        spatial_layer_id: None,
        temporal_layer_id: None,
        bitrate: if layer.active { layer.bitrate_bps } else { 0 },
        width: layer.width,
        height: layer.height,
    })
}

/// A part has the bit rate of all that it needs, as it is sent with it.
fn part<'a>(layer: &'a LayerInfo, part: &PartInfo) -> Layer<'a> {
    Layer {
        rid: layer.rid.as_deref(),
        spatial_layer_id: Some(part.spatial_layer_id),
        temporal_layer_id: Some(part.temporal_layer_id),
        bitrate: if layer.active { part.bitrate_bps } else { 0 },
        width: part.width,
        height: part.height,
    }
}

const EXTENSIONS: &str = "urn:ietf:params:whep:ext:core:";

const JSON: &str = "application/json";

// === impl Target ===

impl FromRequestParts<Shared> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let path = Path::<(String, String, String)>::from_request_parts(parts, shared).await;
        let Path((stream, session, events)) = path.map_err(|_| Problem::nowhere())?;
        let stream = stream.parse().map_err(|_| no_stream())?;
        let unknown = || shared.refused(&Refusal::NoEvents);
        let id = location::session_id(&session).ok_or_else(unknown)?;
        // The names of both are made of the same letters.
        let events = EventsId(location::session_id(&events).ok_or_else(unknown)?.0);
        let session = SessionPath { side: side_of(parts), stream, id };
        Ok(Self(EventsPath { session, id: events }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_body_wants_everything_and_unknown_types_are_refused() {
        assert_eq!(parse_types("").unwrap(), EventType::ALL, "E31: no body");
        let two = parse_types(r#"["layers","active","layers"]"#).unwrap();
        assert_eq!(two, [EventType::Layers, EventType::Active], "E31: as named, once each");
        for bad in [r#"["nope"]"#, r#"["active","scte35"]"#, r#""active""#, "{}", "[1]", "[", "x"] {
            assert!(parse_types(bad).is_err(), "E32: {bad}");
        }
    }

    #[test]
    fn layers_stand_under_the_index_of_the_video_section() {
        let layer = |rid: Option<&str>, active, bitrate_bps| LayerInfo {
            rid: rid.map(str::to_owned),
            active,
            bitrate_bps,
            width: active.then_some(640),
            height: active.then_some(360),
            ..LayerInfo::default()
        };
        let track = |layers| TrackInfo { kind: "video".into(), layers, ..TrackInfo::default() };
        let tracks = [track(vec![layer(Some("h"), true, 500), layer(Some("q"), false, 100)])];
        let expected = json!({ "1": [
            { "rid": "h", "bitrate": 500, "width": 640, "height": 360 },
            { "rid": "q", "bitrate": 0 },
        ] });
        assert_eq!(json!(layers(&tracks, Some(1))), expected, "E36: inactive is bitrate 0");
        let part = |spatial, temporal, bitrate_bps, width| PartInfo {
            spatial_layer_id: spatial,
            temporal_layer_id: temporal,
            bitrate_bps,
            width,
            height: width.map(|width| width / 2),
            ..PartInfo::default()
        };
        let parts = vec![part(0, 0, 100, Some(320)), part(0, 1, 200, None), part(1, 1, 900, None)];
        let scalable =
            |rid| [track(vec![LayerInfo { parts: parts.clone(), ..layer(rid, true, 900) }])];
        let expected = json!({ "1": [
            { "spatialLayerId": 0, "temporalLayerId": 0, "bitrate": 100, "width": 320, "height": 160 },
            { "spatialLayerId": 0, "temporalLayerId": 1, "bitrate": 200 },
            { "spatialLayerId": 1, "temporalLayerId": 1, "bitrate": 900 },
        ] });
        assert_eq!(json!(layers(&scalable(None), Some(1))), expected, "E36: parts have numbers");
        let with_rid = scalable(Some("h"));
        let both = json!(layers(&with_rid, Some(1)));
        let rids: Vec<_> = both["1"].as_array().unwrap().iter().map(|it| &it["rid"]).collect();
        assert_eq!(rids, ["h"; 4], "E36: the layer, and its parts by its name");
        assert_eq!(both["1"][0].get("spatialLayerId"), None, "E36: the whole layer");
        let single = [track(vec![layer(None, true, 500)])];
        assert!(layers(&single, Some(1)).is_empty(), "E36: nothing to choose, nothing to tell");
        assert!(layers(&tracks, None).is_empty(), "E36: a viewer without a picture");
    }
}
