//! The currency of the packet world: identifiers, codecs, packets and media time.

pub mod codec;

pub mod ext;

pub mod id;

pub use codec::{Codec, Format, Kind};
pub use ext::{ExtensionIds, ExtensionKind};
pub use id::{Mid, PayloadType, Rid, Ssrc};
