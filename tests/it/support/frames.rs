//! A client that writes HTTP/2 frame by frame, and judges nothing: header blocks are literals without
//! indexing (RFC 7541 §6.2.2), names and values exactly as given.

use super::wire::Wire;
use super::{soon, token};
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
/// Of SETTINGS and PING.
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// One frame as it is on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    pub(crate) fn data(stream: u32, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(DATA, 0, stream, bytes)
    }

    /// A whole head, with more to come.
    pub(crate) fn headers(stream: u32, lines: &[(&str, &str)]) -> Self {
        Self::new(HEADERS, END_HEADERS, stream, block(lines))
    }

    pub(crate) fn reset(stream: u32, code: u32) -> Self {
        Self::new(RST_STREAM, 0, stream, code.to_be_bytes())
    }

    pub(crate) fn window_update(stream: u32, bytes: u32) -> Self {
        Self::new(WINDOW_UPDATE, 0, stream, bytes.to_be_bytes())
    }

    pub(crate) fn settings(pairs: &[(u16, u32)]) -> Self {
        let pair =
            |(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
        Self::new(SETTINGS, 0, 0, pairs.iter().flat_map(pair).collect::<Vec<u8>>())
    }

    pub(crate) fn ping(opaque: [u8; 8]) -> Self {
        Self::new(PING, 0, 0, opaque)
    }

    /// The last of its stream.
    pub(crate) fn ends(mut self) -> Self {
        self.flags |= END_STREAM;
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap().to_be_bytes();
        let stream = self.stream.to_be_bytes();
        [&length[1..], &[self.kind, self.flags], &stream, &self.payload].concat()
    }

    /// The error code of RST_STREAM or GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// A header block of literals without indexing, names and values as they are, without Huffman coding.
pub(crate) fn block(lines: &[(&str, &str)]) -> Vec<u8> {
    raw_block(lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
}

/// The same, for bytes that are no text.
pub(crate) fn raw_block<'a>(lines: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in lines {
        block.push(0);
        push_string(&mut block, name);
        push_string(&mut block, value);
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1), then the bytes.
fn push_string(block: &mut Vec<u8>, text: &[u8]) {
    if text.len() < 127 {
        block.push(u8::try_from(text.len()).unwrap());
    } else {
        block.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            block.push(u8::try_from(rest % 128).unwrap() | 128);
            rest /= 128;
        }
        block.push(u8::try_from(rest).unwrap());
    }
    block.extend(text);
}

/// The pseudo-headers of a request to the usual host, and then these lines.
pub(crate) fn request<'a>(
    method: &'a str,
    path: &'a str,
    lines: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let pseudo = [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "api.example.no"),
    ];
    [&pseudo[..], lines].concat()
}

/// The value of `authorization` with the good token.
pub(crate) fn bearer() -> String {
    format!("Bearer {}", token())
}

/// What came of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// 0 without an answer.
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) end_stream: bool,
    /// RST_STREAM, with its code.
    pub(crate) reset: Option<u32>,
    /// GOAWAY, with its code.
    pub(crate) goaway: Option<u32>,
    /// The connection ended.
    pub(crate) gone: bool,
}

impl Outcome {
    /// The code of a problem document; empty if it is none.
    pub(crate) fn code(&self) -> String {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }

    /// `403 access-denied`, `200`, `reset 1`, `goaway 11` or `gone`.
    pub(crate) fn verdict(&self) -> String {
        match (self.status, self.reset, self.goaway) {
            (1.., _, _) => format!("{} {}", self.status, self.code()).trim_end().to_owned(),
            (0, Some(code), _) => format!("reset {code}"),
            (0, None, Some(code)) => format!("goaway {code}"),
            (0, None, None) => "gone".to_owned(),
        }
    }
}

/// A connection of a client that has sent its preface.
pub(crate) struct Frames(Wire);

impl Frames {
    /// Over plain TCP, with the preface and the SETTINGS sent that keep answers out of the dynamic table.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream).await
    }

    /// The same over anything.
    pub(crate) async fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let mut frames = Self(Wire::over(stream));
        frames.raw(PREFACE).await;
        frames.send(&Frame::settings(&[(1, 0)])).await;
        frames
    }

    /// Sends; that the other end is gone shows in what it sends.
    pub(crate) async fn send(&mut self, frame: &Frame) -> bool {
        self.raw(&frame.bytes()).await
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) -> bool {
        soon("room to send", self.0.send(bytes)).await
    }

    /// A whole request without a body.
    pub(crate) async fn request(&mut self, stream: u32, lines: &[(&str, &str)]) -> bool {
        self.send(&Frame::headers(stream, lines).ends()).await
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        soon("a frame", async {
            let head = self.0.take_exactly(9).await?;
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let payload = self.0.take_exactly(length).await?;
            let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
            Some(Frame { kind: head[3], flags: head[4], stream, payload })
        })
        .await
    }

    /// The next frame of this kind.
    pub(crate) async fn next_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind && !(kind == SETTINGS && frame.flags & ACK != 0) {
                return Some(frame);
            }
        }
    }

    /// Reads until this stream has ended, was reset, or the connection is over; acknowledges SETTINGS.
    /// Frames of other streams are passed over.
    pub(crate) async fn outcome(&mut self, stream: u32) -> Outcome {
        let mut outcome = Outcome::default();
        loop {
            let Some(frame) = self.next().await else {
                outcome.gone = true;
                return outcome;
            };
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => {
                    self.send(&Frame::new(SETTINGS, ACK, 0, [])).await;
                }
                PING if frame.flags & ACK == 0 => {
                    self.send(&Frame::new(PING, ACK, 0, frame.payload)).await;
                }
                GOAWAY => {
                    outcome.goaway = Some(frame.code());
                }
                HEADERS if frame.stream == stream && outcome.status == 0 => {
                    outcome.status = status(&frame.payload);
                }
                DATA if frame.stream == stream => outcome.body.extend(&frame.payload),
                RST_STREAM if frame.stream == stream => {
                    outcome.reset = Some(frame.code());
                    return outcome;
                }
                _ => {}
            }
            let whole = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
            if whole && frame.stream == stream {
                outcome.end_stream = true;
                return outcome;
            }
        }
    }

    /// Asks on a connection of its own, and what came of it.
    pub(crate) async fn ask(address: SocketAddr, lines: &[(&str, &str)]) -> Outcome {
        let mut frames = Self::connect(address).await;
        frames.request(1, lines).await;
        frames.outcome(1).await
    }

    /// Reads to the end of the connection, and gives the code of the last GOAWAY.
    pub(crate) async fn end(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                code = Some(frame.code());
            }
        }
        code
    }
}

/// The status of an answer, which is the first of its block: indexed (RFC 7541 appendix A) or a literal
/// with that name, whose digits are Huffman-coded.
pub(crate) fn status(block: &[u8]) -> u16 {
    // A dynamic table size update may come first.
    let at = usize::from(block[0] & 0xe0 == 0x20);
    match block[at] {
        0x88 => 200,
        0x89 => 204,
        0x8a => 206,
        0x8b => 304,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        // Every other is a literal with the name of an entry of the static table.
        0x08 | 0x48 | 0x18 => {
            let length = usize::from(block[at + 1] & 0x7f);
            let digits = &block[at + 2..at + 2 + length];
            let text =
                if block[at + 1] & 0x80 == 0 { digits.to_vec() } else { huffman_digits(digits) };
            String::from_utf8(text).unwrap().parse().unwrap()
        }
        other => panic!("no status where it should be: {other:#x}"),
    }
}

/// Digits have five bits (0, 1 and 2) or six (RFC 7541 appendix B).
fn huffman_digits(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let value = |bits: &[u8]| bits.iter().fold(0, |value, bit| value << 1 | bit);
    let (mut at, mut digits) = (0, Vec::new());
    while at + 5 <= bits.len() && digits.len() < 3 {
        let short = value(&bits[at..at + 5]);
        if short <= 2 {
            digits.push(b'0' + short);
            at += 5;
        } else {
            digits.push(b'3' + value(&bits[at..at + 6]) - 0x19);
            at += 6;
        }
    }
    digits
}

#[test]
fn the_status_is_read_however_it_is_written() {
    // `:status` with an indexed name; 403 in Huffman coding is 011010 00000 011001, padded by ones.
    for (block, expected) in [
        (&[0x88][..], 200),
        (&[0x3f, 0x88][1..], 200),
        (&[0x08, 3, b'5', b'0', b'3'], 503),
        (&[0x48, 0x83, 0b0110_1000, 0b0000_1100, 0b1111_1111], 403),
    ] {
        assert_eq!(status(block), expected, "{block:x?}");
    }
}
