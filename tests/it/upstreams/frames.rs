//! APIs that speak HTTP/2 frame by frame: going away, refusing, resetting.

use crate::support::{Client, Sidecar, ask, soon};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What is done with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// Answers 200.
    Answer,
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY that leaves this request out, and then waits.
    GoAway,
    /// Ends the connection.
    Close,
    /// Answers 200 with a body of so many frames of one byte, all at once.
    Burst(usize),
    /// Answers 200 with a frame without a byte, and ends by another.
    Nothing,
}

/// Does one thing with each request, in the order given, and then answers.
struct Framed {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
    _accepting: JoinSet<()>,
}

impl Framed {
    async fn start(does: &[Does], max_streams: Option<u32>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let does = Arc::new(Mutex::new(does.iter().rev().copied().collect::<Vec<_>>()));
        let (asked, accepted) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let mut accepting = JoinSet::new();
        let (counts, connections) = (Arc::clone(&asked), Arc::clone(&accepted));
        accepting.spawn(async move {
            let mut all = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                all.spawn(speak(stream, Arc::clone(&does), Arc::clone(&counts), max_streams));
            }
        });
        Self { address, asked, accepted, _accepting: accepting }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    async fn sidecar(&self) -> Sidecar {
        let settings = format!("upstream: {{ url: 'h2c://{}' }}\n", self.address);
        Sidecar::at("http://unused:1").settings(&settings).open().await
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

async fn speak(
    mut stream: TcpStream,
    does: Arc<Mutex<Vec<Does>>>,
    asked: Arc<AtomicUsize>,
    max_streams: Option<u32>,
) -> Option<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.ok()?;
    let settings = max_streams.map(|max| [&[0, 3][..], &max.to_be_bytes()].concat());
    stream.write_all(&frame(4, 0, 0, &settings.unwrap_or_default())).await.ok()?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await.ok()?;
        match head[3] {
            4 if head[4] & 1 == 0 => stream.write_all(&frame(4, 1, 0, &[])).await.ok()?,
            1 => {
                asked.fetch_add(1, Ordering::SeqCst);
                let next = does.lock().unwrap().pop().unwrap_or(Does::Answer);
                match next {
                    // `:status: 200` is entry 8 of the static table (RFC 7541 Appendix A).
                    Does::Answer => stream.write_all(&frame(1, 5, id, &[0x88])).await.ok()?,
                    Does::Reset(code) => {
                        stream.write_all(&frame(3, 0, id, &code.to_be_bytes())).await.ok()?;
                    }
                    Does::GoAway => {
                        let last = (id - 2).to_be_bytes();
                        let payload = [&last[..], &[0; 4]].concat();
                        stream.write_all(&frame(7, 0, 0, &payload)).await.ok()?;
                    }
                    Does::Close => return None,
                    Does::Burst(frames) => {
                        let body = frame(0, 0, id, b"x").repeat(frames);
                        let all = [frame(1, 4, id, &[0x88]), body, frame(0, 1, id, b"")];
                        stream.write_all(&all.concat()).await.ok()?;
                    }
                    Does::Nothing => {
                        let all = [(1, 4, &[0x88][..]), (0, 0, b""), (0, 1, b"")];
                        let all = all.map(|(kind, flags, bytes)| frame(kind, flags, id, bytes));
                        stream.write_all(&all.concat()).await.ok()?;
                    }
                }
            }
            _ => {}
        }
    }
}

const REFUSED_STREAM: u32 = 7;
const INTERNAL_ERROR: u32 = 2;

#[tokio::test]
async fn what_was_not_looked_at_is_sent_once_more_and_nothing_else() {
    use Does::{Answer, Close, GoAway, Reset};
    let get = || ask("GET", "/public/x");
    let put = || ask("PUT", "/public/x").body(b"x");
    let post = || ask("POST", "/public/x").header("Content-Length", "0");
    for (asked, does, verdict, seen) in [
        (get(), Reset(REFUSED_STREAM), "200", 3),
        (get(), GoAway, "200", 3),
        (get(), Close, "200", 3),
        (get(), Reset(INTERNAL_ERROR), "502 upstream-protocol-error", 2),
        (post(), Reset(REFUSED_STREAM), "502 upstream-unreachable", 2),
        (post(), GoAway, "502 upstream-unreachable", 2),
        (post(), Close, "502 upstream-unreachable", 2),
        (put(), Reset(REFUSED_STREAM), "502 upstream-unreachable", 2),
        (put(), Close, "502 upstream-unreachable", 2),
    ] {
        let api = Framed::start(&[Answer, does], None).await;
        let sidecar = api.sidecar().await;
        let mut client = Client::connect(sidecar.traffic).await;
        assert_eq!(client.ask(&get()).await.status, 200);
        let line = String::from_utf8(asked.head()).unwrap();
        let reply = soon("an answer", client.ask(&asked)).await;
        assert_eq!((reply.verdict().as_str(), api.asked()), (verdict, seen), "{does:?} {line}");
        // A connection that is going away gets no more; one that lives goes on.
        let mut client = Client::connect(sidecar.traffic).await;
        assert_eq!(client.ask(&get()).await.status, 200, "{does:?} {line}");
        let expected = match (does, seen) {
            (Reset(_), 2) => 1,
            _ => 2,
        };
        assert_eq!(api.accepted(), expected, "{does:?} {line}");
    }
}

/// The library ends a connection on which small frames pile up, and everybody on it.
#[tokio::test]
async fn answers_in_small_frames_end_nobodys_connection() {
    let api = Framed::start(&[Does::Burst(20_000), Does::Burst(60_000), Does::Answer], None).await;
    let sidecar = api.sidecar().await;
    let mut client = Client::connect(sidecar.traffic).await;
    for length in [20_000, 60_000, 0] {
        let reply = soon("an answer", client.ask(&ask("GET", "/public/x"))).await;
        assert_eq!((reply.status, reply.body.bytes.len()), (200, length));
    }
    assert_eq!(api.accepted(), 1);
}

/// The library takes a hundred such frames in the life of a connection.
#[tokio::test]
async fn frames_that_bring_nothing_end_nobodys_connection() {
    let api = Framed::start(&[Does::Nothing; 200], None).await;
    let sidecar = api.sidecar().await;
    let mut client = Client::connect(sidecar.traffic).await;
    for asked in 1..=200 {
        let reply = soon("an answer", client.ask(&ask("GET", "/public/x"))).await;
        assert_eq!((reply.status, reply.body.bytes.len()), (200, 0), "request {asked}");
    }
    assert_eq!(api.accepted(), 7);
}

#[tokio::test]
async fn a_new_connection_that_ends_is_not_tried_again() {
    let api = Framed::start(&[Does::Close], None).await;
    let sidecar = api.sidecar().await;
    let reply = Client::connect(sidecar.traffic).await.ask(&ask("GET", "/public/x")).await;
    assert_eq!((reply.verdict().as_str(), api.asked()), ("502 upstream-unreachable", 1));
}

#[tokio::test]
async fn no_more_streams_are_opened_than_the_api_allows() {
    let api = Framed::start(&[Does::Answer; 40], Some(1)).await;
    let sidecar = api.sidecar().await;
    let clients = (0..8).map(|_| async {
        let mut client = Client::connect(sidecar.traffic).await;
        for _ in 0..5 {
            assert_eq!(client.ask(&ask("GET", "/public/x")).await.status, 200);
        }
    });
    soon("all answers", futures_util::future::join_all(clients)).await;
    assert_eq!(api.asked(), 40);
}
