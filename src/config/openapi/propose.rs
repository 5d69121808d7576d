//! From an operation to a proposed rule: what the document says, what is a guess, and what only a person can say.

use std::borrow::Cow;
use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;

use super::TO_CHOOSE;
use super::candidates::{self, Candidate};
use super::document::{Document, Operation, Security};
use crate::route::{RouteRule, Template};

/// What whoever imports says beside the document.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// The name of the API, in place of its title.
    pub api: Option<String>,
    /// The resource of all rules.
    pub resource: Option<String>,
    /// What paths begin with, in place of what the document says of its servers.
    pub base: Option<String>,
}

/// Proposed rules.
#[derive(Debug)]
pub struct Proposal {
    pub(super) api: String,
    pub(super) resource: Option<String>,
    pub(super) scopes: Option<Scopes>,
    pub(super) rules: Vec<Proposed>,
}

/// One proposed rule, each part as it is written in YAML.
#[derive(Debug)]
pub(super) struct Proposed {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) guard: ProposedGuard,
    pub(super) scopes: Option<Scopes>,
    /// Why it is as it is; the first says what the operation is.
    pub(super) comments: Vec<String>,
}

#[derive(Debug)]
pub(super) enum ProposedGuard {
    /// Altinn is asked.
    Decided { resource: Option<Candidate>, action: &'static str, party: ProposedParty },
    /// The request names no party: a token is demanded, and the API ties the object.
    Token { object: Option<&'static str> },
    /// The document asks for nothing: a person must say so too.
    ToChoose,
}

#[derive(Debug)]
pub(super) enum ProposedParty {
    One(Candidate),
    ToChoose,
}

/// The scopes of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scopes {
    All(Vec<String>),
    Any(Vec<String>),
    ToChoose,
}

/// Parties of one request, where the document does not bound them.
pub(super) const USUAL_MAX: usize = 20;
/// Names of captures. As the rules have it.
const MAX_NAME: usize = Template::MAX_CAPTURE_NAME_BYTES;

impl Proposal {
    /// How many rules there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rules.len()
    }

    /// How many of them ask Altinn.
    #[must_use]
    pub fn decided(&self) -> usize {
        self.rules.iter().filter(|rule| matches!(rule.guard, ProposedGuard::Decided { .. })).count()
    }

    /// How many leave the object to the API.
    #[must_use]
    pub fn left_to_api(&self) -> usize {
        let left =
            |rule: &&Proposed| matches!(rule.guard, ProposedGuard::Token { object: Some(_) });
        self.rules.iter().filter(left).count()
    }
}

/// Proposes a rule for each operation.
#[must_use]
pub fn propose(document: &Document, wishes: &Wishes) -> Proposal {
    let mut ids = BTreeSet::new();
    let mut rules: Vec<Proposed> =
        document.operations.iter().map(|operation| rule(operation, wishes, &mut ids)).collect();
    let scopes = shared(&mut rules);
    let asks = |rule: &Proposed| match &rule.guard {
        ProposedGuard::Decided { resource, .. } => resource.is_none(),
        ProposedGuard::Token { .. } | ProposedGuard::ToChoose => false,
    };
    let resource = rules
        .iter()
        .any(asks)
        .then(|| wishes.resource.clone().unwrap_or_else(|| TO_CHOOSE.to_owned()));
    let api = wishes.api.clone().unwrap_or_else(|| kebab(&document.title));
    Proposal { api: if api.is_empty() { "api".to_owned() } else { api }, resource, scopes, rules }
}

fn rule(operation: &Operation, wishes: &Wishes, ids: &mut BTreeSet<String>) -> Proposed {
    let (path, captures, exactness) = template(&operation.whole_path(wishes.base.as_deref()));
    let mut comments = vec![operation.summary.as_deref().map_or_else(
        || operation.label(),
        |summary| summary.lines().next().unwrap_or_default().to_owned(),
    )];
    if operation.deprecated {
        comments.push("deprecated".to_owned());
    }
    let scopes = scopes(&operation.security);
    let mut guard = guard(operation, wishes, !captures.is_empty(), &mut comments);
    if let ProposedGuard::Decided { resource, party: ProposedParty::One(party), .. } = &mut guard {
        for candidate in std::iter::once(party).chain(resource) {
            renamed(candidate, &captures);
        }
    }
    let wider = match exactness {
        Exactness::Exact => None,
        Exactness::WholeSegment => Some(
            "has part of a segment in braces, which no rule tells apart: it takes the whole segment",
        ),
        Exactness::AllBelow => Some("cannot be said in a rule: it takes all that begins so"),
    };
    if let Some(why) = wider {
        comments.truncate(1);
        comments.push(format!("`{}` {why}", operation.path));
        guard = ProposedGuard::ToChoose;
    }
    let scopes = match guard {
        ProposedGuard::ToChoose => None,
        ProposedGuard::Decided { .. } | ProposedGuard::Token { .. } => Some(scopes),
    };
    Proposed {
        id: id(operation, ids),
        method: operation.method.to_string(),
        path,
        guard,
        scopes,
        comments,
    }
}

fn guard(
    operation: &Operation,
    wishes: &Wishes,
    has_captures: bool,
    comments: &mut Vec<String>,
) -> ProposedGuard {
    if operation.security == Security::Open {
        comments
            .push("the document asks for no token here: `public`, `token` or `closed`?".to_owned());
        return ProposedGuard::ToChoose;
    }
    let reads = operation.method.is_safe();
    let candidates = candidates::parties(operation);
    let party = match candidates.as_slice() {
        [] => {
            let needs_tie = has_captures || !reads;
            comments.push(if needs_tie {
                "the request names no party: the API must tie the object to the caller".to_owned()
            } else {
                "the request names no party".to_owned()
            });
            return ProposedGuard::Token { object: needs_tie.then_some("upstream") };
        }
        [one] => {
            if one.is_optional {
                comments.push(format!(
                    "`{}` is optional in the document and demanded here; `absent` says what else counts",
                    one.source
                ));
            }
            ProposedParty::One(one.clone())
        }
        several => {
            let sources: Vec<_> = several.iter().map(|one| one.source.as_str()).collect();
            comments.push(format!("the party may be {}", sources.join(", ")));
            ProposedParty::ToChoose
        }
    };
    let resource = match &wishes.resource {
        Some(_) => None,
        None => candidates::resource(operation),
    };
    ProposedGuard::Decided { resource, action: if reads { "read" } else { "write" }, party }
}

fn scopes(security: &Security) -> Scopes {
    let Security::Scopes(alternatives) = security else { return Scopes::ToChoose };
    match alternatives.as_slice() {
        [one] if !one.is_empty() => Scopes::All(one.clone()),
        several if !several.is_empty() && several.iter().all(|scopes| scopes.len() == 1) => {
            Scopes::Any(several.iter().flatten().cloned().collect())
        }
        _ => Scopes::ToChoose,
    }
}

/// What all rules with scopes demand alike is said once.
fn shared(rules: &mut [Proposed]) -> Option<Scopes> {
    let mut stated = rules.iter().filter_map(|rule| rule.scopes.clone());
    let first = stated.next()?;
    if stated.any(|other| other != first) {
        return None;
    }
    for rule in rules {
        rule.scopes = None;
    }
    Some(first)
}

/// What a template takes, beside what the path of the operation does.
enum Exactness {
    /// Nothing else.
    Exact,
    WholeSegment,
    AllBelow,
}

/// A template, the captures that have another name in it, and whether it says all that the path says.
fn template(path: &str) -> (String, Vec<(String, String)>, Exactness) {
    let mut text = String::new();
    let mut captures = Vec::<(String, String)>::new();
    let mut exactness = Exactness::Exact;
    for segment in path.trim_start_matches('/').split('/') {
        text.push('/');
        let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match inner.filter(|inner| !inner.contains(['{', '}'])) {
            Some(inner) => capture(inner, &mut captures, &mut text),
            None if segment.contains(['{', '}']) => {
                exactness = Exactness::WholeSegment;
                capture(segment, &mut captures, &mut text);
            }
            None => text.push_str(&plain(segment)),
        }
    }
    if Template::parse(&text).is_err() {
        exactness = Exactness::AllBelow;
        let first =
            text.split('/').nth(1).filter(|first| Template::parse(&format!("/{first}")).is_ok());
        text = first.map_or_else(|| "/{*rest}".to_owned(), |first| format!("/{first}/{{*rest}}"));
        captures.clear();
    }
    (text, captures, exactness)
}

/// A segment as templates have it, which are of decoded text; as it is where that would mean something else there.
fn plain(segment: &str) -> Cow<'_, str> {
    match percent_decode_str(segment).decode_utf8() {
        Ok(plain) if !plain.contains(['{', '}', '/', '%']) => plain,
        Ok(_) | Err(_) => segment.into(),
    }
}

/// Writes a capture of a name that rules accept and that no other capture of the path has.
fn capture(written: &str, captures: &mut Vec<(String, String)>, text: &mut String) {
    let mut name: String = written
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '-' })
        .collect();
    name = name.trim_matches('-').chars().take(MAX_NAME - 4).collect();
    if !name.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        name.insert(0, 'x');
    }
    let is_taken = |name: &str| captures.iter().any(|(_, other)| other.eq_ignore_ascii_case(name));
    let mut numbered = name.clone();
    for number in 2..100 {
        if !is_taken(&numbered) {
            break;
        }
        numbered = format!("{name}-{number}");
    }
    text.push('{');
    text.push_str(&numbered);
    text.push('}');
    captures.push((written.to_owned(), numbered));
}

/// By the name that the template has for it.
fn renamed(candidate: &mut Candidate, captures: &[(String, String)]) {
    let Some(name) = candidate.source.strip_prefix("path:") else { return };
    if let Some((_, other)) = captures.iter().find(|(written, _)| written == name) {
        candidate.source = format!("path:{other}");
    }
}

/// From the operation's name, or its method and path; once among all.
fn id(operation: &Operation, taken: &mut BTreeSet<String>) -> String {
    let from_path = || kebab(&operation.label());
    let named = operation.id.as_deref().map(kebab).filter(|id| !id.is_empty());
    let mut wanted = named.unwrap_or_else(from_path);
    wanted.truncate(RouteRule::MAX_ID_BYTES - 5);
    let mut id = wanted.clone();
    for number in 2..10_000 {
        if taken.insert(id.clone()) {
            break;
        }
        id = format!("{wanted}-{number}");
    }
    id
}

/// Small letters and digits, with `-` between words: `SearchDialogs` is `search-dialogs`.
fn kebab(text: &str) -> String {
    let mut kebab = String::new();
    let mut before = ' ';
    for letter in text.chars() {
        let letter = match letter {
            'æ' | 'Æ' | 'å' | 'Å' => 'a',
            'ø' | 'Ø' => 'o',
            other => other,
        };
        let begins =
            letter.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit());
        if (begins || !letter.is_ascii_alphanumeric()) && !kebab.is_empty() && !kebab.ends_with('-')
        {
            kebab.push('-');
        }
        if letter.is_ascii_alphanumeric() {
            kebab.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    kebab.trim_end_matches('-').to_owned()
}
