//! A choice of the renditions that are recorded.

use whitewater_core::media::Kind;

use crate::origin::Offered;

/// The renditions that are recorded. There is picture and sound among them where the stream has any.
pub(super) fn choose<'a>(offered: &'a [Offered], wanted: &[String]) -> Vec<&'a Offered> {
    let is_wanted = |one: &&Offered| {
        let name = one.config.name.as_ref();
        wanted.iter().any(|wanted| wanted == name || wanted == group(name))
    };
    let mut chosen: Vec<_> = offered.iter().filter(is_wanted).collect();
    for kind in [Kind::Video, Kind::Audio] {
        if !chosen.iter().any(|one| one.kind == kind) {
            let others = offered.iter().filter(|one| one.kind == kind);
            chosen.extend(others);
        }
    }
    chosen.sort_by_key(|one| offered.iter().position(|other| std::ptr::eq(other, *one)));
    chosen
}

/// What a rendition belongs to, by its name.
fn group(name: &str) -> &'static str {
    match name.as_bytes() {
        b"aac" => "aac",
        [b't', ..] => "ladder",
        _ => "source",
    }
}

#[cfg(test)]
mod tests {
    use whitewater_core::media::Ntp;
    use whitewater_core::playlist::{Bandwidth, Config};

    use super::*;

    fn offered(name: &str) -> Offered {
        let kind = if ["aac", "opus"].contains(&name) { Kind::Audio } else { Kind::Video };
        let nominal = Bandwidth { peak_bps: 1, average_bps: 1 };
        let config = Config::new(name.parse().unwrap(), 90_000, Ntp::default());
        Offered { config, kind, nominal, frame_rate: None, channels: None }
    }

    #[test]
    fn there_is_always_picture_and_sound_among_what_is_chosen() {
        let rows: [(&[&str], &[&str], &[&str]); 7] = [
            (&["v0", "v1", "t0", "aac", "opus"], &["source"], &["v0", "v1", "opus"]),
            (&["v0", "v1", "t0", "aac", "opus"], &["source", "aac"], &["v0", "v1", "aac", "opus"]),
            (&["v0", "v1", "t0", "aac", "opus"], &["ladder", "aac"], &["t0", "aac"]),
            (&["v0", "v1", "aac", "opus"], &["v1"], &["v1", "aac", "opus"]),
            // VP8 is recorded as it is transcoded.
            (&["t0", "t1", "aac", "opus"], &["source"], &["t0", "t1", "opus"]),
            (&["opus"], &["ladder"], &["opus"]),
            (&["v0"], &["aac"], &["v0"]),
        ];
        for (all, wanted, chosen) in rows {
            let all: Vec<_> = all.iter().map(|name| offered(name)).collect();
            let wanted: Vec<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
            let found = choose(&all, &wanted);
            let found: Vec<_> = found.iter().map(|one| one.config.name.as_ref()).collect();
            assert_eq!(found, chosen, "{wanted:?}");
        }
    }
}
