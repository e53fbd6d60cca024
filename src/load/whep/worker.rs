//! A thread that receives for many viewers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::mpsc;
use std::time::Instant;

use mio::{Events, Interest, Poll, Token, Waker};
use tokio::sync::oneshot;
use tracing::warn;
use whitewater_core::media::Ssrc;

use crate::load::dial::Dialled;
use crate::load::receive::Receiver;
use crate::load::viewer::{Figures, Viewer};

/// The thread's handle. It ends when asked to finish.
pub(super) struct Worker {
    orders: mpsc::Sender<Order>,
    waker: Waker,
}

enum Order {
    Add(Box<Dialled>, Ssrc, bool),
    Mark(oneshot::Sender<Vec<Figures>>),
    Finish(oneshot::Sender<Vec<Figures>>),
}

struct Loop {
    poll: Poll,
    orders: mpsc::Receiver<Order>,
    receiver: Receiver,
    seats: Vec<Seat>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
}

struct Seat {
    viewer: Viewer,
    // The earliest entry of the heap that is meant; others are stale.
    due: Option<Instant>,
}

// === impl Worker ===

impl Worker {
    pub(super) fn start(index: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let (orders, inbox) = mpsc::channel();
        std::thread::Builder::new().name(format!("viewers-{index}")).spawn(move || {
            let mut work = Loop {
                poll,
                orders: inbox,
                receiver: Receiver::new(),
                seats: Vec::new(),
                timers: BinaryHeap::new(),
            };
            if let Err(error) = work.run() {
                warn!(%error, "a receiving thread ends");
            }
        })?;
        Ok(Self { orders, waker })
    }

    pub(super) fn add(&self, dialled: Dialled, ssrc: u32, verify_all: bool) {
        self.order(Order::Add(Box::new(dialled), Ssrc(ssrc), verify_all));
    }

    pub(super) fn mark(&self) -> oneshot::Receiver<Vec<Figures>> {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Mark(answer));
        answered
    }

    pub(super) fn finish(&self) -> oneshot::Receiver<Vec<Figures>> {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Finish(answer));
        answered
    }

    // A thread that has ended answers nothing, which whoever asks sees.
    fn order(&self, order: Order) {
        let _ = self.orders.send(order);
        let _ = self.waker.wake();
    }
}

// === impl Loop ===

impl Loop {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let due = self.timers.peek().map(|Reverse((at, _))| *at);
            let timeout = due.map(|at| at.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Ok(()) | Err(_) => {}
            }
            for event in &events {
                if event.token() == WAKE {
                    while let Ok(order) = self.orders.try_recv() {
                        if self.carry_out(order)? {
                            return Ok(());
                        }
                    }
                } else {
                    self.receive(event.token().0)?;
                }
            }
            self.fire(Instant::now());
        }
    }

    // Whether it was the last one.
    fn carry_out(&mut self, order: Order) -> io::Result<bool> {
        match order {
            Order::Add(dialled, ssrc, verify_all) => {
                let at = self.seats.len();
                let mut viewer = Viewer::new(*dialled, ssrc, verify_all);
                let registry = self.poll.registry();
                registry.register(&mut viewer.socket, Token(at), Interest::READABLE)?;
                self.seats.push(Seat { viewer, due: None });
                self.schedule(at);
            }
            Order::Mark(answer) => {
                let _ = answer.send(self.seats.iter_mut().map(|it| it.viewer.mark()).collect());
            }
            Order::Finish(answer) => {
                let now = Instant::now();
                let seats = std::mem::take(&mut self.seats).into_iter();
                let _ = answer.send(seats.map(|seat| seat.viewer.finish(now)).collect());
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn receive(&mut self, at: usize) -> io::Result<()> {
        let Some(seat) = self.seats.get_mut(at) else { return Ok(()) };
        let now = Instant::now();
        let fd = seat.viewer.fd();
        self.receiver.drain(fd, |from, datagram| {
            seat.viewer.handle_datagram(now, from, datagram);
        })?;
        self.schedule(at);
        Ok(())
    }

    fn fire(&mut self, now: Instant) {
        while let Some(Reverse((due, at))) = self.timers.peek().copied()
            && due <= now
        {
            self.timers.pop();
            let Some(seat) = self.seats.get_mut(at).filter(|seat| seat.due == Some(due)) else {
                continue;
            };
            seat.due = None;
            seat.viewer.handle_timeout(now);
            self.schedule(at);
        }
    }

    fn schedule(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        let Some(wanted) = seat.viewer.poll_timeout() else { return };
        if seat.due.is_none_or(|due| wanted < due) {
            seat.due = Some(wanted);
            self.timers.push(Reverse((wanted, at)));
        }
    }
}

const WAKE: Token = Token(usize::MAX);
const EVENTS: usize = 256;
