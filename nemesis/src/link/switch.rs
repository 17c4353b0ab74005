//! The handle on the switch.

use super::Shape;
use super::capture::Capture;
use super::counters::{Counters, Tally};
use super::engine::{Change, Engine, Inbox, Order};
use crate::{Link, Side};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

/// One side of the network.
#[derive(Debug)]
pub struct Port {
    /// Who is behind it.
    pub side: Side,
    /// Its address: packets to it go out here.
    pub address: Ipv4Addr,
    /// A descriptor that reads and writes one IPv4 packet a call: a TUN device without packet
    /// information. The switch makes it non-blocking.
    pub device: OwnedFd,
}

/// Why the switch could not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwitchError {
    /// One end of the link is not on this switch.
    #[error("the network has no link from {from} to {to}")]
    NoSuchLink {
        /// The sender that was asked for.
        from: String,
        /// The receiver that was asked for.
        to: String,
    },
    /// The thread has ended.
    #[error("the network's switch has ended")]
    Gone,
}

/// A running switch; it ends when dropped.
///
/// Calls block until the thread has taken the order: the length of one batch, well under a
/// millisecond.
pub struct Switch {
    sides: BTreeMap<Side, usize>,
    tallies: Arc<Vec<Tally>>,
    inbox: Arc<Inbox>,
    thread: Option<JoinHandle<()>>,
}

impl Switch {
    /// Starts to forward between these ports, all links perfect.
    ///
    /// Each link draws from a stream of its own under `seed`, so what one carries does not change
    /// what another loses.
    ///
    /// # Errors
    ///
    /// When two ports are of the same side, and when the kernel gives no epoll, timer or thread.
    pub fn start(ports: Vec<Port>, seed: u64) -> io::Result<Switch> {
        for port in &ports {
            let flags = OFlag::from_bits_retain(fcntl(&port.device, FcntlArg::F_GETFL)?);
            fcntl(&port.device, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        }
        let sides: BTreeMap<Side, usize> =
            ports.iter().enumerate().map(|(i, port)| (port.side.clone(), i)).collect();
        if sides.len() < ports.len() {
            let message = "two ports of the network are of the same side";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let inbox = Arc::new(Inbox::new()?);
        let engine = Engine::new(ports, seed, Arc::clone(&inbox))?;
        let tallies = engine.tallies();
        let thread =
            std::thread::Builder::new().name("switch".into()).spawn(move || engine.run())?;
        Ok(Switch { sides, tallies, inbox, thread: Some(thread) })
    }

    /// Drops everything on these links, silently, what is under way on them too. When this returns
    /// no packet passes. A link that is cut already stays cut.
    ///
    /// # Errors
    ///
    /// When a link's end is not on this switch; then nothing is changed.
    pub fn cut(&self, links: &[Link]) -> Result<(), SwitchError> {
        self.order(links, Change::Cut).map(|_| ())
    }

    /// Lets these links carry again, and returns how many packets vanished since they were cut.
    ///
    /// # Errors
    ///
    /// When a link's end is not on this switch; then nothing is changed.
    pub fn heal(&self, links: &[Link]) -> Result<u64, SwitchError> {
        self.order(links, Change::Heal)
    }

    /// Gives these links a shape; the default one makes them perfect again. Cuts stay.
    ///
    /// # Errors
    ///
    /// When a link's end is not on this switch; then nothing is changed.
    pub fn shape(&self, links: &[Link], shape: Shape) -> Result<(), SwitchError> {
        self.order(links, Change::Shape(shape)).map(|_| ())
    }

    /// Writes what passes between these two from now on to a file, as pcapng: each direction as it
    /// was sent and as it arrived.
    ///
    /// # Errors
    ///
    /// When an end is not on this switch, and when the file's head cannot be written.
    pub fn capture(&self, one: &Side, other: &Side, file: File) -> io::Result<()> {
        let link = |from: &Side, to: &Side| Link { from: from.clone(), to: to.clone() };
        let names = [format!("{one} to {other}"), format!("{other} to {one}")];
        let capture = Capture::begin(file, [&names[0], &names[1]])?;
        let links = [link(one, other), link(other, one)];
        self.order(&links, Change::Capture(capture)).map(drop).map_err(io::Error::other)
    }

    /// What the link has done since the start.
    ///
    /// # Errors
    ///
    /// When an end of the link is not on this switch.
    pub fn counters(&self, link: &Link) -> Result<Counters, SwitchError> {
        Ok(self.tallies[self.lane(link)?].read())
    }

    fn order(&self, links: &[Link], change: Change) -> Result<u64, SwitchError> {
        let lanes = links.iter().map(|link| self.lane(link)).collect::<Result<_, _>>()?;
        let (done, wait) = mpsc::channel();
        self.inbox.give(Order { change, lanes, done });
        wait.recv().map_err(|_| SwitchError::Gone)
    }

    fn lane(&self, link: &Link) -> Result<usize, SwitchError> {
        match (self.sides.get(&link.from), self.sides.get(&link.to)) {
            (Some(from), Some(to)) => Ok(from * self.sides.len() + to),
            _ => Err(SwitchError::NoSuchLink {
                from: link.from.to_string(),
                to: link.to.to_string(),
            }),
        }
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.inbox.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed when it happened.
            let _ = thread.join();
        }
    }
}
