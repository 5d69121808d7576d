//! TLS of the listener: versions and protocols, one policy whatever name is asked for, client certificates,
//! and certificates that change.

use crate::support::frames::{Frames, bearer, request};
use crate::support::peers::Authority;
use crate::support::{Client, READ, Server, Sidecar, ask, eventually, ok, soon};
use portvakt::config::Colour;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

/// The files of a listener, which go with it.
struct Files {
    folder: PathBuf,
    authority: Arc<Authority>,
}

impl Files {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("pv-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).unwrap();
        let files = Self { folder, authority: Authority::new() };
        files.write(&files.authority.pair());
        files
    }

    fn write(&self, (certificate, key): &(String, String)) {
        std::fs::write(self.certificate(), certificate).unwrap();
        std::fs::write(self.folder.join("key.pem"), key).unwrap();
    }

    fn certificate(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    fn settings(&self, client_ca: Option<&Path>) -> String {
        let ca = client_ca.map(|path| format!(", client_ca_file: '{}'", path.display()));
        let (certificate, key) = (self.certificate(), self.folder.join("key.pem"));
        format!(
            "server: {{ tls: {{ certificate_file: '{}', key_file: '{}'{} }} }}\n",
            certificate.display(),
            key.display(),
            ca.unwrap_or_default()
        )
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn handshake(
    address: SocketAddr,
    connector: &TlsConnector,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = soon("a connection", TcpStream::connect(address)).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    soon("a handshake", connector.connect(name, stream)).await
}

/// Whether a request gets through: with TLS 1.3 a refused certificate shows after the handshake only.
async fn is_served(address: SocketAddr, connector: &TlsConnector, name: &str) -> bool {
    let Ok(mut stream) = handshake(address, connector, name).await else { return false };
    if stream
        .write_all(&ask("GET", "/public/a").header("Connection", "close").bytes())
        .await
        .is_err()
    {
        return false;
    }
    let mut answer = Vec::new();
    let _ = soon("an answer", stream.read_to_end(&mut answer)).await;
    answer.starts_with(b"HTTP/1.1 200")
}

#[tokio::test]
async fn both_protocols_are_spoken_over_tls_and_the_api_hears_of_it() {
    let (upstream, files) = (Server::start(ok()), Files::new());
    let sidecar = Sidecar::before(&upstream).settings(&files.settings(None)).open().await;
    for protocols in [&[][..], &["http/1.1"]] {
        let connector = files.authority.client(None, protocols);
        let stream = handshake(sidecar.traffic, &connector, "localhost").await.unwrap();
        let mut client = Client::over(stream);
        assert_eq!(client.ask(&ask("GET", READ).bearer()).await.status, 200);
        assert_eq!(upstream.last().head.get("x-forwarded-proto"), Some("https"));
    }
    let connector = files.authority.client(None, &["h2", "http/1.1"]);
    let stream = handshake(sidecar.traffic, &connector, "localhost").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut frames = Frames::over(stream).await;
    let token = bearer();
    frames.request(1, &request("GET", READ, &[("authorization", &token)])).await;
    assert_eq!(frames.outcome(1).await.verdict(), "200");
    assert_eq!(upstream.last().head.get("x-forwarded-proto"), Some("https"));
}

/// Many records are read for one read of plaintext, over and over.
#[tokio::test]
async fn large_bodies_pass_over_tls_whole() {
    let (upstream, files) = (Server::start(ok()), Files::new());
    let sidecar = Sidecar::before(&upstream).settings(&files.settings(None)).open().await;
    let body: Vec<u8> = (0..=250).cycle().take(5_000_000).collect();
    for _ in 0..3 {
        let connector = files.authority.client(None, &["http/1.1"]);
        let stream = handshake(sidecar.traffic, &connector, "localhost").await.unwrap();
        let mut client = Client::over(stream);
        let reply = soon("an answer", client.ask(&ask("POST", "/public/a").body(&body))).await;
        assert_eq!(reply.status, 200);
        assert!(upstream.last().body.unwrap().bytes == body, "it arrives as it was sent");
    }
}

#[tokio::test]
async fn what_is_no_tls_is_not_served() {
    let (upstream, files) = (Server::start(ok()), Files::new());
    let sidecar = Sidecar::before(&upstream).settings(&files.settings(None)).open().await;
    let mut client = Client::connect(sidecar.traffic).await;
    client.send(ask("GET", "/public/a").bytes()).await;
    assert!(!client.rest().await.contains("HTTP/1.1"));
    // A client that knows no protocol of ours.
    let connector = files.authority.client(None, &["spdy/3"]);
    assert!(handshake(sidecar.traffic, &connector, "localhost").await.is_err());
    assert_eq!(upstream.count(), 0);
    assert!(sidecar.records.all().is_empty());
}

/// Case 108.
#[tokio::test]
async fn a_client_certificate_is_demanded_whatever_name_is_asked_for() {
    let (upstream, files) = (Server::start(ok()), Files::new());
    let (clients, strangers) = (Authority::new(), Authority::new());
    let settings = files.settings(Some(clients.file()));
    let sidecar = Sidecar::before(&upstream).settings(&settings).open().await;
    // An address of the network as a name sends no SNI at all.
    for name in ["localhost", "LOCALHOST", "a.it.example", "127.0.0.1"] {
        let none = files.authority.client(None, &[]);
        assert!(!is_served(sidecar.traffic, &none, name).await, "{name} without a certificate");
        for (authority, served) in [(&strangers, false), (&clients, true)] {
            let own = authority.pair();
            let connector = files.authority.client(Some(&own), &[]);
            assert_eq!(is_served(sidecar.traffic, &connector, name).await, served, "{name}");
        }
        let expired = files.authority.client(Some(&clients.expired_pair()), &[]);
        assert!(!is_served(sidecar.traffic, &expired, name).await, "{name} with an expired one");
    }
    assert_eq!(upstream.count(), 4);
}

/// Case 108, with a ClientHello in pieces.
#[tokio::test]
async fn a_client_hello_in_pieces_meets_the_same_demand() {
    let (upstream, files) = (Server::start(ok()), Files::new());
    let clients = Authority::new();
    let settings = files.settings(Some(clients.file()));
    let sidecar = Sidecar::before(&upstream).settings(&settings).open().await;
    for (own, served) in [(None, false), (Some(clients.pair()), true)] {
        let connector = files.authority.client(own.as_ref(), &[]);
        let relay = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = relay.local_addr().unwrap();
        let to = sidecar.traffic;
        let relaying = async {
            let (client, _) = relay.accept().await.unwrap();
            let server = TcpStream::connect(to).await.unwrap();
            server.set_nodelay(true).unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let up = async {
                let mut byte = [0; 1];
                while let Ok(1) = from_client.read(&mut byte).await {
                    if to_server.write_all(&byte).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                let _ = to_server.shutdown().await;
            };
            let down = async {
                let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
                let _ = to_client.shutdown().await;
            };
            tokio::join!(up, down);
        };
        let (found, ()) = tokio::join!(is_served(address, &connector, "localhost"), relaying);
        assert_eq!(found, served);
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_given_up() {
    let (upstream, files) = (Server::start(ok()), Files::new());
    let settings =
        files.settings(None).replace("server: { ", "server: { limits: { header_timeout: 50ms }, ");
    let sidecar = Sidecar::before(&upstream).settings(&settings).open().await;
    let mut silent = Client::connect(sidecar.traffic).await;
    // The beginning of a record, and no more.
    silent.send([22, 3, 1, 2, 0, 1]).await;
    assert_eq!(silent.rest().await, "");
}

#[tokio::test]
async fn new_handshakes_use_a_changed_certificate_and_old_connections_live_on() {
    let (upstream, files) = (Server::start(ok()), Files::new());
    let sidecar = Sidecar::before(&upstream).settings(&files.settings(None)).open().await;
    let connector = files.authority.client(None, &[]);
    let shown = async || {
        let stream = handshake(sidecar.traffic, &connector, "localhost").await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        (shown, stream)
    };
    let (first, old) = shown().await;
    let mut old = Client::over(old);
    assert_eq!(old.ask(&ask("GET", "/public/a")).await.status, 200);
    let current = |metrics: &str| {
        let line = "portvakt_state{what=\"certificate_current\"} ";
        metrics.lines().find_map(|found| found.strip_prefix(line)).map(str::to_owned)
    };
    assert_eq!(current(&sidecar.metrics().await).as_deref(), Some("1"));

    // A key that is another certificate's changes nothing, and is told.
    let (certificate, _) = files.authority.pair();
    std::fs::write(files.certificate(), certificate).unwrap();
    soon("the metric", async {
        while current(&sidecar.metrics().await).as_deref() != Some("0") {}
    })
    .await;
    assert_eq!(shown().await.0, first);

    files.write(&files.authority.pair());
    soon("the new certificate", async {
        while shown().await.0 == first {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(current(&sidecar.metrics().await).as_deref(), Some("1"));
    assert_eq!(old.ask(&ask("GET", "/public/b")).await.status, 200);
    eventually("both requests", || upstream.count() == 2).await;
}

type Prepare<'a> = &'a dyn Fn(&Files);

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let upstream = Server::start(ok());
    let text = |prepare: Prepare<'_>| {
        let files = Files::new();
        prepare(&files);
        let (outcome, _) = Sidecar::before(&upstream).settings(&files.settings(None)).compile();
        (outcome.compiled.is_some(), outcome.diagnostics.to_human(Colour::Plain))
    };
    let begin = "-----BEGIN";
    let key = |files: &Files| std::fs::read_to_string(files.folder.join("key.pem")).unwrap();
    let write_key = |files: &Files, text: &str| {
        std::fs::write(files.folder.join("key.pem"), text).unwrap();
    };
    let cases: [(&str, Prepare<'_>); 11] = [
        ("cannot be read", &|files| std::fs::remove_file(files.certificate()).unwrap()),
        ("the file is empty", &|files| std::fs::write(files.certificate(), "").unwrap()),
        ("the file is not PEM", &|files| {
            std::fs::write(files.certificate(), [0x30, 0x82]).unwrap();
        }),
        ("there is no certificate in the file, but a `PRIVATE KEY`", &|files| {
            std::fs::write(files.certificate(), key(files)).unwrap();
        }),
        ("there is no private key in the file, but a `CERTIFICATE`", &|files| {
            std::fs::copy(files.certificate(), files.folder.join("key.pem")).unwrap();
        }),
        ("key.pem`: the private key is encrypted", &|files| {
            write_key(files, &key(files).replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"));
        }),
        ("key.pem`: the private key is encrypted", &|files| {
            let older = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n";
            write_key(files, older);
        }),
        ("key.pem`: the key is damaged, or of a kind", &|files| {
            let other = format!("{begin} PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
            write_key(files, &other);
        }),
        ("cut off or damaged", &|files| {
            let broken = "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n";
            std::fs::write(files.certificate(), broken).unwrap();
        }),
        ("the key is not that of the certificate", &|files| {
            std::fs::write(files.folder.join("key.pem"), files.authority.pair().1).unwrap();
        }),
        ("a certificate in the file is damaged", &|files| {
            let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
            std::fs::write(files.certificate(), empty).unwrap();
        }),
    ];
    for (said, prepare) in cases {
        let (compiled, found) = text(prepare);
        assert!(!compiled && found.contains(said), "{said}: {found}");
        assert!(found.contains("unusable-certificate") && found.contains("help:"), "{found}");
    }
    let (compiled, found) = text(&|files| files.write(&files.authority.expired_pair()));
    assert!(compiled && found.contains("certificate-expired"), "{found}");
}

#[tokio::test]
async fn who_says_nothing_is_told_that_the_connection_ends() {
    let (upstream, files) = (Server::start(ok()), Files::new());
    let settings =
        files.settings(None).replace("server: { ", "server: { limits: { header_timeout: 3s }, ");
    let sidecar = Sidecar::before(&upstream).settings(&settings).open().await;
    let connector = files.authority.client(None, &["http/1.1"]);
    let mut stream = handshake(sidecar.traffic, &connector, "localhost").await.unwrap();
    // An end without a word would be an error: it looks like one that an attacker made.
    assert_eq!(soon("the end", stream.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_hello_that_never_ends_is_not_waited_for() {
    let (upstream, files) = (Server::start(ok()), Files::new());
    let patient = "}, limits: { header_timeout: 10m } }\n";
    let settings = files.settings(None).replace("} }\n", patient);
    let sidecar = Sidecar::before(&upstream).settings(&settings).open().await;
    let mut stream = TcpStream::connect(sidecar.traffic).await.unwrap();
    // 64 KiB of it are stated.
    let hello = [&b"\x16\x03\x01\x40\x00\x01\x00\xff\xf0\x03\x03"[..], &[b'a'; 16_378]].concat();
    let more = [&b"\x16\x03\x01\x40\x00"[..], &[b'a'; 16_384]].concat();
    let sending = async {
        stream.write_all(&hello).await?;
        stream.write_all(&more).await?;
        stream.write_all(&more).await?;
        stream.read_to_end(&mut Vec::new()).await
    };
    // Its end may come as a reset, since more was sent than was read.
    let _ = soon("the end of the connection", sending).await;
}

#[test]
fn fewer_connections_are_served_over_tls_unless_it_is_said_how_many() {
    let files = Files::new();
    for (limits, expected) in [("", 4_000), ("}, limits: { max_connections: 10000 ", 10_000)] {
        let settings = files.settings(None).replace("} }\n", &format!("{limits}}} }}\n"));
        let (outcome, _) = Sidecar::at("http://127.0.0.1:1").settings(&settings).compile();
        let limits = outcome.compiled.unwrap().server.limits;
        assert_eq!(limits.max_connections, expected);
    }
}
