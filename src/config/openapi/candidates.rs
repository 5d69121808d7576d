//! Which value of an operation may name the party, or the resource: by its name, its pattern and what is said of it.
//!
//! A guess, and told as one: whoever owns the API reads the rules before they are used.

use std::collections::BTreeSet;

use http::Method;

use super::document::{Operation, ParameterPlace};
use super::schema::{Body, Place, Shape};
use crate::domain::PartyKind;

/// A value that may be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// As a rule writes it: `path:orgnr`.
    pub(super) source: String,
    /// Whether it can be several.
    pub(super) is_list: bool,
    pub(super) max_items: Option<usize>,
    /// Whether a request can do without it.
    pub(super) is_optional: bool,
    /// What it names.
    pub(super) kind: PartyKind,
    /// Where it stands: path before query before header before body.
    rank: u8,
    /// How much speaks for it.
    strength: u8,
}

/// What speaks for whom a request is about.
#[derive(Debug, Default)]
pub(super) struct Parties {
    /// Those that are as good as each other, and better than all others; none if nothing speaks for any. Of several
    /// that stand in different places and are always there, none is better.
    pub(super) best: Vec<Candidate>,
    /// Where else it may stand.
    pub(super) others: Vec<String>,
    /// Where it may stand in XML, in which no schema of JSON shows the way.
    pub(super) in_xml: Vec<String>,
    /// Where it may stand, and no rule reads it.
    pub(super) unread: Vec<String>,
}

/// Names that say on whose behalf, in small letters and without signs. Recipients are others.
const PARTIES: [&str; 30] = [
    "orgnr",
    "orgno",
    "orgnumber",
    "orgnummer",
    "organizationnumber",
    "organisationnumber",
    "organisasjonsnummer",
    "organisasjonsnr",
    "organizationid",
    "organisasjonsid",
    "organisasjon",
    "organization",
    "party",
    "partyid",
    "partyorgnr",
    "onbehalfof",
    "paavegneav",
    "onbehalfoforgnr",
    "opplysningspliktig",
    "opplysningspliktigid",
    "skattepliktig",
    "avgiftspliktig",
    "oppdragsgiver",
    "avsender",
    "sender",
    "innsender",
    "virksomhet",
    "virksomhetsnummer",
    "foretak",
    "instanceowner",
];
/// Ends of names that say the same, unless it is somebody else's number.
const ENDINGS: [&str; 6] =
    ["orgnr", "orgno", "orgnumber", "orgnummer", "organizationnumber", "organisasjonsnummer"];
const OTHERS: [&str; 7] =
    ["recipient", "mottaker", "receiver", "systemid", "provider", "vendor", "supplier"];
/// What patterns and descriptions say of numbers of organizations.
const PATTERNS: [&str; 4] = [r"\d{9}", "[0-9]{9}", "0192:", "organization:identifier-no"];
const SAID: [&str; 5] = [
    "organization number",
    "organisation number",
    "organisasjonsnummer",
    "urn:altinn:organization",
    "0192:",
];
/// Names of persons' numbers, and what patterns say of them.
const PERSONS: [&str; 9] = [
    "fnr",
    "fodselsnummer",
    "foedselsnummer",
    "fødselsnummer",
    "fodselsnr",
    "foedselsnr",
    "personnummer",
    "nationalidentitynumber",
    "ssn",
];
const PERSON_PATTERNS: [&str; 3] = [r"\d{11}", "[0-9]{11}", "person:identifier-no"];
/// Names of the resource.
const RESOURCES: [&str; 4] = ["resourceid", "serviceresource", "resource", "ressursid"];
/// What speaks for a value: its name with its pattern, its name, its pattern, or what is said of it.
const SURE: u8 = 4;
const NAMED: u8 = 3;
const LIKELY: u8 = 2;
const SAID_SO: u8 = 1;

impl Candidate {
    /// Why it was chosen.
    pub(super) fn reason(&self) -> &'static str {
        match self.strength {
            SURE => "by its name and its pattern",
            NAMED => "by its name",
            LIKELY => "by its pattern alone",
            _ => "by its description alone",
        }
    }
}

/// Whom requests of an operation may be about.
pub(super) fn parties(operation: &Operation) -> Parties {
    let Found { read, in_xml, unread } = all(operation, strength);
    let mut best = best(read.clone());
    let is_strong = |one: &&Candidate| one.strength > SAID_SO;
    if best.iter().any(|one| is_strong(&one)) {
        // A second that is always there may as well be meant.
        let rivals = read.iter().filter(is_strong).filter(|one| {
            !one.is_optional && best.iter().all(|chosen| chosen.place() != one.place())
        });
        let rivals: Vec<_> = rivals.cloned().collect();
        best.extend(rivals);
    }
    let others = read.iter().filter(|one| one.strength > 0 && !best.contains(one));
    let others = others.map(|one| format!("`{}`", one.source)).collect();
    Parties { best, others, in_xml, unread }
}

/// Where the resource is named, if it is named once and always.
pub(super) fn resource(operation: &Operation) -> Option<Candidate> {
    let named = all(operation, |name, shape| {
        let is_named = RESOURCES.contains(&plain(name).as_str()) && !shape.is_integer;
        if is_named { LIKELY } else { 0 }
    });
    match best(named.read).as_slice() {
        [one] if !one.is_list && !one.is_optional => Some(one.clone()),
        _ => None,
    }
}

fn strength(name: &str, shape: &Shape) -> u8 {
    let name = plain(name);
    if OTHERS.iter().any(|other| name.contains(other)) {
        return 0;
    }
    let is_named = PARTIES.contains(&name.as_str())
        || PERSONS.contains(&name.as_str())
        || ENDINGS.iter().any(|end| name.ends_with(end));
    let has_pattern = says(shape.pattern.as_ref(), &PATTERNS)
        || says(shape.pattern.as_ref(), &PERSON_PATTERNS)
        || says(shape.example.as_ref(), &PATTERNS[2..]);
    match (is_named, has_pattern) {
        (true, true) => SURE,
        (true, false) => NAMED,
        (false, true) => LIKELY,
        (false, false) if says(shape.description.as_ref(), &SAID) => SAID_SO,
        (false, false) => 0,
    }
}

/// What a value names, if it names a party.
fn kind(name: &str, shape: &Shape) -> PartyKind {
    let name = plain(name);
    if shape.is_integer && name.starts_with("party") {
        PartyKind::Id
    } else if PERSONS.contains(&name.as_str()) || says(shape.pattern.as_ref(), &PERSON_PATTERNS) {
        PartyKind::Person
    } else {
        PartyKind::Organization
    }
}

fn says(text: Option<&String>, words: &[&str]) -> bool {
    text.is_some_and(|text| {
        let text = text.to_lowercase();
        words.iter().any(|word| text.contains(word))
    })
}

/// All values of an operation.
#[derive(Default)]
struct Found {
    read: Vec<Candidate>,
    in_xml: Vec<String>,
    unread: Vec<String>,
}

/// Where values stand; candidates of one place cannot contradict each other.
const IN_BODY: u8 = 3;

impl Candidate {
    fn place(&self) -> u8 {
        self.rank.min(IN_BODY)
    }
}

fn all(operation: &Operation, strength: impl Fn(&str, &Shape) -> u8) -> Found {
    let mut found = Found::default();
    for parameter in &operation.parameters {
        let (prefix, rank) = match parameter.place {
            ParameterPlace::Path => ("path", 0),
            ParameterPlace::Query => ("query", 1),
            ParameterPlace::Header => ("header", 2),
            ParameterPlace::Cookie => continue,
        };
        let strength = strength(&parameter.name, &parameter.shape);
        let is_path = parameter.place == ParameterPlace::Path;
        if is_path && !operation.has_segment(&parameter.name) {
            if strength > SAID_SO {
                found.unread.push(format!("`{}` in a part of a segment", parameter.name));
            }
            continue;
        }
        found.read.push(Candidate {
            source: format!("{prefix}:{}", parameter.name),
            is_list: parameter.shape.is_list,
            max_items: parameter.shape.max_items,
            is_optional: !is_path && !parameter.required,
            kind: kind(&parameter.name, &parameter.shape),
            rank,
            strength,
        });
    }
    // Whatever the document says, these have none.
    let has_body = ![Method::GET, Method::HEAD].contains(&operation.method);
    for body in operation.bodies.iter().filter(|_| has_body) {
        for place in body.places.iter().filter(|place| !place.shape.is_table) {
            // An element stands for its list.
            if !place.shape.is_list {
                in_body(body, place, strength(&place.name, &place.shape), &mut found);
            }
        }
    }
    // Of several media types one says it.
    let mut told = BTreeSet::new();
    found.read.retain(|one| told.insert(one.source.clone()));
    for texts in [&mut found.in_xml, &mut found.unread] {
        texts.dedup();
    }
    found
}

fn in_body(body: &Body, place: &Place, strength: u8, found: &mut Found) {
    // A form has no levels.
    let is_flat = place.pointer.matches('/').count() == 1;
    let (source, rank) = if body.is_json() {
        (format!("json:{}", place.pointer), IN_BODY)
    } else if body.is_form() && is_flat {
        (format!("form:{}", place.name), IN_BODY + 1)
    } else {
        if strength > SAID_SO {
            let texts = if body.is_xml() { &mut found.in_xml } else { &mut found.unread };
            texts.push(format!("`{}` in the body ({})", place.name, body.media));
        }
        return;
    };
    found.read.push(Candidate {
        source,
        is_list: place.pointer.contains("/*"),
        max_items: None,
        is_optional: !place.required,
        kind: kind(&place.name, &place.shape),
        rank,
        strength,
    });
}

fn best(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.retain(|one| one.strength > 0);
    // What is only said of a value comes after what its name or pattern shows, wherever that stands.
    // Of several in one place that which is always there, and nearer the top.
    let worth = |one: &Candidate| {
        let depth = one.source.matches('/').count();
        let doubt = u8::MAX.saturating_sub(one.strength);
        let is_id = one.kind == PartyKind::Id;
        (one.strength <= SAID_SO, one.rank, doubt, is_id, one.is_optional, depth)
    };
    let Some(first) = candidates.iter().map(worth).min() else { return Vec::new() };
    candidates.retain(|one| worth(one) == first);
    candidates
}

/// In small letters, without signs.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}
