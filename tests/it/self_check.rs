//! What the self-check finds, where it is told, and what follows.

use crate::support::{Server, Sidecar, Step, always, ask, exchange, jwks, ok, soon};
use portvakt::token::KeyLocation;
use std::net::{Ipv4Addr, TcpListener};

/// An API that listens for others, too.
fn open_api() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    (listener, url)
}

/// An issuer whose answers say that it is this time.
fn issuer(date: &str) -> Server {
    let keys = String::from_utf8(jwks()).unwrap();
    let length = keys.len();
    let answer =
        format!("HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-length: {length}\r\n\r\n{keys}");
    Server::start(always(vec![Step::ReadBody, Step::Send(answer.into())]))
}

async fn failed(sidecar: &Sidecar) -> Vec<String> {
    let metrics = sidecar.metrics().await;
    let one = |line: &str| {
        let line = line.strip_prefix("portvakt_self_check_failed{check=\"")?;
        line.strip_suffix("\"} 1").map(str::to_owned)
    };
    metrics.lines().filter_map(one).collect()
}

async fn ready(sidecar: &Sidecar) -> (u16, String) {
    let reply = exchange(sidecar.admin, ask("GET", "/readyz").bytes()).await;
    (reply.status, reply.text())
}

#[tokio::test]
async fn a_sound_place_has_no_findings() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).settings("self_check: refuse\n").open().await;
    assert_eq!(ready(&sidecar).await, (200, "ready\n".to_owned()));
    assert_eq!(failed(&sidecar).await, [""; 0]);
    assert!(sidecar.metrics().await.contains("portvakt_self_check_failed{check=\"memory\"} 0"));
}

#[tokio::test]
async fn an_api_that_others_reach_is_told_and_with_refuse_there_is_no_start() {
    let (listener, url) = open_api();
    let at = format!("self-check: the API listens on `{}`", listener.local_addr().unwrap());
    let sidecar = Sidecar::at(&url).open().await;
    let (status, said) = ready(&sidecar).await;
    assert_eq!(status, 200);
    assert!(said.lines().nth(1).unwrap().starts_with(&at), "{said}");
    assert_eq!(failed(&sidecar).await, ["upstream"]);
    let fault = Sidecar::at(&url).settings("self_check: refuse\n").refused().await;
    assert!(
        fault.starts_with("`self_check` is `refuse`, and finds:\n- the API listens on"),
        "{fault}"
    );
}

#[tokio::test]
async fn an_issuer_whose_time_is_another_is_told_and_never_ends_the_traffic() {
    let upstream = Server::start(ok());
    for (date, settings, found) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", "", &["clock"][..]),
        ("Sat, 06 Nov 2094 08:49:37 GMT", "self_check: refuse\n", &["clock"]),
        ("some day", "", &[]),
    ] {
        let issuer = issuer(date);
        let keys = || KeyLocation::Jwks(issuer.url().parse().unwrap());
        let sidecar = Sidecar::before(&upstream).keys(keys()).settings(settings).open().await;
        let shown = async { while failed(&sidecar).await != found {} };
        soon("the finding", shown).await;
        let (status, said) = ready(&sidecar).await;
        assert_eq!(
            (status, said.contains("`tokens.leeway` is 10 s")),
            (200, !found.is_empty()),
            "{said}"
        );
    }
}
