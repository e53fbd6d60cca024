//! What shards tell each other. Once per far shard, never per viewer.

use bytes::BytesMut;

use super::command::{ShardId, StreamId};
use crate::hub::{Anchor, PublisherClock};
use crate::media::{Arrived, Format, Kind, Mid, Rid};
use crate::rtc::Transport;
use crate::rtc::transport::Origin;

/// A message from one shard to another.
#[derive(Clone, Debug)]
pub enum LinkMessage {
    /// A datagram that the kernel gave to the wrong shard.
    Datagram {
        /// Who got it.
        from: ShardId,
        /// Where it came from.
        transport: Transport,
        /// Its bytes.
        bytes: BytesMut,
    },
    /// An address has proved to be a session's of the sender.
    Proved {
        /// The address.
        remote: Origin,
        /// The sender.
        home: ShardId,
    },
    /// The sender has viewers of a stream that lives at the receiver.
    Listen {
        /// The stream.
        stream: StreamId,
        /// Who listens.
        from: ShardId,
    },
    /// The sender's last viewer of a stream has gone.
    Unlisten {
        /// The stream.
        stream: StreamId,
        /// Who listened.
        from: ShardId,
    },
    /// A stream's tracks, at the start and with each publisher.
    Tracks {
        /// The stream.
        stream: StreamId,
        /// Sound and picture.
        tracks: Vec<TrackHead>,
    },
    /// A packet of a stream.
    Packet {
        /// The stream.
        stream: StreamId,
        /// The track.
        kind: Kind,
        /// The layer.
        layer: u8,
        /// The packet.
        arrived: Box<Arrived>,
    },
    /// How a layer's clock stands.
    Clocks {
        /// The stream.
        stream: StreamId,
        /// The track.
        kind: Kind,
        /// The layer.
        layer: u8,
        /// Ticks to the track's timeline.
        shift: Option<i64>,
        /// Its last report.
        report: Option<Anchor>,
        /// Its earliest arrival.
        arrival: Option<Anchor>,
        /// The publisher's clock.
        clock: PublisherClock,
    },
    /// A viewer of the sender's needs a keyframe.
    Want {
        /// The stream.
        stream: StreamId,
        /// The layer of its video.
        layer: u8,
    },
    /// The sender needs the next keyframe of every layer, of one picture if the publisher can.
    WantAll {
        /// The stream.
        stream: StreamId,
    },
    /// The stream lost its publisher or ended.
    Gone {
        /// The stream.
        stream: StreamId,
        /// Whether its viewers' sessions end.
        ended: bool,
    },
}

// === impl LinkMessage ===

impl LinkMessage {
    /// The stream that it is about.
    pub fn stream(&self) -> Option<StreamId> {
        match self {
            Self::Datagram { .. } | Self::Proved { .. } => None,
            Self::Listen { stream, .. }
            | Self::Unlisten { stream, .. }
            | Self::Tracks { stream, .. }
            | Self::Packet { stream, .. }
            | Self::Clocks { stream, .. }
            | Self::Want { stream, .. }
            | Self::WantAll { stream }
            | Self::Gone { stream, .. } => Some(*stream),
        }
    }

    /// Whether the network's own repair makes up for its loss.
    pub fn may_be_dropped(&self) -> bool {
        match self {
            Self::Datagram { .. }
            | Self::Proved { .. }
            | Self::Packet { .. }
            | Self::Want { .. }
            | Self::WantAll { .. } => true,
            Self::Listen { .. }
            | Self::Unlisten { .. }
            | Self::Tracks { .. }
            | Self::Clocks { .. }
            | Self::Gone { .. } => false,
        }
    }
}

/// A track without its packets.
#[derive(Clone, Debug)]
pub struct TrackHead {
    /// Counts the publishers.
    pub generation: u32,
    /// The publisher's media section.
    pub mid: Mid,
    /// Codec and parameters.
    pub format: Format,
    /// Its layers.
    pub rids: Vec<Rid>,
}
