//! A connection of a caller: one request after the other, each answer read to its end and held to what is
//! expected of it. Two kinds: HTTP/1.1 over any stream, which costs little, and HTTP/2.

use crate::client::field;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use portvakt::tasks::Tasks;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The largest head of an answer; those of Portvakt take a fifth.
pub(crate) const HEAD_BYTES: usize = 4096;
const PIECE: &[u8] = &[b'x'; 64 * 1024];

/// What is asked: a GET, or a POST with so many bytes.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) path: String,
    pub(crate) token: &'a str,
    pub(crate) sent_bytes: Option<u64>,
    /// Of the answer, where that is what matters.
    pub(crate) expected_bytes: Option<u64>,
}

impl Request<'_> {
    /// As HTTP/1.1 writes it, without a body.
    pub(crate) fn head(&self) -> String {
        let Self { path, token, .. } = self;
        let (method, length) = match self.sent_bytes {
            None => ("GET", String::new()),
            Some(bytes) => ("POST", format!("content-length: {bytes}\r\n")),
        };
        format!(
            "{method} {path} HTTP/1.1\r\nhost: api.example\r\nauthorization: Bearer {token}\r\n{length}\r\n"
        )
    }
}

/// What the head of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnswerHead {
    pub(crate) status: u16,
    /// Of the head itself.
    pub(crate) head_bytes: usize,
    pub(crate) body_bytes: u64,
    /// Whether the connection ends with it.
    pub(crate) closes: bool,
}

impl AnswerHead {
    /// Of what has come so far; `None` as long as that is not all of it.
    pub(crate) fn read(begun: &[u8]) -> Option<Self> {
        let end = begun.windows(4).position(|four| four == b"\r\n\r\n")?;
        let text = std::str::from_utf8(begun.get(..end)?).unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        let body_bytes = field(text, "content-length").unwrap().parse().unwrap();
        let closes = field(text, "connection") == Some("close");
        Some(Self { status, head_bytes: end + 4, body_bytes, closes })
    }
}

/// Who asks for what is permitted.
pub(crate) trait Asks: Send + 'static {
    /// Asks, and takes the whole answer, which is to be a 200.
    fn ask(&mut self, request: &Request<'_>) -> impl Future<Output = ()> + Send;
}

/// HTTP/1.1.
pub(crate) struct Line<S> {
    stream: S,
    read: Vec<u8>,
}

impl<S> Line<S> {
    /// Reads as much at a time; a head has to fit.
    pub(crate) fn over(stream: S, read_bytes: usize) -> Self {
        Self { stream, read: vec![0; read_bytes] }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Asks for Line<S> {
    async fn ask(&mut self, request: &Request<'_>) {
        self.stream.write_all(request.head().as_bytes()).await.unwrap();
        let mut left = request.sent_bytes.unwrap_or_default();
        while left > 0 {
            let piece = PIECE.get(..PIECE.len().min(usize::try_from(left).unwrap())).unwrap();
            self.stream.write_all(piece).await.unwrap();
            left -= piece.len() as u64;
        }
        self.stream.flush().await.unwrap();
        let mut begun = 0;
        let head = loop {
            let read = self.stream.read(self.read.get_mut(begun..).unwrap()).await.unwrap();
            assert!(read > 0, "the connection ended");
            begun += read;
            if let Some(head) = AnswerHead::read(self.read.get(..begun).unwrap()) {
                break head;
            }
        };
        assert!(head.status == 200 && !head.closes, "{}: {head:?}", request.path);
        assert!(request.expected_bytes.is_none_or(|bytes| bytes == head.body_bytes), "{head:?}");
        let mut left = head.body_bytes - (begun - head.head_bytes) as u64;
        while left > 0 {
            let read = self.stream.read(&mut self.read).await.unwrap();
            assert!(read > 0, "cut off with {left} bytes to come");
            left -= read as u64;
        }
    }
}

/// One of many streams of a connection of HTTP/2.
#[derive(Clone)]
pub(crate) struct Multiplexed {
    sender: SendRequest<Empty<Bytes>>,
    scheme: &'static str,
}

impl Multiplexed {
    pub(crate) async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        scheme: &'static str,
        tasks: &Tasks,
    ) -> Self {
        let handshake = http2::handshake(OnTasks(tasks.clone()), TokioIo::new(stream));
        let (sender, connection) = handshake.await.unwrap();
        let _running = tasks.spawn(connection);
        Self { sender, scheme }
    }
}

impl Asks for Multiplexed {
    async fn ask(&mut self, request: &Request<'_>) {
        assert!(request.sent_bytes.is_none(), "only what has no body is asked so");
        let asked = http::Request::get(format!("{}://api.example{}", self.scheme, request.path))
            .header(AUTHORIZATION, format!("Bearer {}", request.token))
            .body(Empty::new());
        let mut answer = self.sender.send_request(asked.unwrap()).await.unwrap();
        assert!(answer.status() == 200, "{}: {}", request.path, answer.status());
        let mut received = 0;
        while let Some(frame) = answer.body_mut().frame().await {
            received += frame.unwrap().data_ref().map_or(0, |data| data.len() as u64);
        }
        assert!(request.expected_bytes.is_none_or(|bytes| bytes == received), "{received} bytes");
    }
}

/// Runs what HTTP/2 needs beside its connection.
#[derive(Clone, Debug)]
struct OnTasks(Tasks);

impl<F> Executor<F> for OnTasks
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, future: F) {
        let _running = self.0.spawn(future);
    }
}
