//! Layers: how a viewer's choice becomes a wish of its forwarder.

use whitewater_core::forward::{Parts, Wish};
use whitewater_core::hub::Part;
use whitewater_core::media::{Kind, Mid, Rid};
use whitewater_core::shard::command::LayerReport;
use whitewater_core::shard::{Command, Reply};
use whitewater_signaling::control::{LayerChoice, Refusal, SessionPath};

use super::Control;
use super::registry::StreamEntry;

impl Control {
    pub(super) async fn choose(
        &self,
        path: SessionPath,
        choice: LayerChoice,
    ) -> Result<(), Refusal> {
        let (session, stream) = {
            let registry = self.registry();
            let session = registry.session(&path).cloned().ok_or(Refusal::NoSession)?;
            let stream = registry.streams.get(&path.stream).cloned();
            (session, stream.ok_or(Refusal::NoSession)?)
        };
        let refused = |why: String| Err(Refusal::Unprocessable(why));
        if let Some(media) = &choice.media_id
            && session.video.as_ref().map(Mid::as_str) != Some(media)
        {
            return refused(format!("the session has no video section {media}"));
        }
        let bounds = choice.max_width.is_some() || choice.max_height.is_some();
        let exact = choice.spatial_layer_id.is_some() || choice.temporal_layer_id.is_some();
        let mut parts = at_most(&choice);
        let layers = match bounds || exact {
            true => self.video_layers(&stream).await,
            false => Vec::new(),
        };
        if exact {
            check_exact(&layers, &choice).map_err(Refusal::Unprocessable)?;
        }
        let wish = match &choice.rid {
            Some(rid) if stream.rids.iter().any(|known| known.as_str() == rid) => {
                Wish::Rid(Rid::new(rid.as_str()))
            }
            Some(rid) => {
                let known: Vec<_> = stream.rids.iter().map(Rid::as_str).collect();
                return refused(match known.as_slice() {
                    [] => "the stream has a single layer".into(),
                    known => format!("the stream has no layer {rid}: {}", known.join(", ")),
                });
            }
            None if bounds => {
                let (wish, spatial) = largest_within(&layers, &choice);
                parts.spatial = parts.spatial.min(spatial);
                wish
            }
            None => Wish::Highest,
        };
        let key = session.key.ok_or(Refusal::NoSession)?;
        match self.engine.ask(session.shard, Command::Choose { key, wish, parts }).await {
            Some(Reply::Done) => Ok(()),
            _ => Err(Refusal::NoSession),
        }
    }

    async fn video_layers(&self, stream: &StreamEntry) -> Vec<LayerReport> {
        let report = self.describe(stream).await;
        let mut tracks = report.tracks.into_iter();
        let video = tracks.find(|track| track.format.codec.kind() == Kind::Video);
        video.map(|track| track.layers).unwrap_or_default()
    }
}

/// How much of a scalable layer the viewer wants at most.
fn at_most(choice: &LayerChoice) -> Parts {
    let least =
        |exact: Option<u8>, max: Option<u8>| exact.unwrap_or(u8::MAX).min(max.unwrap_or(u8::MAX));
    Parts {
        spatial: least(choice.spatial_layer_id, choice.max_spatial_layer_id),
        temporal: least(choice.temporal_layer_id, choice.max_temporal_layer_id),
    }
}

/// Checks that there is a spatial and temporal layer as the viewer names it.
fn check_exact(layers: &[LayerReport], choice: &LayerChoice) -> Result<(), String> {
    let rid = |layer: &&LayerReport| {
        let named = layer.rid.as_ref().map(Rid::as_str);
        choice.rid.is_none() || named == choice.rid.as_deref()
    };
    let mut parts = layers.iter().filter(rid).flat_map(|layer| &layer.parts).peekable();
    if parts.peek().is_none() {
        let lowest = |id: Option<u8>| id.is_none_or(|id| id == 0);
        return if lowest(choice.spatial_layer_id) && lowest(choice.temporal_layer_id) {
            Ok(())
        } else {
            Err("the stream has no spatial or temporal layers to choose from".into())
        };
    }
    let is_it = |part: &Part| {
        choice.spatial_layer_id.is_none_or(|id| id == part.spatial)
            && choice.temporal_layer_id.is_none_or(|id| id == part.temporal)
    };
    if parts.any(is_it) { Ok(()) } else { Err("the stream has no such layer".into()) }
}

/// The largest layer within the viewer's bounds, or the smallest there is, and up to which spatial
/// layer.
fn largest_within(layers: &[LayerReport], choice: &LayerChoice) -> (Wish, u8) {
    let mut sizes: Vec<((u16, u16), &Option<Rid>, u8)> = Vec::new();
    for layer in layers {
        let parts = layer.parts.iter();
        sizes.extend(parts.filter_map(|part| Some((part.size?, &layer.rid, part.spatial))));
        sizes.extend(layer.size.map(|size| (size, &layer.rid, u8::MAX)));
    }
    // Of equal sizes the whole layer comes last.
    sizes.sort_by_key(|((w, h), _, spatial)| (u32::from(*w) * u32::from(*h), *spatial));
    let fits = |(width, height): (u16, u16)| {
        choice.max_width.is_none_or(|max| u32::from(width) <= max)
            && choice.max_height.is_none_or(|max| u32::from(height) <= max)
    };
    let chosen = sizes.iter().rev().find(|(size, ..)| fits(*size)).or(sizes.first());
    let Some((_, rid, spatial)) = chosen else { return (Wish::Highest, u8::MAX) };
    (rid.as_ref().map_or(Wish::Highest, |rid| Wish::Rid(rid.clone())), *spatial)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(rid: Option<&str>, size: (u16, u16), parts: &[(u8, u8, (u16, u16))]) -> LayerReport {
        let part = |(spatial, temporal, size): &(u8, u8, (u16, u16))| Part {
            spatial: *spatial,
            temporal: *temporal,
            bitrate_bps: 1,
            fps: 30.0,
            size: Some(*size),
        };
        LayerReport {
            gop: None,
            habit: Default::default(),
            rid: rid.map(Rid::new),
            active: true,
            bitrate_bps: 1,
            fps: 30.0,
            size: Some(size),
            keyframes: 1,
            keyframe_requests: 0,
            packets_lost: 0,
            parts: parts.iter().map(part).collect(),
        }
    }

    fn scalable() -> [LayerReport; 1] {
        let (low, high) = ((320, 180), (640, 360));
        [layer(None, high, &[(0, 0, low), (0, 1, low), (1, 0, high), (1, 1, high)])]
    }

    #[test]
    fn a_layer_that_is_named_must_be_there() {
        let choice = |spatial: Option<u8>, temporal: Option<u8>| LayerChoice {
            spatial_layer_id: spatial,
            temporal_layer_id: temporal,
            ..LayerChoice::default()
        };
        let plain = [layer(Some("h"), (640, 360), &[])];
        let rows: [(&[LayerReport], _, _, bool); 8] = [
            (&scalable(), Some(1), Some(0), true),
            (&scalable(), Some(2), None, false),
            (&scalable(), None, Some(1), true),
            (&scalable(), None, Some(2), false),
            (&plain, Some(0), Some(0), true),
            (&plain, Some(1), None, false),
            (&plain, None, Some(1), false),
            (&[], Some(0), None, true),
        ];
        for (layers, spatial, temporal, is_there) in rows {
            let checked = check_exact(layers, &choice(spatial, temporal));
            assert_eq!(checked.is_ok(), is_there, "{spatial:?} {temporal:?}");
        }
        let other = LayerChoice { rid: Some("q".into()), ..choice(Some(1), None) };
        assert!(check_exact(&scalable(), &other).is_err());
    }

    #[test]
    fn bounds_choose_a_layer_and_a_part_of_it() {
        let within = |layers: &[LayerReport], max: u32| {
            let choice = LayerChoice { max_height: Some(max), ..LayerChoice::default() };
            largest_within(layers, &choice)
        };
        let scalable = scalable();
        assert_eq!(within(&scalable, 720), (Wish::Highest, u8::MAX));
        assert_eq!(within(&scalable, 200), (Wish::Highest, 0));
        assert_eq!(within(&scalable, 20), (Wish::Highest, 0));
        let simulcast = [layer(Some("h"), (640, 360), &[]), layer(Some("q"), (320, 180), &[])];
        let rid = |rid: &str| Wish::Rid(Rid::new(rid));
        assert_eq!(within(&simulcast, 500), (rid("h"), u8::MAX));
        assert_eq!(within(&simulcast, 100), (rid("q"), u8::MAX));
    }
}
