//! HTTP/1.1 as bytes, read just far enough to see what was really sent.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One end of a connection.
pub(crate) struct Wire {
    reading: Box<dyn AsyncRead + Send + Unpin>,
    writing: Box<dyn AsyncWrite + Send + Unpin>,
    buffer: Vec<u8>,
    transcript: Option<Transcript>,
}

/// Every byte that was read, in its order.
pub(crate) type Transcript = Arc<Mutex<Vec<u8>>>;

/// The head of a message.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// Request line or status line.
    pub(crate) start: String,
    /// Names as received, values trimmed.
    pub(crate) lines: Vec<(String, String)>,
}

/// A body, with its framing removed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// Whether its framing says that it ended.
    pub(crate) complete: bool,
}

impl Head {
    fn parse(raw: &[u8]) -> Self {
        let text = String::from_utf8_lossy(raw);
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap().to_owned();
        Self { start, lines: lines.filter_map(field).collect() }
    }

    /// The value, if there is exactly one line of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "several `{name}`: {all:?}");
        all.first().copied()
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.lines.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| value.as_str()).collect()
    }

    /// The names that fulfil a condition, in lower case and sorted.
    pub(crate) fn names(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let names = self.lines.iter().map(|(name, _)| name.to_ascii_lowercase());
        let mut names: Vec<String> = names.filter(|name| wanted(name)).collect();
        names.sort();
        names
    }

    fn is_chunked(&self) -> bool {
        self.all("transfer-encoding").iter().any(|value| value.eq_ignore_ascii_case("chunked"))
    }

    fn length(&self) -> Option<usize> {
        self.get("content-length").map(|value| value.parse().unwrap())
    }
}

fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_owned(), value.trim().to_owned()))
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// Over anything that carries bytes both ways, such as TLS.
    pub(crate) fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (reading, writing) = tokio::io::split(stream);
        Self {
            reading: Box::new(reading),
            writing: Box::new(writing),
            buffer: Vec::new(),
            transcript: None,
        }
    }

    /// Writes down every byte that it reads.
    pub(crate) fn taken_down(self, transcript: Transcript) -> Self {
        Self { transcript: Some(transcript), ..self }
    }

    /// One that only reads, and one that only writes.
    pub(crate) fn split(self) -> (Self, Self) {
        let Self { reading, writing, buffer, transcript } = self;
        let reader = Self { reading, writing: Box::new(tokio::io::sink()), buffer, transcript };
        let reading = Box::new(tokio::io::empty());
        (reader, Self { reading, writing, buffer: Vec::new(), transcript: None })
    }

    /// Joins both ways, with what was already read, until one of them ends.
    pub(crate) async fn join(mut self, mut other: TcpStream) {
        let already = std::mem::take(&mut self.buffer);
        if other.write_all(&already).await.is_err() {
            return;
        }
        let mut stream = tokio::io::join(self.reading, self.writing);
        // How it ends is of no interest: both sides see the end.
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut other).await;
    }

    /// Sends; `false` if the other end is gone.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.writing.write_all(bytes).await.is_ok() && self.writing.flush().await.is_ok()
    }

    /// The next head, or `None` at the end of the connection.
    pub(crate) async fn head(&mut self) -> Option<Head> {
        self.until(b"\r\n\r\n").await.map(|raw| Head::parse(&raw))
    }

    /// The body of a request; `progress` hears of every byte as it comes.
    pub(crate) async fn request_body(&mut self, head: &Head, progress: impl FnMut(usize)) -> Body {
        if head.is_chunked() {
            self.chunks(progress).await
        } else {
            self.exactly(head.length().unwrap_or(0), progress).await
        }
    }

    /// The body of an answer.
    pub(crate) async fn answer_body(&mut self, head: &Head, to_head: bool) -> Body {
        let status = head.start.split(' ').nth(1).unwrap_or_default();
        if to_head || status.starts_with('1') || matches!(status, "204" | "304") {
            Body { complete: true, ..Body::default() }
        } else if head.is_chunked() {
            self.chunks(drop).await
        } else if let Some(length) = head.length() {
            self.exactly(length, drop).await
        } else {
            let bytes = self.rest().await;
            Body { bytes, complete: true, ..Body::default() }
        }
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.buffer)
    }

    /// What has come, once something has; `None` at the end.
    pub(crate) async fn some(&mut self) -> Option<Vec<u8>> {
        if self.buffer.is_empty() && !self.fill().await {
            return None;
        }
        Some(std::mem::take(&mut self.buffer))
    }

    /// At least this many bytes, without their framing being judged.
    pub(crate) async fn at_least(&mut self, count: usize) -> bool {
        while self.buffer.len() < count {
            if !self.fill().await {
                return false;
            }
        }
        true
    }

    /// Exactly this many bytes, or `None` at the end of the connection.
    pub(crate) async fn take_exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        let body = self.exactly(count, drop).await;
        body.complete.then_some(body.bytes)
    }

    async fn exactly(&mut self, count: usize, mut progress: impl FnMut(usize)) -> Body {
        progress(self.buffer.len().min(count));
        while self.buffer.len() < count {
            let before = self.buffer.len();
            if !self.fill().await {
                return Body { bytes: std::mem::take(&mut self.buffer), ..Body::default() };
            }
            progress(self.buffer.len().min(count) - before);
        }
        let bytes = self.take(count);
        Body { bytes, complete: true, ..Body::default() }
    }

    async fn chunks(&mut self, mut progress: impl FnMut(usize)) -> Body {
        let mut body = Body::default();
        loop {
            let Some(line) = self.until(b"\r\n").await else { return body };
            let line = String::from_utf8(line).unwrap();
            let size = line.trim().split(';').next().unwrap().to_owned();
            let size = usize::from_str_radix(&size, 16).unwrap();
            if size == 0 {
                break;
            }
            let chunk = self.exactly(size, &mut progress).await;
            body.bytes.extend(chunk.bytes);
            if !chunk.complete || self.until(b"\r\n").await.is_none() {
                return body;
            }
        }
        while let Some(line) = self.until(b"\r\n").await {
            if line == b"\r\n" {
                body.complete = true;
                break;
            }
            body.trailers.extend(field(&String::from_utf8(line).unwrap()));
        }
        body
    }

    /// Up to and with `end`.
    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let mut searched = 0_usize;
        loop {
            let found = self.buffer[searched..].windows(end.len()).position(|part| part == end);
            if let Some(at) = found {
                return Some(self.take(searched + at + end.len()));
            }
            searched = self.buffer.len().saturating_sub(end.len());
            if !self.fill().await {
                return None;
            }
        }
    }

    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        self.buffer.drain(..count).collect()
    }

    async fn fill(&mut self) -> bool {
        self.buffer.reserve(64 * 1024);
        let before = self.buffer.len();
        let more = matches!(self.reading.read_buf(&mut self.buffer).await, Ok(1..));
        if let Some(transcript) = &self.transcript {
            transcript.lock().unwrap().extend(&self.buffer[before..]);
        }
        more
    }
}
