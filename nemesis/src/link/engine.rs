//! The switch's thread: reads packets, asks the lane, writes packets.
//!
//! One thread for all devices, on epoll. The policies live in this thread alone, so the way of a
//! packet takes no lock; a change comes as an [`Order`] between two batches and is answered when it
//! is in force. Writes never wait: a device whose queue is full loses the packet, as a real port
//! does, and the others go on.

use super::capture::{Capture, Seen};
use super::counters::Tally;
use super::lane::{Fate, Lane};
use super::packet;
use super::{Port, Shape};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many packets are taken from one device before the next has its turn and orders are read.
const BATCH: usize = 256;
/// The longest IPv4 packet.
const PACKET_BYTES_MAX: usize = 65_536;
/// Epoll's names for what is no device.
const BELL: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;

/// A change of some links.
pub(super) enum Change {
    Cut,
    Heal,
    Shape(Shape),
    /// Write down what passes on the two lanes of a link.
    Capture(Capture),
}

/// A change, the lanes that it is for, and where to tell that it is in force.
pub(super) struct Order {
    pub change: Change,
    /// `from * ports + to` each; of this switch.
    pub lanes: Vec<usize>,
    /// Gets the number of packets that vanished since these lanes were cut.
    pub done: Sender<u64>,
}

/// How orders reach the thread.
pub(super) struct Inbox {
    orders: Mutex<Option<Vec<Order>>>,
    bell: EventFd,
}

impl Inbox {
    pub fn new() -> nix::Result<Inbox> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let bell = EventFd::from_value_and_flags(0, flags)?;
        Ok(Inbox { orders: Mutex::new(Some(Vec::new())), bell })
    }

    /// Hands an order in. After [`Inbox::close`] it is dropped, and with it its `done`.
    pub fn give(&self, order: Order) {
        if let Some(orders) = &mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner) {
            orders.push(order);
        }
        self.ring();
    }

    /// Tells the thread to end.
    pub fn close(&self) {
        *self.orders.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.ring();
    }

    fn ring(&self) {
        // The only way to fail is a counter at its very top, and then the bell is ringing already.
        let _ = self.bell.write(1);
    }

    /// All orders so far; `None` when closed.
    fn take(&self) -> Option<Vec<Order>> {
        let _ = self.bell.read();
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.as_mut().map(std::mem::take)
    }
}

/// A packet on its way; the earliest first, among equals the one that was sent first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    due_ns: u64,
    number: u64,
    lane: usize,
    packet: Vec<u8>,
}

/// Everything that the thread owns.
pub(super) struct Engine {
    devices: Vec<OwnedFd>,
    routes: BTreeMap<Ipv4Addr, usize>,
    lanes: Vec<Lane>,
    tallies: Arc<Vec<Tally>>,
    captures: Vec<Capture>,
    /// For each lane that is captured: where, and which of the two directions it is.
    captured: BTreeMap<usize, (usize, usize)>,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    sent: u64,
    inbox: Arc<Inbox>,
    epoll: Epoll,
    timer: TimerFd,
    start: Instant,
}

impl Engine {
    /// Takes over the ports. The descriptors must be non-blocking.
    pub fn new(ports: Vec<Port>, seed: u64, inbox: Arc<Inbox>) -> nix::Result<Engine> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        epoll.add(&inbox.bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
        for (number, port) in ports.iter().enumerate() {
            epoll.add(&port.device, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        }
        let lanes = ports.len() * ports.len();
        Ok(Engine {
            routes: ports.iter().enumerate().map(|(i, port)| (port.address, i)).collect(),
            devices: ports.into_iter().map(|port| port.device).collect(),
            lanes: (0..lanes as u64).map(|number| Lane::new(seed, number)).collect(),
            tallies: Arc::new((0..lanes).map(|_| Tally::default()).collect()),
            captures: Vec::new(),
            captured: BTreeMap::new(),
            under_way: BinaryHeap::new(),
            sent: 0,
            inbox,
            epoll,
            timer,
            start: Instant::now(),
        })
    }

    /// The counters of each lane, `from * ports + to`.
    pub fn tallies(&self) -> Arc<Vec<Tally>> {
        Arc::clone(&self.tallies)
    }

    /// Forwards until the inbox is closed.
    pub fn run(mut self) {
        let mut events = vec![EpollEvent::empty(); self.devices.len() + 2];
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        loop {
            let ready = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => continue,
                // Nothing that can happen to an epoll descriptor of our own; the callers see it,
                // as their orders find the inbox closed.
                Err(_) => return,
            };
            let Some(orders) = self.inbox.take() else { return };
            for order in orders {
                self.obey(order);
            }
            for event in &events[..ready] {
                match event.data() {
                    BELL => {}
                    TIMER => {
                        let _ = self.timer.wait();
                    }
                    from => self.read_batch(from as usize, &mut buffer),
                }
            }
            self.deliver_what_is_due();
        }
    }

    /// Does what was ordered, and says so.
    fn obey(&mut self, order: Order) {
        let mut dropped = 0;
        if let Change::Capture(capture) = order.change {
            let place = self.captures.len();
            self.captures.push(capture);
            let lanes = order.lanes.into_iter().enumerate();
            self.captured.extend(lanes.map(|(direction, lane)| (lane, (place, direction))));
            let _ = order.done.send(0);
            return;
        }
        for number in order.lanes {
            let lane = &mut self.lanes[number];
            match order.change {
                Change::Cut if !lane.cut => {
                    lane.cut = true;
                    lane.dropped_since_cut = 0;
                }
                Change::Cut => {}
                Change::Heal => {
                    lane.cut = false;
                    dropped += std::mem::take(&mut lane.dropped_since_cut);
                }
                Change::Shape(shape) => lane.set_shape(shape),
                Change::Capture(_) => {}
            }
        }
        // Whoever gave the order may have gone; it is in force all the same.
        let _ = order.done.send(dropped);
    }

    /// Forwards what waits in one device, a batch at most; epoll tells when there is more.
    fn read_batch(&mut self, from: usize, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            match nix::unistd::read(&self.devices[from], buffer) {
                Ok(length) if length > 0 => self.forward(from, &mut buffer[..length]),
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => {}
                // The device is gone, with its namespace: no longer listen to it, or epoll would
                // report it for ever.
                Ok(_) | Err(_) => {
                    let _ = self.epoll.delete(&self.devices[from]);
                    return;
                }
            }
        }
    }

    /// Sends one packet on its way. What is not IPv4, or is for nobody here, is none of a link's.
    fn forward(&mut self, from: usize, packet: &mut [u8]) {
        let to = packet::destination(packet).and_then(|address| self.routes.get(&address));
        let Some(to) = to.copied() else { return };
        let number = from * self.devices.len() + to;
        self.see(number, Seen::Sent, packet);
        let timeless = self.lanes[number].is_timeless();
        let now_ns = if timeless { 0 } else { self.now_ns() };
        let fate = self.lanes[number].admit(packet, now_ns);
        if !timeless {
            self.tallies[number].set_shaped(self.lanes[number].shaped());
        }
        match fate {
            Fate::Drop => self.tallies[number].drop_one(),
            Fate::Reset => {
                self.tallies[number].drop_one();
                self.reset(from, to, packet);
            }
            Fate::Deliver { copies, due_ns: None } => {
                for _ in 0..copies {
                    self.write(number, packet);
                }
            }
            Fate::Deliver { copies, due_ns: Some(due_ns) } => {
                for _ in 0..copies {
                    self.delay(number, packet, due_ns);
                }
            }
        }
    }

    /// Tells both ends of a TCP connection that it is over, each in the other's name.
    fn reset(&self, from: usize, to: usize, packet: &[u8]) {
        let Some(resets) = packet::resets(packet) else { return };
        // Where a queue is full a reset is lost, as any packet would be.
        let _ = nix::unistd::write(&self.devices[from], &resets.to_sender);
        if let Some(reset) = resets.to_receiver {
            let _ = nix::unistd::write(&self.devices[to], &reset);
        }
    }

    /// Writes a packet down, if its link is captured.
    fn see(&mut self, lane: usize, seen: Seen, packet: &[u8]) {
        if let Some((place, direction)) = self.captured.get(&lane) {
            self.captures[*place].write(*direction, seen, packet);
        }
    }

    fn write(&mut self, lane: usize, packet: &[u8]) {
        let tally = &self.tallies[lane];
        match nix::unistd::write(&self.devices[lane % self.devices.len()], packet) {
            Ok(_) => {
                tally.forward(packet.len());
                self.see(lane, Seen::Arrived, packet);
            }
            // EAGAIN: its queue is full. Anything else: its kernel does not want it. Either way
            // the packet is lost, and its sender will send it again or not.
            Err(_) => tally.drop_one(),
        }
    }

    fn delay(&mut self, lane: usize, packet: &[u8], due_ns: u64) {
        self.sent += 1;
        let first = self.under_way.peek().is_none_or(|Reverse(next)| due_ns < next.due_ns);
        let packet = packet.to_vec();
        self.under_way.push(Reverse(UnderWay { due_ns, number: self.sent, lane, packet }));
        if first {
            self.wake_at(due_ns);
        }
    }

    fn deliver_what_is_due(&mut self) {
        if self.under_way.is_empty() {
            return;
        }
        let now_ns = self.now_ns();
        while let Some(Reverse(next)) = self.under_way.peek() {
            if next.due_ns > now_ns {
                let due_ns = next.due_ns;
                return self.wake_at(due_ns);
            }
            let Some(Reverse(next)) = self.under_way.pop() else { return };
            // A cut holds for what was under way, too: after it no packet arrives.
            if self.lanes[next.lane].cut {
                self.lanes[next.lane].dropped_since_cut += 1;
                self.tallies[next.lane].drop_one();
            } else {
                self.write(next.lane, &next.packet);
            }
        }
    }

    /// Has epoll return at that moment.
    fn wake_at(&self, due_ns: u64) {
        let wait_ns = due_ns.saturating_sub(self.now_ns()).max(1);
        let wait = TimeSpec::from_duration(Duration::from_nanos(wait_ns));
        // A positive time and a timer of our own: the call has no way to fail.
        let _ = self.timer.set(Expiration::OneShot(wait), TimerSetTimeFlags::empty());
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}

impl Drop for Engine {
    /// However the thread ends: nobody is left waiting for an answer.
    fn drop(&mut self) {
        self.inbox.close();
    }
}
