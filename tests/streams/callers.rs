//! The clients: each on connections of its own, one exchange after the other, over HTTP/1.1, HTTP/2 and
//! through tunnels, leaving where its plan says so.

use crate::api::Speaks;
use crate::gate::Door;
use crate::oracle::Oracle;
use crate::plan::{EXCHANGE, Fault, HEADER, Pattern, Plan};
use crate::random::Random;
use crate::tasks_executor::OnTasks;
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use portvakt::tasks::Tasks;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Longer than anything is allowed to take.
const PATIENCE: Duration = Duration::from_secs(30);
const PIECE: u64 = 8 * 1024;

/// What a caller is made of.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) door: Arc<Door>,
    pub(crate) speaks: Speaks,
    pub(crate) oracle: Oracle,
    pub(crate) tasks: Tasks,
}

enum Sender {
    Http1(http1::SendRequest<Upwards>),
    Http2(http2::SendRequest<Upwards>),
}

impl Caller {
    /// Exchanges until told to stop.
    pub(crate) async fn call(self, mut random: Random, stop: CancellationToken) {
        let mut sender = None;
        while !stop.is_cancelled() {
            let plan = Plan::new(&mut random);
            let tunnels = self.speaks == Speaks::Http1 && self.door.tunnels && random.below(8) == 0;
            let exchange = async {
                if tunnels {
                    self.tunnel(plan).await;
                } else {
                    sender = self.exchange(sender.take(), plan).await;
                }
            };
            if tokio::time::timeout(PATIENCE, exchange).await.is_err() {
                self.oracle.violation("hangs", &format!("{} {plan:?}", self.door.name));
            }
        }
    }

    async fn connect(&self) -> Sender {
        let stream = TcpStream::connect(self.door.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = TokioIo::new(stream);
        match self.speaks {
            Speaks::Http1 => {
                let (sender, connection) = http1::handshake(stream).await.unwrap();
                let _running = self.tasks.spawn(connection);
                Sender::Http1(sender)
            }
            Speaks::Http2 => {
                let executor = OnTasks(self.tasks.clone());
                let (sender, connection) = http2::handshake(executor, stream).await.unwrap();
                let _running = self.tasks.spawn(connection);
                Sender::Http2(sender)
            }
        }
    }

    /// One exchange; gives the connection back if it can be used again.
    async fn exchange(&self, sender: Option<Sender>, plan: Plan) -> Option<Sender> {
        let mut sender = match sender {
            Some(Sender::Http1(mut sender)) => match sender.ready().await {
                Ok(()) => Sender::Http1(sender),
                Err(_) => self.connect().await,
            },
            Some(Sender::Http2(mut sender)) => match sender.ready().await {
                Ok(()) => Sender::Http2(sender),
                Err(_) => self.connect().await,
            },
            None => self.connect().await,
        };
        let request = self.request(plan);
        let answer = match &mut sender {
            Sender::Http1(sender) => sender.send_request(request).await,
            Sender::Http2(sender) => sender.send_request(request).await,
        };
        let whole = match answer {
            Ok(answer) => self.take(answer, plan).await,
            Err(_) => {
                self.cut(plan, "before an answer");
                false
            }
        };
        // HTTP/2 goes on after a broken stream, HTTP/1.1 does not.
        (whole || matches!(sender, Sender::Http2(_))).then_some(sender)
    }

    fn request(&self, plan: Plan) -> Request<Upwards> {
        let path = format!("/streams/{}", self.door.party);
        let mut request = Request::new(Upwards { plan, pattern: plan.upwards() });
        *request.method_mut() = Method::POST;
        *request.uri_mut() = match self.speaks {
            Speaks::Http1 => path.parse().unwrap(),
            Speaks::Http2 => Uri::try_from(format!("http://api.example{path}")).unwrap(),
        };
        let headers = request.headers_mut();
        if self.speaks == Speaks::Http1 {
            headers.insert("host", "api.example".parse().unwrap());
        } else {
            *request.version_mut() = Version::HTTP_2;
        }
        let headers = request.headers_mut();
        headers.insert("authorization", self.door.bearer.parse().unwrap());
        headers.insert(HEADER, plan.to_string().parse().unwrap());
        headers.insert("x-request-id", plan.request_id().to_string().parse().unwrap());
        request
    }

    /// Takes an answer to its end, or to where the client leaves; whether the exchange was whole.
    async fn take(&self, answer: http::Response<Incoming>, plan: Plan) -> bool {
        let (head, mut body) = answer.into_parts();
        if head.status != StatusCode::OK {
            let mut problem = Vec::new();
            while let Some(Ok(frame)) = body.frame().await {
                problem.extend(frame.into_data().unwrap_or_default());
            }
            let problem: serde_json::Value = serde_json::from_slice(&problem).unwrap_or_default();
            let code = problem["code"].as_str().unwrap_or("no problem document").to_owned();
            // Where an API breaks off early its head may never leave it; nor where it closes its connection
            // on bytes that it has not read.
            let early = plan.fault == Fault::ApiEarly && plan.up > 0;
            let by_api = matches!(plan.fault, Fault::ApiTaking(_) | Fault::ApiSending(_)) || early;
            if by_api && head.status == StatusCode::BAD_GATEWAY {
                self.oracle.count(&code);
            } else {
                let why = self.oracle.recorded(plan.request_id());
                let (door, speaks) = (self.door.name, self.speaks);
                let what = format!("{} {code} at {door} {speaks:?}: {plan:?}: {why}", head.status);
                self.oracle.violation("refused", &what);
            }
            return false;
        }
        let own = head.headers.get(EXCHANGE).and_then(|value| value.to_str().ok());
        if own != Some(plan.id.to_string().as_str()) {
            self.oracle.violation("foreign-answer", &format!("{own:?} for {plan:?}"));
        }
        let mut expected = plan.downwards();
        loop {
            if matches!(plan.fault, Fault::ClientTaking(at) if expected.count() >= at) {
                self.oracle.count("client left while taking");
                return false;
            }
            match body.frame().await {
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    if !expected.continues_with(&data) {
                        self.oracle
                            .violation("foreign-bytes", &format!("in the answer of {plan:?}"));
                    }
                }
                Some(Err(_)) => {
                    self.cut(plan, "in its answer");
                    return false;
                }
                None if expected.count() == plan.down => break,
                None => {
                    let what = format!("{} bytes look whole: {plan:?}", expected.count());
                    self.oracle.violation("short", &what);
                    return false;
                }
            }
        }
        match plan.fault {
            Fault::None => {
                self.oracle.count("whole");
                self.oracle.add("bytes", plan.up + plan.down);
            }
            Fault::ApiEarly => self.oracle.count("answered early"),
            // It had said all before it would have left.
            Fault::ClientSending(_) | Fault::ClientTaking(_) => self.oracle.count("client late"),
            Fault::ApiTaking(_) | Fault::ApiSending(_) => {
                self.oracle.violation("whole", &format!("though broken: {plan:?}"));
            }
        }
        plan.fault == Fault::None
    }

    /// An exchange ended without a whole answer, as only some may.
    fn cut(&self, plan: Plan, place: &str) {
        let by = match plan.fault {
            Fault::ClientSending(_) | Fault::ClientTaking(_) => "client",
            Fault::ApiTaking(_) | Fault::ApiSending(_) => "API",
            // An answer is whole, but the client may still have been sending when the connection closed.
            Fault::ApiEarly if plan.up > 0 => "API",
            Fault::ApiEarly | Fault::None => {
                let what = format!("{} {:?} {place}: {plan:?}", self.door.name, self.speaks);
                return self.oracle.violation("cut", &what);
            }
        };
        self.oracle.count(&format!("cut by the {by}"));
    }

    /// Bytes both ways behind a `101`.
    async fn tunnel(&self, plan: Plan) {
        let mut stream = TcpStream::connect(self.door.address).await.unwrap();
        let head = format!(
            "GET /tunnel/{} HTTP/1.1\r\nHost: api.example\r\nAuthorization: {}\r\n{HEADER}: {plan}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.door.party, self.door.bearer
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match stream.read(&mut byte).await {
                Ok(1) => answer.push(byte[0]),
                Ok(_) | Err(_) => return self.oracle.violation("tunnel", "no answer"),
            }
        }
        let answer = String::from_utf8(answer).unwrap();
        if !answer.starts_with("HTTP/1.1 101 ") {
            return self.oracle.violation("tunnel", &answer);
        }
        let (mut sent, mut expected) = (plan.upwards(), plan.downwards());
        let mut buffer = vec![0; 16 * 1024];
        while sent.count() < plan.up.max(1) {
            if matches!(plan.fault, Fault::ClientSending(at) if sent.count() >= at) {
                return self.oracle.count("client left a tunnel");
            }
            let piece =
                sent.next(usize::try_from(PIECE.min(plan.up.max(1) - sent.count())).unwrap());
            let mut broken = stream.write_all(&piece).await.is_err();
            while !broken && expected.count() < sent.count() {
                match stream.read(&mut buffer).await {
                    Ok(count @ 1..) => {
                        if !expected.continues_with(&buffer[..count]) {
                            let what = format!("in the tunnel of {plan:?}");
                            self.oracle.violation("foreign-bytes", &what);
                        }
                    }
                    Ok(0) | Err(_) => broken = true,
                }
            }
            if broken {
                if matches!(plan.fault, Fault::ApiTaking(_)) {
                    return self.oracle.count("API left a tunnel");
                }
                return self.oracle.violation("cut", &format!("the tunnel of {plan:?}"));
            }
        }
        self.oracle.count("tunnel");
        self.oracle.add("bytes", sent.count() + expected.count());
    }
}

/// The body of a request, which ends before its time where the client is to leave.
struct Upwards {
    plan: Plan,
    pattern: Pattern,
}

/// The client leaves.
#[derive(Debug, thiserror::Error)]
#[error("left on purpose")]
struct Left;

impl Body for Upwards {
    type Data = Bytes;
    type Error = Left;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Left>>> {
        let sent = self.pattern.count();
        if matches!(self.plan.fault, Fault::ClientSending(at) if sent >= at && at < self.plan.up) {
            return Poll::Ready(Some(Err(Left)));
        }
        if sent == self.plan.up {
            return Poll::Ready(None);
        }
        let count = PIECE.min(self.plan.up - sent);
        let bytes = self.pattern.next(usize::try_from(count).unwrap());
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.pattern.count() == self.plan.up
    }

    /// Every other one is chunked.
    fn size_hint(&self) -> SizeHint {
        if self.plan.id.is_multiple_of(2) {
            SizeHint::with_exact(self.plan.up - self.pattern.count())
        } else {
            SizeHint::default()
        }
    }
}
