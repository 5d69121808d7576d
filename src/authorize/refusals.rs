//! From the faults of other rooms to refusals, and what a refusal can tell its reader beyond its code.

use crate::domain::{
    AccessRequest, BodyFault, Caller, Denial, DenialCode, FramingFault, HostFault, NoBodyRoom,
    TargetFault,
};
use crate::route::{GzipFault, RouteRule};
use crate::snapshot::{Grants, Judging};
use std::sync::Arc;
use std::time::Duration;

/// When it is worth trying again for a request whose body found no room: bodies are sent on within moments.
const ROOM_AGAIN: Duration = Duration::from_secs(1);

/// The refusal of a request that comes while too many are under way: the only one that is made without a
/// look at the request, since looking is what there is no room for.
#[must_use]
pub fn no_room() -> Denial {
    Denial::new(DenialCode::Overloaded).because("too many requests are under way")
}

pub(super) fn refuse_framing(fault: FramingFault) -> Denial {
    let limited = |code, max| Denial::new(code).limit(u64::try_from(max).unwrap_or(u64::MAX));
    match fault {
        FramingFault::Malformed(_) => Denial::new(DenialCode::MalformedRequest).because(fault),
        FramingFault::TargetTooLong(max) => limited(DenialCode::TargetTooLong, max),
        FramingFault::HeadTooLarge(max) | FramingFault::TooManyHeaders(max) => {
            limited(DenialCode::HeadersTooLarge, max).because(fault)
        }
        FramingFault::HeadTimeout(_) => Denial::new(DenialCode::RequestTimeout).because(fault),
        FramingFault::NoRoom(_) => again(Denial::new(DenialCode::Overloaded).because(fault)),
    }
}

pub(super) fn refuse_target(fault: TargetFault) -> Denial {
    let code = match fault {
        TargetFault::TooLong(max) => {
            let limit = u64::try_from(max).unwrap_or(u64::MAX);
            return Denial::new(DenialCode::TargetTooLong).limit(limit);
        }
        TargetFault::NotOriginForm | TargetFault::Fragment | TargetFault::Query => {
            DenialCode::MalformedRequest
        }
        TargetFault::Path(_) => DenialCode::AmbiguousPath,
    };
    Denial::new(code).because(fault).at("the request target")
}

pub(super) fn refuse_host(fault: HostFault) -> Denial {
    Denial::new(DenialCode::MalformedRequest).because(fault).at("header:host")
}

pub(super) fn refuse_body(fault: BodyFault) -> Denial {
    match fault {
        BodyFault::TooLarge(max) => {
            Denial::new(DenialCode::BodyTooLarge).limit(u64::try_from(max).unwrap_or(u64::MAX))
        }
        BodyFault::NoRoom(fault) => refuse_for_room(fault),
        BodyFault::NoCopy => again(Denial::new(DenialCode::Overloaded).because(fault)),
        BodyFault::Stalled(_) | BodyFault::TooSlow(_) => {
            Denial::new(DenialCode::RequestTimeout).because(fault)
        }
        BodyFault::Broken(_) | BodyFault::Gone => {
            Denial::new(DenialCode::MalformedRequest).because(fault).at("the body")
        }
    }
}

pub(super) fn refuse_for_room(fault: NoBodyRoom) -> Denial {
    again(Denial::new(DenialCode::Overloaded).because(fault))
}

fn again(mut denial: Denial) -> Denial {
    denial.extras.retry_after = Some(ROOM_AGAIN);
    denial
}

pub(super) fn refuse_gzip(fault: GzipFault) -> Denial {
    match fault {
        GzipFault::Broken => Denial::new(DenialCode::BodyUnreadable).because(fault),
        GzipFault::TooLarge(max) => Denial::new(DenialCode::BodyTooLarge)
            .because(fault)
            .limit(u64::try_from(max).unwrap_or(u64::MAX)),
    }
}

/// Adds what the rule knows of the question, where the request itself was at fault.
pub(super) fn about_rule(mut denial: Denial, rule: &RouteRule) -> Denial {
    if denial.extras.action.is_none() {
        denial.extras.action = rule.action().cloned();
    }
    denial
}

pub(super) fn about_question(
    mut denial: Denial,
    question: &AccessRequest,
    caller: &Caller,
    grants: &Grants,
) -> Denial {
    // Packages are what system users have; and only a right that is missing can be given.
    if denial.code == DenialCode::AccessDenied && caller.system_user().is_some() {
        denial.extras.access_packages = grants.of(&question.resource, &question.action).cloned();
    }
    denial.extras.resource = Some(question.resource.clone());
    denial.extras.action = Some(question.action.clone());
    denial.extras.party = Some(question.party);
    denial.extras.system_user = caller.system_user().map(|user| user.id);
    denial
}

/// Adds where help is to be had: where `of_rule` says, or else where all callers of the API get it.
#[must_use]
pub fn with_help(mut denial: Denial, of_rule: Option<&Arc<str>>, judging: &Judging) -> Denial {
    let known = denial.extras.help_url.take();
    denial.extras.help_url =
        known.or_else(|| of_rule.or(judging.help_url.as_ref()).map(Arc::clone));
    denial
}
