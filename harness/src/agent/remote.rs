//! The runner's side of the conversation.

use super::protocol::{Asked, Reply, Request, Said, line};
use crate::sandbox::{Answer, Order};
use ordeal_nemesis::{Capability, InjectError, NodeId};
use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long an agent may take: longer than any order waits for the kernel.
const PATIENCE: Duration = Duration::from_secs(15);

/// An agent, wherever it is.
pub(crate) struct Remote {
    node: NodeId,
    offers: Vec<Capability>,
    output: Mutex<Box<dyn Write + Send>>,
    state: Arc<Mutex<State>>,
}

/// How a node's process ended without anybody asking it to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub how: String,
    pub last_words: String,
}

#[derive(Default)]
struct State {
    runs: bool,
    ended: Option<Ended>,
    /// Why the agent says nothing any more.
    gone: Option<String>,
    asked: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Result<Reply, String>>>,
}

impl Remote {
    /// The agent at the other end, which says hello first. `gone` is what is said of it once its
    /// stream has ended, such as `its container is gone`.
    ///
    /// # Errors
    ///
    /// When it says something else, or nothing.
    pub fn new(
        node: NodeId,
        mut input: impl BufRead + Send + 'static,
        output: impl Write + Send + 'static,
        gone: &'static str,
    ) -> io::Result<Remote> {
        let mut first = String::new();
        input.read_line(&mut first)?;
        let Ok(Said::Hello { offers }) = serde_json::from_str(&first) else {
            return Err(io::Error::other(format!("its agent says {:?}", first.trim())));
        };
        let state = Arc::new(Mutex::new(State::default()));
        let heard = Arc::clone(&state);
        std::thread::Builder::new().name(format!("agent {node}")).spawn(move || {
            // A line that is none of an agent's is as good as its end: nothing after it counts.
            for said in input.lines() {
                match said.ok().and_then(|line| serde_json::from_str(&line).ok()) {
                    Some(said) => hear(&heard, said),
                    None => break,
                }
            }
            let mut state = lock(&heard);
            state.gone = Some(gone.to_owned());
            if std::mem::take(&mut state.runs) {
                let last_words = String::new();
                state.ended = Some(Ended { how: gone.to_owned(), last_words });
            }
            // Who waits is told by the end of its channel.
            state.waiting.clear();
        })?;
        Ok(Remote { node, offers, output: Mutex::new(Box::new(output)), state })
    }

    /// What the agent said that it can do.
    fn offers(&self) -> &[Capability] {
        &self.offers
    }

    /// Whether the node's process runs.
    pub fn runs(&self) -> bool {
        lock(&self.state).runs
    }

    /// How the node's last process ended, when nobody asked it to and no other was started since.
    pub fn ended(&self) -> Option<Ended> {
        lock(&self.state).ended.clone()
    }

    /// Has an order obeyed.
    pub async fn obey(&self, order: Order) -> Result<Answer, InjectError> {
        let starts = matches!(order, Order::Start(_));
        let ends = matches!(order, Order::Kill | Order::LosePower(..));
        if starts {
            // Before it is: its end may be told before its start is.
            let mut state = lock(&self.state);
            (state.runs, state.ended) = (true, None);
        }
        match self.ask(Request::Obey(order)).await {
            Ok(Reply::Answer(answer)) => {
                if ends {
                    lock(&self.state).runs = false;
                }
                Ok(answer)
            }
            Ok(Reply::Dropped(_)) => Err(self.nonsense()),
            Err(error) => {
                if starts {
                    lock(&self.state).runs = false;
                }
                Err(error)
            }
        }
    }

    /// Asks, and waits for the reply.
    pub async fn ask(&self, request: Request) -> Result<Reply, InjectError> {
        let failed = |why: &str| InjectError(format!("{}: {why}", self.node));
        let (promise, reply) = oneshot::channel();
        let id = {
            let mut state = lock(&self.state);
            if let Some(gone) = &state.gone {
                return Err(failed(gone));
            }
            state.asked += 1;
            let id = state.asked;
            state.waiting.insert(id, promise);
            id
        };
        let line = line(&Asked { id, request });
        lock(&self.output).write_all(&line).map_err(|error| failed(&error.to_string()))?;
        match tokio::time::timeout(PATIENCE, reply).await {
            Ok(Ok(reply)) => reply.map_err(InjectError),
            Ok(Err(_)) => {
                let gone = lock(&self.state).gone.clone();
                Err(failed(gone.as_deref().unwrap_or("its agent does not answer")))
            }
            Err(_) => {
                lock(&self.state).waiting.remove(&id);
                let seconds = PATIENCE.as_secs();
                Err(failed(&format!("its agent has not answered for {seconds} s")))
            }
        }
    }

    /// An answer to another question.
    pub fn nonsense(&self) -> InjectError {
        InjectError(format!("{}: its agent answers what was not asked", self.node))
    }
}

/// What every one of these agents offers.
pub(crate) fn offered_by_all<'a>(agents: impl Iterator<Item = &'a Remote>) -> Vec<Capability> {
    let offers = agents.map(|agent| agent.offers().to_vec());
    let common = offers.reduce(|common, offers| {
        common.into_iter().filter(|capability| offers.contains(capability)).collect()
    });
    common.unwrap_or_default()
}

fn hear(state: &Mutex<State>, said: Said) {
    let mut state = lock(state);
    match said {
        Said::Hello { .. } => {}
        Said::Reply { id, reply } => {
            if let Some(waiting) = state.waiting.remove(&id) {
                // Who asked may have given up.
                let _ = waiting.send(reply);
            }
        }
        Said::Ended { how, last_words } => {
            state.runs = false;
            state.ended = how.map(|how| Ended { how, last_words });
        }
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change under a lock is whole: a panic cannot leave it half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
