//! The bytes of a connection: what the guard lets through is read by the HTTP library in the same way. The
//! function is called by libFuzzer (`fuzz_targets/`) and by `cargo test`, which replays the corpus.

use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use portvakt::config::Limits;
use portvakt::server::sight;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake};

/// A request as the library reads it.
#[derive(Debug)]
struct Seen {
    line: String,
    headers: Vec<(String, Vec<u8>)>,
    ends: bool,
    /// `None` while it is not whole.
    body: Option<Vec<u8>>,
    trailers: Vec<(String, Vec<u8>)>,
}

/// The bytes of a connection, on which any head or body may be at fault.
pub(crate) fn guard(input: &[u8]) {
    let limits = Limits {
        max_header_bytes: 4096,
        max_target_bytes: 512,
        max_headers: 16,
        ..Limits::default()
    };
    let (sighted, end) = sight(input, &limits);
    let passed = sighted.last().map_or(0, |last| last.body.end);
    assert!(passed <= input.len());
    let read = read(&input[..passed]);
    for (read, sighted) in read.iter().zip(&sighted) {
        let head = &input[sighted.head.clone()];
        let head = head.strip_prefix(b"\r\n").unwrap_or(head);
        let (line, fields) = plain(head);
        assert_eq!(read.line.as_bytes(), line, "{read:?}");
        assert_eq!(read.headers, fields, "{read:?}");
        let body = &input[sighted.body.clone()];
        let chunked = fields.iter().any(|(name, _)| name == "transfer-encoding");
        let lengths = fields.iter().filter(|(name, _)| name == "content-length").count();
        assert!(lengths + usize::from(chunked) <= 1, "{read:?}");
        if !sighted.whole {
            assert!(read.body.is_none(), "{read:?}");
        } else if chunked {
            let (data, trailers) = dechunk(body);
            assert_eq!(read.body.as_ref(), Some(&data), "{read:?}");
            assert_eq!(read.trailers, trailers, "{read:?}");
        } else {
            assert_eq!(read.body.as_deref(), Some(body), "{read:?}");
        }
    }
    // The library may end a connection earlier, for HTTP/1.0 or by the client's wish, and never goes on.
    assert!(read.len() <= sighted.len(), "{read:?}\n{sighted:?}");
    let ended = read.last().is_some_and(|last| last.ends);
    assert!(ended || read.len() == sighted.len(), "{end:?} {read:?}\n{sighted:?}");
}

/// What the library reads of these bytes, when nothing comes behind them and no end.
fn read(bytes: &[u8]) -> Vec<Seen> {
    let seen = Arc::new(Mutex::new(Vec::<Seen>::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Arc::clone(&seen);
        async move {
            let (parts, body) = request.into_parts();
            let headers = fields_of(&parts.headers);
            let at = {
                let mut seen = seen.lock().unwrap();
                seen.push(Seen {
                    line: format!("{} {} {:?}", parts.method, parts.uri, parts.version),
                    ends: parts.version == Version::HTTP_10
                        || headers.iter().any(|(name, _)| name == "connection"),
                    headers,
                    body: None,
                    trailers: Vec::new(),
                });
                seen.len() - 1
            };
            if let Ok(whole) = body.collect().await {
                let one = &mut seen.lock().unwrap()[at];
                one.trailers = whole.trailers().map(fields_of).unwrap_or_default();
                one.body = Some(whole.to_bytes().to_vec());
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let stream = Bytestream(bytes.to_vec(), 0);
    let mut connection = pin!(http1::Builder::new().serve_connection(stream, service));
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Arc::clone(&woken).into();
    while woken.0.swap(false, Ordering::Relaxed)
        && connection.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
    {}
    std::mem::take(&mut *seen.lock().unwrap())
}

fn fields_of(map: &http::HeaderMap) -> Vec<(String, Vec<u8>)> {
    let fields = map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    sorted(fields.collect())
}

/// In any order but that of equal names.
fn sorted(mut fields: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    fields
}

/// The line and the fields of a sound head, read as simply as can be.
fn plain(head: &[u8]) -> (&[u8], Vec<(String, Vec<u8>)>) {
    let end = head.windows(2).position(|two| two == b"\r\n").unwrap();
    (&head[..end], fields(&head[end + 2..]))
}

/// The fields up to an empty line.
fn fields(mut lines: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut fields = Vec::new();
    loop {
        let end = lines.windows(2).position(|two| two == b"\r\n").unwrap();
        let line = &lines[..end];
        if line.is_empty() {
            return sorted(fields);
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap();
        let name = String::from_utf8(line[..colon].to_ascii_lowercase()).unwrap();
        fields.push((name, line[colon + 1..].trim_ascii().to_vec()));
        lines = &lines[end + 2..];
    }
}

/// The data and the trailers of a sound chunked body.
fn dechunk(mut body: &[u8]) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let mut data = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n").unwrap();
        let digits = body[..end].split(|byte| *byte == b';').next().unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
        if size == 0 {
            return (data, fields(&body[end + 2..]));
        }
        data.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 2 + size + 2..];
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Bytes of which so many were read; what is written to it is forgotten.
struct Bytestream(Vec<u8>, usize);

impl Read for Bytestream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.0[self.1..];
        let count = rest.len().min(buffer.remaining());
        if count == 0 {
            return Poll::Pending;
        }
        buffer.put_slice(&rest[..count]);
        self.1 += count;
        Poll::Ready(Ok(()))
    }
}

impl Write for Bytestream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
