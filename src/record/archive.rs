//! The library as the API sees it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use whitewater_signaling::archive::{
    Archive, NoArchive, RecordedRendition, RecordingInfo, RecordingPage, Reply, WhichRecordings,
};
use whitewater_signaling::auth::Sight;
use whitewater_signaling::control::StreamName;

use super::index::{Choice, Sort};
use super::library::{Library, Refused};
use super::shelf::{About, Which};

impl Archive for Library {
    fn list(&self, which: WhichRecordings, sight: Sight) -> Result<RecordingPage, NoArchive> {
        let micros = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        };
        let which = Which {
            stream: which.stream,
            after: which.after,
            from_us: which.from.map(micros),
            until_us: which.until.map(micros),
            limit: which.limit,
        };
        let (page, more) = self.page(&which, &*sight);
        let items: Vec<_> = page.iter().map(info).collect();
        let next = items.last().filter(|_| more).map(|last| last.id.clone());
        Ok(RecordingPage { items, next })
    }

    fn show(&self, id: &str) -> Result<RecordingInfo, NoArchive> {
        Ok(info(&self.about(id)?))
    }

    fn delete(&self, id: String) -> Reply<'_, ()> {
        Box::pin(async move { Ok(Self::delete(self, &id).await?) })
    }

    fn start(&self, stream: StreamName) -> Reply<'_, Option<RecordingInfo>> {
        Box::pin(async move {
            Self::start(self, &stream)?;
            // It begins with a segment: most often the caller is told which recording it is.
            let due = Instant::now() + BEGINS_WITHIN;
            while Instant::now() < due {
                if let Some(about) = self.going(&stream) {
                    return Ok(Some(info(&about)));
                }
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            Ok(None)
        })
    }

    fn stop(&self, stream: StreamName) -> Result<(), NoArchive> {
        Ok(Self::stop(self, &stream)?)
    }
}

impl From<Refused> for NoArchive {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Missing => Self::Missing,
            Refused::Going => Self::Going,
            Refused::NotLive => Self::NotLive,
            Refused::Store(error) => {
                tracing::warn!(error, "the store of recordings does not answer");
                Self::Store
            }
        }
    }
}

fn info(about: &About) -> RecordingInfo {
    let (header, end) = (&about.header, &about.end);
    let (stream, id) = (&header.stream, &header.id);
    let base = format!("/replay/{stream}/{id}");
    RecordingInfo {
        id: id.clone(),
        stream: stream.to_string(),
        state: about.state().into(),
        began: time(header.began_us),
        ended: (!about.is_going).then(|| time(end.ended_us)),
        duration_s: end.duration_s,
        bytes: end.bytes,
        error: end.error.clone(),
        renditions: about.renditions().iter().map(rendition).collect(),
        hls: format!("{base}/index.m3u8"),
        dash: format!("{base}/manifest.mpd"),
        download: format!("{base}/download.mp4"),
    }
}

fn rendition(choice: &Choice) -> RecordedRendition {
    let kind = match choice.kind {
        Sort::Audio => "audio",
        Sort::Video => "video",
    };
    RecordedRendition {
        name: choice.name.clone(),
        kind: kind.into(),
        codecs: choice.codecs.clone(),
        width: choice.size.map(|(width, _)| width.into()),
        height: choice.size.map(|(_, height)| height.into()),
    }
}

fn time(unix_us: i64) -> String {
    let since = Duration::from_micros(u64::try_from(unix_us).unwrap_or(0));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

/// A segment, and what it takes to begin packaging.
const BEGINS_WITHIN: Duration = Duration::from_secs(8);

const LOOK_INTERVAL: Duration = Duration::from_millis(100);
