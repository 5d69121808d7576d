//! Case 57: clients that take their time.

use crate::attacks::{Ground, good};
use crate::support::{Client, Step, WRITE, always, ask, eventually, ok};
use std::time::Duration;
use tokio::time::Instant;

/// Case 57: a head that drips ends at its timeout, however it drips, and holds nobody else up.
#[tokio::test]
async fn a_head_that_drips_is_ended() {
    const LIMIT: Duration = Duration::from_secs(1);
    let settings = "server: { limits: { header_timeout: 1s, idle_timeout: 1m } }\n";
    let ground = Ground::new("", settings).await;
    let traffic = ground.sidecar.traffic;
    let slow = (0..20).map(|number| async move {
        let began = Instant::now();
        let mut client = Client::connect(traffic).await;
        // Some begin at once, some behind an answered request.
        if number % 2 == 0 {
            client.send(good("before")).await;
            assert_eq!(client.reply().await.status, 200);
        }
        // Time is what this is about: each byte comes well within the limit.
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        let drip = b"GET /public/x HTTP/1.1\r\nHost: api.example.no\r\nX: "
            .iter()
            .chain(std::iter::repeat(&b'x'));
        let mut drip = drip.take(10_000);
        let reply = loop {
            tokio::select! {
                reply = client.reply() => break reply,
                _ = pace.tick() => {}
            }
            client.send([*drip.next().expect("it was never ended")]).await;
        };
        assert_eq!(reply.verdict(), "408 request-timeout");
        assert_eq!(client.rest().await, "");
        assert!(began.elapsed() >= LIMIT, "{:?}", began.elapsed());
    });
    let quick = async {
        for _ in 0..50 {
            let mut client = Client::connect(traffic).await;
            client.send(good("quick")).await;
            assert_eq!(client.reply().await.status, 200);
        }
    };
    tokio::join!(futures_util::future::join_all(slow), quick);
    assert_eq!(ground.api.count(), 60);
}

/// Case 57: a body that stands still ends its request, whether it is read here or streams.
#[tokio::test]
async fn a_body_that_stands_still_is_ended() {
    let settings = "server: { limits: { body_idle_timeout: 500ms } }\n";
    let judged = ask("POST", WRITE).bearer().header("Content-Type", "application/json");
    for (name, asked, reaches) in
        [("read here", judged, 0), ("streaming", ask("POST", "/public/x"), 1)]
    {
        for chunked in [false, true] {
            let ground = Ground::new("", settings).await;
            let mut client = Client::connect(ground.sidecar.traffic).await;
            let asked = asked.clone();
            let (asked, part) = if chunked {
                (asked.header("Transfer-Encoding", "chunked"), "15\r\n{\"orgnr\"")
            } else {
                (asked.header("Content-Length", "21"), "{\"orgnr\"")
            };
            client.send(asked.head()).await;
            client.send(part).await;
            let reply = client.reply().await;
            assert_eq!(reply.verdict(), "408 request-timeout", "{name}");
            assert_eq!(client.rest().await, "", "{name}");
            let api = &ground.api;
            eventually("the end of the exchange", || api.ended() == api.accepted()).await;
            assert_eq!(api.count(), reaches, "{name}");
            let records = ground.sidecar.records.when(1).await;
            assert_eq!(records[0]["code"], "request-timeout", "{name}");
        }
    }
}

/// Case 57: a connection on which nothing is asked is ended without a word.
#[tokio::test]
async fn a_silent_connection_is_ended() {
    let ground = Ground::new("", "server: { limits: { idle_timeout: 1s } }\n").await;
    let mut silent = Client::connect(ground.sidecar.traffic).await;
    assert_eq!(silent.rest().await, "");
    let mut kept = Client::connect(ground.sidecar.traffic).await;
    kept.send(good("once")).await;
    assert_eq!(kept.reply().await.status, 200);
    assert_eq!(kept.rest().await, "");
    assert_eq!(ground.sidecar.records.when(1).await.len(), 1);
}

/// Case 57: a client that takes no answer ends its exchange with the API.
#[tokio::test]
async fn an_answer_that_is_not_taken_is_ended() {
    let ground = Ground::new("", "server: { limits: { body_idle_timeout: 200ms } }\n").await;
    let piece = bytes::Bytes::from(vec![b'x'; 1 << 16]);
    let head = Step::Send("HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n".into());
    ground.api.play(always(vec![Step::ReadBody, head, Step::Repeat(piece, 1 << 14), Step::Hold]));
    let mut client = Client::connect(ground.sidecar.traffic).await;
    client.send(ask("GET", "/public/x").bytes()).await;
    eventually("the end of the exchange", || ground.api.ended() == 1).await;
    // Meanwhile, and after, others are served.
    ground.api.play(ok());
    let mut other = Client::connect(ground.sidecar.traffic).await;
    other.send(good("other")).await;
    assert_eq!(other.reply().await.status, 200);
}
