//! The currency of the packet world: identifiers, codecs, packets and media time.

pub mod arrived;

pub mod codec;

pub mod dependency;

pub mod ext;

pub mod frame;

pub mod frame_info;

pub mod header;

pub mod id;

pub mod packet;

pub mod part;

pub mod red;

pub mod rtcp;

pub mod rtx;

pub mod seq;

pub mod time;

pub use arrived::{Arrived, PictureIds};
pub use codec::{Codec, Format, Kind, PayloadInfo};
pub use ext::{ExtensionIds, ExtensionKind};
pub use frame::{Frame, Setup};
pub use frame_info::FrameInfo;
pub use header::{HeaderView, PacketError};
pub use id::{Mid, PayloadType, Rid, Ssrc};
pub use packet::Packet;
pub use part::{Init, Packaged, Part, VideoRange};
pub use rtx::unwrap_rtx;
pub use seq::{Unwrapper16, Unwrapper32, seq_newer};
pub use time::{MediaTime, Ntp};
