//! The keys of one rule, each in its short and its long form. What they mean together is not judged
//! here.

use std::time::Duration;

use http::Method;

use crate::config::field::{Field, Shape, string};
use crate::config::reader::Table;
use crate::config::sections::{cache_lifetime, enforcement};
use crate::domain::{
    Action, AttributeUrn, AuthenticationLevel, CheckDigits, Host, InstanceForm, OrganizationNumber,
    PartyKind, PartyKinds, ResourceId, Scope, ScopeRequirement, SubjectKind, SystemId, nearest,
};
use crate::route::{
    Absent, CacheRule, ContentEncoding, InstanceRule, LetterCase, Matching, Methods, ObjectTie,
    PartyRule, Protection, ResourceRule, RuleParts, Source, Template, TemplateFault, WebSocketRule,
};

/// Values of one list in a rule. Bounds what a generated file can cost.
const MAX_VALUES: usize = 1000;
/// The largest body a rule can allow.
const MAX_BODY: u64 = 1 << 40;
/// The most that a rule can let a compressed body become: as the largest body that is read.
const MAX_DECOMPRESSED: u64 = 64 << 20;
const DECOMPRESSED: &str =
    "what a body becomes lies in memory, and a small one can become very large";
/// The longest that a WebSocket may be open, or idle. Bounds how long a right outlives its withdrawal.
const MIN_OPEN: Duration = Duration::from_millis(10);
const MAX_OPEN: Duration = Duration::from_hours(24);
const OPEN: &str = "a right is not asked for again while a WebSocket is open: it outlives its withdrawal for as long";

const PROTECTIONS: [(&str, Protection); 4] = [
    ("required", Protection::Required),
    ("token", Protection::Token),
    ("public", Protection::Public),
    ("closed", Protection::Closed),
];
const OBJECTS: [(&str, ObjectTie); 2] =
    [("upstream", ObjectTie::Upstream), ("none", ObjectTie::NoObject)];
const INSTANCE_FORMS: [(&str, InstanceForm); 2] =
    [("resource-instance", InstanceForm::Resource), ("app-instance", InstanceForm::App)];

/// Everything that a rule states itself; api and letter case are the file's. `None` if anything that is
/// written cannot be read.
pub(super) fn rule(table: &mut Table<'_>, check: CheckDigits) -> Option<RuleParts> {
    let id = table.required("id", string);
    let matching = table.required("match", matching);
    let protection = table.stated("protection", |field| field.choice(&PROTECTIONS));
    let object = table.stated("object", |field| field.choice(&OBJECTS));
    let resource = table.stated("resource", resource);
    let action = table.stated("action", |field| field.text(Action::parse));
    let party = table.stated("party", party);
    let party_kinds = table.stated("party_kinds", party_kinds);
    let scopes = table.stated("scopes", scopes);
    let subjects = table.stated("subject", subjects);
    let instance = table.stated("instance", instance);
    let attributes = table.stated("attributes", attributes);
    let systems = table
        .stated("systems", |field| field.sequence(MAX_VALUES, |field| field.text(SystemId::parse)));
    let vendors = table.stated("vendors", |field| {
        field
            .sequence(MAX_VALUES, |field| field.text(|text| OrganizationNumber::parse(text, check)))
    });
    let level =
        table.stated("min_authentication_level", |field| field.text(AuthenticationLevel::parse));
    let max_body = table.stated("max_body", |field| {
        field.bytes(0..=MAX_BODY, "without the key there is no limit to a body that is streamed")
    });
    let encoded_slashes =
        table.stated("encoded_slashes", |field| field.sequence(MAX_VALUES, string));
    let content_encodings = table.stated("content_encoding", |field| {
        field.one_or_many(MAX_VALUES, |field| field.choice(&[("gzip", ContentEncoding::Gzip)]))
    });
    let max_decompressed = table
        .stated("max_decompressed", |field| field.bytes(1024..=MAX_DECOMPRESSED, DECOMPRESSED));
    let namespaces = table.stated("namespaces", |field| {
        field.names(MAX_VALUES, |_, field| field.text(|text| Ok::<_, &str>(text.to_owned())))
    });
    let cache = table.stated("cache", cache);
    let web_socket = table.stated("upgrade", upgrade);
    let help_url = table.stated("help_url", string);
    let mode = table.stated("mode", enforcement);

    let mut parts = RuleParts::new(id?, String::new(), matching?);
    parts.protection = protection?.unwrap_or_default();
    parts.object = object?;
    parts.resource = resource?;
    parts.action = action?;
    parts.party = party?;
    parts.party_kinds = party_kinds?;
    parts.scopes = scopes?;
    parts.subjects = subjects?;
    parts.instance = instance?;
    parts.attributes = attributes?.unwrap_or_default();
    parts.systems = systems?;
    parts.vendors = vendors?;
    parts.min_authentication_level = level?;
    parts.max_body_bytes = max_body?;
    parts.encoded_slashes = encoded_slashes?.unwrap_or_default();
    parts.content_encodings = content_encodings?;
    parts.max_decompressed_bytes = max_decompressed?;
    parts.namespaces = namespaces?.unwrap_or_default();
    parts.cache = cache?;
    parts.web_socket = web_socket?.unwrap_or_default().pop();
    parts.help_url = help_url?;
    parts.mode = mode?;
    Some(parts)
}

fn matching(field: Field<'_>) -> Option<Matching> {
    field.table(|table| {
        let methods = table.required("method", methods);
        let template = table.required("path", path);
        let host = table.stated("host", |field| field.text(Host::parse));
        let query = table.stated("query", |field| {
            field.names(MAX_VALUES, |_, field| field.text(|text| Ok::<_, &str>(text.to_owned())))
        });
        let (methods, template) = (methods?, template?);
        let case = LetterCase::default();
        Some(Matching { methods, template, host: host?, query: query?.unwrap_or_default(), case })
    })
}

fn methods(field: Field<'_>) -> Option<Methods> {
    if field.is_text(|text| text == "any") {
        return Some(Methods::Any);
    }
    match field.shape() {
        Shape::List => field.sequence(MAX_VALUES, method).map(Methods::List),
        Shape::Scalar | Shape::Table => method(field).map(Methods::One),
    }
}

/// Methods that rules name; by others a slip of the hand is told from what is meant.
const METHODS: [&str; 28] = [
    "ACL",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LINK",
    "LOCK",
    "MERGE",
    "MKCALENDAR",
    "MKCOL",
    "MOVE",
    "OPTIONS",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "QUERY",
    "REPORT",
    "SEARCH",
    "TRACE",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
];

fn path(mut field: Field<'_>) -> Option<Template> {
    let is_capture_name = |name: &str| Template::parse(&format!("/{{{name}}}")).is_ok();
    // As other routers write a capture.
    let is_odd = |segment: &&str| {
        segment.strip_prefix(':').is_some_and(is_capture_name)
            || segment
                .strip_prefix('<')
                .and_then(|rest| rest.strip_suffix('>'))
                .is_some_and(is_capture_name)
    };
    let odd = field.peek_text().and_then(|text| text.split('/').find(is_odd)).map(str::to_owned);
    if let Some(odd) = odd {
        let name = odd.trim_matches([':', '<', '>']);
        let message = format!("`{odd}` is taken as it stands, and captures nothing");
        field.warn("unusual-path", &message, &format!("write `{{{name}}}` for any one segment"));
    }
    field.text_or_help(Template::parse, TemplateFault::help)
}

fn method(mut field: Field<'_>) -> Option<Method> {
    let is_odd = |text: &&str| {
        !METHODS.contains(text)
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    if let Some(text) = field.peek_text().filter(is_odd) {
        let near = nearest(text, METHODS);
        let is_number = text.bytes().any(|byte| byte.is_ascii_digit());
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write one such as `GET`, or `any`".to_owned(),
        };
        if near.is_some() || is_number {
            field.warn("unusual-method", "hardly a client sends this method", &help);
        }
    }
    let parse =
        |text: &str| Method::from_bytes(text.as_bytes()).map_err(|_| "not the name of a method");
    field.text_or_help(parse, |_| "write one, a list such as `[GET, POST]`, or `any`")
}

fn source(field: Field<'_>) -> Option<Source> {
    field.text_or_help(Source::parse, crate::route::SourceFault::help)
}

/// `ID`, or `{ from, allow | map }`.
pub(super) fn resource(field: Field<'_>) -> Option<ResourceRule> {
    match field.shape() {
        Shape::Scalar => resource_id(field).map(ResourceRule::Const),
        Shape::List | Shape::Table => field.table(|table| {
            let from = table.required("from", source);
            table.exactly_one(&["allow", "map"]);
            let allow = table.optional("allow", |field| field.sequence(MAX_VALUES, resource_id));
            let map = table
                .optional("map", |field| field.names(MAX_VALUES, |_, field| resource_id(field)));
            let from = from?;
            match (allow, map) {
                (Some(allow), None) => Some(ResourceRule::Allow { from, allow }),
                (None, Some(map)) => Some(ResourceRule::Map { from, map }),
                (Some(_), Some(_)) | (None, None) => None,
            }
        }),
    }
}

fn resource_id(mut field: Field<'_>) -> Option<ResourceId> {
    if field.is_text(|text| ResourceId::parse(text).is_ok_and(|id| !id.is_modern())) {
        let help =
            "new resources have small letters, digits, `_` and `-`; leave it if it is an old one";
        field.warn("old-resource-id", "the registry gives no such id to new resources", help);
    }
    field.text(ResourceId::parse)
}

/// A source, or `{ from, many, max, absent }`, or `{ one_of }`.
fn party(field: Field<'_>) -> Option<PartyRule> {
    match field.shape() {
        Shape::Scalar => source(field).map(|from| PartyRule::One { from, absent: None }),
        Shape::List | Shape::Table => field.table(|table| {
            let which = table.exactly_one(&["from", "one_of"]);
            let from = table.optional("from", source);
            let one_of = table.stated("one_of", |field| field.sequence(MAX_VALUES, source));
            let is_one_of = table.has("one_of");
            if is_one_of {
                let reason = "`one_of` stands alone";
                for key in ["many", "max", "absent"] {
                    table.unused(key, reason);
                }
            }
            let many = table.stated("many", |field| field.choice(&[("all", ())]));
            let max = if table.has("many") || is_one_of {
                table.stated("max", |field| {
                    field.number(0..=usize::MAX, "each party is a question to the PDP")
                })
            } else {
                table.unused("max", "it belongs to `many: all`");
                Some(None)
            };
            if table.has("many") && !table.has("max") {
                table.required("max", |_| Some(()));
            }
            let absent = table.stated("absent", absent);
            which?;
            if let Some(sources) = one_of? {
                return Some(PartyRule::OneOf(sources));
            }
            let (from, many, max, absent) = (from?, many?, max?, absent?);
            match many {
                Some(()) => Some(PartyRule::Many { from, max: max?, absent }),
                None => Some(PartyRule::One { from, absent }),
            }
        }),
    }
}

fn absent(field: Field<'_>) -> Option<Absent> {
    if field.is_text(|text| text == "upstream") {
        return Some(Absent::Upstream);
    }
    source(field).map(Absent::From)
}

fn party_kinds(field: Field<'_>) -> Option<PartyKinds> {
    let words = PartyKind::ALL.map(|kind| (kind.as_str(), kind));
    field.one_or_many(MAX_VALUES, |field| field.choice(&words)).map(|kinds| PartyKinds::of(&kinds))
}

fn subjects(field: Field<'_>) -> Option<Vec<SubjectKind>> {
    let words = SubjectKind::ALL.map(|kind| (kind.as_str(), kind));
    field.one_or_many(MAX_VALUES, |field| field.choice(&words))
}

/// `[a, b]`: all. `{ any: [a, b] }`: one. `none`: the loud opt-out.
pub(super) fn scopes(field: Field<'_>) -> Option<ScopeRequirement> {
    let scope = |field: Field<'_>| {
        field.text_or_help(
            Scope::parse,
            |_| "give each scope a place of its own: `[a:read, a:write]`",
        )
    };
    match field.shape() {
        Shape::Scalar if field.is_text(|text| text == "none") => Some(ScopeRequirement::Waived),
        Shape::Scalar | Shape::List => {
            field.sequence(MAX_VALUES, scope).map(|scopes| ScopeRequirement::All(scopes.into()))
        }
        Shape::Table => field.table(|table| {
            let any = table.required("any", |field| field.sequence(MAX_VALUES, scope));
            any.map(|scopes| ScopeRequirement::Any(scopes.into()))
        }),
    }
}

fn instance(field: Field<'_>) -> Option<InstanceRule> {
    field.table(|table| {
        let from = table.required("from", source);
        let form = table.required("as", |field| field.choice(&INSTANCE_FORMS));
        Some(InstanceRule { from: from?, form: form? })
    })
}

fn attributes(field: Field<'_>) -> Option<Vec<(AttributeUrn, Source)>> {
    let named = field.names(MAX_VALUES, |urn, field| match AttributeUrn::parse(urn) {
        Ok(urn) => source(field).map(|source| (urn, source)),
        Err(error) => field.fail("invalid-value", &error.to_string()),
    });
    named.map(|named| named.into_iter().map(|(_, attribute)| attribute).collect())
}

/// `off`, or lifetimes named like the general ones.
fn cache(field: Field<'_>) -> Option<CacheRule> {
    if field.is_text(|text| text == "off") {
        return Some(CacheRule::Off);
    }
    field.table(|table| {
        let permit = table.stated("permit_ttl", cache_lifetime);
        let deny = table.stated("deny_ttl", cache_lifetime);
        Some(CacheRule::Lifetimes { permit: permit?, deny: deny? })
    })
}

/// `[websocket]`, or `{ websocket: { max_duration, idle_timeout } }`.
fn upgrade(field: Field<'_>) -> Option<Vec<WebSocketRule>> {
    match field.shape() {
        Shape::Scalar | Shape::List => {
            let words = [("websocket", WebSocketRule::default())];
            field.sequence(words.len(), |field| field.choice(&words))
        }
        Shape::Table => field.table(|table| {
            let lifetime = |field: Field<'_>| field.duration(MIN_OPEN..=MAX_OPEN, OPEN);
            let rule = table.required("websocket", |field| {
                field.table(|table| {
                    let usual = WebSocketRule::default();
                    let max_duration = table.or("max_duration", usual.max_duration, lifetime);
                    let idle_timeout = table.or("idle_timeout", usual.idle_timeout, lifetime);
                    Some(WebSocketRule { max_duration, idle_timeout })
                })
            });
            rule.map(|rule| vec![rule])
        }),
    }
}
