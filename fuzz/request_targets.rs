//! What is done with one input of each fuzz target that is about requests: targets, tokens and bodies that rules
//! read. As in `targets.rs`, libFuzzer and `cargo test` call the same functions.
//!
//! What our readers find is looked for again by readers that are written here and careless on purpose: they
//! ignore case, namespaces and most of what makes a document wrong, as some API behind may.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Version};
use portvakt::dev::SigningKey;
use portvakt::domain::{
    Action, AttributeUrn, CheckDigits, DenialCode, Head, RequestTarget, ResourceId, Scope,
    ScopeRequirement, SystemClock, Upgrade,
};
use portvakt::outbound::{Outbound, OutboundSettings};
use portvakt::route::{
    Matching, Methods, PartyRule, Protection, Question, Resolved, ResourceRule, RouteRule,
    RouteTable, RuleParts, ScopeDemand, Source, Surroundings, Template, resolve,
};
use portvakt::tasks::Tasks;
use portvakt::token::{IssuerKind, IssuerSettings, KeyLocation, TokenSettings, TokenVerifier};
use serde_json::Value;
use std::sync::{Arc, OnceLock};

const MAX_TARGET_BYTES: usize = 8192;
const ISSUER: &str = "https://issuer.fuzz.example/";
const KID: &str = "fuzz";

/// A request target: refused, or forwarded byte for byte, with captures that are its segments decoded once.
pub(crate) fn path(input: &[u8]) {
    let Ok(raw) = std::str::from_utf8(input) else { return };
    let Ok(target) = RequestTarget::parse(raw, MAX_TARGET_BYTES) else { return };
    assert_eq!(target.as_str(), raw);
    let path = raw.split('?').next().unwrap();
    assert_eq!(target.path().as_str(), path);
    let segments: Vec<&str> = target.path().segments().map(|segment| segment.raw).collect();
    let slash = if target.path().ends_with_slash() { "/" } else { "" };
    assert_eq!(format!("/{}{slash}", segments.join("/")), path);
    for segment in &segments {
        let decoded = decoded(segment, false).unwrap();
        assert!(!matches!(decoded.as_str(), "" | "." | ".."), "{raw}");
        assert!(!decoded.contains(['\\', ';', '\0']), "{raw}");
        // A second decoding by somebody behind finds nothing more to decode.
        assert_eq!(super_decoded(&decoded), decoded, "{raw}");
    }
    let Ok(matched) = routes().find(None, &target, &Method::GET) else { return };
    let template = matched.rule().template().as_str().to_owned();
    for (index, part) in template.trim_matches('/').split('/').enumerate() {
        match part.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !name.starts_with('*') => {
                let found = matched.capture(name).unwrap();
                assert_eq!(*found, decoded(segments[index], false).unwrap(), "{raw}");
                assert!(!found.contains('/') || name == "slashed", "{raw}");
            }
            Some(_) => assert!(matched.capture(&part[2..part.len() - 1]).is_some()),
            None if !part.is_empty() => {
                assert!(decoded(segments[index], false).unwrap().eq_ignore_ascii_case(part));
            }
            None => {}
        }
    }
}

/// An `Authorization` header as it stands; or, with line breaks, header and claims of a token, of which the
/// signature is the third line, or that of the right key where there is none. Nothing is believed that
/// the right key has not signed.
pub(crate) fn bearer(input: &[u8]) {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let (first, second, third) = (lines.next().unwrap(), lines.next(), lines.next());
    let signed = |claims: &[u8]| {
        let claims: Value = serde_json::from_slice(claims).ok()?;
        Some((verifier().1.sign(&claims).ok()?, claims))
    };
    let (line, ours) = match (second, third) {
        (None, _) => (first.to_vec(), None),
        (Some(claims), None) => match signed(claims) {
            Some((token, claims)) => (format!("Bearer {token}").into_bytes(), Some(claims)),
            None => return,
        },
        (Some(claims), Some(signature)) => {
            let parts = [base64(first), base64(claims), base64(signature)];
            (format!("Bearer {}", parts.join(".")).into_bytes(), None)
        }
    };
    let Ok(value) = HeaderValue::from_bytes(&line) else { return };
    let headers: HeaderMap = [(AUTHORIZATION, value)].into_iter().collect();
    match (runtime().block_on(verifier().0.authenticate(&headers)), ours) {
        (Ok(_), Some(claims)) => {
            assert_eq!(claims["iss"], ISSUER);
            assert!(claims["exp"].as_f64().is_some() && claims.get("cnf").is_none(), "{claims}");
        }
        (Ok(_), None) => panic!("believed without the key's signature"),
        (Err(denial), _) => {
            let about_claims = [DenialCode::NotASystemUser, DenialCode::SeveralSystemUsers];
            let known = denial.code.status() == 401 || about_claims.contains(&denial.code);
            assert!(known, "{denial:?}");
        }
    }
}

/// A JSON body, from which one value and every element of an array are read.
pub(crate) fn json_source(input: &[u8]) {
    static RULES: OnceLock<[RouteTable; 2]> = OnceLock::new();
    let [one, many] = RULES.get_or_init(|| [reading("json:/a/b"), listing("json:/items/*/orgnr")]);
    if let Some(question) = asked(one, input)
        && let Some(document) = readable(input)
    {
        let found = alike(alike(&document, "a"), "b");
        let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        assert_eq!(*question.attributes[0].value, text);
    }
    if let Some(question) = asked(many, input)
        && let Some(document) = readable(input)
    {
        let items = alike(&document, "items").as_array().unwrap();
        let count = question.parties.as_slice().len();
        assert!((1..=items.len()).contains(&count), "{document}");
        for item in items {
            let found = alike(item, "orgnr");
            assert!(found.is_string() || found.is_u64(), "{document}");
        }
    }
}

/// What was taken as JSON is JSON to another reader too; but a number beyond any that it knows, which stands where
/// nothing is read, is none to this one.
fn readable(input: &[u8]) -> Option<Value> {
    match serde_json::from_slice(input) {
        Ok(document) => Some(document),
        Err(fault) => {
            assert!(fault.to_string().starts_with("number out of range"), "{fault}");
            None
        }
    }
}

/// An XML body, from which the text of an element and an attribute are read.
pub(crate) fn xml_source(input: &[u8]) {
    static RULES: OnceLock<[RouteTable; 2]> = OnceLock::new();
    let [text, attribute] = RULES.get_or_init(|| [reading("xml:/p:a/b"), reading("xml:/p:a/@c")]);
    let readers: [(_, Careless); 2] = [(text, careless_texts), (attribute, careless_attributes)];
    for (rules, careless) in readers {
        if let Some(question) = asked(rules, input) {
            let found = careless(std::str::from_utf8(input).unwrap());
            assert_eq!(found.len(), 1, "{found:?}");
            let plain = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(plain(&found[0]), plain(&question.attributes[0].value));
        }
    }
}

/// A form, from which one field is read.
pub(crate) fn form_source(input: &[u8]) {
    static RULES: OnceLock<RouteTable> = OnceLock::new();
    let Some(question) = asked(RULES.get_or_init(|| reading("form:a")), input) else { return };
    let found: Vec<String> = std::str::from_utf8(input)
        .unwrap()
        .split(['&', ';'])
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name, true)?;
            let bound = name.trim().split(['[', '.']).next()?.eq_ignore_ascii_case("a");
            bound.then(|| decoded(value, true))?
        })
        .collect();
    assert_eq!(found, [question.attributes[0].value.to_string()]);
}

/// Finds values in a document.
type Careless = fn(&str) -> Vec<String>;

/// What the rule of this table asks about a request with this body.
fn asked(rules: &RouteTable, body: &[u8]) -> Option<Question> {
    let target = RequestTarget::parse("/r", MAX_TARGET_BYTES).unwrap();
    let matched = rules.find(None, &target, &Method::POST).unwrap();
    let head = Head {
        framing: Ok(()),
        method: Method::POST,
        target: Ok(target.clone()),
        version: Version::HTTP_11,
        headers: HeaderMap::new(),
        upgrade: Upgrade::None,
    };
    match resolve(&matched, &head, Some(body), None, CheckDigits::Lenient) {
        Ok(Resolved::Question(question)) => Some(question),
        Ok(Resolved::Upstream) => panic!("no rule says so"),
        Err(denial) => {
            assert_eq!(denial.code.status(), 400, "{denial:?}");
            None
        }
    }
}

/// A rule that reads an attribute there.
fn reading(source: &str) -> RouteTable {
    let mut parts = required();
    parts.party = Some(PartyRule::One { from: place("const:312714051"), absent: None });
    let urn = AttributeUrn::parse("urn:altinn:task").unwrap();
    parts.attributes = vec![(urn, place(source))];
    if source.contains("p:") {
        parts.namespaces = vec![("p".to_owned(), "urn:p".to_owned())];
    }
    table(vec![parts])
}

/// A rule that reads parties there.
fn listing(source: &str) -> RouteTable {
    let mut parts = required();
    parts.party = Some(PartyRule::Many { from: place(source), max: 100, absent: None });
    table(vec![parts])
}

fn required() -> RuleParts {
    let matching = Matching::new(Methods::One(Method::POST), Template::parse("/r").unwrap());
    let mut parts = RuleParts::new("r", "fuzz", matching);
    parts.resource = Some(ResourceRule::Const(ResourceId::parse("fuzz-resource").unwrap()));
    parts.action = Some(Action::parse("write").unwrap());
    parts.scopes = Some(ScopeRequirement::All([Scope::parse("a:b").unwrap()].into()));
    parts
}

fn place(text: &str) -> Source {
    Source::parse(text).unwrap()
}

fn table(parts: Vec<RuleParts>) -> RouteTable {
    let around =
        Surroundings { scopes: ScopeDemand::MustBeStated, check_digits: CheckDigits::Lenient };
    let rules = parts.into_iter().map(|parts| RouteRule::new(parts, around).unwrap()).collect();
    RouteTable::build(rules).unwrap().table
}

fn routes() -> &'static RouteTable {
    static ROUTES: OnceLock<RouteTable> = OnceLock::new();
    ROUTES.get_or_init(|| {
        let templates = [
            "/",
            "/mva/{orgnr}/melding",
            "/mva/egen/{id}",
            "/dialogs/",
            "/dialogs/{id}/",
            "/files/{*rest}",
            "/keys/{slashed}/value",
        ];
        let rule = |template: &str| {
            let parsed = Template::parse(template).unwrap();
            let matching = Matching::new(Methods::One(Method::GET), parsed);
            let mut parts =
                RuleParts::new(template.replace(['/', '{', '}', '*'], "-"), "f", matching);
            parts.protection = Protection::Public;
            if template.contains("slashed") {
                parts.encoded_slashes = vec!["slashed".to_owned()];
            }
            parts
        };
        table(templates.into_iter().map(rule).collect())
    })
}

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    RUNTIME.get_or_init(|| builder.enable_all().build().unwrap())
}

/// The verifier, and the one key it believes.
fn verifier() -> &'static (TokenVerifier, SigningKey) {
    static VERIFIER: OnceLock<(TokenVerifier, SigningKey)> = OnceLock::new();
    VERIFIER.get_or_init(|| {
        let key = SigningKey::generate(KID).unwrap();
        let keys = KeyLocation::Static(key.public_jwks().into());
        let issuers = vec![IssuerSettings::new(IssuerKind::Maskinporten, ISSUER, keys)];
        let outbound = Outbound::new(&OutboundSettings::default()).unwrap();
        let settings = TokenSettings::new(issuers);
        let verifier =
            TokenVerifier::new(settings, &outbound, &Tasks::new(), Arc::new(SystemClock));
        let starting = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        starting.block_on(verifier.start());
        assert!(verifier.is_ready());
        (verifier, key)
    })
}

/// The one member of this name in any letters.
fn alike<'v>(value: &'v Value, name: &str) -> &'v Value {
    let members: Vec<&Value> = value
        .as_object()
        .unwrap()
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect();
    assert_eq!(members.len(), 1, "{value}");
    members[0]
}

/// Percent-decoded once; `None` if that is not UTF-8.
fn decoded(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, behind @ ..] = rest {
        rest = behind;
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits
            .filter(|digits| *byte == b'%' && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(meant) => {
                bytes.push(meant);
                rest = &behind[2..];
            }
            None if *byte == b'+' && plus_is_space => bytes.push(b' '),
            None => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Decoded as often as there is something to decode.
fn super_decoded(text: &str) -> String {
    match decoded(text, false) {
        Some(further) if further != text => super_decoded(&further),
        Some(_) | None => text.to_owned(),
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let padded = [chunk[0], *chunk.get(1).unwrap_or(&0), *chunk.get(2).unwrap_or(&0)];
        let word = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for place in 0..=chunk.len() {
            let shift = 18 - 6 * u32::try_from(place).unwrap();
            text.push(char::from(LETTERS[usize::try_from(word >> shift & 63).unwrap()]));
        }
    }
    text
}

/// The texts of `a/b`, whatever their namespaces and letters.
fn careless_texts(document: &str) -> Vec<String> {
    let (mut texts, mut open) = (Vec::new(), Vec::new());
    for (tag, behind) in tags(document) {
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(local(name)));
        } else {
            open.push(local(tag));
            if open == ["a", "b"] {
                texts.push(unescaped(behind));
            }
            if tag.ends_with('/') {
                open.pop();
            }
        }
    }
    texts
}

/// The values of `a/@c`, likewise.
fn careless_attributes(document: &str) -> Vec<String> {
    let (tag, _) = tags(document)[0];
    assert_eq!(local(tag), "a");
    let mut values = Vec::new();
    let mut rest = tag;
    while let Some((before, behind)) = rest.split_once('=') {
        let name = before.trim().rsplit([' ', '\t', '\r', '\n', ':', '\'', '"']).next().unwrap();
        let behind = behind.trim_start();
        let (value, after) = behind[1..].split_once(&behind[..1]).unwrap();
        if name.eq_ignore_ascii_case("c") {
            values.push(unescaped(value));
        }
        rest = after;
    }
    values
}

/// What stands between `<` and `>` of each tag, and the text behind it.
fn tags(document: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = document;
    while let Some((_, behind)) = rest.split_once('<') {
        let skipped = [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>")]
            .into_iter()
            .find_map(|(begins, ends)| Some(behind.strip_prefix(begins)?.split_once(ends)?.1));
        if let Some(after) = skipped {
            rest = after;
            continue;
        }
        let mut quote = None;
        let end = behind
            .find(|char| match (quote, char) {
                (None, '>') => true,
                (None, '\'' | '"') => {
                    quote = Some(char);
                    false
                }
                (Some(open), char) if open == char => {
                    quote = None;
                    false
                }
                (_, _) => false,
            })
            .unwrap();
        let (tag, after) = (&behind[..end], &behind[end + 1..]);
        found.push((tag, after.split('<').next().unwrap()));
        rest = after;
    }
    found
}

fn local(tag: &str) -> String {
    let name = tag.split([' ', '\t', '\r', '\n', '/']).next().unwrap();
    name.rsplit(':').next().unwrap().to_lowercase()
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        let (name, after) = behind.split_once(';').unwrap();
        plain.push_str(before);
        plain.push(match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "apos" => '\'',
            "quot" => '"',
            number => {
                let code = match number.strip_prefix("#x") {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => number[1..].parse(),
                };
                char::from_u32(code.unwrap()).unwrap()
            }
        });
        rest = after;
    }
    plain + rest
}
