//! A WebSocket at the door: the answer that opens it, and its journey, which lasts as long as it does.

use super::ProxyBody;
use super::place::Place;
use crate::record::{Journey, Recorder};
use crate::route::WebSocketRule;
use crate::upstream::{Tunnel, TunnelEnd};
use http::Response;
use hyper::upgrade::OnUpgrade;
use std::sync::Arc;

/// Both ends of a WebSocket that the API has agreed to.
pub(super) struct Ends {
    pub(super) api: Tunnel,
    /// Ready once the answer is written.
    pub(super) client: OnUpgrade,
    pub(super) limits: WebSocketRule,
}

/// Joins both ends once the answer is written. The record is written when both have closed: with the
/// status of the answer, as aborted and with the cause if it was not they who closed it.
pub(super) fn open(
    head: Response<()>,
    ends: Ends,
    (mut journey, place): (Journey, Option<Place>),
    recorder: &Arc<Recorder>,
) -> Response<ProxyBody> {
    let Ends { api, client, limits } = ends;
    let counted = recorder.metrics().web_socket_opened();
    api.join(client, limits, move |end| {
        match end {
            TunnelEnd::Closed => journey.delivered(),
            TunnelEnd::Broken
            | TunnelEnd::Expired
            | TunnelEnd::Idle
            | TunnelEnd::Stalled
            | TunnelEnd::Cut => journey.cut(end.as_str()),
        }
        drop((counted, place));
    });
    head.map(|()| ProxyBody::switched())
}
