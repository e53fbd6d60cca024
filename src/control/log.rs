//! A log that tells in order what happens to streams.
//!
//! It is written under the registry's lock, so that whoever starts to read it under that lock and
//! looks at the registry there misses nothing and is told nothing twice. It remembers the last
//! [`CAPACITY`] entries; a reader that is further behind is told so and looks at the registry anew.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::broadcast;
use tracing::debug;
use whitewater_core::shard::StreamId;
use whitewater_signaling::control::{StreamName, TrackInfo};

/// The log, as its writer has it.
#[derive(Debug)]
pub(super) struct Log {
    /// Of this process: it makes the numbers of entries names.
    mark: Arc<str>,
    next: u64,
    /// `None` once the log is closed.
    entries: Option<broadcast::Sender<Entry>>,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its name, which no other entry has.
    pub(super) id: Arc<str>,
    /// When it was written.
    pub(super) at: SystemTime,
    /// The stream's name.
    pub(super) stream: StreamName,
    /// The stream's life: a name that goes live again after its end has another one.
    pub(super) life: StreamId,
    /// What happened.
    pub(super) what: Change,
}

/// What can happen to a stream.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// Its first packet arrived.
    Started,
    /// Its publisher is gone; its window runs.
    Lost,
    /// It has a publisher again.
    Back {
        /// Whether viewers need new sessions.
        changed: bool,
    },
    /// Its viewers should look for another server.
    Leaving,
    /// Its window ran out.
    Ended,
    /// A viewer came.
    ViewerJoined {
        /// Its session, as administrators know it.
        session: Arc<str>,
        /// How many there are now.
        viewers: u64,
    },
    /// A viewer went.
    ViewerLeft {
        /// Its session, as administrators know it.
        session: Arc<str>,
        /// How many there are now.
        viewers: u64,
    },
    /// Who watches over HLS changed in number.
    HlsViewers {
        /// How many there are now.
        viewers: u64,
    },
    /// Who watches over DASH changed in number.
    DashViewers {
        /// How many there are now.
        viewers: u64,
    },
    /// Its layers changed.
    Layers(Arc<[TrackInfo]>),
    /// A recording of it can be replayed.
    Recorded(Recorded),
}

/// A recording that can be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its name.
    pub id: String,
    /// Its playlist.
    pub hls: String,
    /// Milliseconds that it lasts.
    pub duration_ms: u64,
}

// === impl Log ===

impl Log {
    /// An empty log.
    pub(super) fn new() -> Self {
        let mark = format!("{:012x}", fastrand::u64(..1 << 48)).into();
        Self { mark, next: 0, entries: Some(broadcast::Sender::new(CAPACITY)) }
    }

    /// A name for an event.
    pub(super) fn name(&mut self) -> Arc<str> {
        self.next += 1;
        format!("evt_{}_{}", self.mark, self.next).into()
    }

    /// Writes down what happened.
    pub(super) fn write(&mut self, stream: &StreamName, life: StreamId, what: Change) {
        debug!(%stream, ?what, "logged");
        let id = self.name();
        if let Some(entries) = &self.entries {
            let entry = Entry { id, at: SystemTime::now(), stream: stream.clone(), life, what };
            // It fails where nobody reads.
            let _ = entries.send(entry);
        }
    }

    /// Reads what is written from now on; `None` once the log is closed.
    pub(super) fn read(&self) -> Option<broadcast::Receiver<Entry>> {
        self.entries.as_ref().map(broadcast::Sender::subscribe)
    }

    /// How many read it.
    pub(super) fn readers(&self) -> usize {
        self.entries.as_ref().map_or(0, broadcast::Sender::receiver_count)
    }

    /// Lets every reader come to its end.
    pub(super) fn close(&mut self) {
        self.entries = None;
    }
}

/// Entries that a reader may be behind.
pub(super) const CAPACITY: usize = 1_024;

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast::error::TryRecvError;

    use super::*;

    fn name() -> StreamName {
        "a".parse().unwrap()
    }

    #[test]
    fn readers_get_what_is_written_from_then_on_in_order() {
        let mut log = Log::new();
        log.write(&name(), StreamId(1), Change::Started);
        let mut reader = log.read().unwrap();
        log.write(&name(), StreamId(1), Change::Lost);
        log.write(&name(), StreamId(1), Change::Back { changed: true });
        assert_eq!(reader.try_recv().unwrap().what, Change::Lost);
        assert_eq!(reader.try_recv().unwrap().what, Change::Back { changed: true });
        assert_eq!(reader.try_recv().unwrap_err(), TryRecvError::Empty);
        log.close();
        assert_eq!(reader.try_recv().unwrap_err(), TryRecvError::Closed);
        assert!(log.read().is_none(), "a closed log has no new readers");
    }

    #[test]
    fn a_reader_that_is_too_far_behind_is_told_so() {
        let mut log = Log::new();
        let mut reader = log.read().unwrap();
        for viewers in 0..=CAPACITY as u64 {
            let joined = Change::ViewerJoined { session: "s".into(), viewers };
            log.write(&name(), StreamId(1), joined);
        }
        assert_eq!(reader.try_recv().unwrap_err(), TryRecvError::Lagged(1));
    }
}
