//! The API behind: it answers at once, and tells the oracle what it has been let see.

use crate::oracle::{Oracle, Passed};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use portvakt::config::Limits;
use portvakt::server::Listeners;
use portvakt::tasks::Tasks;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    tasks: Tasks,
}

pub(crate) async fn serve(oracle: Arc<Oracle>) -> Api {
    let tasks = Tasks::new();
    let listeners = Listeners::bind(&[(Ipv4Addr::LOCALHOST, 0).into()]).await.unwrap();
    let address = listeners.addresses()[0];
    let answer = move |request: Request<Incoming>, _peer| {
        oracle.passed(&passed(request.headers()));
        std::future::ready(Response::new(Full::new(Bytes::from_static(b"{\"done\":true}\n"))))
    };
    listeners.serve(&answer, Limits::default(), &tasks, &tasks.stopping());
    Api { address, tasks }
}

impl Api {
    pub(crate) async fn end(self) {
        let _ended = self.tasks.stop(Duration::from_secs(1)).await;
    }
}

fn passed(headers: &HeaderMap) -> Passed {
    let text = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let first = values.next().and_then(|value| value.to_str().ok()).map(str::to_owned);
        assert!(values.next().is_none(), "{name} twice");
        first
    };
    Passed {
        id: text("portvakt-request-id").unwrap_or_default(),
        rule: text("portvakt-rule").unwrap_or_default(),
        user: text("portvakt-system-user"),
        parties: text("portvakt-party"),
        resource: text("portvakt-resource"),
        action: text("portvakt-action"),
    }
}
