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
