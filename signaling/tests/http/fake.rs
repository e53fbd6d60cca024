//! A port that keeps sessions in a map and remembers what it was asked.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;

use tokio::sync::mpsc;
use whitewater_signaling::control::{
    Answer, Beacon, Control, DeliveryInfo, EventType, Events, EventsId, EventsPath, Follow,
    Fragment, Happened, Happening, Heard, History, IfMatch, Interest, Journal, LayerChoice,
    Listing, Noted, Open, Opened, Patched, Refusal, ServerInfo, SessionId, SessionInfo,
    SessionPage, SessionPath, Side, StreamInfo, StreamName, StreamPage, Which,
};

/// The ICE user fragment that every fake session's client has at first.
pub(crate) const UFRAG: &str = "EsAw";

/// The port.
#[derive(Default)]
pub(crate) struct Fake {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    draining: bool,
    sessions: BTreeMap<String, Session>,
    opened: u32,
    refusal: Option<Refusal>,
    last_open: Option<Open>,
    last_fragment: Option<Fragment>,
    last_choice: Option<LayerChoice>,
    events: Vec<(EventsPath, Vec<EventType>)>,
    readers: Vec<mpsc::UnboundedSender<Happened>>,
    journals: Vec<mpsc::UnboundedSender<Noted>>,
    deliveries: Vec<DeliveryInfo>,
    beacons: Vec<Beacon>,
    heard: Option<Heard>,
    followed: Interest,
}

/// A follower of what the test tells.
struct Follower(mpsc::UnboundedReceiver<Happened>);

/// A journal of what the test notes.
struct Notes(mpsc::UnboundedReceiver<Noted>);

struct Session {
    path: SessionPath,
    etag: String,
    ufrag: String,
}

// === impl Fake ===

impl Fake {
    /// Makes the next call fail.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.state.lock().unwrap().refusal = Some(refusal);
    }

    /// Takes no more sessions.
    pub(crate) fn drain(&self) {
        self.state.lock().unwrap().draining = true;
    }

    /// The last request to open a session.
    pub(crate) fn last_open(&self) -> Open {
        self.state.lock().unwrap().last_open.clone().expect("a session was asked for")
    }

    /// The last fragment.
    pub(crate) fn last_fragment(&self) -> Fragment {
        self.state.lock().unwrap().last_fragment.clone().expect("a fragment was sent")
    }

    /// The last choice of a layer.
    pub(crate) fn last_choice(&self) -> LayerChoice {
        self.state.lock().unwrap().last_choice.clone().expect("a layer was chosen")
    }

    /// Tells everybody who follows anything.
    pub(crate) fn tell(&self, stream: &str, what: Happening) {
        let happened = Happened { stream: stream.parse().unwrap(), what };
        let mut state = self.state.lock().unwrap();
        state.readers.retain(|reader| reader.send(happened.clone()).is_ok());
    }

    /// Tells everybody who reads the journal.
    pub(crate) fn note(&self, noted: &Noted) {
        let mut state = self.state.lock().unwrap();
        state.journals.retain(|reader| reader.send(noted.clone()).is_ok());
    }

    /// Has webhooks sent something.
    pub(crate) fn deliver(&self, delivery: DeliveryInfo) {
        self.state.lock().unwrap().deliveries.push(delivery);
    }

    /// What players said.
    pub(crate) fn beacons(&self) -> Vec<Beacon> {
        self.state.lock().unwrap().beacons.clone()
    }

    /// Answers so what a player says next.
    pub(crate) fn hear_as(&self, heard: Heard) {
        self.state.lock().unwrap().heard = Some(heard);
    }

    /// Lets every follower come to its end.
    pub(crate) fn end_followers(&self) {
        let mut state = self.state.lock().unwrap();
        state.readers.clear();
        state.journals.clear();
    }

    /// How many follow now, as far as it was noticed.
    pub(crate) fn followers(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        state.readers.retain(|reader| !reader.is_closed());
        state.readers.len()
    }

    /// The streams that were followed last through the API, and whether all that are live were.
    pub(crate) fn followed(&self) -> (Vec<String>, bool) {
        let Interest { names, all_live } = self.state.lock().unwrap().followed.clone();
        (names.iter().map(StreamName::to_string).collect(), all_live)
    }
}

impl Control for Fake {
    fn is_ready(&self) -> bool {
        !self.state.lock().unwrap().draining
    }

    fn publish(&self, request: Open) -> Answer<'_, Opened> {
        let result = self.state.lock().unwrap().open(request, Side::Publish);
        Box::pin(std::future::ready(result))
    }

    fn subscribe(&self, request: Open) -> Answer<'_, Opened> {
        let result = self.state.lock().unwrap().open(request, Side::Watch);
        Box::pin(std::future::ready(result))
    }

    fn patch(
        &self,
        session: SessionPath,
        if_match: IfMatch,
        fragment: Fragment,
    ) -> Answer<'_, Patched> {
        let result = self.state.lock().unwrap().patch(&session, &if_match, fragment);
        Box::pin(std::future::ready(result))
    }

    fn delete(&self, session: SessionPath) -> Answer<'_, ()> {
        let mut state = self.state.lock().unwrap();
        let result = state.find(&session).map(|_| ());
        if result.is_ok() {
            state.sessions.remove(session.id.0.as_ref());
        }
        Box::pin(std::future::ready(result))
    }

    fn probe(&self, session: SessionPath) -> Answer<'_, ()> {
        let result = self.state.lock().unwrap().find(&session).map(|_| ());
        Box::pin(std::future::ready(result))
    }

    fn select_layer(&self, session: SessionPath, choice: LayerChoice) -> Answer<'_, ()> {
        let mut state = self.state.lock().unwrap();
        let known = choice.rid.as_deref().is_none_or(|rid| rid == "h");
        let result = match state.find(&session) {
            Ok(_) if known => Ok(()),
            Ok(_) => Err(Refusal::Unprocessable("no layer has this rid".into())),
            Err(refusal) => Err(refusal),
        };
        state.last_choice = Some(choice);
        Box::pin(std::future::ready(result))
    }

    fn stream_page(&self, listing: Listing) -> Answer<'_, StreamPage> {
        let mut state = self.state.lock().unwrap();
        let result = match state.refusal.take() {
            Some(refusal) => Err(refusal),
            None => {
                let named = |info: StreamInfo| (info.name.parse().unwrap(), info);
                let all = state.streams().into_iter().map(named).collect();
                let (streams, next) = listing.cut(all);
                let streams = streams.into_iter().map(|(_, info)| info).collect();
                Ok(StreamPage { streams, next })
            }
        };
        Box::pin(std::future::ready(result))
    }

    fn sessions(&self, which: Which) -> Answer<'_, SessionPage> {
        let page = self.state.lock().unwrap().page(&which);
        Box::pin(std::future::ready(Ok(page)))
    }

    fn session(&self, id: String) -> Answer<'_, SessionInfo> {
        let page = self.state.lock().unwrap().page(&Which { stream: None, after: None, limit: 9 });
        let found = page.sessions.into_iter().find(|session| session.id == id);
        Box::pin(std::future::ready(found.ok_or(Refusal::NoSession)))
    }

    fn select_layer_of(&self, id: String, choice: LayerChoice) -> Answer<'_, ()> {
        let path = self.state.lock().unwrap().sessions.get(&id).map(|session| session.path.clone());
        match path {
            Some(path) => self.select_layer(path, choice),
            None => Box::pin(std::future::ready(Err(Refusal::NoSession))),
        }
    }

    fn want_keyframe(&self, name: StreamName) -> Answer<'_, ()> {
        let live = self.state.lock().unwrap().streams().iter().any(|it| it.name == name.as_str());
        Box::pin(std::future::ready(if live { Ok(()) } else { Err(Refusal::NotLive(name)) }))
    }

    fn history(&self) -> Answer<'_, History> {
        Box::pin(std::future::ready(Ok(History { interval_s: 5, ..History::default() })))
    }

    fn kick(&self, _: String) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Err(Refusal::NoSession)))
    }

    fn end_stream(&self, name: StreamName) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Err(Refusal::NotLive(name))))
    }

    fn server(&self) -> Answer<'_, ServerInfo> {
        Box::pin(std::future::ready(Ok(ServerInfo {
            version: "0".into(),
            ..ServerInfo::default()
        })))
    }

    fn stream(&self, name: StreamName) -> Answer<'_, StreamInfo> {
        let streams = self.state.lock().unwrap().streams();
        let found = streams.into_iter().find(|stream| stream.name == name.as_str());
        Box::pin(std::future::ready(found.ok_or(Refusal::NotLive(name))))
    }

    fn follow(&self, interest: Interest) -> Answer<'_, Box<dyn Follow>> {
        let mut state = self.state.lock().unwrap();
        let result = match state.refusal.take() {
            Some(refusal) => Err(refusal),
            None => {
                state.followed = interest;
                Ok(state.follower())
            }
        };
        Box::pin(std::future::ready(result))
    }

    fn journal(&self) -> Answer<'_, Box<dyn Journal>> {
        let mut state = self.state.lock().unwrap();
        let (sender, receiver) = mpsc::unbounded_channel();
        state.journals.push(sender);
        let journal: Box<dyn Journal> = Box::new(Notes(receiver));
        Box::pin(std::future::ready(state.refusal.take().map_or(Ok(journal), Err)))
    }

    fn deliveries(&self, most: usize) -> Vec<DeliveryInfo> {
        self.state.lock().unwrap().deliveries.iter().take(most).cloned().collect()
    }

    fn hear(&self, beacon: Beacon) -> Result<Heard, Refusal> {
        let mut state = self.state.lock().unwrap();
        if let Some(refusal) = state.refusal.take() {
            return Err(refusal);
        }
        state.beacons.push(beacon);
        Ok(state.heard.take().unwrap_or(Heard::Taken))
    }

    fn open_events(&self, session: SessionPath, types: Vec<EventType>) -> Answer<'_, EventsId> {
        let mut state = self.state.lock().unwrap();
        let refusal = state.refusal.take().or_else(|| state.find(&session).err());
        let id = EventsId(format!("events-{}", state.events.len()).into());
        if refusal.is_none() {
            state.events.push((EventsPath { session, id: id.clone() }, types));
        }
        Box::pin(std::future::ready(refusal.map_or(Ok(id), Err)))
    }

    fn read_events(&self, events: EventsPath) -> Answer<'_, Events> {
        let mut state = self.state.lock().unwrap();
        let found = state.events.iter().find(|(path, _)| *path == events);
        let types = found.map(|(_, types)| types.clone()).ok_or(Refusal::NoEvents);
        let result = types.map(|types| {
            let follow = state.follower();
            Events { types, video_section: Some(1), follow }
        });
        Box::pin(std::future::ready(result))
    }

    fn close_events(&self, events: EventsPath) -> Answer<'_, ()> {
        let mut state = self.state.lock().unwrap();
        let before = state.events.len();
        state.events.retain(|(path, _)| *path != events);
        let closed = state.events.len() < before;
        Box::pin(std::future::ready(if closed { Ok(()) } else { Err(Refusal::NoEvents) }))
    }
}

impl Journal for Notes {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Noted>> + Send + '_>> {
        Box::pin(self.0.recv())
    }
}

impl Follow for Follower {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Happened>> + Send + '_>> {
        Box::pin(self.0.recv())
    }
}

// === impl State ===

impl State {
    fn follower(&mut self) -> Box<dyn Follow> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.readers.push(sender);
        Box::new(Follower(receiver))
    }

    fn open(&mut self, request: Open, side: Side) -> Result<Opened, Refusal> {
        self.last_open = Some(request.clone());
        if let Some(refusal) = self.refusal.take() {
            return Err(refusal);
        }
        if self.draining {
            return Err(Refusal::Closing);
        }
        if !request.offer.starts_with("v=0") {
            return Err(Refusal::Malformed("no v=0".into()));
        }
        if let Some(replaced) = &request.replaces {
            self.sessions.remove(replaced.id.0.as_ref());
        }
        let published = self.sessions.values().any(|session| {
            session.path.side == Side::Publish && session.path.stream == request.stream
        });
        match (side, published) {
            (Side::Publish, true) => return Err(Refusal::Taken(request.stream)),
            (Side::Watch, false) => return Err(Refusal::NotLive(request.stream)),
            (Side::Publish, false) | (Side::Watch, true) => {}
        }
        self.opened += 1;
        let id = SessionId(format!("session-{}", self.opened).into());
        let etag = format!("tag-{}", self.opened);
        let path = SessionPath { side, stream: request.stream, id: id.clone() };
        let session = Session { path, etag: etag.clone(), ufrag: UFRAG.into() };
        self.sessions.insert(id.to_string(), session);
        Ok(Opened { id, answer: "v=0\r\nthe answer\r\n".into(), etag })
    }

    fn find(&mut self, path: &SessionPath) -> Result<&mut Session, Refusal> {
        let session = self.sessions.get_mut(path.id.0.as_ref());
        session.filter(|session| session.path == *path).ok_or(Refusal::NoSession)
    }

    fn patch(
        &mut self,
        path: &SessionPath,
        if_match: &IfMatch,
        fragment: Fragment,
    ) -> Result<Patched, Refusal> {
        self.last_fragment = Some(fragment.clone());
        let session = self.find(path)?;
        let matches = match if_match {
            IfMatch::Any => true,
            IfMatch::Tags(tags) => tags.contains(&session.etag),
        };
        if !matches {
            return Err(Refusal::StaleTag);
        }
        if session.ufrag == fragment.ufrag {
            return Ok(Patched::Trickled);
        }
        session.ufrag = fragment.ufrag;
        session.etag.push_str("-restarted");
        let ours = "a=ice-ufrag:ours\r\na=ice-pwd:ourslongenoughtobeapassword\r\n";
        Ok(Patched::Restarted { fragment: ours.into(), etag: session.etag.clone() })
    }

    fn page(&self, which: &Which) -> SessionPage {
        let after = which.after.unwrap_or(0);
        let of_stream = |session: &&Session| {
            which.stream.as_ref().is_none_or(|stream| *stream == session.path.stream)
        };
        let numbered = self.sessions.values().filter(of_stream).zip(1_u64..);
        let mut later = numbered.filter(|(_, number)| *number > after).peekable();
        let mut page = SessionPage::default();
        while page.sessions.len() < which.limit
            && let Some((session, number)) = later.next()
        {
            page.sessions.push(SessionInfo {
                id: session.path.id.to_string(),
                stream: session.path.stream.to_string(),
                ..SessionInfo::default()
            });
            page.next = later.peek().map(|_| number);
        }
        page
    }

    fn streams(&self) -> Vec<StreamInfo> {
        let published = self.sessions.values().filter(|one| one.path.side == Side::Publish);
        published
            .map(|one| StreamInfo {
                name: one.path.stream.to_string(),
                live: true,
                ..StreamInfo::default()
            })
            .collect()
    }
}
