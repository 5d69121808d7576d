//! What the API learns of a permitted request: who, for whom, what, by which rule.

use super::values::Values;
use crate::authorize::{Basis, Permit};
use crate::domain::{Caller, Enforcement, RequestId};
use http::{HeaderMap, HeaderName};

const RULE: HeaderName = HeaderName::from_static("portvakt-rule");
const REQUEST_ID: HeaderName = HeaderName::from_static("portvakt-request-id");
const MODE: HeaderName = HeaderName::from_static("portvakt-mode");
const PARTY: HeaderName = HeaderName::from_static("portvakt-party");
const RESOURCE: HeaderName = HeaderName::from_static("portvakt-resource");
const ACTION: HeaderName = HeaderName::from_static("portvakt-action");
const SYSTEM_USER: HeaderName = HeaderName::from_static("portvakt-system-user");
const SYSTEM_USER_ORG: HeaderName = HeaderName::from_static("portvakt-system-user-org");
const SYSTEM: HeaderName = HeaderName::from_static("portvakt-system");
const VENDOR: HeaderName = HeaderName::from_static("portvakt-vendor");

/// Our headers. The client's own are not sent on, whether or not each of ours has a value.
pub(super) fn say_identity(values: &mut Values, permit: &Permit, request_id: RequestId) {
    if let Some(rule) = permit.rule_id() {
        values.set(RULE, rule);
    }
    values.set(REQUEST_ID, &request_id.text());
    match permit.basis() {
        Basis::Public => {}
        // Nobody has been let in, so there is nobody to name.
        Basis::Shadow => values.set(MODE, Enforcement::Shadow.as_str()),
        Basis::Token(caller) => say_caller(values, caller),
        Basis::Decision(granted) => {
            say_caller(values, &granted.caller);
            for (place, party) in granted.parties.as_slice().iter().enumerate() {
                if place > 0 {
                    values.text().push(',');
                }
                party.expose_urn_to(values.text());
            }
            values.end(PARTY);
            values.set(RESOURCE, granted.resource.as_str());
            values.set(ACTION, granted.action.as_str());
        }
    }
}

/// What the API is told of a permitted request, for people: persons are masked.
#[must_use]
pub fn told_of(permit: &Permit, request_id: RequestId) -> Vec<(HeaderName, String)> {
    let mut values = Values::new();
    say_identity(&mut values, permit, request_id);
    let mut headers = HeaderMap::new();
    values.set_in(&mut headers);
    let mut told: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    if let Basis::Decision(granted) = permit.basis() {
        let parties: Vec<_> = granted.parties.as_slice().iter().map(ToString::to_string).collect();
        for (_, value) in told.iter_mut().filter(|(name, _)| *name == PARTY) {
            *value = parties.join(",");
        }
    }
    told
}

fn say_caller(values: &mut Values, caller: &Caller) {
    let Some(user) = caller.system_user() else { return };
    values.set(SYSTEM_USER, &user.id.text());
    values.set(SYSTEM_USER_ORG, &user.owner.text());
    values.set(SYSTEM, user.system.as_str());
    values.set(VENDOR, &user.vendor.text());
}
