//! A pattern that names many streams at once: the letters of a stream name and `*` for any run.

use std::fmt;
use std::str::FromStr;

/// A pattern of stream names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

/// A text that can match no stream name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pattern is 1 to 64 of A-Z a-z 0-9 . _ - and * for any run of them")]
pub struct InvalidPattern;

impl Pattern {
    /// Whether the whole name fits.
    pub fn matches(&self, name: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut left) = name.strip_prefix(head) else { return false };
        let mut runs = rest.split('*');
        let tail = runs.next_back().unwrap_or_default();
        for run in runs {
            let Some(at) = left.find(run) else { return false };
            left = &left[at + run.len()..];
        }
        left.ends_with(tail)
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"._-*".contains(&b);
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(letter);
        if fits { Ok(Self(text.into())) } else { Err(InvalidPattern) }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_star_stands_for_any_run_and_everything_else_for_itself() {
        let rows = [
            ("*", "anything", true),
            ("show", "show", true),
            ("show", "shows", false),
            ("show", "Show", false),
            ("show-*", "show-1", true),
            ("show-*", "show-", true),
            ("show-*", "a-show-1", false),
            ("*-hd", "cam-hd", true),
            ("*-hd", "cam-hd2", false),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("a**b", "ab", true),
            ("a.b", "axb", false),
        ];
        for (pattern, name, fits) in rows {
            let parsed: Pattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(name), fits, "{pattern} against {name}");
        }
    }

    #[test]
    fn what_no_stream_name_can_hold_is_no_pattern() {
        for text in ["", "a b", "a/*", "é", &"x".repeat(65)] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
