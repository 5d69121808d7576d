//! Who may do what: fixed, known to the PDP, to the API behind and to the oracle, and to nobody else.

use crate::support::peers::Question;
use portvakt::domain::{Decision, Obligation, Obligations};
use std::time::Duration;

pub(crate) const USERS: usize = 12;

/// Synthetic, with right check digits.
pub(crate) const PARTIES: [&str; 8] = [
    "312714051",
    "311127845",
    "313816915",
    "310329495",
    "313750531",
    "950474084",
    "910459880",
    "315556155",
];

/// The protected rules; the numbers are lifetimes in milliseconds, and are what [`RULES`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) id: &'static str,
    /// Its number among [`RESOURCES`], if the PDP decides.
    pub(crate) resource: Option<usize>,
    /// How long it believes a permit.
    pub(crate) lifetime: Duration,
}

pub(crate) const RESOURCES: [(&str, &str); 3] =
    [("soak-brief", "read"), ("soak-lasting", "write"), ("soak-never", "read")];

const fn rule(id: &'static str, resource: usize, millis: u64) -> Rule {
    Rule { id, resource: Some(resource), lifetime: Duration::from_millis(millis) }
}

pub(crate) const BRIEF: Rule = rule("brief", 0, 2000);
/// Reads the entries of [`BRIEF`], and believes them longer.
pub(crate) const ALIKE: Rule = rule("alike", 0, 4000);
pub(crate) const LASTING: Rule = rule("lasting", 1, 6000);
/// Of several parties; the same questions as [`LASTING`].
pub(crate) const SEVERAL: Rule = rule("several", 1, 6000);
pub(crate) const NEVER: Rule = rule("never", 2, 0);
pub(crate) const OPEN: Rule = Rule { id: "open", resource: None, lifetime: Duration::ZERO };
pub(crate) const PUBLIC: Rule = Rule { id: "public", resource: None, lifetime: Duration::ZERO };

/// `BRIEF` stands for the lifetime of permits there, so that a planted fault can lengthen it.
pub(crate) const RULES: &str = r#"api: soak
defaults: { scopes: ["it:read"] }
rules:
  - id: brief
    match: { method: GET, path: "/brief/{org}" }
    resource: soak-brief
    action: read
    party: path:org
    cache: { permit_ttl: BRIEF, deny_ttl: 500ms }
  - id: alike
    match: { method: GET, path: "/alike/{org}" }
    resource: soak-brief
    action: read
    party: path:org
    cache: { permit_ttl: 4s, deny_ttl: 1s }
  - id: lasting
    match: { method: POST, path: /lasting }
    resource: soak-lasting
    action: write
    party: json:/orgnr
    cache: { permit_ttl: 6s, deny_ttl: 500ms }
  - id: several
    match: { method: GET, path: /several }
    resource: soak-lasting
    action: write
    party: { from: "query:party", many: all, max: 4 }
    cache: { permit_ttl: 6s, deny_ttl: 500ms }
    object: upstream
  - id: never
    match: { method: GET, path: "/never/{org}" }
    resource: soak-never
    action: read
    party: path:org
    cache: off
  - id: open
    match: { method: GET, path: /open }
    protection: token
  - id: public
    match: { method: GET, path: "/public/{*rest}" }
    protection: public
"#;

/// What the PDP says of one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Permit,
    /// On conditions that a system user meets.
    PermitAtLevelThree,
    /// On conditions that it does not.
    PermitAtLevelFour,
    Deny,
    NotApplicable,
}

fn word(user: usize, party: usize, resource: usize) -> Word {
    match (user * 5 + party * 3 + resource * 7 + user * party) % 8 {
        0 => Word::NotApplicable,
        1 => Word::Deny,
        2 => Word::PermitAtLevelFour,
        3 | 4 => Word::PermitAtLevelThree,
        _ => Word::Permit,
    }
}

/// Whether this user may, for this party.
pub(crate) fn may(user: usize, party: usize, resource: usize) -> bool {
    matches!(word(user, party, resource), Word::Permit | Word::PermitAtLevelThree)
}

/// The id of the user of this number.
pub(crate) fn user_id(user: usize) -> String {
    format!("a0000005-0000-4000-8000-{user:012}")
}

/// The number of the user with this id.
pub(crate) fn user_of(id: &str) -> Option<usize> {
    (0..USERS).find(|user| user_id(*user) == id)
}

/// The number of the party, as a number or a URN.
pub(crate) fn party_of(text: &str) -> Option<usize> {
    let number = text.rsplit(':').next().unwrap_or_default();
    PARTIES.iter().position(|party| *party == number)
}

pub(crate) fn resource_of(name: &str, action: &str) -> Option<usize> {
    RESOURCES.iter().position(|known| *known == (name, action))
}

/// The PDP's judgement.
pub(crate) fn judge(question: &Question) -> Decision {
    let found = user_of(&question.subject)
        .zip(party_of(&question.party))
        .zip(resource_of(&question.resource, &question.action));
    let Some(((user, party), resource)) = found else { return Decision::NotApplicable };
    let level = |level: &str| {
        Decision::Permit(Obligations::new(vec![Obligation {
            id: "urn:altinn:obligation:authenticationLevel1".into(),
            category: "urn:altinn:minimum-authenticationlevel".into(),
            value: level.into(),
        }]))
    };
    match word(user, party, resource) {
        Word::Permit => Decision::Permit(Obligations::default()),
        Word::PermitAtLevelThree => level("3"),
        Word::PermitAtLevelFour => level("4"),
        Word::Deny => Decision::Deny,
        Word::NotApplicable => Decision::NotApplicable,
    }
}
