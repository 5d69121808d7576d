//! The end of the process: unready first, still serving, then the end of what runs.

use crate::support::frames::{Frame, Frames, GOAWAY, request};
use crate::support::{
    Asked, Client, Gate, READ, Server, Sidecar, Step, always, answer, ask, eventually, exchange,
    ok, soon,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn while_it_waits_it_is_unready_and_serves_everyone_once_a_connection() {
    let upstream = Server::start(ok());
    // Cut short as soon as the test has seen what it wants.
    let settings = "shutdown: { wait: 30s, grace: 10s }\n";
    let sidecar = Sidecar::before(&upstream).settings(settings).open().await;
    let (traffic, admin) = (sidecar.traffic, sidecar.admin);
    let ready = async || exchange(admin, ask("GET", "/readyz").bytes()).await;
    assert_eq!(ready().await.status, 200);
    let mut old = Client::connect(traffic).await;
    let first = old.ask(&ask("GET", READ).bearer()).await;
    assert_eq!((first.status, first.head.get("connection")), (200, None));
    let seeing = async {
        let unready = async { while ready().await.status != 503 {} };
        soon("unreadiness", unready).await;
        assert_eq!(ready().await.text(), "draining\n");
        assert_eq!(exchange(admin, ask("GET", "/livez").bytes()).await.status, 200);
        for _ in 0..3 {
            assert_eq!(exchange(traffic, ask("GET", READ).bearer().bytes()).await.status, 200);
        }
        // Told before its connection ends, a client loses no request to that.
        let last = old.ask(&ask("GET", READ).bearer()).await;
        assert_eq!((last.status, last.head.get("connection")), (200, Some("close")));
        assert_eq!(old.rest().await, "", "the connection ends");
    };
    tokio::select! {
        _ = sidecar.close() => panic!("it did not wait"),
        () = seeing => {}
    }
}

#[tokio::test]
async fn what_runs_is_finished_and_idle_connections_end() {
    let gate = Gate::default();
    let upstream = Server::start(always(vec![
        Step::ReadBody,
        Step::Wait(gate.clone()),
        Step::Send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha".into()),
        Step::Wait(gate.clone()),
        Step::Send("lf".into()),
    ]));
    let sidecar =
        Sidecar::before(&upstream).settings("shutdown: { wait: 0s, grace: 60s }\n").open().await;
    let traffic = sidecar.traffic;
    let records = sidecar.records.clone();
    let mut running = Client::connect(traffic).await;
    running.send(ask("GET", READ).bearer().bytes()).await;
    let mut idle = Client::connect(traffic).await;
    assert_eq!(idle.ask(&ask("GET", "/nowhere")).await.status, 404);
    eventually("the request", || upstream.count() == 1).await;
    let ended = AtomicBool::new(false);
    let closing = async {
        assert!(sidecar.close().await, "it was cut off");
        ended.store(true, Ordering::SeqCst);
    };
    let seeing = async {
        assert_eq!(idle.rest().await, "", "an idle connection ends at once");
        gate.open();
        let head = running.head().await.unwrap();
        running.at_least(2).await;
        assert!(!ended.load(Ordering::SeqCst), "it ended before its exchange");
        gate.open();
        let body = running.body(&head).await;
        assert_eq!((body.bytes.as_slice(), body.complete), (&b"half"[..], true));
        assert_eq!(running.rest().await, "", "the connection ends after its exchange");
    };
    soon("the end", async { tokio::join!(closing, seeing) }).await;
    let outcomes: Vec<_> = records.all().iter().map(|record| record["outcome"].clone()).collect();
    assert_eq!(outcomes, ["refused", "forwarded"]);
}

#[tokio::test]
async fn what_does_not_end_within_the_grace_is_cut_off_and_said_so() {
    let upstream = Server::start(always(vec![Step::ReadBody, Step::Hold]));
    let settings = "shutdown: { wait: 0s, grace: 50ms }\n";
    let sidecar = Sidecar::before(&upstream).settings(settings).open().await;
    let mut client = Client::connect(sidecar.traffic).await;
    client.send(ask("GET", READ).bearer().bytes()).await;
    eventually("the request", || upstream.count() == 1).await;
    assert!(!soon("the end", sidecar.close()).await);
}

#[tokio::test]
async fn an_ordinary_end_leaves_nothing_running() {
    let upstream = Server::start(always(vec![
        Step::ReadBody,
        Step::Send(answer("200 OK", "text/plain", "ok")),
    ]));
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Client::connect(sidecar.traffic).await;
    for _ in 0..3 {
        assert_eq!(client.ask(&ask("GET", READ).bearer()).await.status, 200);
    }
    let traffic = sidecar.traffic;
    assert_eq!(sidecar.end().await.all().len(), 3);
    assert_eq!(client.rest().await, "");
    assert!(tokio::net::TcpStream::connect(traffic).await.is_err(), "somebody still listens");
    eventually("the end of kept connections", || upstream.ended() == upstream.accepted()).await;
}

/// Case 98.
#[tokio::test]
async fn uploads_and_downloads_of_both_protocols_are_finished() {
    let gate = Gate::default();
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha";
    let up = vec![Step::ReadBody, Step::Send(answer("200 OK", "text/plain", "taken"))];
    let down = vec![Step::ReadBody, Step::Send(half.into()), Step::Wait(gate.clone())];
    let upstream = Server::start(Arc::new(move |asked: &Asked<'_>| {
        if asked.head.start.contains("/up") {
            up.clone()
        } else {
            [down.clone(), vec![Step::Send("lf".into())]].concat()
        }
    }));
    let settings = "shutdown: { wait: 0s, grace: 60s }\n";
    let sidecar = Sidecar::before(&upstream).settings(settings).open().await;
    let traffic = sidecar.traffic;

    let upload = ask("POST", "/public/up").body(b"whole").bytes();
    let (first, second) = upload.split_at(upload.len() - 3);
    let mut uploading = Client::connect(traffic).await;
    uploading.send(first).await;
    let mut downloading = Client::connect(traffic).await;
    downloading.send(ask("GET", "/public/down").bytes()).await;
    let head = downloading.head().await.unwrap();
    downloading.at_least(2).await;
    let mut frames = Frames::connect(traffic).await;
    frames.send(&Frame::headers(1, &request("POST", "/public/up", &[]))).await;
    frames.send(&Frame::data(1, "wh")).await;
    frames.request(3, &request("GET", "/public/down", &[])).await;
    eventually("all four", || upstream.count() == 4).await;

    let seeing = async {
        let goaway = frames.next_of(GOAWAY).await.unwrap();
        assert_eq!(goaway.code(), 0);
        assert!(tokio::net::TcpStream::connect(traffic).await.is_err(), "somebody still listens");
        uploading.send(second).await;
        let reply = uploading.reply().await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "taken"));
        assert_eq!(reply.head.get("connection"), Some("close"));
        assert_eq!(uploading.rest().await, "");
        frames.send(&Frame::data(1, "ole").ends()).await;
        let taken = frames.outcome(1).await;
        assert_eq!((taken.status, taken.body.as_slice()), (200, &b"taken"[..]));
        // Whoever is let on lets on the other.
        gate.open();
        let (downloaded, streamed) = tokio::join!(
            async {
                let body = downloading.body(&head).await;
                gate.open();
                body
            },
            async {
                let outcome = frames.outcome(3).await;
                gate.open();
                outcome
            }
        );
        assert_eq!((downloaded.bytes.as_slice(), downloaded.complete), (&b"half"[..], true));
        assert!(streamed.end_stream && streamed.body.ends_with(b"lf"), "{streamed:?}");
        assert_eq!(
            (streamed.reset, frames.end().await),
            (None, None),
            "it ends without a word more"
        );
    };
    let (ended, ()) = soon("the end", async { tokio::join!(sidecar.close(), seeing) }).await;
    assert!(ended, "something was cut off");
}

#[tokio::test]
async fn events_flow_until_the_grace_is_over() {
    let gate = Gate::default();
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let event = "9\r\ndata: 1\n\n\r\n";
    let steps = vec![
        Step::ReadBody,
        Step::Send(head.into()),
        Step::Wait(gate.clone()),
        Step::Send(event.into()),
        Step::Hold,
    ];
    let upstream = Server::start(always(steps));
    let settings = "shutdown: { wait: 0s, grace: 3s }\n";
    let sidecar = Sidecar::before(&upstream).settings(settings).open().await;
    let mut frames = Frames::connect(sidecar.traffic).await;
    frames.request(1, &request("GET", "/public/events", &[])).await;
    eventually("the request", || upstream.count() == 1).await;
    let seeing = async {
        frames.next_of(GOAWAY).await.unwrap();
        gate.open();
        assert_eq!(
            frames.next_of(0).await.map(|frame| frame.payload),
            Some(b"data: 1\n\n".to_vec())
        );
    };
    let (ended, ()) = soon("the end", async { tokio::join!(sidecar.close(), seeing) }).await;
    assert!(!ended, "it lasts longer than the grace");
}

#[tokio::test]
async fn idle_connections_of_both_protocols_end_at_once() {
    let upstream = Server::start(ok());
    let settings = "shutdown: { wait: 0s, grace: 60s }\n";
    let sidecar = Sidecar::before(&upstream).settings(settings).open().await;
    let mut silent = Client::connect(sidecar.traffic).await;
    let mut kept = Client::connect(sidecar.traffic).await;
    assert_eq!(kept.ask(&ask("GET", "/public/a")).await.status, 200);
    let mut frames = Frames::connect(sidecar.traffic).await;
    frames.request(1, &request("GET", "/public/a", &[])).await;
    assert_eq!(frames.outcome(1).await.status, 200);
    let seeing = async {
        assert_eq!((silent.rest().await.as_str(), kept.rest().await.as_str()), ("", ""));
        // It does not even answer the PING that asks whether it has heard.
        assert_eq!(frames.end().await, Some(0));
    };
    let (ended, ()) = soon("the end", async { tokio::join!(sidecar.close(), seeing) }).await;
    assert!(ended);
}
