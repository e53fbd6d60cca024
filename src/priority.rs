//! Which thread goes first where there are fewer cores than work: the one that forwards packets.

use rustix::process::{getpriority_process, setpriority_process};
use rustix::thread::gettid;

/// What a thread does that is not on the packet path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// It answers requests, or packages frames.
    Requests,
    /// It decodes and encodes.
    Transcoding,
}

impl Behind {
    /// Puts the calling thread, and those that it starts from now on, behind the shards' threads.
    ///
    /// Nobody needs a right to be less important. Where it does not work all threads are equal.
    pub fn stand(self) {
        let me = Some(gettid());
        let nice = getpriority_process(me).unwrap_or(0).max(self.nice());
        if let Err(error) = setpriority_process(me, nice) {
            tracing::debug!(%error, "a thread keeps its priority");
        }
    }

    /// As `nice(2)` counts: each step gives about a tenth less of a core that others want too.
    const fn nice(self) -> i32 {
        match self {
            Self::Requests => 5,
            Self::Transcoding => 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_stands_behind_and_so_do_those_it_starts() {
        let nice = || getpriority_process(Some(gettid())).unwrap();
        let before = nice();
        std::thread::spawn(move || {
            Behind::Requests.stand();
            assert_eq!(nice(), before.max(5));
            std::thread::spawn(move || assert_eq!(nice(), before.max(5))).join().unwrap();
            Behind::Transcoding.stand();
            assert_eq!(nice(), before.max(10));
            // It never moves forward again: that would need a right.
            Behind::Requests.stand();
            assert_eq!(nice(), before.max(10));
        })
        .join()
        .unwrap();
        assert_eq!(nice(), before);
    }
}
