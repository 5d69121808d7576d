//! The end of the process: unready first, still serving, then the end of what runs.

use crate::support::{
    Client, Gate, READ, Server, Sidecar, Step, always, answer, ask, eventually, exchange, ok, soon,
};
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn while_it_waits_it_is_unready_and_serves_everyone() {
    let upstream = Server::start(ok());
    // Cut short as soon as the test has seen what it wants.
    let settings = "shutdown: { wait: 30s, grace: 10s }\n";
    let sidecar = Sidecar::before(&upstream).settings(settings).open().await;
    let (traffic, admin) = (sidecar.traffic, sidecar.admin);
    let ready = async || exchange(admin, ask("GET", "/readyz").bytes()).await;
    assert_eq!(ready().await.status, 200);
    let mut old = Client::connect(traffic).await;
    assert_eq!(old.ask(&ask("GET", READ).bearer()).await.status, 200);
    let seeing = async {
        let unready = async { while ready().await.status != 503 {} };
        soon("unreadiness", unready).await;
        assert_eq!(ready().await.text(), "draining\n");
        assert_eq!(exchange(admin, ask("GET", "/livez").bytes()).await.status, 200);
        for _ in 0..3 {
            assert_eq!(exchange(traffic, ask("GET", READ).bearer().bytes()).await.status, 200);
            assert_eq!(old.ask(&ask("GET", READ).bearer()).await.status, 200);
        }
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
