//! Sessions: how control opens them for publishers and viewers, patches and ends them.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info};
use whitewater_core::media::{Kind, Mid, Rid, Ssrc};
use whitewater_core::rtc::{Credentials, sdp};
use whitewater_core::shard::command::{Publish, Subscribe};
use whitewater_core::shard::{Command, Reply, ShardId};
use whitewater_signaling::control::{
    Fragment, Grant, IfMatch, Open, Opened, Patched, Refusal, SessionId, SessionPath, Side,
    StreamName,
};

use super::Control;
use super::claim::{Claimant, Holder, State, Verdict};
use super::registry::{SessionEntry, StreamEntry};
use super::roster::public_name;

/// What became of a publisher's request.
enum Claimed {
    Reserved(Box<Reserved>),
    /// The stream waits for another.
    Kept(Box<StreamEntry>),
}

/// A publisher's session that is booked and not open yet.
struct Reserved {
    id: SessionId,
    /// The stream as it was before.
    was: Option<StreamEntry>,
    shard: ShardId,
    command: Command,
    opened: Opened,
}

impl Control {
    pub(super) async fn open_publisher(&self, request: Open) -> Result<Opened, Refusal> {
        for _ in 0..ATTEMPTS {
            if self.is_draining() {
                return Err(Refusal::Closing);
            }
            let Reserved { id, was, shard, command, opened } = match self.reserve(&request)? {
                Claimed::Reserved(reserved) => *reserved,
                Claimed::Kept(stream) => return Err(self.kept(request.stream, &stream).await),
            };
            let session = public_name(&id);
            info!(stream = %request.stream, session = &*session, "a publisher opens a session");
            match self.open(&id, shard, command, opened).await {
                Ok(Some(opened)) => {
                    // Its shard has ended the one before it.
                    if let Some(old) = was.and_then(|was| was.publisher) {
                        self.registry().remove(&old);
                    }
                    return Ok(opened);
                }
                Ok(None) => {
                    // The window ended before the shard knew of it: the name is free, its stream a new one.
                    let mut registry = self.registry();
                    registry.remove(&id);
                    if let Some(was) = was {
                        registry.end_stream(was.id);
                    }
                }
                Err(refusal) => {
                    self.registry().give_back(&request.stream, &id, was);
                    return Err(refusal);
                }
            }
        }
        Err(Refusal::Full("the stream is just ending".into()))
    }

    /// Books a publisher's session, if the name is free for it.
    fn reserve(&self, request: &Open) -> Result<Claimed, Refusal> {
        let id = self.session_id();
        let path =
            SessionPath { side: Side::Publish, stream: request.stream.clone(), id: id.clone() };
        let policy = (self.config.policy)(request.stream.as_str());
        let replaces = request.replaces.as_ref().map(|old| &old.id);
        let claimant = Claimant {
            replaces,
            identity: request.grant.identity.as_ref(),
            takeover: policy.takeover,
        };
        let mut registry = self.registry();
        let was = registry.streams.get(&request.stream).cloned();
        match was.as_ref().map(|stream| stream.holder.judge(claimant)) {
            Some(Verdict::Taken) => return Err(Refusal::Taken(request.stream.clone())),
            Some(Verdict::Kept) => return Ok(Claimed::Kept(Box::new(was.expect("it was judged")))),
            Some(Verdict::Granted) | None => {}
        }
        let limits = (self.config.limits)();
        registry.tally.check(request, &limits)?;
        let max = limits.max_streams;
        if was.is_none() && max > 0 && registry.streams.len() >= max {
            return Err(Refusal::Full(format!("the server has its {max} streams")));
        }
        let shard = was.as_ref().map_or_else(|| registry.least_loaded(), |stream| stream.home);
        let local = self.secrets.credentials(shard);
        let max_bitrate_bps = match (policy.max_bitrate_bps, request.grant.max_bitrate_bps) {
            (0, granted) => granted.unwrap_or(0),
            (max, granted) => granted.map_or(max, |granted| granted.min(max)),
        };
        let policy_sdp = sdp::PublishPolicy { max_bitrate_bps };
        let agreed =
            self.negotiate(&local, |side| sdp::answer_publish(&request.offer, side, &policy_sdp))?;
        let stream = was.as_ref().map_or_else(|| registry.next_stream(), |stream| stream.id);
        let (published, rids) = what_is_published(&agreed.sections);
        let opened = opened(&id, &local, &agreed);
        let grant = request.grant.clone();
        let asked = (grant, request.client);
        let session = entry_of(&path, asked, stream, shard, &opened, &agreed);
        let holder = Holder {
            session: id.clone(),
            before: was.as_ref().and_then(|was| was.holder.before(replaces)),
            identity: session.grant.identity.clone(),
            state: State::Opening,
        };
        let entry = StreamEntry {
            id: stream,
            home: shard,
            publisher: Some(id.clone()),
            holder,
            published,
            rids,
            since: was.as_ref().map_or_else(std::time::Instant::now, |was| was.since),
            viewers: was.as_ref().map_or(0, |was| was.viewers),
            presence: was.as_ref().map(|was| was.presence.clone()).unwrap_or_default(),
        };
        registry.streams.insert(request.stream.clone(), entry);
        registry.reserve(id.clone(), session);
        let command = Command::Publish(Box::new(Publish {
            stream,
            resumes: was.is_some(),
            connection: self.connection(local, &agreed).into(),
            sections: agreed.sections,
            window: policy.reconnect_window,
            // The publisher is asked to stay below its limit; a quarter more is still taken.
            max_bitrate_bps: max_bitrate_bps + max_bitrate_bps / 4,
        }));
        Ok(Claimed::Reserved(Box::new(Reserved { id, was, shard, command, opened })))
    }

    /// Says for how long a name is kept for its publisher.
    async fn kept(&self, name: StreamName, stream: &StreamEntry) -> Refusal {
        let report = self.describe(stream).await;
        if report.live {
            return Refusal::Taken(name);
        }
        let left = report.window.unwrap_or_default();
        let retry_after_s = left.as_millis().div_ceil(1000).max(1) as u64;
        Refusal::Kept { stream: name, retry_after_s }
    }

    pub(super) async fn open_viewer(&self, request: Open) -> Result<Opened, Refusal> {
        if self.is_draining() {
            return Err(Refusal::Closing);
        }
        let id = self.session_id();
        let path =
            SessionPath { side: Side::Watch, stream: request.stream.clone(), id: id.clone() };
        if let Some(old) = &request.replaces {
            // What is replaced may have ended by itself.
            let _ = self.end(old, "for another one").await;
        }
        let (shard, command, opened) = {
            let mut registry = self.registry();
            let Some(stream) = registry.streams.get(&request.stream).cloned() else {
                return Err(Refusal::NotLive(request.stream));
            };
            let limits = (self.config.limits)();
            let max = limits.max_viewers;
            if max > 0 && registry.viewers() >= max {
                return Err(Refusal::Full(format!("the server has its {max} viewers")));
            }
            let max = limits.max_total_bitrate_bps;
            if max > 0 && self.traffic.bps() >= max {
                return Err(Refusal::Full("the server sends as much as it may".into()));
            }
            registry.tally.check(&request, &limits)?;
            let shard = registry.least_loaded();
            let local = self.secrets.credentials(shard);
            let ssrc = || Ssrc((self.secrets.number() as u32).max(1));
            let ssrcs = sdp::WatchSsrcs { audio: ssrc(), video: ssrc(), video_rtx: ssrc() };
            let cname = self.secrets.text(16);
            let agreed = self.negotiate(&local, |side| {
                let side = sdp::Local { cname: &cname, ..*side };
                sdp::answer_watch(&request.offer, &side, &stream.published, &ssrcs)
            })?;
            let opened = opened(&id, &local, &agreed);
            let asked = (request.grant, request.client);
            let entry = entry_of(&path, asked, stream.id, shard, &opened, &agreed);
            registry.reserve(id.clone(), entry);
            let command = Command::Subscribe(Box::new(Subscribe {
                stream: stream.id,
                home: stream.home,
                connection: self.connection(local, &agreed).into(),
                sections: agreed.sections,
                audio: ssrcs.audio,
                video: ssrcs.video,
                video_rtx: ssrcs.video_rtx,
                cname,
            }));
            (shard, command, opened)
        };
        debug!(stream = %request.stream, session = &*public_name(&id), "a viewer opens a session");
        let opened = self.open(&id, shard, command, opened).await;
        if !matches!(opened, Ok(Some(_))) {
            self.registry().remove(&id);
        }
        opened?.ok_or_else(|| Refusal::Full("the stream is just ending".into()))
    }

    /// Has a reserved session opened by its shard; `None` where the shard does not have the stream.
    async fn open(
        &self,
        id: &SessionId,
        shard: ShardId,
        command: Command,
        opened: Opened,
    ) -> Result<Option<Opened>, Refusal> {
        match self.engine.ask(shard, command).await {
            Some(Reply::Opened(key)) => {
                if self.registry().confirm(id, key) {
                    self.limit_life(id);
                    return Ok(Some(opened));
                }
                // It was replaced or deleted while it opened.
                self.engine.ask(shard, Command::Close(key)).await;
                Err(Refusal::NoSession)
            }
            Some(Reply::Failed(why)) => Err(Refusal::Unprocessable(why)),
            Some(Reply::Unknown) => Ok(None),
            Some(Reply::Done | Reply::Stream(_) | Reply::Sessions(_) | Reply::Gauges(_)) | None => {
                Err(Refusal::Closing)
            }
        }
    }

    /// Ends a session when its permission does, which may be renewed meanwhile.
    fn limit_life(&self, id: &SessionId) {
        let entry =
            self.registry().sessions.get(id).map(|entry| (entry.path.clone(), entry.expires));
        let Some((path, Some(_))) = entry else { return };
        let me = self.me.clone();
        tokio::spawn(async move {
            loop {
                let Some(control) = me.upgrade() else { return };
                let expires = control.registry().session(&path).and_then(|entry| entry.expires);
                let Some(expires) = expires else { return };
                let end = Instant::from_std(expires) + (control.config.limits)().grace;
                if Instant::now() >= end {
                    let _ = control.end(&path, "as its permission ended").await;
                    return;
                }
                drop(control);
                // It looks now and then, so as not to outlive its session for long.
                tokio::time::sleep_until(end.min(Instant::now() + LOOK_INTERVAL)).await;
            }
        });
    }

    /// Ends a session, for a reason that the log tells.
    pub(super) async fn end(&self, path: &SessionPath, why: &str) -> Result<(), Refusal> {
        let session = {
            let mut registry = self.registry();
            let known = registry.session(path).is_some();
            let session = known.then(|| registry.remove(&path.id)).flatten();
            // Its connection may have ended before this came: then it left on purpose all the same.
            registry.leave(path);
            session.ok_or(Refusal::NoSession)?
        };
        if let Some(key) = session.key {
            self.engine.ask(session.shard, Command::Close(key)).await;
        }
        let session = &*session.name;
        info!(stream = %path.stream, side = ?path.side, session, "a session was ended {why}");
        Ok(())
    }

    /// The session that publishes a stream.
    pub(super) fn publisher_of(&self, stream: &StreamName) -> Option<SessionPath> {
        let registry = self.registry();
        let id = registry.streams.get(stream)?.publisher.clone()?;
        Some(SessionPath { side: Side::Publish, stream: stream.clone(), id })
    }

    pub(super) async fn patch_ice(
        &self,
        path: SessionPath,
        if_match: IfMatch,
        fragment: Fragment,
    ) -> Result<Patched, Refusal> {
        let session = self.registry().session(&path).cloned().ok_or(Refusal::NoSession)?;
        match &if_match {
            IfMatch::Any => {}
            IfMatch::Tags(tags) if tags.contains(&session.etag) => {}
            IfMatch::Tags(_) => return Err(Refusal::StaleTag),
        }
        let same = fragment.ufrag == session.remote.ufrag && fragment.pwd == session.remote.pwd;
        if same || fragment.ufrag.is_empty() {
            // We are ICE-lite: remote candidates are learned from their checks.
            return Ok(Patched::Trickled);
        }
        let key = session.key.ok_or(Refusal::NoSession)?;
        let local = self.secrets.credentials(session.shard);
        let remote = Credentials { ufrag: fragment.ufrag, pwd: fragment.pwd };
        remote.check().map_err(|why| Refusal::Malformed(why.into()))?;
        let command = Command::RestartIce { key, local: local.clone(), remote: remote.clone() };
        let Some(Reply::Done) = self.engine.ask(session.shard, command).await else {
            return Err(Refusal::NoSession);
        };
        let etag = local.ufrag.clone();
        let (candidates, tcp) = (&self.config.candidates, self.config.tcp);
        let fragment = sdp::ice_fragment(&local, candidates, tcp, &session.tagged);
        if let Some(session) = self.registry().sessions.get_mut(&path.id) {
            (session.etag, session.remote) = (etag.clone(), remote);
        }
        Ok(Patched::Restarted { fragment, etag })
    }
}

fn opened(id: &SessionId, local: &Credentials, agreed: &sdp::Agreed) -> Opened {
    Opened { id: id.clone(), answer: agreed.answer.clone(), etag: local.ufrag.clone() }
}

fn entry_of(
    path: &SessionPath,
    (grant, client): (Grant, Option<IpAddr>),
    stream: whitewater_core::shard::StreamId,
    shard: ShardId,
    opened: &Opened,
    agreed: &sdp::Agreed,
) -> SessionEntry {
    let expires = grant.expires_in.map(|left| std::time::Instant::now() + left);
    let first = agreed.sections.first();
    let video = agreed.sections.iter().find(|section| section.kind == Kind::Video);
    SessionEntry {
        number: 0,
        name: public_name(&path.id),
        path: path.clone(),
        grant,
        client,
        since: std::time::Instant::now(),
        expires,
        stream,
        shard,
        key: None,
        remote: agreed.remote.ice.clone(),
        etag: opened.etag.clone(),
        tagged: first
            .map_or_else(|| (Mid::new("0"), Kind::Video), |first| (first.mid.clone(), first.kind)),
        video: video.map(|video| video.mid.clone()),
        video_section: video.and_then(|video| section_index(&opened.answer, &video.mid)),
    }
}

/// The place of a section among all of a description, refused ones included.
fn section_index(description: &str, mid: &Mid) -> Option<usize> {
    let line = format!("a=mid:{mid}");
    let before = description.lines().take_while(|other| other.trim_end() != line);
    before.filter(|other| other.starts_with("m=")).count().checked_sub(1)
}

fn what_is_published(sections: &[whitewater_core::rtc::Section]) -> (sdp::Published, Vec<Rid>) {
    let of = |kind: Kind| sections.iter().find(|section| section.kind == kind);
    let format = |kind: Kind| of(kind).map(|section| section.formats[0].format.clone());
    let published = sdp::Published { audio: format(Kind::Audio), video: format(Kind::Video) };
    (published, of(Kind::Video).map(|video| video.rids.clone()).unwrap_or_default())
}

/// A stream that ended while it was asked for is asked for again, as a new one.
const ATTEMPTS: usize = 2;

/// What waits for the end of a session's permission looks after the session so often.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
