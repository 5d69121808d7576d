//! Where traces go, and which.

use crate::record::trace::Sampler;
use bytes::Bytes;
use http::HeaderMap;
use std::fmt;
use std::time::Duration;
use url::{Position, Url};

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `http/protobuf`
    Http,
    /// `grpc`
    Grpc,
}

/// Where traces go, and which. Compared on a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSettings {
    /// The whole address of the collector's service.
    pub endpoint: Url,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// What it is told beside, such as credentials; marked sensitive.
    pub headers: HeaderMap,
    /// For one batch.
    pub timeout: Duration,
    /// Whose certificates are believed beside the platform's, in PEM.
    pub ca_pem: Option<Bytes>,
    /// Which requests are followed.
    pub sampler: Sampler,
    /// Who we are, such as `service.name`.
    pub resource: Vec<(String, String)>,
    /// Requests that wait to be sent. Bounds memory, some 2 KiB each.
    pub max_queue: usize,
    /// Requests that are sent at once.
    pub max_batch: usize,
    /// How long a batch is gathered.
    pub delay: Duration,
}

impl TraceSettings {
    /// Where traces go, for logs: without a path and a query, which may hold a key.
    #[must_use]
    pub fn collector(&self) -> impl fmt::Display + use<> {
        self.endpoint[..Position::BeforePath].to_owned()
    }
}
