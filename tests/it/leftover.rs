//! Clients that still send when their answer is ready: they come to see it, and go on.

use crate::support::frames::{Frame, Frames, NO_ERROR, RST_STREAM, WINDOW_UPDATE, request};
use crate::support::{
    Client, READ, Server, Sidecar, Step, always, answer, ask, eventually, ok, status,
};

/// More than sockets hold on the way.
const LARGE: usize = 16 * 1024 * 1024;

#[tokio::test]
async fn a_client_that_sends_its_whole_body_first_reads_its_refusal() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let body = vec![b'x'; LARGE];
    let mut client = Client::connect(sidecar.traffic).await;
    client.send(ask("POST", "/nothing").body(&body).bytes()).await;
    let reply = client.reply().await;
    assert_eq!(reply.verdict(), "404 route-unknown");
    assert_eq!(reply.head.get("connection"), Some("close"));
    // It ends in order: no second answer, and no reset.
    assert_eq!(client.rest().await, "");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_refused_client_that_waits_is_not_asked_for_its_body() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let asked = ask("POST", "/nothing").header("Expect", "100-continue").body(b"body");
    let mut client = Client::connect(sidecar.traffic).await;
    client.send(asked.head()).await;
    let head = client.head().await.unwrap();
    assert_eq!(status(&head), 404);
    client.body(&head).await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_connection_whose_answer_came_first_goes_on_when_its_body_has_ended() {
    let early = always(vec![Step::Send(answer("200 OK", "text/plain", "early")), Step::ReadBody]);
    let upstream = Server::start(early);
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Client::connect(sidecar.traffic).await;
    let body = vec![b'x'; 4096];
    client.send(ask("POST", "/public/a").body(&body).head()).await;
    assert_eq!(client.reply().await.text(), "early");
    client.send(&body).await;
    assert_eq!(client.ask(&ask("GET", "/public/b")).await.text(), "early");
    assert_eq!(upstream.last().head.start, "GET /public/b HTTP/1.1");
}

#[tokio::test]
async fn over_http2_the_end_of_a_body_may_come_after_its_answer() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    let head = request("POST", "/public/upload", &[("content-length", "4")]);
    client.send(&Frame::headers(1, &head)).await;
    client.send(&Frame::data(1, "body")).await;
    let outcome = client.outcome(1).await;
    assert_eq!((outcome.verdict().as_str(), outcome.end_stream), ("200", true));
    client.send(&Frame::data(1, "").ends()).await;
    client.request(3, &request("GET", READ, &[])).await;
    assert_eq!(first_of(&mut client, &[1, 3]).await.stream, 3, "the first stream was reset");
    // Its connection to the API was used to the end, and serves again.
    client.request(5, &request("GET", "/public/more", &[])).await;
    assert_eq!(client.outcome(5).await.verdict(), "200");
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn over_http2_a_client_may_send_its_body_to_the_end_after_a_refusal() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    client.send(&Frame::headers(1, &request("POST", "/nothing", &[]))).await;
    assert_eq!(client.outcome(1).await.verdict(), "404 route-unknown");
    client.send(&Frame::data(1, vec![b'x'; 16 * 1024])).await;
    client.send(&Frame::data(1, "").ends()).await;
    client.request(3, &request("GET", READ, &[])).await;
    assert_eq!(first_of(&mut client, &[1, 3]).await.stream, 3, "the first stream was reset");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_read_for_ever() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    client.send(&Frame::headers(1, &request("POST", "/nothing", &[]))).await;
    assert_eq!(client.outcome(1).await.verdict(), "404 route-unknown");
    let reset = client.next_of(RST_STREAM).await.unwrap();
    assert_eq!((reset.stream, reset.code()), (1, NO_ERROR));
    // The same over HTTP/1.1: the connection ends.
    let mut client = Client::connect(sidecar.traffic).await;
    client.send(ask("POST", "/nothing").body(b"never sent").head()).await;
    assert_eq!(client.reply().await.status, 404);
    assert_eq!(client.rest().await, "");
    eventually("the records", || sidecar.records.all().len() == 2).await;
}

/// The next frame of one of these streams.
async fn first_of(client: &mut Frames, streams: &[u32]) -> Frame {
    loop {
        let frame = client.next().await.unwrap();
        if streams.contains(&frame.stream) && frame.kind != WINDOW_UPDATE {
            return frame;
        }
    }
}
