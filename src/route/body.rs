//! The kinds of body that rules read values from, and the reading of one.
//!
//! Each kind has its own reader (`json`, `xml`, `form`); here they meet. Which of the values found are wanted,
//! and how many there may be, is `values`' to judge.

use super::form::{self, FormFault};
use super::json::{self, Found, JsonFault};
use super::rule::RouteRule;
use super::xml::{self, XmlFault, XmlFound};
use crate::domain::{Denial, DenialCode};
use std::borrow::Cow;

/// What a body is written in. A rule reads one kind at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// `json:`
    Json,
    /// `xml:`
    Xml,
    /// `form:`
    Form,
}

/// What a body has at the places its rule reads, in the order of the rule's `reads`.
pub(super) enum BodyValues<'b> {
    /// The rule reads none.
    Unread,
    Json(Vec<Option<Found<'b>>>),
    Xml(Vec<XmlFound>),
    Form(Vec<Vec<Cow<'b, str>>>),
}

/// One more than any rule takes, so that too many is seen.
const MAX_KEPT: usize = RouteRule::MAX_PARTIES + 1;

pub(super) fn read<'b>(
    kind: BodyKind,
    rule: &RouteRule,
    body: &'b [u8],
) -> Result<BodyValues<'b>, Denial> {
    let reads = rule.reads();
    match kind {
        BodyKind::Json => {
            json::scan(body, &reads.json, MAX_KEPT).map(BodyValues::Json).map_err(|fault| {
                match fault {
                    JsonFault::Unreadable(cause) => unreadable(cause),
                    JsonFault::Ambiguous(place) => ambiguous(
                        reads.json.get(place).map(|pointer| format!("json:{pointer}")),
                        "a member of the body occurs twice or in other letters",
                    ),
                }
            })
        }
        BodyKind::Xml => xml::scan(body, &reads.xml, MAX_KEPT).map(BodyValues::Xml).map_err(
            |fault| match fault {
                XmlFault::Unreadable(cause) => unreadable(cause),
                XmlFault::Ambiguous(place) => ambiguous(
                    reads.xml.get(place).map(|place| format!("xml:{}", place.path)),
                    "an element or attribute has a neighbour alike, or its text is cut in two",
                ),
            },
        ),
        BodyKind::Form => {
            form::read(body, reads, MAX_KEPT).map(BodyValues::Form).map_err(|fault| match fault {
                FormFault::Unreadable(cause) => unreadable(cause),
                FormFault::Ambiguous(source) => {
                    ambiguous(Some(source), "a name in the form means the same to some servers")
                }
            })
        }
    }
}

fn unreadable(cause: &'static str) -> Denial {
    Denial::new(DenialCode::BodyUnreadable).because(cause)
}

fn ambiguous(source: Option<String>, cause: &'static str) -> Denial {
    let denial = Denial::new(DenialCode::AmbiguousParameter).because(cause);
    match source {
        Some(source) => denial.at(source),
        None => denial,
    }
}
