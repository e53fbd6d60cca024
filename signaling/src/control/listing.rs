//! Live streams as they are listed, a page at a time.

use std::fmt;
use std::sync::Arc;

use super::{StreamInfo, StreamName};
use crate::auth::Sight;

/// Which live streams are asked for, by name.
#[derive(Clone)]
pub struct Listing {
    /// After this one, which need not be there any more.
    pub after: Option<StreamName>,
    /// So many at most.
    pub limit: usize,
    /// Only those that whoever asks may know of.
    pub seen: Sight,
}

/// Streams, and whether there are more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamPage {
    /// The streams.
    pub streams: Vec<StreamInfo>,
    /// The name of the last one, where there are more.
    pub next: Option<StreamName>,
}

// === impl Listing ===

impl Listing {
    /// All of them.
    pub fn all() -> Self {
        Self { after: None, limit: usize::MAX, seen: Arc::new(|_| true) }
    }

    /// Those of some streams that are on the page, and where the next page begins after.
    pub fn cut<T>(
        &self,
        mut streams: Vec<(StreamName, T)>,
    ) -> (Vec<(StreamName, T)>, Option<StreamName>) {
        let is_later = |name: &StreamName| self.after.as_ref().is_none_or(|after| name > after);
        streams.retain(|(name, _)| is_later(name) && (self.seen)(name));
        streams.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let rest = streams.len() > self.limit;
        streams.truncate(self.limit);
        let next = streams.last().map(|(name, _)| name.clone()).filter(|_| rest);
        (streams, next)
    }
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { after, limit, seen: _ } = self;
        f.debug_struct("Listing")
            .field("after", after)
            .field("limit", limit)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_by_name_without_what_is_not_seen() {
        let name = |text: &str| text.parse::<StreamName>().unwrap();
        let streams = || ["d", "b", "hidden", "a", "c"].map(|text| (name(text), ())).to_vec();
        let page = |after: Option<&str>, limit: usize| {
            let seen: Sight = Arc::new(|name| name.as_str() != "hidden");
            let listing = Listing { after: after.map(name), limit, seen };
            let (streams, next) = listing.cut(streams());
            let names: Vec<_> = streams.iter().map(|(name, ())| name.to_string()).collect();
            (names.concat(), next.map(|next| next.to_string()))
        };
        let rows = [
            (None, 9, "abcd", None),
            (None, 4, "abcd", None),
            (None, 3, "abc", Some("c")),
            (Some("c"), 3, "d", None),
            // It has ended meanwhile.
            (Some("bb"), 1, "c", Some("c")),
            (Some("d"), 1, "", None),
        ];
        for (after, limit, names, next) in rows {
            let wanted = (names.to_owned(), next.map(str::to_owned));
            assert_eq!(page(after, limit), wanted, "{after:?} {limit}");
        }
    }
}
