//! What Portvakt is held against: a reverse proxy of the same HTTP library, listeners and kind of
//! connection pool, that looks at nothing. It is not fit for any other use.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use portvakt::config::Limits;
use portvakt::server::Listeners;
use portvakt::tasks::Tasks;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Serves an API that answers at once, with as little as an API answers.
pub(crate) async fn serve_api(tasks: &Tasks) -> SocketAddr {
    let listeners = Listeners::bind(&[LOOPBACK]).await.unwrap();
    let address = *listeners.addresses().first().unwrap();
    let answer = |_request: Request<Incoming>, _peer| {
        std::future::ready(Response::new(Full::new(Bytes::from_static(b"{\"received\":true}\n"))))
    };
    listeners.serve(&answer, Limits::default(), tasks, &tasks.stopping());
    address
}

#[derive(Clone)]
struct Plain {
    api: SocketAddr,
    idle: Arc<Mutex<Vec<SendRequest<Incoming>>>>,
    tasks: Tasks,
}

/// Serves the proxy.
pub(crate) async fn serve_plain_proxy(api: SocketAddr, tasks: &Tasks) -> SocketAddr {
    let listeners = Listeners::bind(&[LOOPBACK]).await.unwrap();
    let address = *listeners.addresses().first().unwrap();
    let plain = Plain { api, idle: Arc::default(), tasks: tasks.clone() };
    let forward = move |request, _peer| {
        let plain = plain.clone();
        async move { plain.forward(request).await }
    };
    listeners.serve(&forward, Limits::default(), tasks, &tasks.stopping());
    address
}

impl Plain {
    async fn forward(&self, request: Request<Incoming>) -> Response<BoxBody<Bytes, hyper::Error>> {
        let mut sender = self.connection().await;
        match sender.send_request(request).await {
            Ok(answer) => {
                // Kept before its answer is read: hyper waits for that before it sends the next.
                self.idle.lock().unwrap().push(sender);
                answer.map(http_body_util::BodyExt::boxed)
            }
            Err(_) => {
                let mut answer =
                    Response::new(Full::default().map_err(|never| match never {}).boxed());
                *answer.status_mut() = StatusCode::BAD_GATEWAY;
                answer
            }
        }
    }

    async fn connection(&self) -> SendRequest<Incoming> {
        loop {
            let kept = self.idle.lock().unwrap().pop();
            match kept {
                Some(mut kept) => {
                    if kept.ready().await.is_ok() {
                        return kept;
                    }
                }
                None => {
                    let stream = TcpStream::connect(self.api).await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    let (sender, connection) =
                        http1::handshake(TokioIo::new(stream)).await.unwrap();
                    let _running = self.tasks.spawn(connection);
                    return sender;
                }
            }
        }
    }
}
