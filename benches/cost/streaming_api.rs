//! An API that takes and gives bodies of any size and keeps nothing of them, and clients of it that speak
//! over a plain socket.

use crate::apart::Apart;
use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Bytes, Incoming};
use portvakt::config::Limits;
use portvakt::server::Listeners;
use portvakt::tasks::Tasks;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PIECE: &[u8] = &[b'x'; 64 * 1024];

/// `POST` takes a body, `GET …/N` gives one of N bytes, anything else is answered at once.
pub(crate) async fn serve_streaming_api(tasks: &Tasks) -> SocketAddr {
    let listeners = Listeners::bind(&[(Ipv4Addr::LOCALHOST, 0).into()]).await.unwrap();
    let address = *listeners.addresses().first().unwrap();
    let limits = Limits { max_connections: 100_000, ..Limits::default() };
    listeners.serve(&|request, _peer| answer(request), limits, tasks, &tasks.stopping());
    address
}

async fn answer(mut request: Request<Incoming>) -> Response<Either<Full<Bytes>, Pieces>> {
    let path = request.uri().path();
    if path.starts_with("/down/") {
        let left = path.rsplit('/').next().unwrap().parse().unwrap();
        return Response::new(Either::Right(Pieces { left }));
    }
    let mut received = 0;
    if request.method() == Method::POST {
        while let Some(Ok(frame)) = request.body_mut().frame().await {
            received += frame.data_ref().map_or(0, Bytes::len);
        }
    }
    Response::new(Either::Left(Full::from(format!("{received}"))))
}

struct Pieces {
    left: u64,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = PIECE.get(..PIECE.len().min(usize::try_from(self.left).unwrap())).unwrap();
        self.left -= piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

pub(crate) async fn connect(to: &Apart) -> TcpStream {
    let stream = TcpStream::connect(to.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends so many bytes, and holds the API to having received them.
pub(crate) async fn upload(stream: &mut TcpStream, through: &Apart, bytes: u64) {
    let head = through.head("POST", "up") + &format!("content-length: {bytes}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut left = bytes;
    while left > 0 {
        let piece = PIECE.get(..PIECE.len().min(usize::try_from(left).unwrap())).unwrap();
        stream.write_all(piece).await.unwrap();
        left -= piece.len() as u64;
    }
    let answer = read_head(stream).await;
    let received = body_after(stream, &answer).await;
    assert!(received == bytes.to_string().as_bytes(), "not all arrived");
}

/// Asks for so many bytes, and takes none.
pub(crate) async fn begin_download(stream: &mut TcpStream, through: &Apart, bytes: u64) {
    let head = through.head("GET", &format!("down/{bytes}")) + "\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
}

/// Takes so many bytes.
pub(crate) async fn download(stream: &mut TcpStream, through: &Apart, bytes: u64) {
    begin_download(stream, through, bytes).await;
    let answer = read_head(stream).await;
    let (head, begun) = split(&answer);
    assert!(length(head) == bytes, "not the length");
    let mut left = bytes - begun.len() as u64;
    let mut buffer = vec![0; 256 * 1024];
    while left > 0 {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "cut off with {left} bytes to come");
        left -= read as u64;
    }
}

/// Asks for little.
pub(crate) async fn ask(stream: &mut TcpStream, through: &Apart) {
    let head = through.head("GET", "small") + "\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_head(stream).await;
    let _body = body_after(stream, &answer).await;
}

/// Up to the end of the head, and what came with it.
async fn read_head(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::with_capacity(1024);
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "no answer");
    }
    let (head, _) = split(&answer);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    answer
}

fn split(answer: &[u8]) -> (&str, &[u8]) {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let (head, body) = answer.split_at(end);
    (std::str::from_utf8(head).unwrap(), body)
}

fn length(head: &str) -> u64 {
    let named = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    };
    head.lines().find_map(named).unwrap()
}

async fn body_after(stream: &mut TcpStream, answer: &[u8]) -> Vec<u8> {
    let (head, begun) = split(answer);
    let mut body = begun.to_vec();
    while (body.len() as u64) < length(head) {
        assert!(stream.read_buf(&mut body).await.unwrap() > 0, "cut off");
    }
    body
}
