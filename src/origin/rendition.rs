//! A rendition that one writer fills and many requests read.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use whitewater_core::media::time::ticks_to_micros;
use whitewater_core::media::{Init, Kind, Packaged};
use whitewater_core::playlist::dash::Track;
use whitewater_core::playlist::{
    Bandwidth, Config, Described, Finished, Form, Found, Name, Position, Report, State, Unfit,
    Window, render,
};

use super::answer::Text;
use super::epoch::Offered;

/// One rendition of an epoch.
pub(super) struct Rendition {
    name: Name,
    offered: Offered,
    urgency: u8,
    live: Mutex<Live>,
    shown: watch::Sender<Shown>,
    /// What players are told it takes: the same for ever.
    announced: OnceLock<Bandwidth>,
}

/// What requests wait for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shown {
    pub(super) state: State,
    /// Whether the rendition was withdrawn.
    pub(super) gone: bool,
    /// Whether it is left out of the multivariant playlist, for want of anything but gaps.
    pub(super) hidden: bool,
}

struct Live {
    window: Window,
    /// The playlist of this version, as far as somebody asked for it.
    rendered: Rendered,
    /// The last segment that was handed on to be kept.
    handed_on: Option<u64>,
}

#[derive(Default)]
struct Rendered {
    reports: Option<Vec<Report>>,
    full: Option<Arc<Text>>,
    delta: Option<Arc<Text>>,
}

// === impl Rendition ===

impl Rendition {
    pub(super) fn new(offered: Offered, urgency: u8) -> Self {
        let window = Window::new(offered.config.clone());
        let shown = Shown { state: window.state(), gone: false, hidden: false };
        Self {
            name: offered.config.name.clone(),
            offered,
            urgency,
            live: Mutex::new(Live { window, rendered: Rendered::default(), handed_on: None }),
            shown: watch::Sender::new(shown),
            announced: OnceLock::new(),
        }
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    pub(super) fn config(&self) -> &Config {
        &self.offered.config
    }

    pub(super) fn kind(&self) -> Kind {
        self.offered.kind
    }

    pub(super) fn urgency(&self) -> u8 {
        self.urgency
    }

    pub(super) fn shown(&self) -> Shown {
        *self.shown.borrow()
    }

    pub(super) fn changes(&self) -> watch::Receiver<Shown> {
        self.shown.subscribe()
    }

    /// Takes items up to the first that does not fit, and wakes whoever waits once.
    pub(super) fn push(&self, items: impl IntoIterator<Item = Packaged>) -> Result<(), Unfit> {
        let mut taken = Ok(());
        self.change(|window| {
            taken = items.into_iter().try_for_each(|item| window.handle(item));
        });
        taken
    }

    /// The complete segments that were not taken yet, with their initialization sections.
    pub(super) fn take_finished(&self) -> Vec<(Init, Finished)> {
        let mut live = self.lock();
        let finished = live.window.finished_after(live.handed_on);
        live.handed_on = finished.last().map(|last| last.msn).or(live.handed_on);
        let with_init = |segment: Finished| {
            let init = live.window.init(segment.init)?.clone();
            Some((init, segment))
        };
        finished.into_iter().filter_map(with_init).collect()
    }

    /// A segment is kept elsewhere.
    pub(super) fn stored(&self, msn: u64) {
        self.lock().window.note_stored(msn);
    }

    /// Whether a segment is to be had elsewhere only.
    pub(super) fn is_elsewhere(&self, msn: u64) -> bool {
        self.lock().window.is_shed(msn)
    }

    /// Nothing more will come.
    pub(super) fn end(&self) {
        self.change(Window::end);
    }

    /// Its playlist is no more; its media stays as it is.
    pub(super) fn withdraw(&self) {
        self.shown.send_modify(|shown| shown.gone = true);
    }

    /// Whether players that come are told of it; its playlist goes on either way.
    pub(super) fn offer(&self, offered: bool) {
        self.shown.send_modify(|shown| shown.hidden = !offered);
    }

    /// Lets all media go.
    pub(super) fn release(&self) {
        self.withdraw();
        let mut live = self.lock();
        live.window = Window::new(self.offered.config.clone());
        (live.rendered, live.handed_on) = (Rendered::default(), None);
    }

    /// The playlist. `reports` is asked where it has to be rendered.
    pub(super) fn text(&self, form: Form, reports: impl FnOnce() -> Vec<Report>) -> Arc<Text> {
        let mut live = self.lock();
        let Live { window, rendered, .. } = &mut *live;
        let reports = rendered.reports.get_or_insert_with(reports);
        let slot = match form {
            Form::Full => &mut rendered.full,
            Form::Delta => &mut rendered.delta,
        };
        let text = slot.get_or_insert_with(|| Arc::new(Text::new(render(window, form, reports))));
        Arc::clone(text)
    }

    /// What other renditions' playlists say about this one.
    pub(super) fn report(&self) -> Option<Report> {
        let Shown { state, gone, .. } = self.shown();
        let last = state.last.filter(|_| !gone)?;
        Some(Report { name: self.name.clone(), last })
    }

    /// What the multivariant playlist says; `None` where it is not in there.
    pub(super) fn described(&self) -> Option<Described> {
        let shown = self.shown();
        if shown.gone || shown.hidden || shown.state.last.is_none() {
            return None;
        }
        let live = self.lock();
        let init = live.window.latest_init()?;
        let measured = || live.window.bandwidth().unwrap_or(self.offered.nominal);
        Some(Described {
            name: self.name.clone(),
            kind: self.offered.kind,
            codecs: init.codecs.clone(),
            size: init.size,
            frame_rate: self.offered.frame_rate,
            channels: self.offered.channels,
            range: init.range,
            bandwidth: *self.announced.get_or_init(measured),
        })
    }

    /// What the manifest of DASH says; `None` where it is not in there.
    pub(super) fn track(&self) -> Option<Track> {
        let (described, timescale) = (self.described()?, self.offered.config.timescale);
        Some(Track { described, timescale, runs: self.lock().window.runs() })
    }

    /// Where its media ends, from the epoch's zero on.
    pub(super) fn end_of_media(&self) -> Duration {
        let micros = ticks_to_micros(self.lock().window.end_ticks(), self.offered.config.timescale);
        Duration::from_micros(micros.unsigned_abs())
    }

    /// A part, and how long it stays.
    pub(super) fn part(&self, at: Position) -> (Found, Duration) {
        let live = self.lock();
        (live.window.part(at), live.window.stays(at.msn))
    }

    /// A segment, and how long it stays.
    pub(super) fn segment(&self, msn: u64) -> Option<(Bytes, Duration)> {
        let live = self.lock();
        Some((live.window.segment(msn)?, live.window.stays(msn)))
    }

    /// How many parts a complete segment has.
    pub(super) fn segment_parts(&self, msn: u64) -> Option<u32> {
        self.lock().window.parts_of(msn)
    }

    /// An initialization section, and how long it stays at least.
    pub(super) fn init(&self, version: u32) -> Option<(Bytes, Duration)> {
        let live = self.lock();
        let bytes = live.window.init(version)?.bytes.clone();
        let newest =
            live.window.state().last.map_or(Duration::ZERO, |last| live.window.stays(last.msn));
        Some((bytes, newest))
    }

    fn change(&self, change: impl FnOnce(&mut Window)) {
        let mut live = self.lock();
        let before = live.window.state().version;
        change(&mut live.window);
        let state = live.window.state();
        if state.version == before {
            return;
        }
        live.rendered = Rendered::default();
        drop(live);
        // There is one writer, so that nothing older comes after it.
        self.shown.send_modify(|shown| shown.state = state);
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
