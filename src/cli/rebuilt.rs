//! A request rebuilt from its decision record, as far as one tells: its rule, its caller, and what was asked.
//!
//! A record holds no target, header, body or scope. Where the rule reads a value that the record has, it stands where the
//! rule reads it; every other value is a sample, and said to be one.

use crate::dev::{Life, delegated, organization, system_user};
use crate::domain::{
    CheckDigits, Clock as _, DenialCode, OrganizationNumber, Scope, ScopeRequirement, SystemClock,
    SystemId, SystemUserId,
};
use crate::record::Recorded;
use crate::route::{Place, RouteRule, Source};
use crate::snapshot::Snapshot;
use crate::token::IssuerKind;
use http::header::{CONTENT_TYPE, HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// A request like the one of a record.
#[derive(Debug)]
pub(super) struct Rebuilt {
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Of its token; `None` if the caller sent none.
    pub(super) claims: Option<Value>,
    /// What the record does not tell.
    pub(super) assumed: Vec<String>,
}

/// What stands in places that the record does not tell.
const SAMPLE: &str = "sample-value";
/// What parties of a record begin with, where a bare number will do.
const ORGANIZATION: &str = "urn:altinn:organization:identifier-no:";

/// Rebuilds the request, or says why nothing can be.
pub(super) fn rebuild(record: &Recorded, snapshot: &Snapshot) -> Result<Rebuilt, String> {
    let code = record.code.as_deref().unwrap_or("none");
    let id = record.rule.as_deref().ok_or_else(|| {
        format!("no rule is named in the record (code `{code}`), and records hold no targets: give method and URL")
    })?;
    let rules = snapshot.routes.rules();
    let rule = rules
        .iter()
        .find(|rule| &**rule.id() == id)
        .ok_or_else(|| format!("the configuration has no rule `{id}`"))?;
    let method = Method::from_bytes(record.method.as_bytes())
        .map_err(|_| format!("the record's method `{}` is none", record.method))?;
    let mut places = Places::default();
    if let Some(party) = rule.party() {
        let known = record.party.iter().map(|party| {
            if party.contains('*') {
                return Err(
                    "records mask persons, and a person is whom this one is about".to_owned()
                );
            }
            Ok(party.strip_prefix(ORGANIZATION).unwrap_or(party).to_owned())
        });
        let values = known.collect::<Result<Vec<_>, _>>()?;
        if let Some(source) = party.sources().first() {
            places.put(source, &values)?;
        }
    }
    let told =
        rule.resource().and_then(|resources| resources.source().zip(record.resource.as_ref()));
    if let Some((source, resource)) = told {
        let word = rule.resource().and_then(|rule| rule.word_for(resource));
        let word = word.unwrap_or(resource);
        places.put(source, &[word.to_owned()])?;
    }
    let others = rule.instance().map(|instance| &instance.from);
    for source in others.into_iter().chain(rule.attributes().iter().map(|(_, source)| source)) {
        places.put(source, &[SAMPLE.to_owned()])?;
        places.assume(source);
    }
    let claims = claims(record, rule, snapshot)?;
    if claims.is_some() {
        let what = if lacks_scopes(record) { "none of the scopes" } else { "the scopes" };
        places.assumed.push(format!("the token has {what} that the rule demands"));
    }
    places.finish(rule, method, claims)
}

/// Values where a rule reads them.
#[derive(Default)]
struct Places {
    captures: BTreeMap<String, String>,
    query: Vec<(String, String)>,
    form: Vec<(String, String)>,
    headers: HeaderMap,
    json: Option<Value>,
    assumed: Vec<String>,
}

impl Places {
    fn put(&mut self, source: &Source, values: &[String]) -> Result<(), String> {
        for (nth, value) in values.iter().enumerate() {
            match source.place() {
                Place::Path(name) => drop(self.captures.insert(name.to_string(), value.clone())),
                Place::Query(name) => self.query.push((name.to_string(), value.clone())),
                Place::Form(name) => self.form.push((name.to_string(), value.clone())),
                Place::Header(name) => self.header(name, value)?,
                Place::Json(_) => {
                    let pointer = source.as_str().trim_start_matches("json:/");
                    let steps: Vec<_> = pointer
                        .split('/')
                        .map(|step| step.replace("~1", "/").replace("~0", "~"))
                        .collect();
                    let root = self.json.get_or_insert_with(|| json!({}));
                    set(root, &steps, nth, value);
                }
                Place::Xml(_) => {
                    return Err(format!("`{source}` is not rebuilt: give method, URL and body"));
                }
                Place::SystemUserOwner | Place::Consumer | Place::Const(_) => {}
            }
        }
        Ok(())
    }

    fn header(&mut self, name: &HeaderName, value: &str) -> Result<(), String> {
        let value = HeaderValue::try_from(value).map_err(|fault| fault.to_string())?;
        self.headers.append(name.clone(), value);
        Ok(())
    }

    fn assume(&mut self, source: &Source) {
        self.assumed.push(format!("`{source}` is `{SAMPLE}`"));
    }

    fn finish(
        mut self,
        rule: &RouteRule,
        method: Method,
        claims: Option<Value>,
    ) -> Result<Rebuilt, String> {
        let unknown =
            rule.template().capture_names().filter(|name| !self.captures.contains_key(*name));
        let unknown: Vec<_> = unknown.map(|name| format!("`path:{name}` is `{SAMPLE}`")).collect();
        self.assumed.extend(unknown);
        let matching = rule.matching();
        self.query.extend(matching.query.iter().map(|(name, value)| (name.clone(), value.clone())));
        let path = rule.template().sample_with(|name| self.captures.get(name).map(String::as_str));
        let pairs = |pairs: &[(String, String)]| {
            let mut text = url::form_urlencoded::Serializer::new(String::new());
            text.extend_pairs(pairs).finish()
        };
        let query = pairs(&self.query);
        let target = if query.is_empty() { path } else { format!("{path}?{query}") };
        let host = matching.host.as_ref().map_or("localhost", |host| host.as_str());
        self.header(&HOST, host)?;
        let body = match (&self.json, self.form.is_empty()) {
            (Some(json), _) => {
                let body = json.to_string().into_bytes();
                self.header(&CONTENT_TYPE, "application/json")?;
                body
            }
            (None, false) => {
                self.header(&CONTENT_TYPE, "application/x-www-form-urlencoded")?;
                pairs(&self.form).into_bytes()
            }
            (None, true) => Vec::new(),
        };
        let Self { headers, assumed, .. } = self;
        Ok(Rebuilt { method, target, headers, body, claims, assumed })
    }
}

/// Sets the value where the steps lead; at `*` it is the nth of a list.
fn set(at: &mut Value, steps: &[String], nth: usize, value: &str) {
    let Some((step, below)) = steps.split_first() else {
        *at = Value::from(value);
        return;
    };
    let next = if step == "*" {
        if !at.is_array() {
            *at = json!([]);
        }
        let Some(list) = at.as_array_mut() else { return };
        while list.len() <= nth {
            list.push(json!({}));
        }
        list.get_mut(nth)
    } else {
        if !at.is_object() {
            *at = json!({});
        }
        at.as_object_mut().map(|members| members.entry(step.clone()).or_insert_with(|| json!({})))
    };
    if let Some(next) = next {
        set(next, below, nth, value);
    }
}

/// The claims of a token like the one that was sent.
fn claims(
    record: &Recorded,
    rule: &RouteRule,
    snapshot: &Snapshot,
) -> Result<Option<Value>, String> {
    let Some(kind) = record.subject.as_deref() else {
        return match record.code.as_deref() {
            None | Some("token-missing") => Ok(None),
            Some(code) if code.starts_with("token-") || code == "not-a-system-user" => {
                Err(format!("the token itself was refused (`{code}`), and is not in the record"))
            }
            Some(_) => Ok(None),
        };
    };
    let number = |number: &Option<String>| {
        let number = number.as_deref().ok_or("the record names no organization")?;
        OrganizationNumber::parse(number, CheckDigits::Lenient).map_err(|fault| fault.to_string())
    };
    let issuers = &snapshot.tokens.settings().issuers;
    let issuer = issuers.iter().find(|issuer| issuer.kind == IssuerKind::Maskinporten);
    let issuer = issuer.ok_or("no issuer of the configuration is Maskinporten")?;
    let life = Life { issued: SystemClock.wall(), lifetime: Duration::from_mins(2) };
    let consumer = number(&record.consumer)?;
    let scopes = if lacks_scopes(record) { String::new() } else { scopes(rule) };
    let mut claims = organization(&issuer.issuer, life, &scopes, consumer);
    if let Some(audience) = &issuer.audience
        && let Some(members) = claims.as_object_mut()
    {
        members.insert("aud".to_owned(), json!(audience));
    }
    match kind {
        "system-user" => {
            let id = record.system_user.as_deref().and_then(SystemUserId::parse);
            let system = record.system.as_deref().and_then(|text| SystemId::parse(text).ok());
            let (Some(id), Some(system)) = (id, system) else {
                return Err("the record does not name the system user whole".to_owned());
            };
            let vendor = number(&record.vendor)?;
            if vendor != consumer {
                claims = delegated(claims, vendor);
            }
            Ok(Some(system_user(claims, id, number(&record.owner)?, &system)))
        }
        "organization" => Ok(Some(claims)),
        other => Err(format!("a token of a {other} is not rebuilt: records name no persons")),
    }
}

fn lacks_scopes(record: &Recorded) -> bool {
    record.code.as_deref() == Some(DenialCode::ScopeMissing.as_str())
}

/// Scopes that are enough.
fn scopes(rule: &RouteRule) -> String {
    let words = |scopes: &[Scope]| scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
    match rule.scopes() {
        Some(ScopeRequirement::All(scopes)) => words(scopes),
        Some(ScopeRequirement::Any(scopes)) => words(scopes.get(..1).unwrap_or_default()),
        Some(ScopeRequirement::Waived) | None => String::new(),
    }
}
