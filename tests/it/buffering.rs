//! Bodies that are read before they are forwarded: of each kind, compressed, and the memory they share.

use crate::support::{
    Ask, Client, DENIED, PERMITTED, Reply, SYSTEM_USER, Server, Sidecar, WRITE, ask, claims,
    eventually, exchange, ok, sign, soon, with,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::net::SocketAddr;

const RULES: &str = r#"
api: it
defaults: { resource: r-write, scopes: ["it:read"] }
rules:
  - id: gzip
    match: { method: POST, path: /gzip }
    action: write
    party: json:/orgnr
    content_encoding: [gzip]
    max_decompressed: 64KiB
  - { id: write-report, match: { method: POST, path: /v1/reports }, action: write, party: json:/orgnr }
  - id: lines
    match: { method: POST, path: /lines }
    action: write
    party: { from: "json:/items/*/orgnr", many: all, max: 3 }
  - id: xml
    match: { method: POST, path: /xml }
    action: write
    party: xml:/p:order/p:orgnr
    namespaces: { p: "urn:example:order" }
  - { id: form, match: { method: POST, path: /form }, action: write, party: form:orgnr }
  - { id: public, match: { method: POST, path: /public }, protection: public }
"#;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// JSON about this party, of exactly so many bytes.
fn json(party: &str, bytes: usize) -> String {
    let bare = format!(r#"{{"orgnr":"{party}","x":""}}"#);
    let filling = "x".repeat(bytes - bare.len());
    bare.replace(r#""x":"""#, &format!(r#""x":"{filling}""#))
}

fn posts(target: &str, media_type: &str) -> Ask {
    ask("POST", target).bearer().header("Content-Type", media_type)
}

async fn verdict(traffic: SocketAddr, asked: &Ask) -> String {
    exchange(traffic, asked.bytes()).await.verdict()
}

#[tokio::test]
async fn each_kind_of_body_is_judged_and_forwarded_as_it_came() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).rules(RULES).open().await;
    let order = |party: &str| {
        format!(
            "\u{FEFF}<?xml version=\"1.0\"?>\n<o:order xmlns:o='urn:example:order'><o:orgnr>{party}</o:orgnr> </o:order>\n"
        )
    };
    let lines =
        |party: &str| format!(r#"{{"items":[{{"orgnr":"{PERMITTED}"}}, {{"orgnr":"{party}"}}]}}"#);
    let form = |party: &str| format!("x=+%2B&orgnr={party}&y=");
    for (target, media_type, body) in [
        ("/xml", "application/vnd.order+xml", &order as &dyn Fn(&str) -> String),
        ("/lines", "application/json", &lines),
        ("/form", "application/x-www-form-urlencoded", &form),
    ] {
        for (party, expected) in [(PERMITTED, "200"), (DENIED, "403 access-denied")] {
            let body = body(party);
            let whole = posts(target, media_type).body(body.as_bytes());
            assert_eq!(verdict(sidecar.traffic, &whole).await, expected, "{target}");
            let chunked = posts(target, media_type).chunked(body.as_bytes(), "");
            assert_eq!(verdict(sidecar.traffic, &chunked).await, expected, "{target}");
            if party == PERMITTED {
                assert_eq!(upstream.last().body.unwrap().bytes, body.as_bytes());
            }
        }
        let other = posts(target, "text/plain").body(body(PERMITTED).as_bytes());
        assert_eq!(verdict(sidecar.traffic, &other).await, "415 unsupported-body", "{target}");
    }
    sidecar.end().await;
}

#[tokio::test]
async fn a_compressed_body_is_judged_by_what_it_means_and_sent_as_it_came() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).rules(RULES).open().await;
    let asked = |target: &str, body: &[u8]| {
        posts(target, "application/json").header("Content-Encoding", "gzip").body(body)
    };
    let sound = gzip(json(PERMITTED, 1000).as_bytes());
    let mut lying = gzip(json(PERMITTED, 100_000).as_bytes());
    let end = lying.len() - 4;
    lying[end..].copy_from_slice(&1000u32.to_le_bytes());
    for (target, body, expected) in [
        ("/gzip", &sound, "200"),
        ("/gzip", &gzip(json(DENIED, 1000).as_bytes()), "403 access-denied"),
        ("/gzip", &gzip(json(PERMITTED, 64 * 1024).as_bytes()), "200"),
        ("/gzip", &gzip(json(PERMITTED, 64 * 1024 + 1).as_bytes()), "413 body-too-large"),
        ("/gzip", &gzip(&vec![b' '; 50_000_000]), "413 body-too-large"),
        ("/gzip", &lying, "400 body-unreadable"),
        ("/gzip", &[&sound[..], &sound[..]].concat(), "400 body-unreadable"),
        ("/gzip", &[&sound[..], b"x"].concat(), "400 body-unreadable"),
        ("/gzip", &json(PERMITTED, 100).into_bytes(), "400 body-unreadable"),
        (WRITE, &sound, "415 unsupported-body"),
        ("/public", &sound, "200"),
    ] {
        let forwarded = upstream.count();
        assert_eq!(verdict(sidecar.traffic, &asked(target, body)).await, expected, "{target}");
        if expected == "200" {
            let seen = upstream.last();
            assert_eq!(seen.head.all("content-encoding"), ["gzip"]);
            assert_eq!(&seen.body.unwrap().bytes, body);
        } else {
            assert_eq!(upstream.count(), forwarded);
        }
    }
    sidecar.end().await;
}

#[tokio::test]
async fn bodies_that_are_read_share_their_memory_and_give_it_back() {
    let upstream = Server::start(ok());
    let limits = "server: { limits: { max_buffered_body: 32KiB, max_buffered_total: 128KiB } }\n";
    let sidecar = Sidecar::before(&upstream).rules(RULES).settings(limits).open().await;
    let body = json(PERMITTED, 32 * 1024);
    let whole = posts(WRITE, "application/json").body(body.as_bytes()).bytes();
    let by_another = |last: usize| {
        let id = format!("a0000002-0000-4000-8000-0000000000{last:02}");
        let token = sign(&with(claims(), "/authorization_details/0/systemuser_id/0", id));
        let asked = ask("POST", WRITE).token(&token).header("Content-Type", "application/json");
        asked.body(body.as_bytes()).bytes()
    };
    // All but the last byte of one body: it holds what the caller's next one would need.
    let mut slow = Client::connect(sidecar.traffic).await;
    slow.send(&whole[..whole.len() - 1]).await;
    let refused = soon("a refusal for want of room", async {
        loop {
            let reply = exchange(sidecar.traffic, &whole).await;
            if reply.status != 200 {
                break reply;
            }
        }
    })
    .await;
    assert_eq!(refused.verdict(), "503 overloaded");
    assert_eq!(refused.head.get("retry-after"), Some("1"));
    let said = format!("bodies of the system user {SYSTEM_USER} hold all of the 32768 bytes");
    eventually("the record of the refusal", || sidecar.records.text().contains(&said)).await;
    // Others have what is left, until several hold all there is.
    assert_eq!(exchange(sidecar.traffic, by_another(99)).await.status, 200);
    let mut others = Vec::new();
    soon("no room for anybody", async {
        while !sidecar.records.text().contains("bodies that are read hold all of the 131072 bytes")
        {
            // Each a caller of its own: what the one before has sent may not be given back yet.
            let whole = by_another(others.len());
            let mut client = Client::connect(sidecar.traffic).await;
            client.send(&whole[..whole.len() - 1]).await;
            others.push(client);
            exchange(sidecar.traffic, by_another(98)).await;
        }
    })
    .await;
    drop(others);
    // What needs no room is served as ever.
    let streamed = ask("POST", "/public").body(body.as_bytes());
    assert_eq!(exchange(sidecar.traffic, streamed.bytes()).await.status, 200);
    slow.send(&whole[whole.len() - 1..]).await;
    assert_eq!(slow.reply().await.status, 200);
    // Also what a client leaves behind is free again, and what was refused.
    for _ in 0..5 {
        let mut leaver = Client::connect(sidecar.traffic).await;
        leaver.send(&whole[..whole.len() - 1]).await;
        drop(leaver);
    }
    soon("room again", async {
        let ask_again = async || -> Reply { exchange(sidecar.traffic, &whole).await };
        while ask_again().await.status != 200 {}
    })
    .await;
    sidecar.end().await;
}
