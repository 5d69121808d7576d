//! gRPC through the gate: messages and trailers as they are, and refusals as gRPC statuses (case 101).

use crate::support::frames::{self, CANCEL, DATA, Frames, HEADERS, request};
use crate::support::{DENIED, PERMITTED, Server, Setup, Sidecar, eventually, ok, soon, token};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const RULES: &str = r#"
api: it
rules:
  - id: echo
    match: { method: POST, path: "/it.Echo/{method}" }
    object: upstream
    resource: r-write
    action: write
    party: header:x-party
    scopes: ["it:read"]
"#;

/// A length-prefixed message, uncompressed.
fn message(text: &str) -> Bytes {
    let mut bytes = BytesMut::from(&[0][..]);
    bytes.put_u32(u32::try_from(text.len()).unwrap());
    bytes.put(text.as_bytes());
    bytes.freeze()
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    lines.iter().map(line).collect()
}

/// A body that is given part by part.
struct Given(mpsc::Receiver<Frame<Bytes>>);

impl Body for Given {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

fn given() -> (mpsc::Sender<Frame<Bytes>>, Given) {
    let (sender, receiver) = mpsc::channel(16);
    (sender, Given(receiver))
}

#[derive(Clone)]
struct Here;

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Here {
    #[expect(clippy::disallowed_methods, reason = "these tasks end with the runtime of their test")]
    fn execute(&self, task: F) {
        tokio::spawn(task);
    }
}

/// What the service was called with.
#[derive(Clone, Debug)]
struct Call {
    path: String,
    headers: HeaderMap,
    /// Once its messages have ended.
    trailers: Option<HeaderMap>,
    /// Whether its caller gave up.
    broken: bool,
}

/// A gRPC service over h2c that gives back what it is given.
struct Echo {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    _serving: JoinSet<()>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (calls, mut serving) = (Arc::<Mutex<Vec<Call>>>::default(), JoinSet::new());
        let told = Arc::clone(&calls);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let told = Arc::clone(&told);
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let told = Arc::clone(&told);
                        async move { Ok::<_, Infallible>(echo(request, &told)) }
                    });
                    let server = hyper::server::conn::http2::Builder::new(Here);
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, calls, _serving: serving }
    }

    fn before(&self, unused: &Server) -> Setup {
        let settings = format!("upstream: {{ url: \"h2c://{}\" }}\n", self.address);
        Sidecar::before(unused).rules(RULES).settings(&settings)
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

fn echo(request: Request<Incoming>, calls: &Arc<Mutex<Vec<Call>>>) -> Response<Given> {
    let (head, mut messages) = request.into_parts();
    let path = head.uri.path().to_owned();
    let call = Call { path: path.clone(), headers: head.headers, trailers: None, broken: false };
    let at = {
        let mut calls = calls.lock().unwrap();
        calls.push(call);
        calls.len() - 1
    };
    let (answer, body) = given();
    let mut response = Response::new(body);
    *response.headers_mut() =
        headers(&[("content-type", "application/grpc+proto"), ("x-api", "1")]);
    if path.ends_with("/Fails") {
        // Trailers only: the status is in the head.
        response.headers_mut().extend(headers(&[("grpc-status", "5"), ("grpc-message", "gone")]));
        return response;
    }
    let calls = Arc::clone(calls);
    hyper::rt::Executor::execute(&Here, async move {
        while let Some(frame) = messages.frame().await {
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => {
                    if answer.send(Frame::data(data)).await.is_err() {
                        return;
                    }
                }
                Ok(Err(trailers)) => {
                    calls.lock().unwrap()[at].trailers = trailers.into_trailers().ok();
                }
                Err(_) => {
                    calls.lock().unwrap()[at].broken = true;
                    return;
                }
            }
        }
        let trailers = [("grpc-status", "0"), ("grpc-message", "well%20done"), ("x-checksum", "7")];
        let _ = answer.send(Frame::trailers(headers(&trailers))).await;
    });
    response
}

async fn client(address: SocketAddr) -> SendRequest<Given> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let client = hyper::client::conn::http2::Builder::new(Here);
    let (sender, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
    hyper::rt::Executor::execute(&Here, async move { connection.await.is_ok() });
    sender
}

fn call(method: &str, lines: &[(&'static str, &str)], body: Given) -> Request<Given> {
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = format!("http://api.example.no/it.Echo/{method}").parse().unwrap();
    *request.headers_mut() = headers(&[
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "5S"),
        ("user-agent", "grpc-test/1"),
    ]);
    request.headers_mut().extend(headers(lines));
    request
}

fn authorization() -> String {
    format!("Bearer {}", token())
}

/// The next message of an answer.
async fn next(body: &mut Incoming) -> Bytes {
    let frame = soon("a message", body.frame()).await.unwrap().unwrap();
    frame.into_data().unwrap()
}

#[tokio::test]
async fn a_unary_call_passes_with_its_deadline_and_its_status() {
    let (service, unused) = (Echo::start().await, Server::start(ok()));
    let sidecar = service.before(&unused).open().await;
    let mut client = client(sidecar.traffic).await;
    let (sending, body) = given();
    sending.send(Frame::data(message("hello"))).await.unwrap();
    drop(sending);
    let bearer = authorization();
    let lines = [("authorization", bearer.as_str()), ("x-party", PERMITTED)];
    let answer = soon("an answer", client.send_request(call("Unary", &lines, body))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/grpc+proto");
    assert!(answer.headers().get("grpc-status").is_none(), "it is in the trailers");
    let collected = soon("the answer", answer.into_body().collect()).await.unwrap();
    let trailers = collected.trailers().cloned().unwrap();
    assert_eq!(collected.to_bytes(), message("hello"));
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers["grpc-message"], "well%20done");
    assert_eq!(trailers["x-checksum"], "7");
    let call = service.calls().pop().unwrap();
    assert_eq!(call.path, "/it.Echo/Unary");
    for (name, value) in [
        ("te", "trailers"),
        ("grpc-timeout", "5S"),
        ("content-type", "application/grpc"),
        ("user-agent", "grpc-test/1"),
        ("portvakt-rule", "echo"),
    ] {
        assert_eq!(call.headers[name], value, "{name}");
    }
    assert_eq!(sidecar.records.when(1).await[0]["outcome"], "forwarded");
}

#[tokio::test]
async fn both_sides_of_a_stream_speak_when_they_like() {
    let (service, unused) = (Echo::start().await, Server::start(ok()));
    let sidecar = service.before(&unused).open().await;
    let mut client = client(sidecar.traffic).await;
    let (sending, body) = given();
    let bearer = authorization();
    let lines = [("authorization", bearer.as_str()), ("x-party", PERMITTED)];
    // The head of the answer comes before the first message is sent.
    let answer = soon("an answer", client.send_request(call("Chat", &lines, body))).await.unwrap();
    let mut answer = answer.into_body();
    for text in ["one", "two", ""] {
        sending.send(Frame::data(message(text))).await.unwrap();
        assert_eq!(next(&mut answer).await, message(text));
    }
    let trailers = headers(&[("x-sum", "3"), ("portvakt-party", "forged")]);
    sending.send(Frame::trailers(trailers)).await.unwrap();
    drop(sending);
    let end = soon("the end", answer.frame()).await.unwrap().unwrap();
    assert_eq!(end.into_trailers().unwrap()["grpc-status"], "0");
    let trailers = service.calls()[0].trailers.clone().unwrap();
    assert_eq!(trailers["x-sum"], "3");
    assert!(!trailers.contains_key("portvakt-party"));
}

#[tokio::test]
async fn a_caller_that_gives_up_ends_its_call_and_no_other() {
    let (service, unused) = (Echo::start().await, Server::start(ok()));
    let sidecar = service.before(&unused).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    let bearer = authorization();
    let lines = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", bearer.as_str()),
        ("x-party", PERMITTED),
    ];
    for (stream, method) in [(1, "/it.Echo/One"), (3, "/it.Echo/Two")] {
        client.send(&frames::Frame::headers(stream, &request("POST", method, &lines))).await;
        assert_eq!(client.next_of(HEADERS).await.unwrap().stream, stream);
    }
    client.send(&frames::Frame::reset(1, CANCEL)).await;
    let broken = |method: &str| {
        service.calls().iter().any(|call| call.path.ends_with(method) && call.broken)
    };
    eventually("the end of the first call", || broken("One")).await;
    client.send(&frames::Frame::data(3, message("still here"))).await;
    let data = client.next_of(DATA).await.unwrap();
    assert_eq!((data.stream, data.payload), (3, message("still here").to_vec()));
    assert!(!broken("Two"));
    assert_eq!(sidecar.records.when(1).await[0]["outcome"], "aborted");
}

#[tokio::test]
async fn a_status_without_messages_passes_as_it_is() {
    let (service, unused) = (Echo::start().await, Server::start(ok()));
    let sidecar = service.before(&unused).open().await;
    let mut client = client(sidecar.traffic).await;
    let (_sending, body) = given();
    let bearer = authorization();
    let lines = [("authorization", bearer.as_str()), ("x-party", PERMITTED)];
    let answer = soon("an answer", client.send_request(call("Fails", &lines, body))).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "5");
    assert_eq!(answer.headers()["grpc-message"], "gone");
}

/// Case 101 of the catalogue of attacks.
#[tokio::test]
async fn a_refused_call_gets_a_grpc_status_and_nothing_else() {
    let unused = Server::start(ok());
    let sidecar = Sidecar::before(&unused).rules(RULES).open().await;
    let mut client = client(sidecar.traffic).await;
    let bearer = authorization();
    let authorized = ("authorization", bearer.as_str());
    for (status, code, method, lines) in [
        ("16", "token-missing", "Unary", vec![("x-party", PERMITTED)]),
        ("16", "token-malformed", "Unary", vec![("authorization", "Bearer x")]),
        ("7", "access-denied", "Unary", vec![authorized, ("x-party", DENIED)]),
        ("3", "party-missing", "Unary", vec![authorized]),
        ("3", "party-invalid", "Unary", vec![authorized, ("x-party", "1")]),
        ("12", "route-unknown", "a/b", vec![authorized, ("x-party", PERMITTED)]),
    ] {
        let (_sending, body) = given();
        let request = call(method, &lines, body);
        let answer = soon("an answer", client.send_request(request)).await.unwrap();
        let said = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(answer.status(), StatusCode::OK, "{code}");
        assert_eq!((said("grpc-status"), said("grpc-message")), (status.into(), code.into()));
        assert_eq!(said("content-type"), "application/grpc");
        assert!(answer.body().is_end_stream(), "{code}: trailers only");
    }
    assert_eq!(unused.accepted(), 0);
}

#[tokio::test]
async fn an_outage_is_a_call_to_try_again() {
    let gone = Server::refusing(ok());
    let sidecar = Sidecar::before(&gone).rules(RULES).open().await;
    let mut client = client(sidecar.traffic).await;
    let (_sending, body) = given();
    let bearer = authorization();
    let lines = [("authorization", bearer.as_str()), ("x-party", PERMITTED)];
    let answer = soon("an answer", client.send_request(call("Unary", &lines, body))).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "14");
    assert_eq!(answer.headers()["grpc-message"], "upstream-unreachable");
    assert!(answer.body().is_end_stream());
}
