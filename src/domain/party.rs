//! The party: on whose behalf a request is made, and whose data it concerns.

use super::{CheckDigits, InvalidOrganizationNumber, OrganizationNumber, PersonNumber};
use std::fmt;
use uuid::Uuid;

/// An organization, a person, or one of Altinn's own keys for either.
///
/// `Display` and `Debug` print the URN with persons masked; [`Party::expose_urn`] is for the PDP and the API.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Party {
    /// By organization number.
    Organization(OrganizationNumber),
    /// By national identity number.
    Person(PersonNumber),
    /// By Altinn's party uuid.
    Uuid(Uuid),
    /// By Altinn's party id.
    Id(PartyId),
}

/// Altinn's integer key of a party: 1 to 2 147 483 647.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartyId(u32);

impl PartyId {
    /// Reads decimal digits without sign, leading zero or space.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        let id: u32 = text.parse().ok().filter(|_| canonical)?;
        (id <= i32::MAX.unsigned_abs()).then_some(Self(id))
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

/// How a party is identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartyKind {
    /// `organization`
    Organization,
    /// `person`
    Person,
    /// `party-uuid`
    Uuid,
    /// `party-id`
    Id,
}

impl PartyKind {
    /// Every kind, in the order of their names in documentation.
    pub const ALL: [Self; 4] = [Self::Organization, Self::Person, Self::Uuid, Self::Id];

    /// The word used in rules and records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Person => "person",
            Self::Uuid => "party-uuid",
            Self::Id => "party-id",
        }
    }
}

/// A set of party kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartyKinds(u8);

impl PartyKinds {
    /// Organizations only: the default of a rule.
    pub const ORGANIZATION: Self = Self(1);

    /// The set of these kinds.
    #[must_use]
    pub fn of(kinds: &[PartyKind]) -> Self {
        Self(kinds.iter().fold(0, |set, kind| set | Self::bit(*kind)))
    }

    /// Whether the kind is in the set.
    #[must_use]
    pub fn contains(self, kind: PartyKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    fn bit(kind: PartyKind) -> u8 {
        match kind {
            PartyKind::Organization => 1,
            PartyKind::Person => 2,
            PartyKind::Uuid => 4,
            PartyKind::Id => 8,
        }
    }
}

/// How a rule reads a party out of a text.
#[derive(Clone, Copy, Debug)]
pub struct PartyForms {
    /// The kinds the rule lists.
    pub kinds: PartyKinds,
    /// Whether organization numbers must have a right check digit.
    pub check_digits: CheckDigits,
}

/// Why a text is not a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidParty {
    /// None of the written forms.
    #[error("not a form in which a party is written")]
    UnknownForm,
    /// A legal form, of a kind that the rule does not list.
    #[error("a party of kind `{}` is not accepted here", .0.as_str())]
    KindNotAccepted(PartyKind),
    /// The organization number is wrong.
    #[error(transparent)]
    Organization(#[from] InvalidOrganizationNumber),
    /// What stands behind the prefix is not of the kind the prefix names.
    #[error("not a {}", .0.as_str())]
    Malformed(PartyKind),
}

/// The written forms: prefix and the kind it announces.
const PREFIXES: [(&str, PartyKind); 9] = [
    ("0192:", PartyKind::Organization),
    ("urn:altinn:organization:identifier-no:", PartyKind::Organization),
    ("/organisation/", PartyKind::Organization),
    ("/organization/", PartyKind::Organization),
    ("urn:altinn:person:identifier-no:", PartyKind::Person),
    ("/person/", PartyKind::Person),
    ("urn:altinn:party:uuid:", PartyKind::Uuid),
    ("urn:altinn:partyid:", PartyKind::Id),
    ("/party/", PartyKind::Id),
];

impl Party {
    /// Reads a party: `312714051`, `0192:312714051`, `urn:altinn:organization:identifier-no:312714051`,
    /// `/organisation/312714051`, and likewise persons, party uuids and party ids where accepted.
    ///
    /// Bare digits are an organization or a person by their count; they are a party id only where
    /// neither of those is accepted, so that no text has two readings.
    pub fn parse(text: &str, forms: PartyForms) -> Result<Self, InvalidParty> {
        for (prefix, kind) in PREFIXES {
            if let Some(rest) = text.strip_prefix(prefix) {
                return Self::parse_kind(rest, kind, forms);
            }
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let numbered = forms.kinds.contains(PartyKind::Organization)
            || forms.kinds.contains(PartyKind::Person);
        match (digits, text.len()) {
            (true, _) if !numbered && forms.kinds.contains(PartyKind::Id) => {
                Self::parse_kind(text, PartyKind::Id, forms)
            }
            (true, 9) => Self::parse_kind(text, PartyKind::Organization, forms),
            (true, 11) => Self::parse_kind(text, PartyKind::Person, forms),
            (false, 36) => Self::parse_kind(text, PartyKind::Uuid, forms),
            _ => Err(InvalidParty::UnknownForm),
        }
    }

    fn parse_kind(text: &str, kind: PartyKind, forms: PartyForms) -> Result<Self, InvalidParty> {
        if !forms.kinds.contains(kind) {
            return Err(InvalidParty::KindNotAccepted(kind));
        }
        match kind {
            PartyKind::Organization => {
                Ok(Self::Organization(OrganizationNumber::parse(text, forms.check_digits)?))
            }
            PartyKind::Person => PersonNumber::parse(text)
                .map(Self::Person)
                .map_err(|_| InvalidParty::Malformed(kind)),
            PartyKind::Uuid => match Uuid::try_parse(text) {
                Ok(uuid) if text.len() == 36 && !uuid.is_nil() => Ok(Self::Uuid(uuid)),
                Ok(_) | Err(_) => Err(InvalidParty::Malformed(kind)),
            },
            PartyKind::Id => {
                PartyId::parse(text).map(Self::Id).ok_or(InvalidParty::Malformed(kind))
            }
        }
    }

    /// How the party is identified.
    #[must_use]
    pub fn kind(self) -> PartyKind {
        match self {
            Self::Organization(_) => PartyKind::Organization,
            Self::Person(_) => PartyKind::Person,
            Self::Uuid(_) => PartyKind::Uuid,
            Self::Id(_) => PartyKind::Id,
        }
    }

    /// The attribute id under which the PDP knows the party.
    #[must_use]
    pub fn attribute_id(self) -> &'static str {
        match self {
            Self::Organization(_) => "urn:altinn:organization:identifier-no",
            Self::Person(_) => "urn:altinn:person:identifier-no",
            Self::Uuid(_) => "urn:altinn:party:uuid",
            Self::Id(_) => "urn:altinn:partyid",
        }
    }

    /// The attribute's value, a person's number in full: for the PDP and the API behind only.
    #[must_use]
    pub fn expose_value(self) -> String {
        match self {
            Self::Organization(number) => (*number.text()).to_owned(),
            Self::Person(number) => number.expose(),
            Self::Uuid(uuid) => uuid.to_string(),
            Self::Id(id) => id.0.to_string(),
        }
    }

    /// As it is displayed, behind a text: letters, digits and `:-*`, none that any form of text has to escape.
    pub fn text_to(self, text: &mut Vec<u8>) {
        match self {
            Self::Organization(number) => {
                text.extend_from_slice(self.attribute_id().as_bytes());
                text.push(b':');
                text.extend_from_slice(number.text().as_bytes());
            }
            Self::Person(_) | Self::Uuid(_) | Self::Id(_) => {
                text.extend_from_slice(self.to_string().as_bytes());
            }
        }
    }

    /// The full URN, a person's number in full: for the API behind only.
    #[must_use]
    pub fn expose_urn(self) -> String {
        let mut urn = String::new();
        self.expose_urn_to(&mut urn);
        urn
    }

    /// The same behind a text.
    pub fn expose_urn_to(self, text: &mut String) {
        text.push_str(self.attribute_id());
        text.push(':');
        match self {
            Self::Organization(number) => text.push_str(&number.text()),
            Self::Person(_) | Self::Uuid(_) | Self::Id(_) => text.push_str(&self.expose_value()),
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.attribute_id())?;
        f.write_str(":")?;
        match self {
            Self::Organization(number) => f.write_str(&number.text()),
            Self::Person(number) => number.fmt(f),
            Self::Uuid(uuid) => uuid.fmt(f),
            Self::Id(PartyId(number)) => number.fmt(f),
        }
    }
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PERSON: &str = "01890012345";
    const UUID: &str = "ebe4a681-0a8c-429e-a36f-8f9ca942b59f";

    fn forms(kinds: &[PartyKind]) -> PartyForms {
        PartyForms { kinds: PartyKinds::of(kinds), check_digits: CheckDigits::Strict }
    }

    #[test]
    fn every_written_form_of_an_organization_is_the_same_party() {
        let party = Party::parse("312714051", forms(&[PartyKind::Organization])).unwrap();
        for text in [
            "0192:312714051",
            "urn:altinn:organization:identifier-no:312714051",
            "/organisation/312714051",
        ] {
            assert_eq!(
                Party::parse(text, forms(&[PartyKind::Organization])).unwrap(),
                party,
                "{text}"
            );
        }
        assert_eq!(party.expose_urn(), "urn:altinn:organization:identifier-no:312714051");
    }

    #[test]
    fn other_kinds_need_to_be_listed() {
        let cases = [
            (PERSON.to_owned(), PartyKind::Person),
            (format!("urn:altinn:person:identifier-no:{PERSON}"), PartyKind::Person),
            (UUID.to_owned(), PartyKind::Uuid),
            (format!("urn:altinn:party:uuid:{UUID}"), PartyKind::Uuid),
            ("urn:altinn:partyid:50012345".to_owned(), PartyKind::Id),
        ];
        for (text, kind) in cases {
            assert_eq!(
                Party::parse(&text, forms(&[PartyKind::Organization])),
                Err(InvalidParty::KindNotAccepted(kind)),
                "{text}"
            );
            assert_eq!(Party::parse(&text, forms(&PartyKind::ALL)).unwrap().kind(), kind, "{text}");
        }
    }

    #[test]
    fn bare_digits_are_a_party_id_only_where_nothing_else_could_be_meant() {
        assert_eq!(
            Party::parse("50012345", forms(&[PartyKind::Id])).unwrap(),
            Party::Id(PartyId(50_012_345))
        );
        assert_eq!(
            Party::parse("50012345", forms(&PartyKind::ALL)),
            Err(InvalidParty::UnknownForm)
        );
        assert_eq!(
            Party::parse("312714051", forms(&PartyKind::ALL)).unwrap().kind(),
            PartyKind::Organization
        );
    }

    #[test]
    fn near_forms_are_refused() {
        let accepted = forms(&PartyKind::ALL);
        for text in [
            "",
            " 312714051",
            "312714051 ",
            "312714051,310329495",
            "9908:312714051",
            "0192:0192:312714051",
            "urn:altinn:organization:identifier-no:",
            "URN:altinn:organization:identifier-no:312714051",
            "/organisation/312714051/",
            "urn:altinn:partyid:0",
            "urn:altinn:partyid:-1",
            "urn:altinn:partyid:2147483648",
            "312714052",
            "910 000 001",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert!(Party::parse(text, accepted).is_err(), "{text}");
        }
    }

    #[test]
    fn a_person_is_masked_in_every_printed_form() {
        let party = Party::parse(PERSON, forms(&[PartyKind::Person])).unwrap();
        assert_eq!(
            format!("{party} {party:?}"),
            "urn:altinn:person:identifier-no:*********** urn:altinn:person:identifier-no:***********"
        );
        assert_eq!(party.expose_value(), PERSON);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_reads_back(text in ".{0,60}") {
            if let Ok(party) = Party::parse(&text, forms(&PartyKind::ALL)) {
                prop_assert_eq!(Party::parse(&party.expose_urn(), forms(&PartyKind::ALL)).unwrap(), party);
            }
        }
    }
}
