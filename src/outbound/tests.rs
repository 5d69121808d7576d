use super::*;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

/// Serves one connection with these bytes, and gives what was received.
fn peer(answer: &'static [u8]) -> (Url, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap()).parse().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut received = vec![0; 4096];
        let length = socket.read(&mut received).unwrap();
        socket.write_all(answer).unwrap();
        String::from_utf8_lossy(&received[..length]).into_owned()
    });
    (url, thread)
}

fn call(url: Url) -> Call {
    Call {
        method: Method::GET,
        url,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(10),
        max_answer_bytes: 16,
    }
}

fn client() -> Outbound {
    Outbound::new(&OutboundSettings::default()).unwrap()
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let (url, peer) =
        peer(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n");
    let reply = client().exchange(call(url)).await.unwrap();
    assert_eq!(reply.status, StatusCode::FOUND);
    let sent = peer.join().unwrap().to_lowercase();
    assert!(!sent.contains("accept-encoding"), "{sent}");
}

#[tokio::test]
async fn the_largest_answer_is_read_and_a_larger_one_is_not() {
    let (url, _peer) = peer(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n0123456789abcdef");
    assert_eq!(client().exchange(call(url)).await.unwrap().body.len(), 16);
    let (url, _peer) = peer(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n0123456789abcdefg");
    assert_eq!(client().exchange(call(url)).await.unwrap_err(), OutboundFault::TooLarge(16));
    let (url, _peer) = peer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n0123456789abcdefg\r\n0\r\n\r\n");
    assert_eq!(client().exchange(call(url)).await.unwrap_err(), OutboundFault::TooLarge(16));
}

#[tokio::test]
async fn a_long_page_of_apologies_does_not_hide_its_status() {
    for answer in [
        &b"HTTP/1.1 503 Sorry\r\nRetry-After: 7\r\nContent-Length: 17\r\n\r\n0123456789abcdefg"[..],
        b"HTTP/1.1 503 Sorry\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n0123456789abcdefg\r\n0\r\n\r\n",
    ] {
        let (url, _peer) = peer(answer);
        let reply = client().exchange(call(url)).await.unwrap();
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(reply.body, "0123456789abcdef");
    }
}

#[tokio::test]
async fn a_cut_answer_a_refused_connection_and_silence_are_told_apart() {
    let (url, _peer) = peer(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n01");
    assert!(matches!(client().exchange(call(url)).await, Err(OutboundFault::Broken(_))));

    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = client().exchange(call(format!("http://{gone}/").parse().unwrap())).await;
    assert!(matches!(refused, Err(OutboundFault::Connect(_))), "{refused:?}");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut call = call(format!("http://{}/", silent.local_addr().unwrap()).parse().unwrap());
    call.timeout = Duration::from_millis(50);
    assert!(matches!(client().exchange(call).await, Err(OutboundFault::Timeout(_))));
}

#[test]
fn a_ca_file_without_certificates_is_named() {
    for text in [
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "no PEM",
        "",
    ] {
        let settings = OutboundSettings {
            ca_pem: Some(Bytes::from_static(text.as_bytes())),
            ..OutboundSettings::default()
        };
        assert!(Outbound::new(&settings).is_err(), "{text:?}");
    }
}

/// Serves connections one after the other, each with these answers to the requests on it, and gives the heads of
/// the requests, by connection.
fn peer_of_several(
    connections: &'static [&'static [&'static [u8]]],
) -> (std::net::SocketAddr, std::thread::JoinHandle<Vec<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let serve = |answers: &&[&[u8]]| {
            let (mut socket, _) = listener.accept().unwrap();
            let answer = |bytes: &&[u8]| {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    socket.read_exact(&mut byte).unwrap();
                    head.extend(byte);
                }
                socket.write_all(bytes).unwrap();
                String::from_utf8(head).unwrap()
            };
            answers.iter().map(answer).collect()
        };
        connections.iter().map(serve).collect()
    });
    (address, thread)
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const OK_AND_CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
const TOO_LONG: &[u8] = b"HTTP/1.1 500 Oh\r\nContent-Length: 17\r\n\r\n0123456789abcdefg";

#[tokio::test]
async fn a_connection_is_kept_for_the_next_exchange_if_this_one_was_complete() {
    let (address, peer) = peer_of_several(&[&[OK, OK, OK_AND_CLOSE], &[OK, TOO_LONG], &[OK]]);
    let client = client();
    for _ in 0..6 {
        client.exchange(call(format!("http://{address}/x?y").parse().unwrap())).await.unwrap();
    }
    let heads = peer.join().unwrap();
    assert_eq!(heads.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2, 1]);
    for head in heads.concat() {
        let host = format!("host: {address}\r\n");
        assert!(head.starts_with("GET /x?y HTTP/1.1\r\n") && head.contains(&host), "{head}");
    }
}

#[tokio::test]
async fn of_two_at_once_each_has_a_connection_of_its_own() {
    let (address, peer) = peer_of_several(&[&[OK], &[OK]]);
    let client = client();
    let call = || call(format!("http://{address}/").parse().unwrap());
    let (one, other) = tokio::join!(client.exchange(call()), client.exchange(call()));
    assert_eq!((one.unwrap().body, other.unwrap().body), ("ok".into(), "ok".into()));
    assert_eq!(peer.join().unwrap().len(), 2);
}

#[test]
fn a_proxy_address_that_is_of_no_use_is_not_as_good_as_none() {
    for proxy in ["socks5://127.0.0.1:1", "ftp://proxy.example", "http://"] {
        let Ok(proxy) = proxy.parse() else { continue };
        let settings = OutboundSettings { proxy: Some(proxy), ..OutboundSettings::default() };
        assert!(Outbound::new(&settings).is_err(), "{settings:?}");
    }
}

fn through(proxy: std::net::SocketAddr) -> Outbound {
    let proxy = Some(format!("http://name:word@{proxy}").parse().unwrap());
    let no_proxy = Some("direct.example".to_owned());
    Outbound::new(&OutboundSettings { ca_pem: None, proxy, no_proxy, http2: false }).unwrap()
}

#[tokio::test]
async fn a_proxy_gets_the_whole_address_of_what_is_in_the_clear() {
    let (proxy, peer) = peer_of_several(&[&[OK]]);
    let reply = through(proxy).exchange(call("http://pdp.example/x?y".parse().unwrap())).await;
    assert_eq!(reply.unwrap().body, "ok");
    let head = peer.join().unwrap().concat().concat();
    assert!(head.starts_with("GET http://pdp.example/x?y HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("host: pdp.example\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: Basic bmFtZTp3b3Jk\r\n"), "{head}");
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_to_what_is_not_and_its_refusal_is_told() {
    let (proxy, peer) = peer_of_several(&[&[
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
    ]]);
    let fault = through(proxy).exchange(call("https://pdp.example/x".parse().unwrap())).await;
    let fault = fault.unwrap_err().to_string();
    let expected = format!(
        "cannot connect: pdp.example: the proxy {proxy}: it answers 407 Proxy Authentication Required"
    );
    assert_eq!(fault, expected);
    let head = peer.join().unwrap().concat().concat();
    assert!(head.starts_with("CONNECT pdp.example:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: Basic bmFtZTp3b3Jk\r\n"), "{head}");
    assert!(head.contains("user-agent: portvakt/") && !head.contains("word"), "{head}");
}

mod over_tls {
    use super::*;
    use http_body_util::Empty;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use rcgen::{CertificateParams, KeyPair};
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::aws_lc_rs;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    /// A system behind, as `localhost`.
    struct Tls {
        url: Url,
        client: Outbound,
        seen: Arc<Seen>,
    }

    #[derive(Default)]
    struct Seen {
        connections: AtomicUsize,
        exchanges: AtomicUsize,
    }

    impl Tls {
        /// The first connection is served at once, unless `mute_first`: then nothing on it is answered. The others are
        /// served once there are so many.
        async fn start(protocol: &'static str, mute_first: bool, together: usize) -> Self {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let settings = OutboundSettings {
                ca_pem: Some(certificate.pem().into()),
                ..OutboundSettings::default()
            };
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            let mut config =
                ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                    .with_safe_default_protocol_versions()
                    .unwrap()
                    .with_no_client_auth()
                    .with_single_cert(vec![certificate.der().clone()], key)
                    .unwrap();
            config.alpn_protocols = vec![protocol.into()];
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let seen = Arc::new(Seen::default());
            let (counted, gate) = (Arc::clone(&seen), Arc::new(Semaphore::new(0)));
            let _ends_with_the_test = Tasks::new().spawn(async move {
                loop {
                    let (socket, _) = listener.accept().await.unwrap();
                    let number = counted.connections.fetch_add(1, Ordering::Relaxed);
                    if number >= together {
                        gate.add_permits(1000);
                    }
                    let (acceptor, counted, gate) =
                        (acceptor.clone(), Arc::clone(&counted), Arc::clone(&gate));
                    let _ends_with_the_test = Tasks::new().spawn(async move {
                        let _turn = match number {
                            0 => None,
                            _ => Some(gate.acquire().await.unwrap()),
                        };
                        let stream = acceptor.accept(socket).await.unwrap();
                        let answer = service_fn(move |request: Request<hyper::body::Incoming>| {
                            counted.exchanges.fetch_add(1, Ordering::Relaxed);
                            let is_http2 = request.version() == http::Version::HTTP_2;
                            let stated = match request.headers().get("host") {
                                Some(host) => host.to_str().unwrap().to_owned(),
                                None => request.uri().authority().unwrap().to_string(),
                            };
                            assert_eq!(stated, format!("localhost:{port}"));
                            assert_eq!(is_http2, !request.headers().contains_key("host"));
                            async move {
                                if mute_first && number == 0 {
                                    std::future::pending::<()>().await;
                                }
                                Ok::<_, Infallible>(http::Response::new(Empty::<Bytes>::new()))
                            }
                        });
                        let stream = TokioIo::new(stream);
                        if protocol == "h2" {
                            let server =
                                hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                            server.serve_connection(stream, answer).await
                        } else {
                            let server = hyper::server::conn::http1::Builder::new();
                            server.serve_connection(stream, answer).await
                        }
                    });
                }
            });
            let url = format!("https://localhost:{port}/x").parse().unwrap();
            Self { url, client: Outbound::new(&settings).unwrap(), seen }
        }

        async fn ask_at_once(&self, times: usize) {
            let exchanges = (0..times).map(|_| self.client.exchange(call(self.url.clone())));
            for reply in futures_util::future::join_all(exchanges).await {
                assert_eq!(reply.unwrap().status, StatusCode::OK);
            }
        }

        fn seen(&self) -> [usize; 2] {
            [&self.seen.connections, &self.seen.exchanges]
                .map(|count| count.load(Ordering::Relaxed))
        }
    }

    #[tokio::test]
    async fn one_connection_of_http2_serves_all_exchanges() {
        let peer = Tls::start("h2", false, 0).await;
        peer.ask_at_once(16).await;
        peer.ask_at_once(1).await;
        assert_eq!(peer.seen(), [1, 17]);
    }

    #[tokio::test]
    async fn connections_that_are_not_shared_are_made_side_by_side() {
        let peer = Tls::start("http/1.1", false, 4).await;
        peer.ask_at_once(5).await;
        let [connections, exchanges] = peer.seen();
        // One of them may be used twice, if it is there early.
        assert!((4..=5).contains(&connections) && exchanges == 5, "{connections} {exchanges}");
    }

    #[tokio::test]
    async fn nobody_else_waits_where_an_exchange_had_no_answer() {
        let peer = Tls::start("h2", true, 1).await;
        let brief = Call { timeout: Duration::from_millis(300), ..call(peer.url.clone()) };
        let fault = peer.client.exchange(brief).await.unwrap_err();
        assert!(matches!(fault, OutboundFault::Timeout(_)), "{fault}");
        peer.ask_at_once(2).await;
        assert_eq!(peer.seen(), [2, 3]);
    }
}
