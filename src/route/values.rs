//! Reading one value, or a bounded number of them, from where a source says.
//!
//! Holds the rule of exactly once: absent is told apart from empty, a second occurrence and a list are
//! refused. What a text means is `resolve`'s to judge.

use super::body::BodyValues;
use super::find::Matched;
use super::json::{Found, Scalar};
use super::source::{Place, Source};
use super::xml::XmlValue;
use crate::domain::{Caller, Denial, DenialCode, Head, Query, Subject};
use http::{HeaderName, HeaderValue};
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;

/// What a value is for; fixes the codes of its refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Party,
    Resource,
    Instance,
    /// Has no codes of its own: a request that lacks one is malformed.
    Attribute,
}

impl Role {
    pub(super) fn missing(self) -> DenialCode {
        match self {
            Self::Party => DenialCode::PartyMissing,
            Self::Resource => DenialCode::ResourceMissing,
            Self::Instance => DenialCode::InstanceMissing,
            Self::Attribute => DenialCode::MalformedRequest,
        }
    }

    pub(super) fn invalid(self) -> DenialCode {
        match self {
            Self::Party => DenialCode::PartyInvalid,
            Self::Resource => DenialCode::ResourceInvalid,
            Self::Instance => DenialCode::InstanceMissing,
            Self::Attribute => DenialCode::MalformedRequest,
        }
    }
}

/// The values of one source.
type Values<'r> = SmallVec<[Cow<'r, str>; 1]>;

/// Everything a source can read.
#[derive(Clone, Copy)]
pub(super) struct Readable<'r> {
    pub(super) matched: &'r Matched<'r>,
    pub(super) head: &'r Head,
    pub(super) query: Option<Query<'r>>,
    pub(super) body: &'r BodyValues<'r>,
    pub(super) caller: Option<&'r Caller>,
}

impl<'r> Readable<'r> {
    /// The one value; `None` if the source does not occur at all.
    pub(super) fn one(&self, source: &Source, role: Role) -> Result<Option<Cow<'r, str>>, Denial> {
        let mut values = self.occurrences(source, role, Arrays::Refuse)?.into_iter();
        let first = values.next();
        if values.next().is_some() {
            return Err(refuse(DenialCode::AmbiguousParameter, source, "it occurs twice"));
        }
        first.map(|value| sound(value, source, role)).transpose()
    }

    /// Every value, none of them empty or a list; no values if the source does not occur at all.
    pub(super) fn many(&self, source: &Source, role: Role) -> Result<Vec<Cow<'r, str>>, Denial> {
        let values = self.occurrences(source, role, Arrays::Take)?;
        values.into_iter().map(|value| sound(value, source, role)).collect()
    }

    fn occurrences(
        &self,
        source: &Source,
        role: Role,
        arrays: Arrays,
    ) -> Result<Values<'r>, Denial> {
        Ok(match source.place() {
            Place::Path(name) => {
                let text = self.matched.capture(name);
                smallvec![text.ok_or_else(|| refuse(
                    DenialCode::Internal,
                    source,
                    "no such capture"
                ))?]
            }
            Place::Query(name) => self.query_values(name, source)?,
            Place::Header(name) => self.header_values(name, source, role)?,
            Place::Json(_) => self.json_values(source, role, arrays)?,
            Place::Xml(_) => self.xml_values(source, role, arrays)?,
            Place::Form(name) => self.form_values(name, source)?,
            Place::SystemUserOwner => {
                let user = self.caller.and_then(Caller::system_user);
                user.map(|user| Cow::Owned(user.owner.to_string())).into_iter().collect()
            }
            Place::Consumer => {
                let consumer = self.caller.and_then(|caller| match &caller.subject {
                    Subject::SystemUser(user) => Some(user.consumer),
                    Subject::Organization(organization) => Some(organization.consumer),
                    Subject::Person(_) => None,
                });
                consumer.map(|number| Cow::Owned(number.to_string())).into_iter().collect()
            }
            Place::Const(value) => smallvec![Cow::Owned(value.as_ref().to_owned())],
        })
    }

    fn query_values(&self, name: &str, source: &Source) -> Result<Values<'r>, Denial> {
        let mut values = Values::new();
        for pair in self.query.into_iter().flat_map(Query::pairs) {
            let (given, value) =
                pair.map_err(|fault| refuse(DenialCode::MalformedRequest, source, fault))?;
            if given == name {
                values.push(value);
            }
        }
        Ok(values)
    }

    /// Visible ASCII with inner spaces, trimmed (RFC 9110 §5.5).
    fn header_values(
        &self,
        name: &HeaderName,
        source: &Source,
        role: Role,
    ) -> Result<Values<'r>, Denial> {
        let text = |line: &'r HeaderValue| {
            line.to_str()
                .ok()
                .map(|text| text.trim_matches([' ', '\t']))
                .filter(|text| text.bytes().all(|byte| (0x20..0x7F).contains(&byte)))
                .map(Cow::Borrowed)
                .ok_or_else(|| refuse(role.invalid(), source, "not visible ASCII"))
        };
        self.head.headers.get_all(name).iter().map(text).collect()
    }

    fn json_values(
        &self,
        source: &Source,
        role: Role,
        arrays: Arrays,
    ) -> Result<Values<'r>, Denial> {
        let Place::Json(pointer) = source.place() else { return Ok(Values::new()) };
        let places = &self.matched.rule().reads().json;
        let place = places.iter().position(|place| place == pointer);
        let found = match self.body {
            BodyValues::Json(found) => place.and_then(|place| found.get(place)),
            BodyValues::Unread | BodyValues::Xml(_) | BodyValues::Form(_) => None,
        };
        let unfit = || refuse(role.invalid(), source, "neither a string nor an integer");
        let text = |scalar: &Scalar<'r>| match scalar {
            Scalar::Text(text) => Ok(text.clone()),
            Scalar::Integer(digits) => Ok(Cow::Borrowed(*digits)),
            Scalar::Unfit => Err(unfit()),
            Scalar::Missing => Err(refuse(role.missing(), source, "an element lacks it")),
        };
        match found {
            None => Err(unread(source)),
            Some(None) => Ok(Values::new()),
            Some(Some(Found::Value(scalar))) => Ok(smallvec![text(scalar)?]),
            Some(Some(Found::Array(elements))) => match arrays {
                Arrays::Refuse => Err(unfit()),
                Arrays::Take if elements.is_empty() => {
                    Err(refuse(role.missing(), source, "the array is empty"))
                }
                Arrays::Take => elements.iter().map(text).collect(),
            },
            Some(Some(Found::Each(elements))) => match arrays {
                Arrays::Refuse => Err(unfit()),
                Arrays::Take => elements.iter().map(text).collect(),
            },
        }
    }

    fn xml_values(
        &self,
        source: &Source,
        role: Role,
        arrays: Arrays,
    ) -> Result<Values<'r>, Denial> {
        let Place::Xml(path) = source.place() else { return Ok(Values::new()) };
        let places = &self.matched.rule().reads().xml;
        let place = places.iter().position(|place| place.path == *path);
        let found = match self.body {
            BodyValues::Xml(found) => place.and_then(|place| found.get(place)),
            BodyValues::Unread | BodyValues::Json(_) | BodyValues::Form(_) => None,
        };
        let found = found.ok_or_else(|| unread(source))?;
        match arrays {
            // As of a JSON array: where one element has it, every element must.
            Arrays::Take if found.has_gap && !found.values.is_empty() => {
                return Err(refuse(role.missing(), source, "an element lacks it"));
            }
            Arrays::Take | Arrays::Refuse => {}
        }
        let text = |value: &'r XmlValue| match value {
            XmlValue::Text(text) => Ok(Cow::Borrowed(text.as_str())),
            XmlValue::Container => {
                Err(refuse(role.invalid(), source, "the element has elements in it"))
            }
        };
        found.values.iter().map(text).collect()
    }

    fn form_values(&self, name: &str, source: &Source) -> Result<Values<'r>, Denial> {
        let names = &self.matched.rule().reads().form;
        let place = names.iter().position(|one| one.as_ref() == name);
        let found = match self.body {
            BodyValues::Form(found) => place.and_then(|place| found.get(place)),
            BodyValues::Unread | BodyValues::Json(_) | BodyValues::Xml(_) => None,
        };
        found.map(|values| values.iter().cloned().collect()).ok_or_else(|| unread(source))
    }
}

fn unread(source: &Source) -> Denial {
    refuse(DenialCode::Internal, source, "the body was not read")
}

/// What to make of an array, or of elements that may be many.
#[derive(Clone, Copy)]
enum Arrays {
    Refuse,
    Take,
}

/// Refuses what is there and says nothing, or says several things.
fn sound<'r>(value: Cow<'r, str>, source: &Source, role: Role) -> Result<Cow<'r, str>, Denial> {
    match source.place() {
        Place::SystemUserOwner | Place::Consumer | Place::Const(_) => Ok(value),
        Place::Path(_)
        | Place::Query(_)
        | Place::Header(_)
        | Place::Json(_)
        | Place::Xml(_)
        | Place::Form(_) => {
            if value.is_empty() {
                Err(refuse(role.missing(), source, "it is empty"))
            } else if value.contains(',') {
                Err(refuse(DenialCode::AmbiguousParameter, source, "it is a list"))
            } else {
                Ok(value)
            }
        }
    }
}

/// A refusal that names its source.
pub(super) fn refuse(code: DenialCode, source: &Source, cause: impl std::fmt::Display) -> Denial {
    Denial::new(code).at(source.shared()).because(cause)
}
