//! A peer: a server with endpoints that count, each right or with a fault.

use super::super::server::{Asked, Judge, Porch, Script, Server, Step};
use super::super::wire::Head;
use super::fault::Fault;
use super::tls::{Authority, Flaw};
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// An answer before its framing.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    media_type: &'static str,
    lines: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16, media_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, media_type, lines: Vec::new(), body: body.into() }
    }

    pub(crate) fn json(body: &str) -> Self {
        Self::new(200, "application/json; charset=utf-8", body)
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.lines.push((name, value.to_owned()));
        self
    }

    pub(super) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(super) fn with_body(self, body: Vec<u8>) -> Self {
        Self { body, ..self }
    }

    pub(super) fn bytes(&self) -> Bytes {
        self.framed(&format!("content-length: {}\r\n", self.body.len()))
    }

    /// With these lines in place of its length.
    pub(super) fn framed(&self, framing: &str) -> Bytes {
        let Self { status, media_type, lines, body } = self;
        let lines: Vec<String> =
            lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let lines = lines.concat();
        let head =
            format!("HTTP/1.1 {status} It\r\ncontent-type: {media_type}\r\n{lines}{framing}\r\n");
        [head.as_bytes(), body].concat().into()
    }
}

type Plan = Arc<dyn Fn(usize) -> Option<Fault> + Send + Sync>;
type Right = Box<dyn Fn(&Head, &[u8]) -> Answer + Send + Sync>;

/// One method and path of a peer.
pub(crate) struct Endpoint {
    line: &'static str,
    right: Right,
    plan: Mutex<Plan>,
    asked: AtomicUsize,
    connections: AtomicUsize,
}

impl Endpoint {
    /// `METHOD /path`, and what is right to answer there.
    pub(crate) fn new(
        line: &'static str,
        right: impl Fn(&Head, &[u8]) -> Answer + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            line,
            right: Box::new(right),
            plan: Mutex::new(Arc::new(|_| None)),
            asked: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        })
    }

    /// From the next request on.
    pub(crate) fn fail(&self, fault: Fault) {
        self.plan(move |_| Some(fault.clone()));
    }

    /// For the next `count` requests.
    pub(crate) fn fail_next(&self, count: usize, fault: Fault) {
        let until = self.asked() + count;
        self.plan(move |number| (number < until).then(|| fault.clone()));
    }

    /// Right again, from the next request on.
    pub(crate) fn heal(&self) {
        self.plan(|_| None);
    }

    /// By the number of the request, counted from none.
    pub(crate) fn plan(&self, plan: impl Fn(usize) -> Option<Fault> + Send + Sync + 'static) {
        *self.plan.lock().unwrap() = Arc::new(plan);
    }

    /// Requests so far.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Connections so far whose first request was for this.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn is_for(&self, head: &Head) -> bool {
        // Without a query; and some clients of metadata write a final slash.
        let line = head.start.rsplit_once(' ').map_or("", |(line, _)| line);
        let line = line.split('?').next().unwrap_or_default();
        line == self.line || line.strip_suffix('/') == Some(self.line)
    }

    fn steps(&self, head: &Head, body: &[u8]) -> Vec<Step> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let plan = Arc::clone(&self.plan.lock().unwrap());
        let right = (self.right)(head, body);
        match plan(number) {
            None => vec![Step::Send(right.bytes())],
            Some(fault) => fault.steps(right),
        }
    }
}

/// A server of endpoints. What it is not made for, it answers with `404`.
pub(crate) struct Peer {
    pub(crate) server: Server,
    authority: Option<Arc<Authority>>,
}

impl Peer {
    /// With an authority, over TLS. The endpoints are made once its address is known.
    pub(crate) fn start(
        authority: Option<&Arc<Authority>>,
        endpoints: impl FnOnce(&str) -> Vec<Arc<Endpoint>>,
    ) -> Self {
        let server = Server::refusing(Arc::new(|_| Vec::new())).forgetting();
        let mut peer = Self { server, authority: authority.map(Arc::clone) };
        peer.server.receive(peer.usual());
        peer.server.play(script(endpoints(&peer.url())));
        peer.server.listen();
        peer
    }

    /// Without a final slash.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.server.address)
    }

    /// What tells this peer from all others in a log.
    pub(crate) fn port(&self) -> String {
        format!(":{}", self.server.address.port())
    }

    fn usual(&self) -> Porch {
        self.authority.as_ref().map_or(Porch::Plain, |authority| authority.porch())
    }

    /// Refuses connections, and ends those there are.
    pub(crate) async fn refuse(&mut self) {
        self.server.refuse().await;
    }

    /// Takes new connections and says nothing on them; those there are end.
    pub(crate) async fn mute(&mut self) {
        self.receive(Porch::Mute).await;
    }

    /// Ends new connections at once, and those there are.
    pub(crate) async fn slam(&mut self) {
        self.receive(Porch::Slam).await;
    }

    /// Shows a certificate with this flaw on new connections; those there are end.
    pub(crate) async fn show(&mut self, flaw: Flaw) {
        let authority = self.authority.as_ref().expect("a peer over TLS");
        self.receive(authority.flawed(flaw)).await;
    }

    /// Takes connections again, as it should.
    pub(crate) async fn heal(&mut self) {
        self.receive(self.usual()).await;
    }

    async fn receive(&mut self, porch: Porch) {
        self.server.refuse().await;
        self.server.receive(porch);
        self.server.listen();
    }
}

fn script(endpoints: Vec<Arc<Endpoint>>) -> Script {
    Arc::new(move |asked: &Asked<'_>| {
        let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.is_for(asked.head)) else {
            return vec![Step::ReadBody, Step::Send(Answer::new(404, "text/plain", "").bytes())];
        };
        if asked.before == 0 {
            endpoint.connections.fetch_add(1, Ordering::SeqCst);
        }
        let endpoint = Arc::clone(endpoint);
        vec![Step::Judge(Judge(Arc::new(move |head, body| endpoint.steps(head, body))))]
    })
}
