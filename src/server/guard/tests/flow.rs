//! What is read, written and noticed while an exchange is under way.

use super::*;
use crate::flow::LITTLE;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// A stream whose kernel knows that the other end has left, whatever is still to be read.
struct Line {
    stream: DuplexStream,
    left: Arc<AtomicBool>,
}

fn has_left(line: &Line) -> bool {
    line.left.load(Ordering::Relaxed)
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// An answer that goes on for ever, and says nothing. It may keep its request, as one that echoes does.
struct Silent(#[expect(dead_code, reason = "held until dropped")] Option<Arrival>);

impl http_body::Body for Silent {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_ends_its_exchange_though_nobody_reads_its_body() {
    for answers in [false, true] {
        for keeps in [false, true] {
            for (length, sent) in
                [(0, 0), (100, 0), (100, 4), (20_000, 9_000), (4, 4), (4, 40), (4, 20_000)]
            {
                let (mut client, server) = duplex(64 * 1024);
                let left = Arc::new(AtomicBool::new(false));
                let server = Line { stream: server, left: Arc::clone(&left) };
                let handler = |arrival: Arrival| async move {
                    let kept = keeps.then_some(arrival);
                    if !answers {
                        std::future::pending::<()>().await;
                    }
                    Response::new(Silent(kept))
                };
                let terms = terms(16 * 1024);
                let leaving = async {
                    let head = format!("POST /a HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
                    client.write_all(head.as_bytes()).await.unwrap();
                    client.write_all(&vec![b'\n'; sent]).await.unwrap();
                    tokio::time::sleep(Duration::from_secs(3)).await;
                    drop(client);
                    left.store(true, Ordering::Relaxed);
                    Instant::now()
                };
                let serving = serve_http1(server, has_left, Peer::LOCAL, &handler, &terms);
                let both = async {
                    tokio::join!(
                        async {
                            serving.await;
                            Instant::now()
                        },
                        leaving
                    )
                };
                let case = format!("answers {answers}, keeps {keeps}, {sent} of {length}");
                let both = tokio::time::timeout(Duration::from_mins(1), both).await;
                let (ended, left) = both.unwrap_or_else(|_| panic!("{case}: it goes on"));
                let took = ended.saturating_duration_since(left);
                assert!(took <= Duration::from_secs(1), "{case}: {took:?}");
            }
        }
    }
}

const UPGRADE: &[u8] =
    b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn what_follows_a_request_waits_for_its_answer_and_is_bounded() {
    let (mut guarded, verdicts, mut client) = waiting(b"GET /a HTTP/1.1\r\n\r\n");
    let mut read = vec![0; 4096];
    assert_eq!(guarded.read(&mut read).await.unwrap(), 19);
    assert_eq!(verdicts.next(), Ok(()));
    client.write_all(b"GET /b HTTP/1.1\r\n\r\n").await.unwrap();
    let next = tokio::time::timeout(Duration::from_secs(5), guarded.read(&mut read)).await;
    assert!(next.is_err(), "a head came before its turn");
    let answer = verdicts.answer(Response::new(Full::new(Bytes::new())), false);
    let next = tokio::time::timeout(Duration::from_secs(5), guarded.read(&mut read)).await;
    assert!(next.is_err(), "a head came before the answer was over");
    drop(answer);
    let next = tokio::time::timeout(Duration::from_secs(5), guarded.read(&mut read)).await;
    assert!(next.is_err(), "a head came before the answer was out");
    guarded.flush().await.unwrap();
    let next = guarded.read(&mut read).await;
    assert_eq!(&read[..next.unwrap()], b"GET /b HTTP/1.1\r\n\r\n");
    // The second is not answered: what comes now is taken up to a bound.
    let flood = async { while client.write_all(&[b'a'; 4096]).await.is_ok() {} };
    let reading = guarded.read(&mut read);
    let both = async { tokio::join!(flood, reading) };
    assert!(tokio::time::timeout(Duration::from_secs(5), both).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_noticed_while_its_next_request_waits() {
    let (mut guarded, _, mut client) = waiting(b"GET /a HTTP/1.1\r\n\r\n");
    let mut read = vec![0; 4096];
    assert_eq!(guarded.read(&mut read).await.unwrap(), 19);
    client.write_all(b"GET /b HTTP/1.1\r\n\r\n").await.unwrap();
    drop(client);
    assert_eq!(guarded.read(&mut read).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn case_55_early_bytes_pass_as_they_are_after_101_and_end_the_connection_after_any_other() {
    for status in [StatusCode::SWITCHING_PROTOCOLS, StatusCode::OK] {
        let (mut guarded, verdicts, mut client) = waiting(&[UPGRADE, b"\x81\x00\r\n"].concat());
        let mut read = vec![0; 4096];
        assert_eq!(guarded.read(&mut read).await.unwrap(), UPGRADE.len());
        let early = tokio::time::timeout(Duration::from_secs(5), guarded.read(&mut read)).await;
        assert!(early.is_err(), "early bytes passed before the answer");
        let mut answer = Response::new(Full::new(Bytes::new()));
        *answer.status_mut() = status;
        let answer = verdicts.answer(answer, false);
        if status == StatusCode::SWITCHING_PROTOCOLS {
            assert_eq!(guarded.read(&mut read).await.unwrap(), 4);
            client.write_all(b"\n\0").await.unwrap();
            assert_eq!(guarded.read(&mut read).await.unwrap(), 2);
        } else {
            assert_eq!(answer.headers()[http::header::CONNECTION], "close");
            drop(answer);
            guarded.flush().await.unwrap();
            // Not so much as judged.
            let next = tokio::time::timeout(Duration::from_secs(5), guarded.read(&mut read)).await;
            assert!(next.is_err());
            guarded.flush().await.unwrap();
            assert_eq!(guarded.read(&mut read).await.unwrap(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_is_not_answered_by_101_leaves_an_ordinary_connection() {
    let next = b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    let (seen, ()) = with_client(async |client| {
        for head in [UPGRADE, next] {
            client.write_all(head).await.unwrap();
            assert!(answer(client).await.starts_with("HTTP/1.1 200"));
        }
    })
    .await;
    assert_eq!(seen.len(), 2);
}

/// An answer without an end, and how often a part of it was asked for.
struct Endless(Arc<Mutex<usize>>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        *self.0.lock().unwrap() += 1;
        let part = Bytes::from_static(&[b'a'; 1000]);
        Poll::Ready(Some(Ok(http_body::Frame::data(part))))
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_client_does_not_read_nothing_more_of_its_answer_is_taken() {
    const ROOM: usize = 4000;
    const FRAME: usize = 1000;
    let (mut client, server) = duplex(ROOM);
    let asked = Arc::new(Mutex::new(0));
    let handler = |_: Arrival| {
        let asked = Arc::clone(&asked);
        async move { Response::new(Endless(asked)) }
    };
    let mut terms = terms(16 * 1024);
    terms.shared.in_flight = InFlight::new(1000);
    let _crowd: Vec<_> = (0..100).map(|_| terms.shared.in_flight.enter()).collect();
    let reading = async {
        client.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let (mut read, mut beyond) = (0, Vec::new());
        for _ in 0..50 {
            // As much as goes into the stream, then nothing.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let taken = *asked.lock().unwrap() * 1000;
            beyond.push(taken.saturating_sub(read));
            read += client.read(&mut [0; 3000]).await.unwrap();
        }
        drop(client);
        beyond
    };
    let serving = serve_http1(server, |_| false, Peer::LOCAL, &handler, &terms);
    let ((), beyond) = tokio::join!(serving, reading);
    assert!(beyond.iter().all(|beyond| *beyond <= LITTLE + ROOM + FRAME), "{beyond:?}");
    assert!(*asked.lock().unwrap() > 100, "it flows");
}

/// Bytes of a next head are there while the answer is not out: they must not end what is written.
#[tokio::test(start_paused = true)]
async fn an_answer_is_written_whole_though_a_part_of_the_next_head_is_there() {
    const LENGTH: usize = 20_000;
    let (mut client, server) = duplex(4000);
    let handler = |_: Arrival| async { Response::new(Full::new(Bytes::from(vec![b'a'; LENGTH]))) };
    let terms = terms(16 * 1024);
    let reading = async {
        client.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGE").await.unwrap();
        // Longer than a head that comes slowly is waited for with the library.
        tokio::time::sleep(Duration::from_secs(1)).await;
        // With its head.
        let mut answer: Vec<u8> = Vec::new();
        while answer.len() < LENGTH || !answer.ends_with(b"a") {
            let mut part = [0; 1000];
            let read = client.read(&mut part).await.unwrap();
            assert!(read > 0, "the answer broke off after {} bytes", answer.len());
            answer.extend(&part[..read]);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        client.write_all(b"T /b HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(client.read(&mut [0; 10]).await.unwrap() > 0, "the next one is served");
        drop(client);
    };
    let serving = serve_http1(server, |_| false, Peer::LOCAL, &handler, &terms);
    tokio::join!(serving, reading);
}

/// The library that made room for a large body is gone with that room, and nothing that came meanwhile with it.
#[tokio::test(start_paused = true)]
async fn after_a_large_body_the_next_requests_are_served_by_another_library() {
    const LENGTH: usize = 300_000;
    let (mut client, server) = duplex(1024 * 1024);
    let post = format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n");
    let get = "GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    let asking = async {
        for _ in 0..2 {
            let sent = [post.as_bytes(), &vec![b'x'; LENGTH], get.as_bytes(), b"GET /c"].concat();
            client.write_all(&sent).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
            client.write_all(b" HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        }
        let mut answers = Vec::new();
        while answers.windows(9).filter(|nine| nine == b"HTTP/1.1 ").count() < 6 {
            assert!(client.read_buf(&mut answers).await.unwrap() > 0, "the connection ended");
        }
        drop(client);
    };
    let (seen, ()) = tokio::join!(serve(server), asking);
    let lengths: Vec<_> = seen.iter().map(|seen| seen.body.as_ref().map(Vec::len)).collect();
    assert_eq!(lengths, [LENGTH, 0, 0, LENGTH, 0, 0].map(Some));
}
