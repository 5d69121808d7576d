//! A server that does as told, step by step: the API behind, the PDP, or the issuer's keys.
//!
//! It records every request it sees, as soon as its head is complete.

use super::wire::{Body, Head, Wire};
use bytes::Bytes;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// What is done with one request, in order. Without `Close` the next one may follow.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    ReadBody,
    Send(Bytes),
    /// Until the test opens the gate.
    Wait(Gate),
    /// Until the other end leaves.
    Hold,
    /// Ends the connection without notice.
    Close,
}

/// Opened once by the test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<Notify>);

impl Gate {
    pub(crate) fn open(&self) {
        self.0.notify_one();
    }
}

/// One request, as its script sees it.
pub(crate) struct Asked<'a> {
    pub(crate) head: &'a Head,
    /// How many came before it on its connection.
    pub(crate) before: usize,
}

pub(crate) type Script = Arc<dyn Fn(&Asked<'_>) -> Vec<Step> + Send + Sync>;

/// The same steps for every request.
pub(crate) fn always(steps: Vec<Step>) -> Script {
    Arc::new(move |_| steps.clone())
}

/// Reads the request, and answers `200` with `ok`.
pub(crate) fn ok() -> Script {
    always(vec![Step::ReadBody, Step::Send(answer("200 OK", "text/plain", "ok"))])
}

/// An ordinary answer.
pub(crate) fn answer(status: &str, media_type: &str, body: &str) -> Bytes {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into()
}

/// One request as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) head: Head,
    /// Once the script has read it.
    pub(crate) body: Option<Body>,
}

#[derive(Default)]
struct State {
    seen: Mutex<Vec<Seen>>,
    accepted: AtomicUsize,
    ended: AtomicUsize,
    body_bytes: AtomicUsize,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    state: Arc<State>,
    /// Bound and not listening: connections are refused.
    reserved: Option<TcpSocket>,
    /// Dropped with the server, which ends every connection as well.
    accepting: JoinSet<()>,
}

impl Server {
    pub(crate) fn start(script: Script) -> Self {
        let mut server = Self::refusing(script);
        server.listen();
        server
    }

    /// Has a port, and refuses connections until [`Server::listen`].
    pub(crate) fn refusing(script: Script) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        let script = Arc::new(Mutex::new(script));
        Self {
            address,
            script,
            state: Arc::default(),
            reserved: Some(socket),
            accepting: JoinSet::new(),
        }
    }

    pub(crate) fn listen(&mut self) {
        let Some(socket) = self.reserved.take() else { return };
        let listener = socket.listen(128).unwrap();
        let (script, state) = (Arc::clone(&self.script), Arc::clone(&self.state));
        self.accepting.spawn(accept(listener, script, state));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From the next request on.
    pub(crate) fn play(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.state.seen.lock().unwrap().len()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the server has seen a request")
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Connections that have ended.
    pub(crate) fn ended(&self) -> usize {
        self.state.ended.load(Ordering::SeqCst)
    }

    /// Bytes of bodies read so far, of bodies that are still coming as well.
    pub(crate) fn body_bytes(&self) -> usize {
        self.state.body_bytes.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, script: Arc<Mutex<Script>>, state: Arc<State>) {
    // Dropped with this task, which ends every connection.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let connection = state.accepted.fetch_add(1, Ordering::SeqCst);
        let (script, state) = (Arc::clone(&script), Arc::clone(&state));
        connections.spawn(async move {
            serve(Wire::new(stream), connection, &script, &state).await;
            state.ended.fetch_add(1, Ordering::SeqCst);
        });
    }
}

async fn serve(mut wire: Wire, connection: usize, script: &Mutex<Script>, state: &State) {
    let mut before = 0_usize;
    while let Some(head) = wire.head().await {
        let at = {
            let mut seen = state.seen.lock().unwrap();
            seen.push(Seen { connection, head: head.clone(), body: None });
            seen.len() - 1
        };
        let script = Arc::clone(&script.lock().unwrap());
        for step in script(&Asked { head: &head, before }) {
            match step {
                Step::ReadBody => {
                    let count = |bytes| {
                        state.body_bytes.fetch_add(bytes, Ordering::SeqCst);
                    };
                    let body = wire.request_body(&head, count).await;
                    state.seen.lock().unwrap()[at].body = Some(body);
                }
                Step::Send(bytes) => {
                    if !wire.send(&bytes).await {
                        return;
                    }
                }
                Step::Wait(gate) => gate.0.notified().await,
                Step::Hold => {
                    wire.rest().await;
                    return;
                }
                Step::Close => return,
            }
        }
        before += 1;
    }
}
