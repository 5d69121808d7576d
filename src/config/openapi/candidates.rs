//! Which value of an operation may name the party, or the resource: by its name, its pattern and what is said of it.
//!
//! A guess, and told as one: whoever owns the API reads the rules before they are used.

use std::collections::BTreeSet;

use super::document::{Operation, ParameterPlace};
use super::schema::Shape;

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
    /// Altinn's own number of a party, not an organization's.
    pub(super) is_party_id: bool,
    /// Where it stands: path before query before header before body.
    rank: u8,
    /// How much speaks for it.
    strength: u8,
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
/// Names of the resource.
const RESOURCES: [&str; 4] = ["resourceid", "serviceresource", "resource", "ressursid"];
/// What speaks for a value: its name with its pattern, either, or what is said of it.
const SURE: u8 = 3;
const LIKELY: u8 = 2;
const SAID_SO: u8 = 1;

/// Those that are as good as each other, and better than all others; none if nothing speaks for any.
pub(super) fn parties(operation: &Operation) -> Vec<Candidate> {
    best(all(operation, strength))
}

/// Where the resource is named, if it is named once and always.
pub(super) fn resource(operation: &Operation) -> Option<Candidate> {
    let named = all(operation, |name, shape| {
        let is_named = RESOURCES.contains(&plain(name).as_str()) && !shape.is_integer;
        if is_named { LIKELY } else { 0 }
    });
    match best(named).as_slice() {
        [one] if !one.is_list && !one.is_optional => Some(one.clone()),
        _ => None,
    }
}

fn strength(name: &str, shape: &Shape) -> u8 {
    let name = plain(name);
    if OTHERS.iter().any(|other| name.contains(other)) {
        return 0;
    }
    let is_named =
        PARTIES.contains(&name.as_str()) || ENDINGS.iter().any(|end| name.ends_with(end));
    let says = |text: &Option<String>, words: &[&str]| {
        text.as_ref().is_some_and(|text| {
            let text = text.to_lowercase();
            words.iter().any(|word| text.contains(word))
        })
    };
    let has_pattern = says(&shape.pattern, &PATTERNS) || says(&shape.example, &PATTERNS[2..]);
    match (is_named, has_pattern) {
        (true, true) => SURE,
        (true, false) | (false, true) => LIKELY,
        (false, false) if says(&shape.description, &SAID) => SAID_SO,
        (false, false) => 0,
    }
}

fn all(operation: &Operation, strength: impl Fn(&str, &Shape) -> u8) -> Vec<Candidate> {
    let mut found = Vec::new();
    for parameter in &operation.parameters {
        let (prefix, rank) = match parameter.place {
            ParameterPlace::Path => ("path", 0),
            ParameterPlace::Query => ("query", 1),
            ParameterPlace::Header => ("header", 2),
            ParameterPlace::Cookie => continue,
        };
        let strength = strength(&parameter.name, &parameter.shape);
        found.push(Candidate {
            source: format!("{prefix}:{}", parameter.name),
            is_list: parameter.shape.is_list,
            max_items: parameter.shape.max_items,
            is_optional: parameter.place != ParameterPlace::Path && !parameter.required,
            is_party_id: parameter.shape.is_integer && plain(&parameter.name).starts_with("party"),
            rank,
            strength,
        });
    }
    for body in &operation.bodies {
        for place in body.places.iter().filter(|place| !place.shape.is_table) {
            let strength = strength(&place.name, &place.shape);
            let source = if body.is_json() {
                format!("json:{}", place.pointer)
            } else if body.is_form() && !place.pointer.contains("/*") {
                format!("form:{}", place.name)
            } else {
                continue;
            };
            // An element stands for its list.
            if place.shape.is_list {
                continue;
            }
            found.push(Candidate {
                source,
                is_list: place.pointer.contains("/*"),
                max_items: None,
                is_optional: !place.required,
                is_party_id: place.shape.is_integer && plain(&place.name).starts_with("party"),
                rank: 3,
                strength,
            });
        }
    }
    // Of several media types one says it.
    let mut told = BTreeSet::new();
    found.retain(|one| told.insert(one.source.clone()));
    found
}

fn best(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.retain(|one| one.strength > 0);
    // What is only said of a value comes after what its name or pattern shows, wherever that stands.
    // Of several in one place that which is always there, and nearer the top.
    let worth = |one: &Candidate| {
        let depth = one.source.matches('/').count();
        let doubt = u8::MAX.saturating_sub(one.strength);
        (one.strength <= SAID_SO, one.rank, doubt, one.is_party_id, one.is_optional, depth)
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
