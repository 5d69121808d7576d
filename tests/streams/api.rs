//! The APIs behind: one that speaks HTTP/1.1 and one that speaks HTTP/2, each doing what the plan in a
//! request says, and holding every byte against it.

use crate::oracle::{Oracle, Running};
use crate::plan::{EXCHANGE, Fault, HEADER, Pattern, Plan};
use crate::tasks_executor::OnTasks;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portvakt::tasks::Tasks;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const PIECE: u64 = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http1,
    Http2,
}

pub(crate) async fn serve(speaks: Speaks, oracle: Oracle, tasks: &Tasks) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = tasks.clone();
    let stopping = tasks.stopping();
    let connections = tasks.clone();
    let _accepting = tasks.spawn(async move {
        while let Some(Ok((stream, _))) = stopping.run_until_cancelled(listener.accept()).await {
            stream.set_nodelay(true).unwrap();
            let (oracle, inner) = (oracle.clone(), connections.clone());
            let stopping = connections.stopping();
            let _serving = connections.spawn(stopping.run_until_cancelled_owned(async move {
                let executor = OnTasks(inner.clone());
                let service = service_fn(move |request| {
                    let (oracle, tasks) = (oracle.clone(), inner.clone());
                    async move { answer(request, oracle, &tasks).await }
                });
                // How a connection ends is judged by what its exchanges were.
                let _ended = match speaks {
                    Speaks::Http1 => {
                        let http1 = hyper::server::conn::http1::Builder::new();
                        http1.serve_connection(TokioIo::new(stream), service).with_upgrades().await
                    }
                    Speaks::Http2 => {
                        let http2 = hyper::server::conn::http2::Builder::new(executor);
                        http2.serve_connection(TokioIo::new(stream), service).await
                    }
                };
            }));
        }
    });
    address
}

/// The connection, or the stream, is to break.
#[derive(Debug, thiserror::Error)]
#[error("broken on purpose")]
struct Broken;

async fn answer(
    mut request: Request<Incoming>,
    oracle: Oracle,
    tasks: &Tasks,
) -> Result<Response<Downwards>, Broken> {
    let text = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
    let Some(plan) = text.and_then(|text| text.parse::<Plan>().ok()) else {
        oracle.violation("request", "without a plan");
        return Err(Broken);
    };
    let running = oracle.run();
    if request.headers().contains_key(UPGRADE) {
        return Ok(tunnel(&mut request, plan, oracle, running, tasks));
    }
    if plan.fault != Fault::ApiEarly {
        take(request.body_mut(), plan, &oracle).await?;
    }
    let mut response =
        Response::new(Downwards { plan, pattern: plan.downwards(), _running: Some(running) });
    response.headers_mut().insert(EXCHANGE, HeaderValue::from(plan.id));
    if plan.fault == Fault::ApiEarly && request.version() == Version::HTTP_11 {
        // The library closes the connection on what it has not read, and would not say so.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

async fn take(body: &mut Incoming, plan: Plan, oracle: &Oracle) -> Result<(), Broken> {
    let mut expected = plan.upwards();
    loop {
        if let Fault::ApiTaking(at) = plan.fault
            && expected.count() >= at
        {
            return Err(Broken);
        }
        match body.frame().await {
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                if !expected.continues_with(&data) {
                    oracle.violation("foreign-bytes", &format!("in the request of {plan:?}"));
                }
            }
            // The client left.
            Some(Err(_)) => return Err(Broken),
            None if expected.count() == plan.up => return Ok(()),
            None => {
                oracle.violation("short", &format!("{} bytes of {plan:?}", expected.count()));
                return Err(Broken);
            }
        }
    }
}

struct Downwards {
    plan: Plan,
    pattern: Pattern,
    _running: Option<Running>,
}

impl Body for Downwards {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let sent = self.pattern.count();
        if let Fault::ApiSending(at) = self.plan.fault
            && sent >= at
        {
            return Poll::Ready(Some(Err(Broken)));
        }
        if sent == self.plan.down {
            return Poll::Ready(None);
        }
        let count = PIECE.min(self.plan.down - sent);
        let bytes = self.pattern.next(usize::try_from(count).unwrap());
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(bytes)))))
    }
}

/// `101`, then an echo in the pattern of the way down.
fn tunnel(
    request: &mut Request<Incoming>,
    plan: Plan,
    oracle: Oracle,
    running: Running,
    tasks: &Tasks,
) -> Response<Downwards> {
    let key = request.headers().get("sec-websocket-key").cloned();
    let upgraded = hyper::upgrade::on(request);
    let _echoing = tasks.spawn(tasks.stopping().run_until_cancelled_owned(async move {
        let _running = running;
        let Ok(upgraded) = upgraded.await else { return };
        let mut stream = TokioIo::new(upgraded);
        let (mut expected, mut back) = (plan.upwards(), plan.downwards());
        let mut buffer = vec![0; 16 * 1024];
        loop {
            match stream.read(&mut buffer).await {
                Ok(count @ 1..) => {
                    if !expected.continues_with(&buffer[..count]) {
                        oracle.violation("foreign-bytes", &format!("in the tunnel of {plan:?}"));
                    }
                    if matches!(plan.fault, Fault::ApiTaking(at) if expected.count() >= at) {
                        return;
                    }
                    if stream.write_all(&back.next(count)).await.is_err() {
                        return;
                    }
                }
                Ok(0) | Err(_) => return,
            }
        }
    }));
    let mut response = Response::new(Downwards {
        plan: Plan { down: 0, ..plan },
        pattern: plan.downwards(),
        _running: None,
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(EXCHANGE, HeaderValue::from(plan.id));
    let key = key.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
    // RFC 6455 §4.2.2.
    let joined = [key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    let accept = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &joined);
    let accept = HeaderValue::from_str(&STANDARD.encode(accept)).unwrap();
    headers.insert("sec-websocket-accept", accept);
    response
}
