//! A decision-maker that says whether a playlist request is answered at once or held.
//!
//! The delivery directives of draft-pantos-hls-rfc8216bis section 6.2.5.

use super::window::State;

/// What a client asks for beside the playlist itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// `_HLS_msn`: the segment that it waits for.
    pub msn: Option<u64>,
    /// `_HLS_part`: the part of that segment. There is none without a segment.
    pub part: Option<u64>,
    /// `_HLS_skip`: whether a delta will do.
    pub skip: bool,
}

/// Why a request cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// A value is not a decimal number of 64 bits.
    #[error("{0} must be a decimal number below 2^64")]
    Number(&'static str),
    /// A directive stands there more than once.
    #[error("{0} may be given once")]
    Repeated(&'static str),
    /// There is a part and no segment.
    #[error("_HLS_part needs _HLS_msn")]
    PartAlone,
    /// The segment is further than two after the last one.
    #[error("_HLS_msn is more than two segments ahead")]
    SegmentTooFar,
    /// The part is further than the Advance Part Limit.
    #[error("_HLS_part is too many parts ahead")]
    PartTooFar,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The whole playlist, as it is.
    Now,
    /// The playlist without what the client has.
    Delta,
    /// Nothing yet: ask again when the state has changed.
    Wait,
    /// 400.
    BadRequest(BadRequest),
}

/// Decides about a request. What is held while there is a part is never refused later. Before the first
/// part there is nothing to measure a request by, and all are held.
pub fn decide(directives: &Directives, state: &State) -> Answer {
    // Section 6.2.5.2: nothing more will come, so that there is nothing to wait for.
    if state.ended {
        return Answer::Now;
    }
    // A playlist without segments is of no use to anybody.
    let Some(last) = state.last else {
        return Answer::Wait;
    };
    let Some(msn) = directives.msn else {
        return if directives.skip { delta(None, state) } else { Answer::Now };
    };
    if msn > last.msn.saturating_add(MAX_SEGMENTS_AHEAD) {
        return Answer::BadRequest(BadRequest::SegmentTooFar);
    }
    if is_too_far(msn, directives.part, state) {
        return Answer::BadRequest(BadRequest::PartTooFar);
    }
    let there = match directives.part {
        // A part beyond the end of its segment is the first of the next one, which is there as soon
        // as any later segment is.
        Some(part) => msn < last.msn || (msn == last.msn && part <= u64::from(last.part)),
        None => msn < last.msn || (msn == last.msn && state.closed),
    };
    match (there, directives.skip) {
        (false, _) => Answer::Wait,
        (true, true) => delta(Some(msn), state),
        (true, false) => Answer::Now,
    }
}

/// Whether a part is further ahead than the Advance Part Limit. Counted from the last part within its
/// segment, from the segment's start in later ones: more lenient than the draft, by less than a segment.
fn is_too_far(msn: u64, part: Option<u64>, state: &State) -> bool {
    let (Some(part), Some(last)) = (part, state.last) else { return false };
    let limit = u64::from(state.advance_part_limit);
    match msn == last.msn && !state.closed {
        true => part > u64::from(last.part) + limit,
        // Of the last segment, which is complete, any part means the first of the next.
        false => msn > last.msn && part > limit,
    }
}

/// A delta, unless the client lacks segments that it leaves out: it waited for the one after its last.
fn delta(msn: Option<u64>, state: &State) -> Answer {
    match (state.unskipped, msn) {
        (Some(first), Some(msn)) if msn < first => Answer::Now,
        (Some(_), _) => Answer::Delta,
        (None, _) => Answer::Now,
    }
}

// === impl Directives ===

impl Directives {
    /// Reads the query of a request. Their order does not matter; what is unknown is left alone.
    pub fn parse(query: &str) -> Result<Self, BadRequest> {
        let mut directives = Self::default();
        let mut skip = None;
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                MSN => set(&mut directives.msn, MSN, number(MSN, value)?)?,
                PART => set(&mut directives.part, PART, number(PART, value)?)?,
                // v2 is about date ranges, of which there are none.
                SKIP => set(&mut skip, SKIP, matches!(value, "YES" | "v2"))?,
                _ => {}
            }
        }
        if directives.part.is_some() && directives.msn.is_none() {
            return Err(BadRequest::PartAlone);
        }
        directives.skip = skip.unwrap_or(false);
        Ok(directives)
    }

    /// Whether the answer may have to wait.
    pub fn is_blocking(&self) -> bool {
        self.msn.is_some()
    }
}

fn set<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), BadRequest> {
    match slot.replace(value) {
        Some(_) => Err(BadRequest::Repeated(name)),
        None => Ok(()),
    }
}

fn number(name: &'static str, value: &str) -> Result<u64, BadRequest> {
    // The standard library would take a sign.
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let parsed = value.parse().ok().filter(|_| digits);
    parsed.ok_or(BadRequest::Number(name))
}

const MSN: &str = "_HLS_msn";
const PART: &str = "_HLS_part";
const SKIP: &str = "_HLS_skip";

/// Section 6.2.5.2.
const MAX_SEGMENTS_AHEAD: u64 = 2;

#[cfg(test)]
mod tests {
    use super::super::window::Position;
    use super::*;

    fn open(msn: u64, part: u32) -> State {
        State {
            last: Some(Position { msn, part }),
            closed: false,
            whole: msn > 0,
            ended: false,
            unskipped: Some(4),
            advance_part_limit: 6,
            version: 0,
        }
    }

    fn closed(msn: u64, part: u32) -> State {
        State { closed: true, ..open(msn, part) }
    }

    #[test]
    fn queries_are_read() {
        let plain = Directives::default();
        let rows = [
            ("", Ok(plain)),
            ("a=b&_HLS_x=-1&_HLS_pathway=c", Ok(plain)),
            ("_HLS_msn=7", Ok(Directives { msn: Some(7), ..plain })),
            ("_HLS_part=2&_HLS_msn=7", Ok(Directives { msn: Some(7), part: Some(2), ..plain })),
            (
                "_HLS_msn=18446744073709551615&_HLS_skip=v2",
                Ok(Directives { msn: Some(u64::MAX), skip: true, ..plain }),
            ),
            ("_HLS_skip=YES", Ok(Directives { skip: true, ..plain })),
            ("_HLS_skip=no", Ok(plain)),
            ("_HLS_part=0", Err(BadRequest::PartAlone)),
            ("_HLS_msn=", Err(BadRequest::Number(MSN))),
            ("_HLS_msn", Err(BadRequest::Number(MSN))),
            ("_HLS_msn=+1", Err(BadRequest::Number(MSN))),
            ("_HLS_msn=-1", Err(BadRequest::Number(MSN))),
            ("_HLS_msn=1.5", Err(BadRequest::Number(MSN))),
            ("_HLS_msn=18446744073709551616", Err(BadRequest::Number(MSN))),
            ("_HLS_msn=1&_HLS_part=x", Err(BadRequest::Number(PART))),
            ("_HLS_msn=1&_HLS_msn=1", Err(BadRequest::Repeated(MSN))),
            ("_HLS_skip=YES&_HLS_skip=YES", Err(BadRequest::Repeated(SKIP))),
        ];
        for (query, want) in rows {
            assert_eq!(Directives::parse(query), want, "H45, H52, H66: {query}");
        }
    }

    #[test]
    fn requests_are_answered_held_or_refused() {
        use Answer::{Delta, Now, Wait};
        let too_far = Answer::BadRequest(BadRequest::SegmentTooFar);
        let too_many = Answer::BadRequest(BadRequest::PartTooFar);
        let ended = State { ended: true, ..closed(9, 5) };
        let empty = State { last: None, ..open(0, 0) };
        let whole = State { unskipped: None, ..open(10, 2) };
        let rows = [
            ("H40", "", open(10, 2), Now),
            ("H40", "", empty, Wait),
            ("H41", "_HLS_msn=9", open(10, 2), Now),
            ("H41", "_HLS_msn=10", open(10, 2), Wait),
            ("H41", "_HLS_msn=10", closed(10, 5), Now),
            ("H41", "_HLS_msn=11", closed(10, 5), Wait),
            ("H42", "_HLS_msn=10&_HLS_part=2", open(10, 2), Now),
            ("H42", "_HLS_msn=10&_HLS_part=3", open(10, 2), Wait),
            ("H42", "_HLS_msn=11&_HLS_part=0", open(10, 2), Wait),
            ("H43", "_HLS_msn=10&_HLS_part=6", closed(10, 5), Wait),
            ("H43", "_HLS_msn=10&_HLS_part=6", open(11, 0), Now),
            ("H43", "_HLS_msn=10&_HLS_part=99", closed(10, 5), Wait),
            ("H44", "_HLS_msn=0", open(10, 2), Now),
            ("H44", "_HLS_msn=9&_HLS_part=99", open(10, 2), Now),
            ("H46", "_HLS_msn=12", open(10, 2), Wait),
            ("H46", "_HLS_msn=13", open(10, 2), too_far),
            ("H46", "_HLS_msn=18446744073709551615", open(u64::MAX - 1, 2), Wait),
            ("H46", "_HLS_msn=10&_HLS_part=8", open(10, 2), Wait),
            ("H46", "_HLS_msn=10&_HLS_part=9", open(10, 2), too_many),
            ("H47", "_HLS_msn=11&_HLS_part=5", open(10, 0), Wait),
            ("H46", "_HLS_msn=11&_HLS_part=7", open(10, 5), too_many),
            ("H49", "_HLS_msn=99&_HLS_part=99&_HLS_skip=YES", ended, Now),
            ("H50", "_HLS_skip=YES", open(10, 2), Delta),
            ("H50", "_HLS_skip=v2", open(10, 2), Delta),
            ("H50", "_HLS_skip=YES", whole, Now),
            ("H50", "_HLS_msn=10&_HLS_part=3&_HLS_skip=YES", open(10, 3), Delta),
            ("H50", "_HLS_msn=11&_HLS_skip=YES", open(10, 3), Wait),
            ("H50", "_HLS_msn=4&_HLS_skip=YES", open(10, 3), Delta),
            // Such a client has nothing of what a delta leaves out.
            ("H44", "_HLS_msn=3&_HLS_skip=YES", open(10, 3), Now),
        ];
        for (item, query, state, want) in rows {
            let directives = Directives::parse(query).unwrap();
            assert_eq!(decide(&directives, &state), want, "{item}: {query} at {state:?}");
        }
    }
}
