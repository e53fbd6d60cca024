//! A recorded trace: when a browser's video packets arrived, how long they were, and which frames
//! they made.

use std::fs;
use std::time::Duration;

use anyhow::{Context, bail};

/// A trace that is repeated without end.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pub(super) packets: Vec<Entry>,
    /// How long one repetition takes, and on the RTP clock.
    pub(super) length: Duration,
    pub(super) length_ticks: u64,
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// When it arrived after the first one.
    pub(super) at: Duration,
    /// Bytes of RTP payload.
    pub(super) payload_len: usize,
    /// Its RTP timestamp, in ticks of 90 kHz after the first one's.
    pub(super) ticks: u64,
}

// === impl Trace ===

impl Trace {
    /// Finds a built-in trace, or reads a file.
    pub(super) fn load(name: &str) -> anyhow::Result<Self> {
        let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
        let text = match built_in {
            Some((_, text)) => (*text).to_owned(),
            None => fs::read_to_string(name).with_context(|| {
                let known: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                format!("no trace of this name ({}), and no file: {name}", known.join(", "))
            })?,
        };
        Self::parse(&text).with_context(|| format!("the trace is not usable: {name}"))
    }

    /// The frames: the packets of one timestamp each.
    pub(super) fn frames(&self) -> impl Iterator<Item = &[Entry]> {
        self.packets.chunk_by(|a, b| a.ticks == b.ticks)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let mut packets: Vec<Entry> = Vec::new();
        for line in lines.skip_while(|line| line.starts_with("time_us")) {
            let mut fields = line.split(',').map(|field| field.trim().parse::<u64>());
            let (Some(Ok(us)), Some(Ok(len)), Some(Ok(ticks)), None) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                bail!("not time_us,payload_bytes,ticks: {line}");
            };
            let entry = Entry { at: Duration::from_micros(us), payload_len: len as usize, ticks };
            if packets.last().is_some_and(|last| last.at > entry.at || last.ticks > ticks) {
                bail!("times and ticks must not go back: {line}");
            }
            packets.push(entry);
        }
        let frames = packets.chunk_by(|a, b| a.ticks == b.ticks).count() as u64;
        let Some(last) = packets.last().copied().filter(|_| frames > 1) else {
            bail!("a trace needs two frames");
        };
        let length_ticks = last.ticks * frames / (frames - 1);
        let start_of_last = packets.iter().find(|it| it.ticks == last.ticks).unwrap_or(&last).at;
        let length = start_of_last.mul_f64(frames as f64 / (frames - 1) as f64).max(last.at);
        Ok(Self { packets, length, length_ticks })
    }
}

const BUILT_IN: [(&str, &str); 2] = [
    ("browser-2500k-30fps", include_str!("traces/browser-2500k-30fps.csv")),
    ("browser-1100k-4ppf", include_str!("traces/browser-1100k-4ppf.csv")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_one_timestamp_are_a_frame() {
        let text = "# made up\ntime_us,payload_bytes,ticks\n0,1100,0\n20,300,0\n33000,900,3000\n";
        let trace = Trace::parse(text).unwrap();
        let frames: Vec<_> = trace.frames().map(<[_]>::len).collect();
        assert_eq!(frames, [2, 1]);
        assert_eq!((trace.length, trace.length_ticks), (Duration::from_micros(66_000), 6000));
    }

    #[test]
    fn nonsense_is_refused_with_its_line() {
        for text in ["", "1,2,3\n", "0,1,0\n5,x,3\n", "0,1,0\n5,1,3\n4,1,6\n"] {
            assert!(Trace::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_built_in_traces_are_what_their_names_say() {
        for (name, text) in BUILT_IN {
            let trace = Trace::parse(text).unwrap();
            let seconds = trace.length.as_secs_f64();
            let bits: usize = trace.packets.iter().map(|it| it.payload_len * 8).sum();
            let rate = bits as f64 / seconds;
            let frames = trace.frames().count() as f64;
            assert!((25.0..31.0).contains(&(frames / seconds)), "{name}: {frames} in {seconds} s");
            let wanted = if name.contains("2500k") { 2.3e6..2.8e6 } else { 0.9e6..1.3e6 };
            assert!(wanted.contains(&rate), "{name}: {rate} bit/s");
        }
    }
}
