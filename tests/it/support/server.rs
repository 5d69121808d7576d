//! A server that does as told, step by step: the API behind, the PDP, or the issuer's keys.
//!
//! It records every request it sees, as soon as its head is complete.

use super::wire::{Body, Head, Transcript, Wire};
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What is done with one request, in order. Without `Close` the next one may follow.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    ReadBody,
    Send(Bytes),
    /// The same bytes so many times, without holding them more than once.
    Repeat(Bytes, usize),
    /// Reads the body, and goes on with what this says.
    Judge(Judge),
    Pause(Duration),
    /// Gives back every byte as it comes, until the other end ends; what came is kept as the body.
    Echo,
    /// Becomes a tunnel to this address, until one side ends it.
    Tunnel(SocketAddr),
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

/// What to do with a request, once its body is known.
#[derive(Clone)]
pub(crate) struct Judge(pub(crate) Arc<Judging>);

type Judging = dyn Fn(&Head, &[u8]) -> Vec<Step> + Send + Sync;

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("judge")
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

/// What a server does with a connection before it reads from it.
#[derive(Clone, Default)]
pub(crate) enum Porch {
    /// Serves HTTP at once.
    #[default]
    Plain,
    /// Serves HTTP over TLS.
    Tls(TlsAcceptor),
    /// Says nothing, and holds the connection open.
    Mute,
    /// Ends it at once.
    Slam,
}

#[derive(Default)]
struct State {
    porch: Mutex<Porch>,
    seen: Mutex<Vec<Seen>>,
    /// Of each connection, if it is wanted.
    transcripts: Mutex<Option<Vec<Transcript>>>,
    /// Does not keep what it sees: for peers that are asked a million times.
    forgets: AtomicBool,
    asked: AtomicUsize,
    accepted: AtomicUsize,
    ended: AtomicUsize,
    body_bytes: AtomicUsize,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    state: Arc<State>,
    /// Bound and never listening: the port stays ours while connections are refused.
    _reserved: TcpSocket,
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
        let reserved = socket((Ipv4Addr::LOCALHOST, 0).into());
        let address = reserved.local_addr().unwrap();
        let script = Arc::new(Mutex::new(script));
        Self {
            address,
            script,
            state: Arc::default(),
            _reserved: reserved,
            accepting: JoinSet::new(),
        }
    }

    pub(crate) fn listen(&mut self) {
        if !self.accepting.is_empty() {
            return;
        }
        let listener = socket(self.address).listen(1024).unwrap();
        let (script, state) = (Arc::clone(&self.script), Arc::clone(&self.state));
        self.accepting.spawn(accept(listener, script, state));
    }

    /// Ends every connection and refuses new ones until [`Server::listen`].
    pub(crate) async fn refuse(&mut self) {
        self.accepting.shutdown().await;
    }

    /// For connections from now on.
    pub(crate) fn receive(&self, porch: Porch) {
        *self.state.porch.lock().unwrap() = porch;
    }

    /// Keeps nothing of what it sees but numbers.
    pub(crate) fn forgetting(self) -> Self {
        self.state.forgets.store(true, Ordering::SeqCst);
        self
    }

    /// Keeps every byte that it receives from now on.
    pub(crate) fn transcribing(self) -> Self {
        *self.state.transcripts.lock().unwrap() = Some(Vec::new());
        self
    }

    /// What each connection has received, to the byte.
    pub(crate) fn transcripts(&self) -> Vec<Vec<u8>> {
        let transcripts = self.state.transcripts.lock().unwrap();
        let transcripts = transcripts.iter().flatten();
        transcripts.map(|transcript| transcript.lock().unwrap().clone()).collect()
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
        self.state.asked.load(Ordering::SeqCst)
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

/// Several may be bound to one port, of which one listens.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn accept(listener: TcpListener, script: Arc<Mutex<Script>>, state: Arc<State>) {
    // Dropped with this task, which ends every connection.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Ended ones are let go of as they end: there may be very many.
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else { return };
        let connection = state.accepted.fetch_add(1, Ordering::SeqCst);
        let (script, state) = (Arc::clone(&script), Arc::clone(&state));
        connections.spawn(async move {
            let porch = state.porch.lock().unwrap().clone();
            if let Some(mut wire) = enter(stream, porch).await {
                if let Some(transcripts) = state.transcripts.lock().unwrap().as_mut() {
                    let transcript = Transcript::default();
                    transcripts.push(Arc::clone(&transcript));
                    wire = wire.taken_down(transcript);
                }
                serve(wire, connection, &script, &state).await;
            }
            state.ended.fetch_add(1, Ordering::SeqCst);
        });
    }
}

async fn enter(stream: TcpStream, porch: Porch) -> Option<Wire> {
    match porch {
        Porch::Plain => Some(Wire::new(stream)),
        Porch::Tls(acceptor) => {
            stream.set_nodelay(true).unwrap();
            acceptor.accept(stream).await.ok().map(Wire::over)
        }
        Porch::Mute => {
            Wire::new(stream).rest().await;
            None
        }
        Porch::Slam => None,
    }
}

async fn serve(mut wire: Wire, connection: usize, script: &Mutex<Script>, state: &State) {
    let mut before = 0_usize;
    while let Some(head) = wire.head().await {
        let at = {
            state.asked.fetch_add(1, Ordering::SeqCst);
            let mut seen = state.seen.lock().unwrap();
            if !state.forgets.load(Ordering::SeqCst) {
                seen.push(Seen { connection, head: head.clone(), body: None });
            }
            seen.len().checked_sub(1)
        };
        let script = Arc::clone(&script.lock().unwrap());
        let mut steps: VecDeque<Step> = script(&Asked { head: &head, before }).into();
        while let Some(step) = steps.pop_front() {
            match step {
                Step::ReadBody => {
                    read_body(&mut wire, &head, at, state).await;
                }
                Step::Judge(Judge(judge)) => {
                    let body = read_body(&mut wire, &head, at, state).await;
                    if !body.complete {
                        return;
                    }
                    for step in judge(&head, &body.bytes).into_iter().rev() {
                        steps.push_front(step);
                    }
                }
                Step::Send(bytes) => {
                    if !wire.send(&bytes).await {
                        return;
                    }
                }
                Step::Repeat(bytes, times) => {
                    for _ in 0..times {
                        if !wire.send(&bytes).await {
                            return;
                        }
                    }
                }
                Step::Pause(duration) => tokio::time::sleep(duration).await,
                Step::Echo => {
                    while let Some(bytes) = wire.some().await {
                        if let Some(at) = at {
                            let seen = &mut state.seen.lock().unwrap()[at];
                            seen.body.get_or_insert_default().bytes.extend(&bytes);
                        }
                        if !wire.send(&bytes).await {
                            return;
                        }
                    }
                    return;
                }
                Step::Tunnel(to) => {
                    if let Ok(other) = TcpStream::connect(to).await {
                        wire.join(other).await;
                    }
                    return;
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

async fn read_body(wire: &mut Wire, head: &Head, at: Option<usize>, state: &State) -> Body {
    let count = |bytes| {
        state.body_bytes.fetch_add(bytes, Ordering::SeqCst);
    };
    let body = wire.request_body(head, count).await;
    if let Some(at) = at {
        state.seen.lock().unwrap()[at].body = Some(body.clone());
    }
    body
}
