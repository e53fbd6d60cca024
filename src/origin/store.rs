//! A store that keeps the epochs of all streams: writers fill it, requests read it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use whitewater_core::media::{Init, Ntp, Packaged};
use whitewater_core::playlist::{Finished, Name, Unfit};
use whitewater_signaling::control::StreamName;

use super::Limits;
use super::epoch::{Epoch, EpochId, Offered};
use super::rendition::Rendition;

/// A handle on the store; its clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    limits: Limits,
    /// The epochs of each stream, the latest last. None is empty.
    streams: RwLock<HashMap<StreamName, Vec<Arc<Epoch>>>>,
    held: Semaphore,
    keeper: OnceLock<Arc<dyn Keeper>>,
}

/// Who keeps segments beyond memory. It is called by whoever packages, and must not wait.
pub trait Keeper: Send + Sync + 'static {
    /// An epoch begins.
    fn opened(&self, stream: &StreamName, epoch: &EpochId, offered: &[Offered]);

    /// A segment of it is complete.
    fn finished(
        &self,
        stream: &StreamName,
        epoch: &EpochId,
        rendition: &Name,
        init: &Init,
        segment: Finished,
        receipt: Receipt,
    );

    /// Nothing more comes of an epoch.
    fn ended(&self, stream: &StreamName, epoch: &EpochId);

    /// A segment that was kept of the epoch whose tick 0 was then; `None` where it was not.
    fn fetch(
        &self,
        stream: &StreamName,
        zero: Ntp,
        rendition: &Name,
        msn: u64,
    ) -> BoxFuture<'static, Option<Bytes>>;
}

/// What a keeper says when it has kept a segment, so that memory may let it go.
#[derive(Clone, Debug)]
pub struct Receipt {
    epoch: Weak<Epoch>,
    rendition: Name,
    msn: u64,
}

/// The one who fills an epoch. Dropping it, instead of [`ending`](Self::end) the epoch, takes
/// everything away at once.
pub struct Writer {
    store: Store,
    stream: StreamName,
    epoch: Arc<Epoch>,
    ended: bool,
}

/// Why an epoch cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The stream has an epoch of that name.
    #[error("the stream has this epoch already: {0}")]
    Taken(EpochId),
    /// Two renditions have the same name.
    #[error("two renditions have the same name: {0}")]
    Twice(Name),
    /// There is no rendition.
    #[error("an epoch has at least one rendition")]
    Nothing,
}

/// Why an item was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The epoch has no such rendition.
    #[error("the epoch has no rendition of this name: {0}")]
    NoRendition(Name),
    /// It does not fit.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

// === impl Store ===

impl Store {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        let held = Semaphore::new(limits.max_held.min(Semaphore::MAX_PERMITS));
        Self(Arc::new(Inner { limits, streams: RwLock::default(), held, keeper: OnceLock::new() }))
    }

    /// Lets somebody keep what is packaged from now on. It is set once.
    pub fn set_keeper(&self, keeper: Arc<dyn Keeper>) {
        let _ = self.0.keeper.set(keeper);
    }

    pub(super) fn keeper(&self) -> Option<&Arc<dyn Keeper>> {
        self.0.keeper.get()
    }

    /// Opens an epoch. From now on the stream's index leads to it; an epoch before it can still be
    /// read until its own writer lets it go.
    pub fn open(
        &self,
        stream: StreamName,
        id: EpochId,
        renditions: Vec<Offered>,
    ) -> Result<Writer, OpenError> {
        if renditions.is_empty() {
            return Err(OpenError::Nothing);
        }
        let mut names: Vec<_> = renditions.iter().map(|one| &one.config.name).collect();
        names.sort();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(OpenError::Twice(pair[0].clone()));
        }
        let mut streams = self.0.streams.write().unwrap_or_else(PoisonError::into_inner);
        let epochs = streams.entry(stream.clone()).or_default();
        if epochs.iter().any(|epoch| epoch.id == id) {
            return Err(OpenError::Taken(id));
        }
        if let Some(keeper) = self.keeper() {
            keeper.opened(&stream, &id, &renditions);
        }
        let since = epochs.last().map_or(renditions[0].config.epoch, |before| before.since);
        let epoch = Arc::new(Epoch::new(id, renditions, since));
        epochs.push(Arc::clone(&epoch));
        Ok(Writer { store: self.clone(), stream, epoch, ended: false })
    }

    /// How many requests are held at this moment.
    pub fn held_requests(&self) -> usize {
        let most = self.0.limits.max_held.min(Semaphore::MAX_PERMITS);
        most.saturating_sub(self.0.held.available_permits())
    }

    pub(super) fn held(&self) -> &Semaphore {
        &self.0.held
    }

    pub(super) fn limits(&self) -> Limits {
        self.0.limits
    }

    /// The epoch of that name.
    pub(super) fn find(&self, stream: &StreamName, id: &str) -> Option<Arc<Epoch>> {
        let streams = self.0.streams.read().unwrap_or_else(PoisonError::into_inner);
        let mut shown = streams.get(stream)?.iter().filter(|epoch| !epoch.is_hidden());
        shown.find(|epoch| epoch.id.as_ref() == id).cloned()
    }

    /// The latest epoch, if it goes on.
    pub(super) fn current(&self, stream: &StreamName) -> Option<Arc<Epoch>> {
        let streams = self.0.streams.read().unwrap_or_else(PoisonError::into_inner);
        let last = streams.get(stream)?.last()?;
        (!last.has_ended() && !last.is_hidden()).then(|| Arc::clone(last))
    }

    /// All epochs there are of a stream, the oldest first.
    pub(super) fn epochs(&self, stream: &StreamName) -> Vec<Arc<Epoch>> {
        let streams = self.0.streams.read().unwrap_or_else(PoisonError::into_inner);
        let epochs = streams.get(stream).map(Vec::as_slice).unwrap_or_default();
        epochs.iter().filter(|epoch| !epoch.is_hidden()).cloned().collect()
    }

    fn release(&self, stream: &StreamName, epoch: &Arc<Epoch>) {
        let mut streams = self.0.streams.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(epochs) = streams.get_mut(stream) {
            epochs.retain(|other| !Arc::ptr_eq(other, epoch));
            if epochs.is_empty() {
                streams.remove(stream);
            }
        }
        drop(streams);
        // Requests that are under way may hold the epoch; they must not hold its media.
        epoch.renditions().iter().for_each(Rendition::release);
    }
}

// === impl Receipt ===

impl Receipt {
    /// Of a segment that no memory has.
    #[cfg(test)]
    pub(crate) fn of_nothing(rendition: Name) -> Self {
        Self { epoch: Weak::new(), rendition, msn: 0 }
    }

    /// Memory need not have the segment any more.
    pub fn stored(self) {
        let Some(epoch) = self.epoch.upgrade() else { return };
        if let Some(rendition) = epoch.rendition(self.rendition.as_ref()) {
            rendition.stored(self.msn);
        }
    }
}

// === impl Writer ===

impl Writer {
    /// The epoch's name.
    pub fn id(&self) -> &EpochId {
        &self.epoch.id
    }

    /// Adds what a packager put out. Requests see all of it at once: what belongs together, such as
    /// the last part of a segment and its end, goes into one call. Items before one that does not fit
    /// are taken.
    pub fn push(
        &self,
        rendition: &Name,
        items: impl IntoIterator<Item = Packaged>,
    ) -> Result<(), PushError> {
        let rendition = self.rendition(rendition)?;
        let taken = rendition.push(items);
        self.hand_on(rendition);
        Ok(taken?)
    }

    /// Takes a rendition out of the multivariant playlist and the reports, for good. Its playlist is
    /// 404 from now on, which makes players choose another one; media that was told of stays.
    pub fn withdraw(&self, rendition: &Name) -> Result<(), PushError> {
        self.rendition(rendition)?.withdraw();
        Ok(())
    }

    /// Says whether the multivariant playlist lists a rendition. Its own playlist goes on either way.
    pub fn offer(&self, rendition: &Name, offered: bool) -> Result<(), PushError> {
        self.rendition(rendition)?.offer(offered);
        Ok(())
    }

    /// Ends the epoch: playlists say so, and all can be read a while longer. Call it within a tokio
    /// runtime.
    pub fn end(mut self) {
        self.ended = true;
        self.epoch.renditions().iter().for_each(Rendition::end);
        self.epoch.renditions().iter().for_each(|rendition| self.hand_on(rendition));
        self.tell_end();
        let (store, stream) = (self.store.clone(), self.stream.clone());
        let epoch = Arc::clone(&self.epoch);
        tokio::spawn(async move {
            tokio::time::sleep(store.0.limits.linger).await;
            store.release(&stream, &epoch);
        });
    }

    /// Whether anybody has asked for anything of the epoch.
    pub fn was_asked(&self) -> bool {
        self.epoch.was_asked()
    }

    /// How long nobody has asked for anything of the epoch.
    pub fn idle(&self) -> Duration {
        self.epoch.idle()
    }

    /// What players are to find is not made for now: who comes waits.
    pub fn sleep(&self) {
        self.epoch.sleep();
    }

    /// What players are to find is there.
    pub fn wake(&self) {
        self.epoch.wake();
    }

    /// Says that it is not for players.
    pub fn hide(&self) {
        self.epoch.hide();
    }

    /// Hands complete segments to who keeps them.
    fn hand_on(&self, rendition: &Rendition) {
        let Some(keeper) = self.store.keeper() else { return };
        for (init, segment) in rendition.take_finished() {
            let receipt = Receipt {
                epoch: Arc::downgrade(&self.epoch),
                rendition: rendition.name().clone(),
                msn: segment.msn,
            };
            keeper.finished(
                &self.stream,
                &self.epoch.id,
                rendition.name(),
                &init,
                segment,
                receipt,
            );
        }
    }

    fn tell_end(&self) {
        if let Some(keeper) = self.store.keeper() {
            keeper.ended(&self.stream, &self.epoch.id);
        }
    }

    fn rendition(&self, name: &Name) -> Result<&Rendition, PushError> {
        let found = self.epoch.rendition(name.as_ref());
        found.ok_or_else(|| PushError::NoRendition(name.clone()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.ended {
            self.tell_end();
            self.store.release(&self.stream, &self.epoch);
        }
    }
}
