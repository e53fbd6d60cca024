//! Sessions: how control opens them for publishers and viewers, patches and ends them.

use tracing::{debug, info};
use whitewater_core::media::{Kind, Mid, Rid, Ssrc};
use whitewater_core::rtc::{Credentials, sdp};
use whitewater_core::shard::command::{Publish, Subscribe};
use whitewater_core::shard::{Command, Reply, ShardId};
use whitewater_signaling::control::{
    Fragment, IfMatch, Open, Opened, Patched, Refusal, SessionPath, Side,
};

use super::Control;
use super::registry::{SessionEntry, StreamEntry};
use super::standing::Presence;

impl Control {
    pub(super) async fn open_publisher(&self, request: Open) -> Result<Opened, Refusal> {
        let id = self.session_id();
        let path =
            SessionPath { side: Side::Publish, stream: request.stream.clone(), id: id.clone() };
        let policy = (self.config.policy)(request.stream.as_str());
        let (stream, home, command, opened) = {
            let mut registry = self.registry();
            let known = registry.streams.get(&request.stream).cloned();
            let present = known.as_ref().and_then(|stream| stream.publisher.clone());
            if let Some(present) = &present
                && request.replaces.as_ref().is_none_or(|old| old.id != *present)
            {
                return Err(Refusal::Taken(request.stream));
            }
            let max = self.config.max_streams;
            if known.is_none() && max > 0 && registry.streams.len() >= max {
                return Err(Refusal::Full(format!("the server has its {max} streams")));
            }
            let home = known.as_ref().map_or_else(|| registry.least_loaded(), |stream| stream.home);
            let local = self.secrets.credentials(home);
            let policy_sdp = sdp::PublishPolicy { max_bitrate_bps: policy.max_bitrate_bps };
            let agreed = self
                .negotiate(&local, |side| sdp::answer_publish(&request.offer, side, &policy_sdp))?;
            let stream = known.map_or_else(|| registry.next_stream(), |stream| stream.id);
            if let Some(present) = &present {
                registry.remove(present);
            }
            let (published, rids) = what_is_published(&agreed.sections);
            let entry =
                registry.streams.entry(request.stream.clone()).or_insert_with(|| StreamEntry {
                    id: stream,
                    home,
                    publisher: None,
                    published: published.clone(),
                    rids: rids.clone(),
                    since: std::time::Instant::now(),
                    viewers: 0,
                    presence: Presence::default(),
                });
            entry.publisher = Some(id.clone());
            (entry.published, entry.rids) = (published, rids);
            let opened = opened(&id, &local, &agreed);
            registry.reserve(id.clone(), entry_of(&path, stream, home, &opened, &agreed));
            let command = Command::Publish(Box::new(Publish {
                stream,
                connection: self.connection(local, &agreed).into(),
                sections: agreed.sections,
                window: policy.reconnect_window,
                // The publisher is asked to stay below its limit; a quarter more is still taken.
                max_bitrate_bps: policy.max_bitrate_bps + policy.max_bitrate_bps / 4,
            }));
            (stream, home, command, opened)
        };
        info!(stream = %request.stream, "a publisher opens a session");
        let done = self.open(&id, home, command, opened).await;
        if done.is_err() {
            self.registry().end_stream(stream);
        }
        done
    }

    pub(super) async fn open_viewer(&self, request: Open) -> Result<Opened, Refusal> {
        let id = self.session_id();
        let path =
            SessionPath { side: Side::Watch, stream: request.stream.clone(), id: id.clone() };
        if let Some(old) = request.replaces {
            // What is replaced may have ended by itself.
            let _ = self.end(&old).await;
        }
        let (shard, command, opened) = {
            let mut registry = self.registry();
            let Some(stream) = registry.streams.get(&request.stream).cloned() else {
                return Err(Refusal::NotLive(request.stream));
            };
            let max = self.config.max_viewers;
            if max > 0 && registry.viewers() >= max {
                return Err(Refusal::Full(format!("the server has its {max} viewers")));
            }
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
            registry.reserve(id.clone(), entry_of(&path, stream.id, shard, &opened, &agreed));
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
        debug!(stream = %request.stream, "a viewer opens a session");
        self.open(&id, shard, command, opened).await
    }

    /// Has a reserved session opened by its shard, or strikes it out again.
    async fn open(
        &self,
        id: &whitewater_signaling::control::SessionId,
        shard: ShardId,
        command: Command,
        opened: Opened,
    ) -> Result<Opened, Refusal> {
        let refusal = match self.engine.ask(shard, command).await {
            Some(Reply::Opened(key)) => {
                if self.registry().confirm(id, key) {
                    return Ok(opened);
                }
                // It was replaced or deleted while it opened.
                self.engine.ask(shard, Command::Close(key)).await;
                return Err(Refusal::NoSession);
            }
            Some(Reply::Failed(why)) => Refusal::Unprocessable(why),
            Some(Reply::Unknown) => Refusal::Full("the stream is just ending".into()),
            Some(Reply::Done | Reply::Stream(_) | Reply::Gauges(_)) | None => Refusal::Closing,
        };
        self.registry().remove(id);
        Err(refusal)
    }

    pub(super) async fn end(&self, path: &SessionPath) -> Result<(), Refusal> {
        let session = {
            let mut registry = self.registry();
            registry.session(path).ok_or(Refusal::NoSession)?;
            registry.remove(&path.id).ok_or(Refusal::NoSession)?
        };
        if let Some(key) = session.key {
            self.engine.ask(session.shard, Command::Close(key)).await;
        }
        info!(stream = %path.stream, side = ?path.side, "a session was ended by its client");
        Ok(())
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
        let (mid, kind) = &session.tagged;
        let fragment = sdp::ice_fragment(&local, &self.config.candidates, mid, *kind);
        if let Some(session) = self.registry().sessions.get_mut(&path.id) {
            (session.etag, session.remote) = (etag.clone(), remote);
        }
        Ok(Patched::Restarted { fragment, etag })
    }
}

fn opened(
    id: &whitewater_signaling::control::SessionId,
    local: &Credentials,
    agreed: &sdp::Agreed,
) -> Opened {
    Opened { id: id.clone(), answer: agreed.answer.clone(), etag: local.ufrag.clone() }
}

fn entry_of(
    path: &SessionPath,
    stream: whitewater_core::shard::StreamId,
    shard: ShardId,
    opened: &Opened,
    agreed: &sdp::Agreed,
) -> SessionEntry {
    let first = agreed.sections.first();
    let video = agreed.sections.iter().find(|section| section.kind == Kind::Video);
    SessionEntry {
        path: path.clone(),
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
