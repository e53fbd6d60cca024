//! A queue that keeps the events of each stream in order, and streams apart from each other.

use std::collections::{HashMap, VecDeque};

use whitewater_signaling::control::StreamName;

/// Events that wait or are being sent. A stream whose event is being sent waits with its others.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// What waits, for each stream that is ready or of which something is being sent.
    waiting: HashMap<StreamName, VecDeque<T>>,
    ready: VecDeque<StreamName>,
    len: usize,
}

// === impl Queue ===

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self { waiting: HashMap::new(), ready: VecDeque::new(), len: 0 }
    }

    /// How many events wait or are being sent.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds an event; gives it back where there are so many already.
    pub(super) fn push(&mut self, stream: &StreamName, event: T, bound: usize) -> Result<(), T> {
        if self.len >= bound {
            return Err(event);
        }
        self.len += 1;
        let waiting = self.waiting.entry(stream.clone()).or_insert_with(|| {
            self.ready.push_back(stream.clone());
            VecDeque::new()
        });
        waiting.push_back(event);
        Ok(())
    }

    /// An event that may be sent now, of the stream that has been ready for longest.
    pub(super) fn take(&mut self) -> Option<(StreamName, T)> {
        let stream = self.ready.pop_front()?;
        let event = self.waiting.get_mut(&stream)?.pop_front()?;
        Some((stream, event))
    }

    /// The event of a stream was sent, or given up.
    pub(super) fn done(&mut self, stream: &StreamName) {
        self.len -= 1;
        if self.waiting.get(stream).is_some_and(VecDeque::is_empty) {
            self.waiting.remove(stream);
        } else {
            self.ready.push_back(stream.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> StreamName {
        text.parse().unwrap()
    }

    #[test]
    fn a_stream_goes_on_when_its_event_is_done_and_others_do_not_wait() {
        let mut queue = Queue::new();
        for (stream, event) in [("a", 1), ("a", 2), ("b", 3)] {
            queue.push(&name(stream), event, 9).unwrap();
        }
        assert_eq!(queue.take(), Some((name("a"), 1)));
        assert_eq!(queue.take(), Some((name("b"), 3)));
        assert_eq!(queue.take(), None, "the second waits for the first");
        queue.done(&name("b"));
        assert_eq!(queue.take(), None);
        queue.done(&name("a"));
        assert_eq!(queue.take(), Some((name("a"), 2)));
        queue.push(&name("a"), 4, 9).unwrap();
        assert_eq!(queue.take(), None);
        queue.done(&name("a"));
        assert_eq!(queue.take(), Some((name("a"), 4)));
        queue.done(&name("a"));
        assert_eq!((queue.len(), queue.waiting.len()), (0, 0), "nothing is kept");
    }

    #[test]
    fn what_is_too_much_is_given_back() {
        let mut queue = Queue::new();
        assert_eq!(queue.push(&name("a"), 1, 1), Ok(()));
        assert_eq!(queue.push(&name("b"), 2, 1), Err(2));
        assert!(queue.take().is_some());
        assert_eq!(queue.push(&name("b"), 2, 1), Err(2), "what is being sent counts");
        queue.done(&name("a"));
        assert_eq!(queue.push(&name("b"), 2, 1), Ok(()));
    }
}
