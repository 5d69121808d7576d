//! The API behind in every protocol: what it is told, what comes back, and who notices when one side leaves.

mod frames;
mod from_http2;

use crate::support::peers::{Authority, Flaw};
use crate::support::{
    Api, Client, Kind, Server, Sidecar, Step, always, ask, eventually, exchange, ok, soon,
};
use futures_util::future::join_all;
use http::Version;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

async fn pair(kind: Kind, further: &str) -> (Api, Sidecar) {
    let api = Api::start(kind).await;
    let sidecar = Sidecar::at("http://unused:1").settings(&api.settings(further)).open().await;
    (api, sidecar)
}

#[tokio::test]
async fn each_kind_of_upstream_is_told_the_same() {
    for kind in Kind::ALL {
        let (api, sidecar) = pair(kind, "").await;
        let mut client = Client::connect(sidecar.traffic).await;
        for (method, target) in [
            ("GET", "/public/a?x=%2f%2F&y=a+b&&z&=/../%2e"),
            ("DELETE", "/public/%C3%A6"),
            ("OPTIONS", "/public/a?"),
            ("PURGE", "/public/~a-._b!$&'()*+,=:@"),
        ] {
            let asked = ask(method, target)
                .header("TE", "trailers, gzip")
                .header("Connection", "X-One, TE")
                .header("X-One", "1")
                .header("Cookie", "a=1");
            assert_eq!(client.ask(&asked).await.text(), "ok", "{kind:?} {target}");
            let told = api.last();
            assert_eq!(told.method.as_str(), method);
            assert_eq!(told.uri.path_and_query().unwrap().as_str(), target, "{kind:?}");
            let authority = told.uri.authority().map(ToString::to_string);
            let host = told.headers.get("host").map(|host| host.to_str().unwrap().to_owned());
            let expected = Some("api.example.no".to_owned());
            let scheme = told.uri.scheme_str();
            if kind.is_http2() {
                assert_eq!((told.version, authority, host), (Version::HTTP_2, expected, None));
                assert_eq!(scheme, Some(if kind == Kind::H2c { "http" } else { "https" }));
            } else {
                assert_eq!((told.version, authority, host), (Version::HTTP_11, None, expected));
                assert_eq!(told.headers["connection"], "te", "{kind:?}");
            }
            assert_eq!(told.headers["te"], "trailers");
            assert_eq!(told.headers["x-forwarded-proto"], "http");
            assert!(told.headers.get("x-one").is_none());
        }
        let reply = client.ask(&ask("GET", "/public/x")).await;
        assert_eq!(reply.head.names(|name| name == "alt-svc"), [""; 0]);
        assert_eq!(api.accepted(), 1, "{kind:?}: the connection is kept");
    }
}

#[tokio::test]
async fn each_kind_carries_bodies_both_ways_and_their_trailers() {
    let large: Vec<u8> = (0..1_usize << 20).map(|at| u8::try_from(at % 251).unwrap()).collect();
    for kind in Kind::ALL {
        let (api, sidecar) = pair(kind, "").await;
        let mut client = Client::connect(sidecar.traffic).await;
        for method in ["POST", "GET"] {
            let asked = ask(method, "/public/echo").header("TE", "trailers");
            let reply = client.ask(&asked.clone().body(&large)).await;
            assert_eq!((reply.status, reply.body.complete), (200, true), "{kind:?} {method}");
            assert!(reply.body.bytes == large, "{kind:?} {method}: the body has changed");
            let trailers = "x-sum: 1\r\nportvakt-party: 1\r\nauthorization: 1\r\n";
            let names = "x-sum, portvakt-party, authorization";
            let asked = asked.header("Trailer", names).chunked(b"hello", trailers);
            let reply = client.ask(&asked).await;
            assert_eq!((reply.text().as_str(), reply.body.complete), ("hello", true), "{kind:?}");
            let expected = [("x-sum".to_owned(), "1".to_owned())];
            assert_eq!(reply.body.trailers, expected, "{kind:?} {method}");
        }
        client.send(ask("HEAD", "/public/x").bytes()).await;
        assert_eq!(client.reply_to("HEAD").await.status, 200, "{kind:?}");
        // Nobody who did not ask for trailers is given any.
        let asked = ask("POST", "/public/echo").header("Trailer", "x-sum");
        let reply = client.ask(&asked.chunked(b"hello", "x-sum: 1\r\n")).await;
        assert!(reply.body.trailers.is_empty() && reply.body.complete, "{kind:?}");
        if kind.is_http2() {
            assert_eq!(api.accepted(), 1, "{kind:?}: the connection is kept");
        }
    }
}

#[tokio::test]
async fn an_early_answer_comes_at_once_and_harms_nobody_else() {
    for kind in Kind::ALL {
        let (api, sidecar) = pair(kind, "").await;
        let mut client = Client::connect(sidecar.traffic).await;
        client.send(ask("POST", "/public/early").header("Content-Length", "1000000").head()).await;
        client.send("half of it").await;
        let reply = client.reply().await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "early"), "{kind:?}");
        for _ in 0..3 {
            let reply = exchange(sidecar.traffic, ask("GET", "/public/next").bytes()).await;
            assert_eq!(reply.text(), "ok", "{kind:?}");
        }
        if !kind.is_http2() {
            assert_eq!(api.last().connection, 1, "{kind:?}: the first is not used again");
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_exchange_and_no_other() {
    for kind in Kind::ALL {
        for (at, target, sends, answered) in [
            ("waiting", "/public/hold", false, false),
            ("within the answer", "/public/part", false, true),
            ("within its own body", "/public/hold", true, false),
            ("within both", "/public/part", true, true),
            ("within an echo", "/public/echo", true, true),
        ] {
            if at == "within both" && !kind.is_http2() {
                // Over HTTP/1.1 this API reads no more, and so does not notice.
                continue;
            }
            let (api, sidecar) = pair(kind, "").await;
            let mut other = Client::connect(sidecar.traffic).await;
            other.send(ask("GET", "/public/part").bytes()).await;
            let head = other.head().await.unwrap();
            let mut client = Client::connect(sidecar.traffic).await;
            if sends {
                client.send(ask("POST", target).header("Content-Length", "100").head()).await;
                client.send("some").await;
            } else {
                client.send(ask("GET", target).bytes()).await;
            }
            eventually("the request", || api.count() == 2).await;
            if answered {
                client.head().await.unwrap();
            }
            drop(client);
            eventually(&format!("{kind:?}: the end {at}"), || api.exchanges_ended() == 1).await;
            if kind.is_http2() {
                assert_eq!((api.accepted(), api.ended()), (1, 0), "{kind:?} {at}");
                let reply = exchange(sidecar.traffic, ask("GET", "/public/x").bytes()).await;
                assert_eq!(reply.status, 200, "{kind:?} {at}");
                assert_eq!(api.accepted(), 1, "{kind:?} {at}: the connection is still shared");
            }
            assert_eq!(crate::support::status(&head), 200);
            other.at_least(4).await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_complete() {
    for kind in Kind::ALL {
        let (_api, sidecar) = pair(kind, "").await;
        let reply = exchange(sidecar.traffic, ask("GET", "/public/break").bytes()).await;
        // If the fault comes together with the head, there may be no answer at all.
        assert!(matches!(reply.status, 0 | 200) && !reply.body.complete, "{kind:?}");
    }
}

#[tokio::test]
async fn a_body_that_stops_coming_ends_its_exchange() {
    for kind in Kind::ALL {
        let server = "server: { limits: { body_idle_timeout: 400ms } }\n";
        let api = Api::start(kind).await;
        let settings = api.settings("") + server;
        let sidecar = Sidecar::at("http://unused:1").settings(&settings).open().await;
        let mut client = Client::connect(sidecar.traffic).await;
        client.send(ask("POST", "/public/hold").header("Content-Length", "100").head()).await;
        client.send("some").await;
        let reply = client.reply().await;
        assert_eq!(reply.verdict(), "408 request-timeout", "{kind:?}");
        assert_eq!(reply.head.get("connection"), Some("close"));
        eventually("the end of the exchange", || api.exchanges_ended() == 1).await;
    }
}

#[tokio::test]
async fn a_conversation_in_which_nobody_says_a_word_is_over() {
    for kind in Kind::ALL {
        let (api, sidecar) = pair(kind, ", body_idle_timeout: 400ms").await;
        let reply = exchange(sidecar.traffic, ask("GET", "/public/part").bytes()).await;
        assert_eq!((reply.status, reply.body.complete), (200, false), "{kind:?}");
        assert_eq!(reply.text(), "part");
        eventually("the end of the exchange", || api.exchanges_ended() == 1).await;
        // The client's silence within its body is no other.
        let mut client = Client::connect(sidecar.traffic).await;
        client.send(ask("POST", "/public/echo").header("Content-Length", "100").head()).await;
        client.send("some").await;
        let reply = client.reply().await;
        assert_eq!((reply.status, reply.body.complete), (200, false), "{kind:?}");
        eventually("the end of the echo", || api.exchanges_ended() == 2).await;
    }
}

#[tokio::test]
async fn while_one_side_speaks_the_silence_of_the_other_ends_nothing() {
    let talking = Kind::ALL.map(async |kind| {
        let (_api, sidecar) = pair(kind, ", body_idle_timeout: 2s").await;
        let mut client = Client::connect(sidecar.traffic).await;
        client.send(ask("POST", "/public/part").header("Content-Length", "100").head()).await;
        assert!(client.head().await.is_some());
        // Time is what this is about: each part comes well within the limit, all of them beyond it.
        let mut pace = tokio::time::interval(Duration::from_millis(250));
        for _ in 0..12 {
            pace.tick().await;
            client.send("x").await;
        }
        client.at_least(4).await;
    });
    join_all(talking).await;
}

#[tokio::test]
async fn an_api_that_does_not_read_is_given_up_and_holds_little() {
    const LARGE: usize = 64 << 20;
    // By leaps, and so slowly that the proxy has always sent on what came before.
    for (kind, slowly) in Kind::ALL.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let (api, sidecar) = pair(kind, ", response_timeout: 500ms").await;
        let mut client = soon("a connection", TcpStream::connect(sidecar.traffic)).await.unwrap();
        let length = LARGE.to_string();
        let asked = ask("POST", "/public/unread").header("Content-Length", &length);
        client.write_all(&asked.head()).await.unwrap();
        let taken = std::cell::Cell::new(0_usize);
        let (from, mut to) = client.split();
        let sending = async {
            let piece = vec![b'x'; if slowly { 16 * 1024 } else { 64 * 1024 }];
            while to.write_all(&piece).await.is_ok() {
                taken.set(taken.get() + piece.len());
                for _ in 0..if slowly { 10 } else { 0 } {
                    tokio::task::yield_now().await;
                }
            }
            std::future::pending::<()>().await;
        };
        // What it still sends when it is refused is read and thrown away.
        tokio::select! {
            () = sending => {},
            refused = soon("the refusal", from.readable()) => refused.unwrap(),
        }
        assert_eq!(sidecar.records.when(1).await[0]["code"], "upstream-timeout", "{kind:?}");
        assert_eq!(api.count(), 1);
        // Sockets of the machine hold most of it.
        assert!(taken.get() < LARGE / 2, "{kind:?}: {} bytes", taken.get());
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_api() {
    for kind in Kind::ALL {
        let (api, sidecar) = pair(kind, "").await;
        let mut slow = Client::connect(sidecar.traffic).await;
        slow.send(ask("GET", "/public/flood").bytes()).await;
        assert!(slow.head().await.is_some());
        // It has stopped when it does not move while another exchange goes there and back fifty times.
        let mut before = 0;
        soon("the end of the flood", async {
            while before != api.sent() || before == 0 {
                before = api.sent();
                for _ in 0..50 {
                    let reply = exchange(sidecar.traffic, ask("GET", "/public/x").bytes()).await;
                    assert_eq!(reply.status, 200, "{kind:?}: others are not held up");
                }
            }
        })
        .await;
        assert!(before < 32 << 20, "{kind:?}: {before} bytes");
        slow.at_least(64 << 20).await;
        drop(slow);
        eventually("the end of the exchange", || api.exchanges_ended() > 0).await;
    }
}

#[tokio::test]
async fn exchanges_share_connections_and_each_carries_so_many() {
    for kind in [Kind::H2c, Kind::HttpsTwo] {
        let (api, sidecar) = pair(kind, "").await;
        let mut clients = Vec::new();
        for _ in 0..70 {
            let mut client = Client::connect(sidecar.traffic).await;
            client.send(ask("GET", "/public/part").bytes()).await;
            clients.push(client);
        }
        for client in &mut clients {
            assert!(client.head().await.is_some());
        }
        assert_eq!((api.count(), api.accepted()), (70, 3), "{kind:?}");
        drop(clients);
        eventually("the end of the exchanges", || api.exchanges_ended() == 70).await;
    }
}

#[tokio::test]
async fn shared_connections_end_when_nobody_uses_them_and_with_the_process() {
    let (api, sidecar) = pair(Kind::H2c, ", idle_timeout: 50ms").await;
    for expected in 1..3 {
        let reply = exchange(sidecar.traffic, ask("GET", "/public/x").bytes()).await;
        assert_eq!(reply.status, 200);
        eventually("the end of the connection", || api.ended() == expected).await;
    }
    let (api, sidecar) = pair(Kind::HttpsTwo, ", idle_timeout: 1h").await;
    assert_eq!(exchange(sidecar.traffic, ask("GET", "/public/x").bytes()).await.status, 200);
    sidecar.end().await;
    eventually("the end of the connection", || api.ended() == 1).await;
}

#[tokio::test]
async fn a_certificate_that_is_not_believed_is_no_api() {
    let authority = Authority::new();
    let server = Server::start(ok());
    let settings = format!(
        "upstream: {{ url: 'https://{}', ca_file: '{}' }}\n",
        server.address,
        authority.file().display()
    );
    let sidecar = Sidecar::at("http://unused:1").settings(&settings).open().await;
    for flaw in Flaw::ALL {
        server.receive(authority.flawed(flaw));
        let reply = exchange(sidecar.traffic, ask("GET", "/public/x").bytes()).await;
        assert_eq!(reply.verdict(), "502 upstream-unreachable", "{flaw:?}");
    }
    assert_eq!(server.count(), 0);
    // Without ALPN it is HTTP/1.1.
    server.receive(authority.porch());
    let reply = exchange(sidecar.traffic, ask("GET", "/public/x").bytes()).await;
    assert_eq!((reply.status, server.count()), (200, 1));
}

#[tokio::test]
async fn new_connections_believe_whom_a_changed_file_names() {
    let (first, second) = (Authority::new(), Authority::new());
    let file = std::env::temp_dir().join(format!("pv-{}.pem", uuid::Uuid::new_v4().simple()));
    let write = |from: &Authority| std::fs::copy(from.file(), &file).unwrap();
    write(&first);
    let server = Server::start(ok());
    let settings = format!(
        "upstream: {{ url: 'https://{}', ca_file: '{}', max_idle: 0 }}\n",
        server.address,
        file.display()
    );
    let sidecar = Sidecar::at("http://unused:1").settings(&settings).open().await;
    let verdict = async || {
        let request = ask("GET", "/public/x").header("Connection", "close").bytes();
        exchange(sidecar.traffic, request).await.verdict()
    };
    server.receive(first.porch());
    assert_eq!(verdict().await, "200");
    server.receive(second.porch());
    assert_eq!(verdict().await, "502 upstream-unreachable");
    write(&second);
    soon("the changed file", async {
        while verdict().await != "200" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let _ = std::fs::remove_file(&file);
}

#[tokio::test]
async fn an_api_that_is_not_there_is_unreachable_at_once() {
    for url in ["unix:/nowhere/api.sock", "h2c://127.0.0.1:1", "https://127.0.0.1:1"] {
        let settings = format!("upstream: {{ url: '{url}' }}\n");
        let sidecar = Sidecar::at("http://unused:1").settings(&settings).open().await;
        let reply = exchange(sidecar.traffic, ask("GET", "/public/x").bytes()).await;
        assert_eq!(reply.verdict(), "502 upstream-unreachable", "{url}");
    }
}

#[tokio::test]
async fn the_head_of_an_answer_has_one_meaning_and_a_size() {
    let head = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
    let chunked = "2\r\nok\r\n0\r\n\r\n";
    let both = "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n";
    let reversed = "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n";
    let rows = [
        ("both framings", head(both) + chunked),
        ("both framings, reversed", head(reversed) + chunked),
        ("one length twice", head("Content-Length: 2\r\nContent-Length: 2\r\n") + "ok"),
        ("a list of lengths", head("Content-Length: 2, 2\r\n") + "ok"),
        ("a length with a sign", head("Content-Length: +2\r\n") + "ok"),
        ("another coding", head("Transfer-Encoding: gzip\r\n") + "ok"),
        ("a coding before it", head("Transfer-Encoding: gzip, chunked\r\n") + chunked),
        (
            "a coding in HTTP/1.0",
            head("Transfer-Encoding: chunked\r\n").replace("1.1", "1.0") + chunked,
        ),
        ("a head of 70 KiB", head(&format!("x: {}\r\n", "a".repeat(70 << 10)))),
        ("101 lines", head(&"x: 1\r\n".repeat(101))),
        ("a folded line", head("X-A: 1\r\n b\r\nContent-Length: 0\r\n")),
        ("another protocol", "HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned()),
    ];
    for (name, bytes) in rows {
        let steps = vec![Step::ReadBody, Step::Send(bytes.into()), Step::Close];
        let upstream = Server::start(always(steps));
        let sidecar = Sidecar::before(&upstream).open().await;
        let reply = exchange(sidecar.traffic, ask("GET", "/public/x").bytes()).await;
        assert_eq!(reply.verdict(), "502 upstream-protocol-error", "{name}");
        eventually("the end of the connection", || upstream.ended() == 1).await;
        assert_eq!(upstream.count(), 1, "{name}");
    }
    for (name, body) in [
        ("a chunk size that is none", "2\r\nok\r\nx\r\n\r\n"),
        ("a chunk longer than it says", "1\r\nok\r\n0\r\n\r\n"),
        ("no last chunk", "2\r\nok\r\n"),
    ] {
        let bytes = head("Transfer-Encoding: chunked\r\n") + body;
        let steps = vec![Step::ReadBody, Step::Send(bytes.into()), Step::Close];
        let upstream = Server::start(always(steps));
        let sidecar = Sidecar::before(&upstream).open().await;
        let reply = exchange(sidecar.traffic, ask("GET", "/public/x").bytes()).await;
        assert_eq!((reply.status, reply.body.complete), (200, false), "{name}");
    }
}

#[tokio::test]
async fn values_of_an_answer_pass_as_the_bytes_they_are() {
    let head = b"HTTP/1.0 299 Own Words\r\nSet-Cookie: a=\xe6\xf8; Path=/\r\nSet-Cookie: b\r\n\
                 X-Empty:\r\nDate: yesterday\r\n\r\nbody";
    let steps = vec![Step::ReadBody, Step::Send(head.to_vec().into()), Step::Close];
    let upstream = Server::start(always(steps));
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Client::connect(sidecar.traffic).await;
    client.send(ask("GET", "/public/x").header("Connection", "close").bytes()).await;
    let raw = client.rest_bytes().await;
    let has = |part: &[u8]| raw.windows(part.len()).any(|window| window == part);
    assert!(raw.starts_with(b"HTTP/1.1 299 Own Words\r\n"));
    assert!(has(b"set-cookie: a=\xe6\xf8; Path=/\r\n") && has(b"set-cookie: b\r\n"));
    assert!(has(b"x-empty: \r\n") && has(b"date: yesterday\r\n"));
    assert!(has(b"transfer-encoding: chunked\r\n") && raw.ends_with(b"0\r\n\r\n"));
}
