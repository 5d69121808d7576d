//! Whether the obligations of a permit are met (XACML 3.0 §7.18: a PEP that does not understand an
//! obligation must not permit).
//!
//! Altinn's obligation ids vary from policy to policy; the category of an assignment says what is meant.

use crate::domain::{AuthenticationLevel, Denial, DenialCode, Obligations};
use std::fmt::Write as _;

const MINIMUM_LEVEL: &str = "urn:altinn:minimum-authenticationlevel";
const MINIMUM_LEVEL_ORG: &str = "urn:altinn:minimum-authenticationlevel-org";

/// Why a permit does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObligationFault {
    /// The caller is not authenticated strongly enough.
    #[error("the policy demands authentication level {required}")]
    LevelTooLow {
        /// The lowest level that would have been enough for this caller.
        required: AuthenticationLevel,
    },
    /// An obligation that Portvakt does not understand, or whose value it cannot read.
    #[error("the permit carries an obligation that is not understood: {0}")]
    Unknown(Box<str>),
}

impl From<ObligationFault> for Denial {
    fn from(fault: ObligationFault) -> Self {
        match &fault {
            ObligationFault::LevelTooLow { required } => {
                let mut denial = Self::new(DenialCode::AuthenticationLevelTooLow).because(&fault);
                denial.extras.required_level = Some(*required);
                denial
            }
            ObligationFault::Unknown(_) => Self::new(DenialCode::ObligationUnknown).because(&fault),
        }
    }
}

/// Whether every obligation is understood and met by a caller of this level.
///
/// `service_owner` is whether the token carries `urn:altinn:org`: for such a caller the `-org` level is
/// the alternative to the ordinary one, and enough. For others it is not applied, but must be readable:
/// what cannot be read is not understood.
pub fn check(
    obligations: &Obligations,
    caller_level: AuthenticationLevel,
    service_owner: bool,
) -> Result<(), ObligationFault> {
    let mut ordinary: Option<AuthenticationLevel> = None;
    let mut for_owners: Option<AuthenticationLevel> = None;
    for obligation in obligations.as_slice() {
        let demanded = match &*obligation.category {
            MINIMUM_LEVEL => &mut ordinary,
            MINIMUM_LEVEL_ORG => &mut for_owners,
            category => return Err(unknown(&obligation.id, category, None)),
        };
        let level = AuthenticationLevel::parse(&obligation.value)
            .map_err(|_| unknown(&obligation.id, &obligation.category, Some(&obligation.value)))?;
        *demanded = (*demanded).max(Some(level));
    }
    let required = match (ordinary, for_owners) {
        (Some(ordinary), Some(for_owners)) if service_owner => Some(ordinary.min(for_owners)),
        (None, for_owners) if service_owner => for_owners,
        (ordinary, _) => ordinary,
    };
    match required {
        Some(required) if caller_level < required => Err(ObligationFault::LevelTooLow { required }),
        Some(_) | None => Ok(()),
    }
}

fn unknown(id: &str, category: &str, value: Option<&str>) -> ObligationFault {
    let mut text = format!("id `{}`, category `{}`", excerpt(id), excerpt(category));
    if let Some(value) = value {
        // Writing to a String cannot fail.
        let _ = write!(text, ", value `{}`", excerpt(value));
    }
    ObligationFault::Unknown(text.into())
}

/// The PDP's words go to a log: no control characters, and no more than a line.
fn excerpt(text: &str) -> String {
    const MAX_EXCERPT_CHARS: usize = 100;
    text.chars().take(MAX_EXCERPT_CHARS).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Obligation;

    const OTHER: &str = "urn:altinn:something-else";

    /// Categories and values.
    type List<'a> = &'a [(&'a str, &'a str)];

    fn obligations(list: List<'_>) -> Obligations {
        Obligations::new(
            list.iter()
                .map(|(category, value)| Obligation {
                    id: "urn:altinn:obligation:1".into(),
                    category: (*category).into(),
                    value: (*value).into(),
                })
                .collect(),
        )
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Outcome {
        Met,
        Needs(u8),
        Unknown,
    }

    #[test]
    fn a_permit_counts_only_if_every_obligation_is_understood_and_met() {
        use Outcome::{Met, Needs, Unknown};
        const LEVEL: &str = MINIMUM_LEVEL;
        const ORG: &str = MINIMUM_LEVEL_ORG;
        // Obligations, the outcome for an ordinary caller and for a service owner, both of level 3.
        let cases: &[(List<'_>, Outcome, Outcome)] = &[
            (&[], Met, Met),
            (&[(LEVEL, "3")], Met, Met),
            (&[(LEVEL, "4")], Needs(4), Needs(4)),
            (&[(LEVEL, "2"), (LEVEL, "4")], Needs(4), Needs(4)),
            (&[(LEVEL, "4"), (LEVEL, "2")], Needs(4), Needs(4)),
            (&[(LEVEL, "4"), (ORG, "3")], Needs(4), Met),
            (&[(LEVEL, "4"), (ORG, "2"), (ORG, "4")], Needs(4), Needs(4)),
            (&[(LEVEL, "3"), (ORG, "4")], Met, Met),
            (&[(ORG, "4")], Met, Needs(4)),
            (&[(LEVEL, "")], Unknown, Unknown),
            (&[(LEVEL, "5")], Unknown, Unknown),
            (&[(LEVEL, "03")], Unknown, Unknown),
            (&[(LEVEL, " 3")], Unknown, Unknown),
            (&[(LEVEL, "-1")], Unknown, Unknown),
            (&[(LEVEL, "3.0")], Unknown, Unknown),
            (&[(ORG, "high")], Unknown, Unknown),
            (&[("", "")], Unknown, Unknown),
            (&[("", "3")], Unknown, Unknown),
            (&[(OTHER, "3")], Unknown, Unknown),
            (&[(LEVEL, "2"), (OTHER, "1")], Unknown, Unknown),
            (&[("URN:altinn:minimum-authenticationlevel", "2")], Unknown, Unknown),
            (&[("urn:altinn:minimum-authenticationlevel ", "2")], Unknown, Unknown),
        ];
        for (list, ordinary, owner) in cases {
            for (expected, service_owner) in [(ordinary, false), (owner, true)] {
                let judged =
                    check(&obligations(list), AuthenticationLevel::SUBSTANTIAL, service_owner);
                let outcome = match judged {
                    Ok(()) => Met,
                    Err(ObligationFault::LevelTooLow { required }) => Needs(required.number()),
                    Err(ObligationFault::Unknown(_)) => Unknown,
                };
                assert_eq!(outcome, *expected, "{list:?}, service owner: {service_owner}");
            }
        }
    }

    #[test]
    fn faults_become_the_denials_of_the_contract() {
        let low = check(&obligations(&[(MINIMUM_LEVEL, "4")]), AuthenticationLevel::NONE, false);
        let denial = Denial::from(low.unwrap_err());
        assert_eq!(denial.code, DenialCode::AuthenticationLevelTooLow);
        assert_eq!(denial.extras.required_level, Some(AuthenticationLevel::HIGH));
        let unknown = check(&obligations(&[("a\nb", "4")]), AuthenticationLevel::HIGH, false);
        let denial = Denial::from(unknown.unwrap_err());
        assert_eq!(denial.code, DenialCode::ObligationUnknown);
        assert!(denial.cause.unwrap().contains("`a\\nb`"));
    }
}
