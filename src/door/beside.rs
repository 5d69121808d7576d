//! Judging beside a request that is forwarded whatever comes of it (`mode: shadow`): by the same function, of a copy,
//! in a task that the request does not wait for.

use crate::authorize::authorize;
use crate::domain::{BodyTap, Denial, DenialCode, Inbound, InboundBody};
use crate::record::Journey;
use crate::route::RouteRule;
use crate::snapshot::Snapshot;
use bytes::Bytes;
use std::sync::Arc;

/// Begins to judge. A body that the rule reads is copied as it is sent on.
pub(super) fn judge(
    snapshot: &Arc<Snapshot>,
    rule: Option<&RouteRule>,
    inbound: &mut Inbound,
    journey: &mut Journey,
) {
    journey.overlooked();
    let Some(shadow) = &snapshot.shadow else { return };
    let Ok(place) = Arc::clone(&shadow.places).try_acquire_owned() else {
        let busy = Denial::new(DenialCode::Overloaded).because("too many requests are judged");
        return journey.unjudged(&busy);
    };
    let Some((mut beside, end)) = journey.beside() else { return };
    let body = copy(snapshot, rule, &mut inbound.body);
    let mut copied = Inbound { head: inbound.head.clone(), peer: inbound.peer, body };
    let snapshot = Arc::clone(snapshot);
    let tasks = shadow.tasks.clone();
    drop(tasks.spawn(async move {
        let verdict = Box::pin(authorize(&snapshot, &mut copied, &mut beside)).await;
        drop(copied);
        beside.conclude(verdict.err().as_ref(), end).await;
        drop(place);
    }));
}

/// The body to be judged: a copy where the rule reads it, else what is known of its length.
fn copy(snapshot: &Snapshot, rule: Option<&RouteRule>, body: &mut InboundBody) -> InboundBody {
    if body.is_empty() {
        return InboundBody::Buffered(Bytes::new());
    }
    let stated = body.stated();
    let reads = rule.filter(|rule| rule.needs_body());
    let (Some(shadow), Some(rule)) = (&snapshot.shadow, reads) else {
        return InboundBody::Copied(BodyTap::new(stated, 0, crate::domain::BufferBudget::new(0)).1);
    };
    let limit = rule.max_body_bytes().and_then(|max| usize::try_from(max).ok());
    let limit = limit.unwrap_or(usize::MAX).min(snapshot.judging.max_buffered_body);
    let (tap, copy) = BodyTap::new(stated, limit, shadow.copies.clone());
    *body = body.take().tapped(tap);
    InboundBody::Copied(copy)
}
