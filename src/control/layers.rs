//! Layers: how a viewer's choice becomes a wish of its forwarder.

use whitewater_core::forward::Wish;
use whitewater_core::media::{Kind, Mid, Rid};
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
        if choice.spatial_layer_id.is_some_and(|id| id > 0) || choice.temporal_layer_id.is_some() {
            return refused("the stream has no spatial or temporal layers to choose from".into());
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
            None if choice.max_width.is_some() || choice.max_height.is_some() => {
                self.largest_within(&stream, &choice).await
            }
            None => Wish::Highest,
        };
        let key = session.key.ok_or(Refusal::NoSession)?;
        match self.engine.ask(session.shard, Command::Choose { key, wish }).await {
            Some(Reply::Done) => Ok(()),
            _ => Err(Refusal::NoSession),
        }
    }

    /// The largest layer within the viewer's bounds, or the smallest there is.
    async fn largest_within(&self, stream: &StreamEntry, choice: &LayerChoice) -> Wish {
        let report = self.describe(stream).await;
        let video = report.tracks.iter().find(|track| track.format.codec.kind() == Kind::Video);
        let mut layers: Vec<_> = video
            .into_iter()
            .flat_map(|track| &track.layers)
            .filter_map(|layer| Some((layer.size?, layer.rid.clone()?)))
            .collect();
        layers.sort_by_key(|((width, height), _)| u32::from(*width) * u32::from(*height));
        let fits = |(width, height): (u16, u16)| {
            choice.max_width.is_none_or(|max| u32::from(width) <= max)
                && choice.max_height.is_none_or(|max| u32::from(height) <= max)
        };
        let chosen = layers.iter().rev().find(|(size, _)| fits(*size)).or(layers.first());
        chosen.map_or(Wish::Highest, |(_, rid)| Wish::Rid(rid.clone()))
    }
}
