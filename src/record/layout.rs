//! A layout of the store: where the objects of a recording lie (docs/recording.md).

use whitewater_signaling::control::StreamName;

use crate::storage::Path;

/// Where the objects of a recording lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The folder of all of them.
    pub folder: Path,
}

// === impl Layout ===

impl Layout {
    /// Of a recording.
    pub fn new(stream: &StreamName, id: &str) -> Self {
        Self { folder: Path::from_iter([stream.as_str(), id]) }
    }

    /// What was known when it began.
    pub fn header(&self) -> Path {
        self.folder.clone().join("recording.json")
    }

    /// The folder of the blocks of its index.
    pub fn blocks(&self) -> Path {
        self.folder.clone().join("index")
    }

    /// A block of its index.
    pub fn block(&self, number: u32) -> Path {
        self.blocks().join(format!("{number:08}.jsonl"))
    }

    /// Its index in one piece, once it has ended.
    pub fn index(&self) -> Path {
        self.folder.clone().join("index.jsonl")
    }

    /// Its end.
    pub fn end(&self) -> Path {
        self.folder.clone().join("end.json")
    }

    /// What says that it is to go.
    pub fn removed(&self) -> Path {
        self.folder.clone().join("removed.json")
    }

    /// The folder of a rendition.
    pub fn rendition(&self, rendition: &str) -> Path {
        self.folder.clone().join(rendition)
    }

    /// An initialization section.
    pub fn init(&self, rendition: &str, version: u32) -> Path {
        self.rendition(rendition).join(format!("init-{version}.mp4"))
    }

    /// A segment.
    pub fn segment(&self, rendition: &str, msn: u64) -> Path {
        self.rendition(rendition).join(format!("{msn}.m4s"))
    }
}
