//! What can be wrong with an answer, down to the byte.

use super::super::server::Step;
use super::endpoint::Answer;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// A fault of one answer.
#[derive(Clone)]
pub(crate) enum Fault {
    /// It comes late, and is right.
    Slow(Duration),
    /// It is right up to here; then nothing comes, and the connection stays.
    Stall(Place),
    /// It is right up to here; then the connection ends.
    Cut(Place),
    /// It is right, and comes a byte at a time with this pause between.
    Drip(Duration),
    /// `Content-Length` says more than comes before the end of the connection.
    LongLength,
    /// `Content-Length` says less than comes.
    ShortLength,
    /// `Content-Length` and `Transfer-Encoding` at once.
    BothLengths,
    /// Chunked, with a size that is none.
    BadChunks,
    /// Another status, with the right body.
    Status(u16),
    /// Another status, with this JSON.
    Refuses(u16, String),
    /// Another status with the right body, and this `Retry-After`.
    RetryAfter(u16, &'static str),
    /// A redirect to this address.
    Redirect(u16, String),
    /// A page of HTML, with `200`.
    Html,
    /// The right JSON without its last bytes, in right framing.
    Truncated,
    /// A hundred megabytes of JSON.
    Endless,
    /// `Content-Encoding: gzip`, and bytes that are.
    Gzip,
    /// `200` without a body.
    Empty,
    /// `200` with this JSON.
    Says(String),
    /// The right body after this change.
    Alter(Alteration),
    /// These bytes in place of an answer; then the connection ends.
    Raw(Bytes),
}

pub(crate) type Alteration = Arc<dyn Fn(String) -> String + Send + Sync>;

/// Where an answer is broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    BeforeStatus,
    InHead,
    BeforeBody,
    InBody,
}

impl Place {
    pub(crate) const ALL: [Self; 4] =
        [Self::BeforeStatus, Self::InHead, Self::BeforeBody, Self::InBody];

    /// How many bytes come, of an answer with a head of so many.
    fn of(self, whole: usize, head: usize) -> usize {
        match self {
            Self::BeforeStatus => 0,
            Self::InHead => head / 2,
            Self::BeforeBody => head,
            Self::InBody => head + (whole - head) / 2,
        }
    }
}

impl Fault {
    /// A change of the right body.
    pub(crate) fn alter(change: impl Fn(String) -> String + Send + Sync + 'static) -> Self {
        Self::Alter(Arc::new(change))
    }

    /// What is done in place of sending the right answer.
    pub(crate) fn steps(self, right: Answer) -> Vec<Step> {
        match self {
            Self::Slow(pause) => vec![Step::Pause(pause), Step::Send(right.bytes())],
            Self::Stall(place) => vec![Step::Send(right.part(place)), Step::Hold],
            Self::Cut(place) => vec![Step::Send(right.part(place)), Step::Close],
            Self::Drip(pause) => right
                .bytes()
                .iter()
                .flat_map(|byte| [Step::Send(Bytes::copy_from_slice(&[*byte])), Step::Pause(pause)])
                .collect(),
            Self::LongLength => {
                let length = right.body.len() + 9;
                vec![
                    Step::Send(right.framed(&format!("content-length: {length}\r\n"))),
                    Step::Close,
                ]
            }
            Self::ShortLength => {
                let length = right.body.len().saturating_sub(2);
                vec![Step::Send(right.framed(&format!("content-length: {length}\r\n")))]
            }
            Self::BothLengths => {
                let length = right.body.len();
                let framing = format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n");
                let size = format!("{length:x}\r\n");
                let body = [size.as_bytes(), &right.body, b"\r\n0\r\n\r\n"].concat();
                vec![Step::Send(right.with_body(body).framed(&framing))]
            }
            Self::BadChunks => {
                let body = [b"ZZ\r\n", right.body.as_slice(), b"\r\n0\r\n\r\n"].concat();
                let answer = right.with_body(body);
                vec![Step::Send(answer.framed("transfer-encoding: chunked\r\n")), Step::Close]
            }
            Self::Status(status) => send(right.with_status(status)),
            Self::Refuses(status, json) => send(Answer::json(&json).with_status(status)),
            Self::RetryAfter(status, wait) => {
                send(right.with_status(status).with("retry-after", wait))
            }
            Self::Redirect(status, to) => {
                send(Answer::new(status, "text/plain", "").with("location", &to))
            }
            Self::Html => send(Answer::new(200, "text/html", "<html>Permit</html>")),
            Self::Truncated => {
                let mut body = right.body.clone();
                body.truncate(body.len().saturating_sub(2));
                send(right.with_body(body))
            }
            Self::Endless => {
                const BLOCK: usize = 64 * 1024;
                let head = Answer::json(r#"{"x":""#).framed("connection: close\r\n");
                let block = Bytes::from(vec![b'a'; BLOCK]);
                let times = 100 * 1024 * 1024 / BLOCK;
                vec![Step::Send(head), Step::Repeat(block, times), Step::Close]
            }
            Self::Gzip => {
                let body = gzip(&right.body);
                send(right.with_body(body).with("content-encoding", "gzip"))
            }
            Self::Empty => send(right.with_body(Vec::new())),
            Self::Says(json) => send(Answer::json(&json)),
            Self::Alter(change) => {
                let body = change(String::from_utf8_lossy(&right.body).into_owned()).into_bytes();
                send(right.with_body(body))
            }
            Self::Raw(bytes) => vec![Step::Send(bytes), Step::Close],
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is made where it is sent")]
fn send(answer: Answer) -> Vec<Step> {
    vec![Step::Send(answer.bytes())]
}

impl Answer {
    fn part(&self, place: Place) -> Bytes {
        let whole = self.bytes();
        let count = place.of(whole.len(), whole.len() - self.body.len());
        whole.slice(..count)
    }
}

/// As gzip (RFC 1952), in one stored block (RFC 1951 §3.2.4).
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    let length = u16::try_from(bytes.len()).expect("one stored block is enough");
    let mut packed = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF, 1];
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.extend(bytes);
    packed.extend((!crc).to_le_bytes());
    packed.extend(u32::from(length).to_le_bytes());
    packed
}
