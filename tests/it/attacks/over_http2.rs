//! A row as HTTP/2 can say it: the same request in frames, with names and values to the byte.
//!
//! What only the framing of HTTP/1.1 can say (folded lines, chunks, versions, what stands behind a request)
//! has no form in HTTP/2 and is not sent.

use super::Want;
use crate::support::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, Frame, Frames, HEADERS, Outcome, raw_block,
};
use std::net::SocketAddr;

/// A request of HTTP/2.
pub(super) struct Stream {
    lines: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
}

/// Headers of a connection, which no request of HTTP/2 may have (RFC 9113 §8.2.2).
const CONNECTION_SPECIFIC: [&[u8]; 5] =
    [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"];

/// The payload that every client may send in one frame (RFC 9113 §4.2).
const MAX_FRAME_BYTES: usize = 16 * 1024;

/// What may be sent before the other end says more (RFC 9113 §6.9.2); nobody listens for that here.
const WINDOW_BYTES: usize = 65_535;

impl Stream {
    /// `None` where the bytes are no request that HTTP/2 can say.
    pub(super) fn of(sent: &[u8]) -> Option<Self> {
        let end = sent.windows(4).position(|part| part == b"\r\n\r\n")?;
        let (head, body) = (&sent[..end], &sent[end + 4..]);
        let mut lines = split(head, b"\r\n").into_iter();
        let start = split(lines.next()?, b" ");
        let [method, path, b"HTTP/1.1"] = start.as_slice() else { return None };
        let pseudo = [(b":method".as_slice(), *method), (b":scheme", b"http"), (b":path", path)];
        let mut said: Vec<(Vec<u8>, Vec<u8>)> =
            pseudo.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        for line in lines {
            let at = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = (line[..at].to_ascii_lowercase(), trimmed(&line[at + 1..]));
            if name.is_empty() || name.iter().any(|byte| matches!(byte, b' ' | b'\t')) {
                return None;
            }
            let is_first_host = name == b"host" && !said.iter().any(|line| line.0 == b":authority");
            if is_first_host {
                said.insert(3, (b":authority".to_vec(), value.to_vec()));
            } else {
                said.push((name, value.to_vec()));
            }
        }
        let lengths: Vec<_> = said.iter().filter(|line| line.0 == b"content-length").collect();
        let is_whole = match lengths.as_slice() {
            [] => body.is_empty(),
            [(_, length)] => *length == body.len().to_string().into_bytes(),
            _ => false,
        };
        (is_whole && body.len() < WINDOW_BYTES).then(|| Self { lines: said, body: body.to_vec() })
    }

    /// What must come of it, if not what comes of it over HTTP/1.1.
    pub(super) fn want(&self, want: &Want) -> Want {
        let is_forbidden = |line: &(Vec<u8>, Vec<u8>)| {
            let is_te = line.0 == b"te" && line.1 != b"trailers";
            is_te || CONNECTION_SPECIFIC.contains(&line.0.as_slice())
        };
        if self.lines.iter().any(is_forbidden) { Want::Library("reset 1") } else { want.clone() }
    }

    pub(super) fn is_head(&self) -> bool {
        self.lines[0].1 == b"HEAD"
    }

    /// Asks on a connection of its own; the connection, for more.
    pub(super) async fn ask(&self, address: SocketAddr) -> (Frames, Outcome) {
        let mut frames = Frames::connect(address).await;
        let lines = self.lines.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        let block = raw_block(lines);
        let mut parts = block.chunks(MAX_FRAME_BYTES).peekable();
        let mut kind = HEADERS;
        while let Some(part) = parts.next() {
            let last = if parts.peek().is_none() { END_HEADERS } else { 0 };
            let ends = if kind == HEADERS && self.body.is_empty() { END_STREAM } else { 0 };
            frames.send(&Frame::new(kind, last | ends, 1, part)).await;
            kind = CONTINUATION;
        }
        let mut parts = self.body.chunks(MAX_FRAME_BYTES).peekable();
        while let Some(part) = parts.next() {
            let frame = Frame::data(1, part);
            frames.send(&if parts.peek().is_none() { frame.ends() } else { frame }).await;
        }
        let outcome = frames.outcome(1).await;
        (frames, outcome)
    }
}

fn split<'a>(bytes: &'a [u8], by: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(by.len()).position(|part| part == by) {
        parts.push(&rest[..at]);
        rest = &rest[at + by.len()..];
    }
    parts.push(rest);
    parts
}

/// Without the blanks around it, which belong to the line of HTTP/1.1.
fn trimmed(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(start, |at| at + 1);
    &value[start..end]
}

#[test]
fn what_http2_can_say_is_said() {
    let head =
        "POST /a?b HTTP/1.1\r\nHost: one\r\nX-A:\t1 \r\nHost: two\r\nContent-Length: 2\r\n\r\n";
    let stream = Stream::of(format!("{head}hi").as_bytes()).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let lines = stream.lines.iter().map(|(name, value)| format!("{}={}", text(name), text(value)));
    let expected = [
        ":method=POST",
        ":scheme=http",
        ":path=/a?b",
        ":authority=one",
        "x-a=1",
        "host=two",
        "content-length=2",
    ];
    assert_eq!(
        (lines.collect::<Vec<_>>(), stream.body.as_slice()),
        (expected.map(str::to_owned).to_vec(), &b"hi"[..])
    );
    for sent in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nX: 1\r\n y\r\n\r\n",
        "GET / HTTP/1.1\r\nX\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nhi",
        "GET / HTTP/1.1\r\n\r\nbehind",
        "GET / HTTP/1.1\r\n",
    ] {
        assert!(Stream::of(sent.as_bytes()).is_none(), "{sent}");
    }
}
