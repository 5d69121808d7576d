//! A client that sends what it is given, byte by byte, and judges nothing.

use super::wire::{Body, Head, Wire};
use super::{soon, token};
use serde_json::Value;
use std::fmt::Write as _;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A request being written.
#[derive(Clone)]
pub(crate) struct Ask {
    line: String,
    lines: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A request with a `Host` and nothing else.
pub(crate) fn ask(method: &str, target: &str) -> Ask {
    let lines = vec![("Host".to_owned(), "api.example.no".to_owned())];
    Ask { line: format!("{method} {target} HTTP/1.1"), lines, body: Vec::new() }
}

impl Ask {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.lines.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With the good token.
    pub(crate) fn bearer(self) -> Self {
        self.token(&token())
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn json(self, body: &str) -> Self {
        self.header("Content-Type", "application/json").body(body.as_bytes())
    }

    /// With its length.
    pub(crate) fn body(self, body: &[u8]) -> Self {
        let mut asked = self.header("Content-Length", &body.len().to_string());
        asked.body = body.to_vec();
        asked
    }

    /// In two chunks, with these trailer lines.
    pub(crate) fn chunked(self, body: &[u8], trailers: &str) -> Self {
        let mut asked = self.header("Transfer-Encoding", "chunked");
        let (one, two) = body.split_at(body.len() / 2);
        for chunk in [one, two].into_iter().filter(|chunk| !chunk.is_empty()) {
            asked.body.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            asked.body.extend(chunk);
            asked.body.extend(b"\r\n");
        }
        asked.body.extend(format!("0\r\n{trailers}\r\n").into_bytes());
        asked
    }

    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = format!("{}\r\n", self.line);
        for (name, value) in &self.lines {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        (head + "\r\n").into_bytes()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head(), self.body.clone()].concat()
    }
}

/// An answer as received.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// 0 if the connection ended without one.
    pub(crate) status: u16,
    pub(crate) head: Head,
    pub(crate) body: Body,
}

impl Reply {
    fn nothing() -> Self {
        let head = Head { start: String::new(), lines: Vec::new() };
        Self { status: 0, head, body: Body::default() }
    }

    /// The code of a problem document; empty if it is none.
    pub(crate) fn code(&self) -> String {
        let text = |name: &str| self.problem().get(name).and_then(Value::as_str).map(str::to_owned);
        text("code").unwrap_or_default()
    }

    pub(crate) fn problem(&self) -> Value {
        serde_json::from_slice(&self.body.bytes).unwrap_or_default()
    }

    /// `403 access-denied`, or the bare status.
    pub(crate) fn verdict(&self) -> String {
        format!("{} {}", self.status, self.code()).trim_end().to_owned()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.bytes).into_owned()
    }
}

/// A connection of a client.
pub(crate) struct Client(Wire);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(Wire::new(soon("a connection", TcpStream::connect(address)).await.unwrap()))
    }

    /// Over anything that carries bytes both ways.
    pub(crate) fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self(Wire::over(stream))
    }

    /// Sends; that the other end has had enough shows in its answer.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon("room to send", self.0.send(bytes.as_ref())).await;
    }

    /// The next answer.
    pub(crate) async fn reply(&mut self) -> Reply {
        self.reply_to("GET").await
    }

    /// The next answer, to a request of this method.
    pub(crate) async fn reply_to(&mut self, method: &str) -> Reply {
        let Some(head) = self.head().await else { return Reply::nothing() };
        let body = soon("the end of an answer", self.0.answer_body(&head, method == "HEAD")).await;
        Reply { status: status(&head), head, body }
    }

    /// The head of the next answer, its body still to come.
    pub(crate) async fn head(&mut self) -> Option<Head> {
        soon("the head of an answer", self.0.head()).await
    }

    /// Waits for this many bytes of a body.
    pub(crate) async fn at_least(&mut self, count: usize) {
        assert!(soon("a part of an answer", self.0.at_least(count)).await, "it broke off");
    }

    /// Both directions apart, for those who read while they write.
    pub(crate) fn split(self) -> (Self, Self) {
        let (reading, writing) = self.0.split();
        (Self(reading), Self(writing))
    }

    /// The next so many bytes, whatever they are.
    pub(crate) async fn bytes(&mut self, count: usize) -> String {
        let whole = soon("some bytes", self.0.at_least(count)).await;
        assert!(whole, "the connection ended");
        String::from_utf8(self.0.take(count)).unwrap()
    }

    pub(crate) async fn body(&mut self, head: &Head) -> Body {
        soon("the end of an answer", self.0.answer_body(head, false)).await
    }

    pub(crate) async fn ask(&mut self, asked: &Ask) -> Reply {
        self.send(asked.bytes()).await;
        self.reply().await
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> String {
        String::from_utf8_lossy(&self.rest_bytes().await).into_owned()
    }

    /// The same, as bytes.
    pub(crate) async fn rest_bytes(&mut self) -> Vec<u8> {
        soon("the end of the connection", self.0.rest()).await
    }
}

pub(crate) fn status(head: &Head) -> u16 {
    head.start.split(' ').nth(1).unwrap_or_default().parse().unwrap()
}

/// These bytes on a connection of their own, and the first answer.
pub(crate) async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Reply {
    let mut client = Client::connect(address).await;
    let method = if bytes.as_ref().starts_with(b"HEAD ") { "HEAD" } else { "GET" };
    client.send(bytes).await;
    client.reply_to(method).await
}
