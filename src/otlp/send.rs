//! One batch to the collector, once: as a POST of `http/protobuf`, or as a call of gRPC.

use super::encode;
use super::{Protocol, TraceSettings};
use crate::outbound::{Call, Outbound, Reply};
use crate::record::trace::Spans;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use http::{HeaderMap, Method, StatusCode};
use std::time::Duration;

/// What is read of an answer, of which nothing but its status matters. Bounds memory.
const MAX_ANSWER: usize = 16 * 1024;
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// Those states of gRPC that may pass (OTLP 1.x, "Failures").
const PASSING: [&str; 7] = ["1", "4", "8", "10", "11", "14", "15"];

pub(super) struct Sender {
    settings: TraceSettings,
    outbound: Outbound,
}

/// Why a batch was not taken.
pub(super) struct Refused {
    pub(super) cause: String,
    /// Whether the same batch may be taken later.
    pub(super) may_pass: bool,
    pub(super) retry_after: Option<Duration>,
}

impl Refused {
    pub(super) fn too_late() -> Self {
        Self { cause: "no answer before the end".to_owned(), may_pass: false, retry_after: None }
    }
}

impl Sender {
    pub(super) fn new(settings: &TraceSettings, outbound: Outbound) -> Self {
        Self { settings: settings.clone(), outbound }
    }

    pub(super) async fn send(&self, batch: &[Spans]) -> Result<(), Refused> {
        let message = encode::request(batch, &self.settings.resource);
        let mut headers = self.settings.headers.clone();
        let body = match self.settings.protocol {
            Protocol::Http => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
                message
            }
            Protocol::Grpc => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(TE, HeaderValue::from_static("trailers"));
                framed(&message)
            }
        };
        let call = Call {
            method: Method::POST,
            url: self.settings.endpoint.clone(),
            headers,
            body,
            timeout: self.settings.timeout,
            max_answer_bytes: MAX_ANSWER,
        };
        let unreached = |fault: crate::outbound::OutboundFault| Refused {
            cause: fault.to_string(),
            may_pass: true,
            retry_after: None,
        };
        let reply = self.outbound.exchange(call).await.map_err(unreached)?;
        match self.settings.protocol {
            Protocol::Http => of_http(&reply),
            Protocol::Grpc => of_grpc(&reply),
        }
    }
}

/// One message, not compressed (gRPC over HTTP/2, "Length-Prefixed-Message").
fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len().saturating_add(5));
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

fn of_http(reply: &Reply) -> Result<(), Refused> {
    if reply.status.is_success() {
        return Ok(());
    }
    Err(Refused {
        cause: format!("status {}", reply.status),
        may_pass: matches!(reply.status.as_u16(), 429 | 502 | 503 | 504),
        retry_after: reply.retry_after(),
    })
}

fn of_grpc(reply: &Reply) -> Result<(), Refused> {
    if reply.status != StatusCode::OK {
        return of_http(reply).and(Err(Refused {
            cause: format!("status {}, which gRPC does not know", reply.status),
            may_pass: false,
            retry_after: None,
        }));
    }
    // An answer without a message says it in its head.
    let said = |lines: &HeaderMap| Some(lines.get(GRPC_STATUS)?.to_str().ok()?.to_owned());
    let status = said(&reply.trailers).or_else(|| said(&reply.headers));
    match status.as_deref() {
        Some("0") => Ok(()),
        Some(code) => Err(Refused {
            cause: format!("gRPC status {code}"),
            may_pass: PASSING.contains(&code),
            retry_after: None,
        }),
        None => Err(Refused {
            cause: "no gRPC status: is it a collector that speaks gRPC?".to_owned(),
            may_pass: false,
            retry_after: None,
        }),
    }
}
