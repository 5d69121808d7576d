//! Clients that take their time, and what they may hold meanwhile.

use super::*;

#[tokio::test(start_paused = true)]
async fn all_unfinished_heads_hold_no_more_than_they_may_and_small_ones_need_no_room() {
    let terms = terms(10_000);
    for (bytes, taken, want) in [
        (3_000, 10_000, Ok(())),
        (6_000, 10_000, Err(FramingFault::NoRoom(10_000))),
        (6_000, 0, Ok(())),
    ] {
        let taken = terms.shared.held.take(taken).unwrap();
        let free = terms.shared.held.free();
        let (mut client, server) = duplex(64 * 1024);
        let sending = async {
            let part = [b"GET /a HTTP/1.1\r\nX: ".to_vec(), vec![b'a'; bytes]].concat();
            for piece in part.chunks(1000) {
                client.write_all(piece).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let least = terms.shared.held.free();
            client.write_all(b"\r\n\r\n").await.unwrap();
            let answered = answer(&mut client).await;
            drop(client);
            (answered, least)
        };
        let (seen, (answered, least)) = tokio::join!(serve_under(server, &terms), sending);
        assert_eq!((seen.len(), seen[0].framing), (1, want), "{bytes}: {answered}");
        assert_eq!(least < free, bytes > 4096 && want.is_ok(), "{bytes}: {least} of {free}");
        assert_eq!(terms.shared.held.free(), free, "what was held has not come back");
        drop(taken);
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_whole_is_refused_in_time() {
    let began = Instant::now();
    let (seen, (answer, took)) = with_client(async |client| {
        client.write_all(b"GET /a HTTP/1.1\r\n").await.unwrap();
        let dripping = async |client: &mut DuplexStream| {
            tokio::time::sleep(Duration::from_secs(9)).await;
            client.write_all(b"X: y\r\n").await.unwrap();
        };
        dripping(client).await;
        (answer(client).await, began.elapsed())
    })
    .await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("connection: close"), "{answer}");
    assert_eq!((seen[0].framing, took.as_secs()), (Err(HeadTimeout(Duration::from_secs(10))), 10));
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_left_without_an_answer() {
    for (bytes, seconds) in [(&b""[..], 10), (b"\r\n", 10)] {
        let began = Instant::now();
        let (seen, read) = with_client(async |client| {
            client.write_all(bytes).await.unwrap();
            client.read_to_end(&mut Vec::new()).await.unwrap()
        })
        .await;
        assert_eq!((seen.len(), read, began.elapsed().as_secs()), (0, 0, seconds));
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_connection_is_parked_and_served_again_until_it_is_idle_for_too_long() {
    const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    let (seen, idle) = with_client(async |client| {
        for pause in [0, 500, 1500, 60_000, 74_000] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            client.write_all(GET).await.unwrap();
            assert!(answer(client).await.starts_with("HTTP/1.1 200"));
        }
        let began = Instant::now();
        assert_eq!(answer(client).await, "");
        began.elapsed()
    })
    .await;
    assert_eq!((seen.len(), idle.as_secs()), (5, 75));
}

#[tokio::test(start_paused = true)]
async fn unread_bytes_are_thrown_away_for_a_while_and_not_for_longer() {
    let bad = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n";
    let began = Instant::now();
    let (seen, ()) = with_client(async |client| {
        client.write_all(bad).await.unwrap();
        assert!(answer(client).await.starts_with("HTTP/1.1 400"));
        // The end is seen at once, and more can be sent meanwhile.
        assert_eq!(client.read(&mut [0; 10]).await.unwrap(), 0);
        assert_eq!(began.elapsed().as_secs(), 0);
        client.write_all(&vec![b'a'; 500_000]).await.unwrap();
        while client.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(began.elapsed().as_secs(), 2);
    })
    .await;
    assert_eq!(seen.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_dribbles_is_waited_for_without_the_library_and_no_longer_than_any() {
    const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    for pauses in [1, 3] {
        let (seen, last) = with_client(async |client| {
            for _ in 0..2 {
                for piece in GET.chunks(10) {
                    client.write_all(piece).await.unwrap();
                    tokio::time::sleep(Duration::from_secs(pauses)).await;
                }
                assert!(answer(client).await.starts_with("HTTP/1.1 200"));
            }
            let began = Instant::now();
            for _ in 0..9 {
                client.write_all(b"G").await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            assert!(answer(client).await.starts_with("HTTP/1.1 400"));
            began.elapsed().as_secs()
        })
        .await;
        let framing: Vec<_> = seen.into_iter().map(|seen| seen.framing).collect();
        let late = Err(HeadTimeout(Duration::from_secs(10)));
        assert_eq!((framing, last), (vec![Ok(()), Ok(()), late], 10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_begins_behind_an_answer_and_stops_costs_no_more_than_its_bytes() {
    let (mut guarded, verdicts, mut client) = waiting(b"GET /a HTTP/1.1\r\n\r\n");
    guarded.first_head().await;
    let mut read = vec![0; 4096];
    assert_eq!(guarded.read(&mut read).await.unwrap(), 19);
    drop(verdicts.answer(Response::new(Full::new(Bytes::new())), false));
    guarded.flush().await.unwrap();
    let began = Instant::now();
    client.write_all(b"GET /b HT").await.unwrap();
    assert_eq!(guarded.read(&mut read).await.unwrap(), 0, "the library was given a part of a head");
    assert_eq!(began.elapsed(), QUIET);
    let (stream, begun) = guarded.into_parked().expect("the stream stays");
    let shared = Shared::new(InFlight::new(8));
    let limits = GuardLimits::from(&limits());
    let (mut guarded, verdicts) = guard((stream, |_| false), begun.unwrap(), limits, shared);
    client.write_all(b"TP/1.1\r\n\r\n").await.unwrap();
    guarded.first_head().await;
    assert_eq!(guarded.read(&mut read).await.unwrap(), 19);
    assert_eq!((&read[..19], verdicts.next()), (&b"GET /b HTTP/1.1\r\n\r\n"[..], Ok(())));
}
