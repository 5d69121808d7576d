//! What a rule states, as plain typed values, before it has been judged as a whole.
//!
//! Whoever reads rule files fills in [`RuleParts`]; `RouteRule::new` judges them. Defaults of a file
//! are applied only where they mean something: scopes to `required` and `token` rules, the resource to
//! `required` ones.

use super::source::Source;
use super::template::Template;
use crate::domain::{
    Action, AttributeUrn, AuthenticationLevel, Enforcement, Host, InstanceForm, OrganizationNumber,
    PartyKinds, ResourceId, ScopeRequirement, SubjectKind, SystemId,
};
use http::Method;
use std::time::Duration;

/// One rule as stated. `None` and empty lists mean "not stated".
#[derive(Clone, Debug)]
pub struct RuleParts {
    /// `id`
    pub id: String,
    /// `api`, from the file.
    pub api: String,
    /// `match`
    pub matching: Matching,
    /// `protection`
    pub protection: Protection,
    /// `object`
    pub object: Option<ObjectTie>,
    /// `resource`
    pub resource: Option<ResourceRule>,
    /// `action`
    pub action: Option<Action>,
    /// `party`
    pub party: Option<PartyRule>,
    /// `party_kinds`
    pub party_kinds: Option<PartyKinds>,
    /// `scopes`
    pub scopes: Option<ScopeRequirement>,
    /// `subject`
    pub subjects: Option<Vec<SubjectKind>>,
    /// `instance`
    pub instance: Option<InstanceRule>,
    /// `attributes`, in the rule's order.
    pub attributes: Vec<(AttributeUrn, Source)>,
    /// `systems`
    pub systems: Option<Vec<SystemId>>,
    /// `vendors`
    pub vendors: Option<Vec<OrganizationNumber>>,
    /// `min_authentication_level`
    pub min_authentication_level: Option<AuthenticationLevel>,
    /// `max_body`, in bytes.
    pub max_body_bytes: Option<u64>,
    /// `encoded_slashes`: names of captures.
    pub encoded_slashes: Vec<String>,
    /// `content_encoding`: how a body that is read may be compressed.
    pub content_encodings: Option<Vec<ContentEncoding>>,
    /// `max_decompressed`, in bytes.
    pub max_decompressed_bytes: Option<u64>,
    /// `namespaces`: prefixes of `xml:` sources, and what they stand for.
    pub namespaces: Vec<(String, String)>,
    /// `cache`
    pub cache: Option<CacheRule>,
    /// `upgrade`: that a WebSocket may be opened, and how long it may last.
    pub web_socket: Option<WebSocketRule>,
    /// `help_url`
    pub help_url: Option<String>,
    /// `mode`
    pub mode: Option<Enforcement>,
}

impl RuleParts {
    /// A rule that states nothing but which requests it is for.
    #[must_use]
    pub fn new(id: impl Into<String>, api: impl Into<String>, matching: Matching) -> Self {
        Self {
            id: id.into(),
            api: api.into(),
            matching,
            protection: Protection::Required,
            object: None,
            resource: None,
            action: None,
            party: None,
            party_kinds: None,
            scopes: None,
            subjects: None,
            instance: None,
            attributes: Vec::new(),
            systems: None,
            vendors: None,
            min_authentication_level: None,
            max_body_bytes: None,
            encoded_slashes: Vec::new(),
            content_encodings: None,
            max_decompressed_bytes: None,
            namespaces: Vec::new(),
            cache: None,
            web_socket: None,
            help_url: None,
            mode: None,
        }
    }
}

/// `match`: which requests a rule is for.
#[derive(Clone, Debug)]
pub struct Matching {
    /// `method`
    pub methods: Methods,
    /// `path`
    pub template: Template,
    /// `host`; without a port it matches every port.
    pub host: Option<Host>,
    /// `query`: decoded names and values.
    pub query: Vec<(String, String)>,
    /// `case`, from the file.
    pub case: LetterCase,
}

impl Matching {
    /// These methods on this path, any host and any query.
    #[must_use]
    pub fn new(methods: Methods, template: Template) -> Self {
        Self { methods, template, host: None, query: Vec::new(), case: LetterCase::Sensitive }
    }
}

/// The methods of a rule. `HEAD` falls under `GET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Methods {
    /// One name.
    One(Method),
    /// A list of names.
    List(Vec<Method>),
    /// `any`: every method but `CONNECT` and `TRACE`, which are never forwarded.
    Any,
}

/// How literals of the path are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LetterCase {
    /// Letter by letter.
    #[default]
    Sensitive,
    /// Ignoring ASCII case; the original bytes are still what is forwarded.
    Insensitive,
}

/// What stands between a caller and the API behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protection {
    /// Token, scope, and the PDP's permit.
    #[default]
    Required,
    /// Token and scope.
    Token,
    /// Nothing.
    Public,
    /// A wall.
    Closed,
}

impl Protection {
    /// The word used in rules and records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Token => "token",
            Self::Public => "public",
            Self::Closed => "closed",
        }
    }
}

/// `object`: what ties the object of a request to its caller, where the PDP is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectTie {
    /// `upstream`: the API itself does.
    Upstream,
    /// `none`: there is no object.
    NoObject,
}

/// `resource`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceRule {
    /// Always this one.
    Const(ResourceId),
    /// `{ from, allow }`: named by the request, out of this list.
    Allow {
        /// Where it is named.
        from: Source,
        /// What it may be.
        allow: Vec<ResourceId>,
    },
    /// `{ from, map }`: chosen by the request.
    Map {
        /// Where the choice is.
        from: Source,
        /// Text in the request, and the resource it stands for.
        map: Vec<(String, ResourceId)>,
    },
}

impl ResourceRule {
    /// Whatever it may be.
    pub fn ids(&self) -> impl Iterator<Item = &ResourceId> {
        let (one, listed, mapped) = match self {
            Self::Const(id) => (Some(id), [].as_slice(), [].as_slice()),
            Self::Allow { allow, .. } => (None, allow.as_slice(), [].as_slice()),
            Self::Map { map, .. } => (None, [].as_slice(), map.as_slice()),
        };
        one.into_iter().chain(listed).chain(mapped.iter().map(|(_, id)| id))
    }

    /// Where the request names it, if it does.
    #[must_use]
    pub fn source(&self) -> Option<&Source> {
        match self {
            Self::Const(_) => None,
            Self::Allow { from, .. } | Self::Map { from, .. } => Some(from),
        }
    }

    /// What the request says there for this resource.
    #[must_use]
    pub fn word_for<'a>(&'a self, id: &'a str) -> Option<&'a str> {
        match self {
            Self::Const(_) => None,
            Self::Allow { allow, .. } => {
                allow.iter().find(|one| one.as_str() == id).map(ResourceId::as_str)
            }
            Self::Map { map, .. } => {
                map.iter().find(|(_, one)| one.as_str() == id).map(|(word, _)| word.as_str())
            }
        }
    }
}

/// `party`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartyRule {
    /// Exactly one value.
    One {
        /// Where.
        from: Source,
        /// What holds where the source does not occur at all.
        absent: Option<Absent>,
    },
    /// `many: all`: one or more, all of which must be permitted.
    Many {
        /// Where.
        from: Source,
        /// At most so many, counted before equal ones are merged.
        max: usize,
        /// What holds where the source does not occur at all.
        absent: Option<Absent>,
    },
    /// `one_of`: exactly one of these is present.
    OneOf(Vec<Source>),
}

impl PartyRule {
    /// The sources it may read, without those of `absent`.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        match self {
            Self::One { from, .. } | Self::Many { from, .. } => std::slice::from_ref(from),
            Self::OneOf(sources) => sources,
        }
    }

    /// What holds where the source does not occur at all.
    #[must_use]
    pub fn absent(&self) -> Option<&Absent> {
        match self {
            Self::One { absent, .. } | Self::Many { absent, .. } => absent.as_ref(),
            Self::OneOf(_) => None,
        }
    }
}

/// `party.absent`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The party is read from here: `token:` or `const:`.
    From(Source),
    /// `upstream`: the request is forwarded as by a `token` rule.
    Upstream,
}

/// `instance`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceRule {
    /// `from`
    pub from: Source,
    /// `as`
    pub form: InstanceForm,
}

/// `content_encoding`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentEncoding {
    /// `gzip`
    Gzip,
}

/// `cache`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheRule {
    /// `off`: every request asks.
    Off,
    /// Lifetimes of the rule's own; `None` leaves the general one.
    Lifetimes {
        /// For permits.
        permit: Option<Duration>,
        /// For denials.
        deny: Option<Duration>,
    },
}

/// `upgrade.websocket`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebSocketRule {
    /// From the handshake on. Bounds how long a right outlives its withdrawal: nothing is asked again
    /// while a WebSocket is open.
    pub max_duration: Duration,
    /// Without a byte from either side. Bounds how long a peer that has vanished holds its place.
    pub idle_timeout: Duration,
}

impl Default for WebSocketRule {
    fn default() -> Self {
        Self { max_duration: Duration::from_hours(1), idle_timeout: Duration::from_mins(10) }
    }
}
