//! A memory that says when a picture's layers differ enough from what was told of them.

use std::time::{Duration, Instant};

use crate::hub::Layer;

/// What was told of one picture's layers, and when.
#[derive(Debug, Default)]
pub(super) struct LayerNews {
    told: Vec<Told>,
    at: Option<Instant>,
}

/// What was told of one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    active: bool,
    size: Option<(u16, u16)>,
    /// Of a scalable layer, how many there are.
    parts: usize,
    bitrate_bps: u64,
}

// === impl LayerNews ===

impl LayerNews {
    /// Whether there is something to tell, which then counts as told. At most once per [`INTERVAL`],
    /// and per [`RATE_INTERVAL`] where only rates differ.
    pub(super) fn is_due(&mut self, now: Instant, layers: &[Layer]) -> bool {
        let since = self.at.map(|at| now.saturating_duration_since(at));
        if since.is_some_and(|since| since < INTERVAL) {
            return false;
        }
        let told = |index: usize| self.told.get(index).copied().unwrap_or_default();
        let anew = |index: usize, layer: &Layer| {
            let (told, present) = (told(index), Told::of(layer));
            (told.active, told.size, told.parts) != (present.active, present.size, present.parts)
                || (since.is_none_or(|since| since >= RATE_INTERVAL)
                    && told.bitrate_bps.abs_diff(present.bitrate_bps) > told.bitrate_bps / 4)
        };
        let gone = self.told.get(layers.len()..).unwrap_or_default();
        if !layers.iter().enumerate().any(|(index, layer)| anew(index, layer))
            && !gone.iter().any(|layer| layer.active)
        {
            return false;
        }
        self.told.clear();
        self.told.extend(layers.iter().map(Told::of));
        self.at = Some(now);
        true
    }
}

// === impl Told ===

impl Told {
    fn of(layer: &Layer) -> Self {
        let (size, parts, bitrate_bps) = (layer.size(), layer.parts().len(), layer.bitrate_bps());
        Self { active: layer.active, size, parts, bitrate_bps }
    }
}

const INTERVAL: Duration = Duration::from_secs(1);
const RATE_INTERVAL: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Rid;

    fn layers() -> Vec<Layer> {
        ["l", "h"].map(|rid| Layer::new(Some(Rid::new(rid)))).into()
    }

    #[test]
    fn layers_that_never_sent_are_no_news() {
        let mut news = LayerNews::default();
        assert!(!news.is_due(Instant::now(), &layers()));
    }

    #[test]
    fn a_layer_that_comes_and_goes_is_told_at_most_once_a_second() {
        let (mut news, mut layers, start) = (LayerNews::default(), layers(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        layers[0].active = true;
        assert!(news.is_due(at(0), &layers), "it came");
        assert!(!news.is_due(at(5_000), &layers), "told already");
        layers[1].active = true;
        assert!(news.is_due(at(6_000), &layers), "another one came");
        layers[1].active = false;
        assert!(!news.is_due(at(6_900), &layers), "too soon after the last");
        assert!(news.is_due(at(7_000), &layers), "it went");
        layers.truncate(1);
        assert!(!news.is_due(at(9_000), &layers), "what is no longer announced was silent");
        assert!(news.is_due(at(10_000), &[]), "an active one is no longer announced");
    }
}
