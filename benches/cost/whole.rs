//! `authorize` as a whole, in memory: the world of the demo, its rules and its keys, and a request that
//! was permitted before.

use crate::harness::Report;
use crate::loopback::{begin, token};
use crate::setting::CLIENT;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderValue, Method, Version};
use portvakt::authorize::{Basis, authorize};
use portvakt::domain::{
    Clock, Head, Inbound, InboundBody, Peer, RequestId, RequestTarget, SystemClock, Upgrade,
};
use portvakt::record::{Journey, Metrics, RecordSink, Recorder, Steps};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

pub(crate) fn run(report: &Report) {
    if !report.heading("Deciding a request, in memory", "authorize") {
        return;
    }
    let (world, token) = report.prepare(async {
        // Nothing is forwarded.
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let world = begin(nowhere, RecordSink::Off).await;
        let token = token(&world).await;
        (world, token)
    });
    let snapshot = world.gate.snapshot();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let recorder = Arc::new(Recorder::new(Metrics::new().unwrap(), RecordSink::Off));
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("api.example"));
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    let decide = async |target: &str| {
        let request_id = RequestId::fresh();
        let mut inbound = Inbound {
            head: Head {
                framing: Ok(()),
                method: Method::GET,
                target: RequestTarget::parse(target, 8192),
                version: Version::HTTP_11,
                headers: headers.clone(),
                upgrade: Upgrade::None,
            },
            peer: Peer::LOCAL,
            body: InboundBody::Buffered(Bytes::new()),
        };
        let mut journey = Journey::begin(
            request_id,
            Method::GET,
            1,
            Arc::clone(&clock),
            Some(Arc::clone(&recorder)),
            Steps::Dropped,
        );
        authorize(&snapshot, &mut inbound, &mut journey).await
    };
    let required = format!("/bench/required/{CLIENT}");
    let permit = report.prepare(decide(&required)).unwrap();
    assert!(matches!(permit.basis(), Basis::Decision(_)));
    report.time_async("authorize: public rule", async || decide("/bench/public").await.unwrap());
    report.time_async("authorize: token rule", async || decide("/bench/token").await.unwrap());
    report.time_async("authorize: required rule, warm", async || decide(&required).await.unwrap());
    report.time_async("authorize: no rule (refused)", async || {
        decide("/nothing/here").await.unwrap_err()
    });
    let _ended = report.prepare(world.end());
}
