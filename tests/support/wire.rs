//! A wire that joins two network namespaces and misbehaves as it is told: rate, queue, delay, loss.
//!
//! Each end is a TUN device in its namespace; two threads of this process carry packets between them.
//! It needs root, and says so.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tun_rs::{DeviceBuilder, SyncDevice};

/// What happens to packets of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conditions {
    /// How long each takes.
    pub(crate) delay: Duration,
    /// The share that is lost, 0 to 1.
    pub(crate) loss: f64,
    /// Bits per second; 0 for as many as come.
    pub(crate) rate_bps: u64,
    /// How much may wait, in time; what comes then is lost.
    pub(crate) queue: Duration,
}

/// Two namespaces and the wire between them. All of it goes when this is dropped.
pub(crate) struct Wire {
    /// Where the server is, at [`Wire::NEAR`].
    pub(crate) near: Namespace,
    /// Where viewers are, at [`Wire::FAR`].
    pub(crate) far: Namespace,
    down: Arc<Lane>,
    up: Arc<Lane>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// A network namespace of ours.
pub(crate) struct Namespace {
    name: String,
}

/// One direction.
#[derive(Default)]
struct Lane {
    state: Mutex<LaneState>,
    changed: Condvar,
}

#[derive(Default)]
struct LaneState {
    conditions: Conditions,
    busy_until: Option<Instant>,
    flying: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
    count: u64,
}

// === impl Conditions ===

impl Conditions {
    /// A delay and nothing else.
    pub(crate) fn taking(ms: u64) -> Self {
        Self { delay: Duration::from_millis(ms), ..Self::default() }
    }

    /// Carries so much, and queues for so long.
    pub(crate) fn carrying(self, rate_bps: u64, queue_ms: u64) -> Self {
        Self { rate_bps, queue: Duration::from_millis(queue_ms), ..self }
    }

    /// Loses a share.
    pub(crate) fn losing(self, loss: f64) -> Self {
        Self { loss, ..self }
    }
}

// === impl Wire ===

impl Wire {
    /// The address at the near end.
    pub(crate) const NEAR: &str = "10.77.0.1";
    /// The address at the far end.
    pub(crate) const FAR: &str = "10.77.0.2";

    /// Lays a wire that does nothing to packets.
    pub(crate) fn lay() -> Self {
        assert!(
            std::fs::metadata("/proc/self").unwrap().uid() == 0,
            "network namespaces and TUN devices need root: run this test as root"
        );
        let (near, far) = (Namespace::new("near"), Namespace::new("far"));
        let ends = [near.device(Self::NEAR, Self::FAR), far.device(Self::FAR, Self::NEAR)];
        let [near_end, far_end] = ends.map(Arc::new);
        let stop = Arc::new(AtomicBool::new(false));
        let (down, up) = (Arc::new(Lane::default()), Arc::new(Lane::default()));
        let mut threads = Vec::new();
        for (lane, from, to) in [(&down, &near_end, &far_end), (&up, &far_end, &near_end)] {
            let (lane, from, to) = (Arc::clone(lane), Arc::clone(from), Arc::clone(to));
            let (lane_out, stop_in, stop_out) =
                (Arc::clone(&lane), Arc::clone(&stop), Arc::clone(&stop));
            threads.push(std::thread::spawn(move || lane.take_in(&from, &stop_in)));
            threads.push(std::thread::spawn(move || lane_out.hand_out(&to, &stop_out)));
        }
        Self { near, far, down, up, stop, threads }
    }

    /// Changes what happens to packets to the far end, and from there.
    pub(crate) fn set(&self, down: Conditions, up: Conditions) {
        for (lane, conditions) in [(&self.down, down), (&self.up, up)] {
            lane.state.lock().unwrap().conditions = conditions;
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The threads wake by themselves now and then; they hold nothing that the namespaces need.
        for lane in [&self.down, &self.up] {
            lane.changed.notify_all();
        }
        self.threads.clear();
    }
}

// === impl Lane ===

impl Lane {
    fn take_in(&self, from: &SyncDevice, stop: &AtomicBool) {
        let mut buffer = vec![0; 65_536];
        let mut random = fastrand::Rng::with_seed(7);
        while !stop.load(Ordering::Relaxed) {
            let Ok(len) = from.recv(&mut buffer) else { return };
            let now = Instant::now();
            let mut state = self.state.lock().unwrap();
            let Conditions { delay, loss, rate_bps, queue } = state.conditions;
            let start = state.busy_until.map_or(now, |busy| busy.max(now));
            if random.f64() < loss || (rate_bps > 0 && start - now > queue) {
                continue;
            }
            let takes_us = (len as u64 * 8_000_000).checked_div(rate_bps);
            let done = takes_us.map_or(now, |us| start + Duration::from_micros(us));
            state.busy_until = takes_us.map(|_| done);
            state.count += 1;
            let entry = (done + delay, state.count, buffer[..len].to_vec());
            state.flying.push(Reverse(entry));
            self.changed.notify_one();
        }
    }

    fn hand_out(&self, to: &SyncDevice, stop: &AtomicBool) {
        let mut state = self.state.lock().unwrap();
        while !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            let due = state.flying.peek().map(|Reverse((at, _, _))| *at);
            if due.is_some_and(|due| due <= now) {
                let Some(Reverse((_, _, packet))) = state.flying.pop() else { continue };
                drop(state);
                // A packet that the other end does not take is lost, as on any wire.
                let _ = to.send(&packet);
                state = self.state.lock().unwrap();
                continue;
            }
            let wait = due.map_or(Duration::from_millis(200), |due| due - now);
            state = self.changed.wait_timeout(state, wait).unwrap().0;
        }
    }
}

// === impl Namespace ===

impl Namespace {
    fn new(what: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ww-{}-{count}-{what}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]));
        let made = Self { name };
        run(made.command("ip").args(["link", "set", "lo", "up"]));
        made
    }

    /// A command that runs inside.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    fn device(&self, own: &str, other: &str) -> SyncDevice {
        let path = format!("/run/netns/{}", self.name);
        // A thread of its own enters the namespace, opens the device and ends; the device stays there.
        let open = move || {
            let namespace = File::open(path).unwrap();
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            DeviceBuilder::new().name("wire0").build_sync().expect("a TUN device can be made")
        };
        let device = std::thread::spawn(open).join().unwrap();
        run(self.command("ip").args(["address", "add", own, "peer", other, "dev", "wire0"]));
        run(self.command("ip").args([
            "link",
            "set",
            "wire0",
            "up",
            "mtu",
            "1500",
            "txqueuelen",
            "5000",
        ]));
        device
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
}
