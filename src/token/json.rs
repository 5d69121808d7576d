//! JSON as tokens use it, kept exactly as written: order, repeated names and all, so that what is
//! ambiguous can be seen and refused. No value is ever converted: a number is whole or it is nothing.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A value. No `Debug`: it holds what callers claim, person numbers included.
pub(crate) enum Node<'t> {
    /// A number without sign, fraction or exponent that fits.
    Whole(u64),
    Text(Cow<'t, str>),
    List(Vec<Self>),
    Object(Object<'t>),
    /// `null`, `true`, `false` and every other number: never what we look for.
    Other,
}

impl<'t> Node<'t> {
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Whole(_) | Self::List(_) | Self::Object(_) | Self::Other => None,
        }
    }

    pub(crate) fn whole(&self) -> Option<u64> {
        match self {
            Self::Whole(number) => Some(*number),
            Self::Text(_) | Self::List(_) | Self::Object(_) | Self::Other => None,
        }
    }

    pub(crate) fn object(&self) -> Option<&Object<'t>> {
        match self {
            Self::Object(object) => Some(object),
            Self::Whole(_) | Self::Text(_) | Self::List(_) | Self::Other => None,
        }
    }

    pub(crate) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            Self::Whole(_) | Self::Text(_) | Self::Object(_) | Self::Other => None,
        }
    }
}

/// An object, members in the order written, possibly with repeated names.
pub(crate) struct Object<'t>(Vec<(Cow<'t, str>, Node<'t>)>);

/// Why a text is not the object asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectFault {
    NotAnObject,
    RepeatedName,
}

impl<'t> Object<'t> {
    /// Reads one object with no name repeated at its top (RFC 7519 §4, RFC 8725 §2.4) and nothing after it.
    pub(crate) fn parse(text: &'t [u8]) -> Result<Self, ObjectFault> {
        let node: Node<'t> = serde_json::from_slice(text).map_err(|_| ObjectFault::NotAnObject)?;
        let Node::Object(object) = node else { return Err(ObjectFault::NotAnObject) };
        if has_repeats(object.names()) { Err(ObjectFault::RepeatedName) } else { Ok(object) }
    }

    /// The member of exactly this name; the first, where names may repeat.
    pub(crate) fn member(&self, name: &str) -> Option<&Node<'t>> {
        self.0.iter().find(|(candidate, _)| candidate == name).map(|(_, node)| node)
    }

    /// The names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// The same object for lookups in any case, if no name is there twice in any case.
    pub(crate) fn in_any_case(&self) -> Option<AnyCase<'_, 't>> {
        let repeats = has_repeats(self.names().map(str::to_ascii_lowercase));
        (!repeats).then_some(AnyCase(self))
    }
}

/// Sorted first: a token may have thousands of names.
fn has_repeats<N: Ord>(names: impl Iterator<Item = N>) -> bool {
    let mut names: Vec<N> = names.collect();
    names.sort_unstable();
    names.windows(2).any(|two| matches!(two, [one, other] if one == other))
}

/// An object whose names differ in more than case: Altinn and Digdir write `id` and `ID` for one member.
#[derive(Clone, Copy)]
pub(crate) struct AnyCase<'a, 't>(&'a Object<'t>);

impl<'a, 't> AnyCase<'a, 't> {
    pub(crate) fn member(self, name: &str) -> Option<&'a Node<'t>> {
        let AnyCase(Object(members)) = self;
        members
            .iter()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map(|(_, node)| node)
    }
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node<'de>, E> {
        Ok(u64::try_from(number).map_or(Node::Other, Node::Whole))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node<'de>, E> {
        Ok(Node::Whole(number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_string<E>(self, text: String) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((Name(name), node)) = entries.next_entry()? {
            members.push((name, node));
        }
        Ok(Node::Object(Object(members)))
    }
}

/// A name: as it stands in the text, where it has no escape.
struct Name<'t>(Cow<'t, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor).map(Self)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_there_once_however_it_is_spelt() {
        for (text, fault) in [
            (r#"{"a":1,"a":1}"#, ObjectFault::RepeatedName),
            (r#"{"a":1,"\u0061":1}"#, ObjectFault::RepeatedName),
            ("[]", ObjectFault::NotAnObject),
            ("{} {}", ObjectFault::NotAnObject),
            ("{\"a\":1,}", ObjectFault::NotAnObject),
            ("\u{feff}{}", ObjectFault::NotAnObject),
            ("{\"a\":NaN}", ObjectFault::NotAnObject),
            ("{\"a\":1e999}", ObjectFault::NotAnObject),
            ("", ObjectFault::NotAnObject),
        ] {
            assert_eq!(Object::parse(text.as_bytes()).err(), Some(fault), "{text}");
        }
        let nested = Object::parse(br#"{"a":{"b":1,"B":2}}"#).ok().unwrap();
        assert!(nested.member("a").unwrap().object().unwrap().in_any_case().is_none());
    }

    #[test]
    fn a_number_is_whole_or_nothing() {
        let object = Object::parse(
            br#"{"a":7,"b":7.0,"c":-7,"d":7e0,"e":"7","f":18446744073709551616,"g":-0,"h":null}"#,
        )
        .ok()
        .unwrap();
        assert_eq!(object.member("a").unwrap().whole(), Some(7));
        for name in ["b", "c", "d", "e", "f", "g", "h"] {
            assert_eq!(object.member(name).unwrap().whole(), None, "{name}");
        }
    }

    #[test]
    fn bottomless_nesting_is_refused_and_does_not_overflow() {
        let deep = format!("{{\"a\":{}", "[".repeat(10_000));
        assert!(Object::parse(deep.as_bytes()).is_err());
    }
}
