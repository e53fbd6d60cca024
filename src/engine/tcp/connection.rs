//! A TCP connection that carries the datagrams of one session.
//!
//! It has to begin with a connectivity check for one of our shards, and the shard has to answer: it
//! answers nobody who does not know the session's password.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use tokio_util::codec::{Decoder, LengthDelimitedCodec};
use tracing::debug;
use whitewater_core::rtc::Transport;
use whitewater_core::rtc::demux::{self, Class};
use whitewater_core::shard::shard_of_ufrag;

use super::admission::Ticket;
use super::outlet::{self, Outgoing};
use super::{Inbound, Inlet, frame};

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The other side closed it, or the network did.
    Theirs,
    /// Its session is over, or its shard.
    HungUp,
    /// It does not speak as a client of ours does.
    Nonsense,
    /// It took too long to say what it wants.
    Silent,
    /// It has no session, or does not know its password.
    Unanswered,
    /// It takes nothing any more.
    Stalled,
}

/// The half that frames come from.
struct Incoming {
    half: OwnedReadHalf,
    codec: LengthDelimitedCodec,
    buffer: BytesMut,
}

/// Serves a connection to its end.
pub(super) async fn serve(
    stream: TcpStream,
    transport: Transport,
    inlets: Arc<[Inlet]>,
    ticket: Ticket,
) {
    let end = converse(stream, transport, &inlets, ticket).await;
    debug!(?end, "a TCP connection ended");
}

async fn converse(
    stream: TcpStream,
    transport: Transport,
    inlets: &[Inlet],
    ticket: Ticket,
) -> End {
    let (half, mut writer) = stream.into_split();
    let mut incoming = Incoming::new(half);
    let first = match timeout(FIRST_FRAME_WITHIN, incoming.next()).await {
        Ok(Ok(first)) => first,
        Ok(Err(end)) => return end,
        Err(_) => return End::Silent,
    };
    let Some(inlet) = home(&first).and_then(|index| inlets.get(index)) else {
        return End::Nonsense;
    };
    let (outlet, outgoing) = outlet::pair(Arc::clone(&inlet.counters));
    for inbound in [Inbound::Opened(transport, outlet), Inbound::Frame(transport, first)] {
        if inlet.queue.send(inbound).await.is_err() {
            return End::HungUp;
        }
    }
    let end = tokio::select! {
        end = read(&mut incoming, inlet, transport) => end,
        end = write(&mut writer, outgoing, ticket) => end,
    };
    // The halves are open until here: no other connection can have the same two ends before the
    // shard knows that this one is over.
    let _ = inlet.queue.send(Inbound::Closed(transport)).await;
    end
}

/// The shard that a first frame asks for; `None` unless it is a check.
fn home(first: &[u8]) -> Option<usize> {
    if demux::classify(first) != Class::Stun {
        return None;
    }
    let shard = shard_of_ufrag(demux::stun_local_ufrag(first)?)?;
    Some(usize::from(shard.0))
}

/// A full queue of the shard makes the other side wait, as TCP does.
async fn read(incoming: &mut Incoming, inlet: &Inlet, transport: Transport) -> End {
    loop {
        let frame = match incoming.next().await {
            Ok(frame) => frame,
            Err(end) => return end,
        };
        if inlet.queue.send(Inbound::Frame(transport, frame)).await.is_err() {
            return End::HungUp;
        }
    }
}

async fn write(writer: &mut OwnedWriteHalf, mut outgoing: Outgoing, mut ticket: Ticket) -> End {
    let mut next = match timeout(ANSWER_WITHIN, outgoing.next()).await {
        Ok(next) => next,
        Err(_) => return End::Unanswered,
    };
    ticket.known();
    while let Some(frames) = next {
        let mut rest = &frames[..];
        while !rest.is_empty() {
            match timeout(PROGRESS_WITHIN, writer.write(rest)).await {
                Ok(Ok(written)) if written > 0 => rest = &rest[written..],
                Ok(Ok(_) | Err(_)) => return End::Theirs,
                Err(_) => return End::Stalled,
            }
        }
        next = outgoing.next().await;
    }
    End::HungUp
}

// === impl Incoming ===

impl Incoming {
    fn new(half: OwnedReadHalf) -> Self {
        Self { half, codec: frame::codec(), buffer: BytesMut::new() }
    }

    /// The next frame that is not empty.
    async fn next(&mut self) -> Result<BytesMut, End> {
        loop {
            match self.codec.decode(&mut self.buffer) {
                Ok(Some(frame)) if frame.is_empty() => {}
                Ok(Some(frame)) => return Ok(frame),
                Err(_) => return Err(End::Nonsense),
                Ok(None) => {
                    self.buffer.reserve(READ_BYTES);
                    match self.half.read_buf(&mut self.buffer).await {
                        Ok(0) | Err(_) => return Err(End::Theirs),
                        Ok(_) => {}
                    }
                }
            }
        }
    }
}

const FIRST_FRAME_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A client that takes not one byte for so long has lost its network, or does not mean to read.
const PROGRESS_WITHIN: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 4_096;
