//! The rule-combining tables of XACML 3.0, appendix C. The ordered variants decide like their
//! unordered namesakes: order matters to obligations only.

use super::model::Effect;

/// How the outcomes of rules become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CombiningAlgorithm {
    DenyOverrides,
    PermitOverrides,
    DenyUnlessPermit,
    PermitUnlessDeny,
    FirstApplicable,
}

/// The outcome of a rule, and of a combination of rules. The extended Indeterminate values say
/// what the outcome could have been without the error (XACML 3.0 §7.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    NotApplicable,
    Decided(Effect),
    /// Indeterminate{P} or Indeterminate{D}.
    Undecided(Effect),
    /// Indeterminate{DP}.
    UndecidedEither,
}

impl CombiningAlgorithm {
    /// The algorithm with this identifier. Altinn writes the identifiers of policy-combining
    /// algorithms into policies for delegations; they mean the same there. The identifiers of
    /// XACML 1.0 and 1.1 are the same tables before the extended Indeterminate values.
    pub(super) fn from_urn(urn: &str) -> Option<Self> {
        let rest = urn.strip_prefix("urn:oasis:names:tc:xacml:")?;
        let (version, rest) = rest.split_once(':')?;
        let name = rest
            .strip_prefix("rule-combining-algorithm:")
            .or_else(|| rest.strip_prefix("policy-combining-algorithm:"))?;
        match (version, name) {
            ("1.0" | "3.0", "deny-overrides") | ("1.1" | "3.0", "ordered-deny-overrides") => {
                Some(Self::DenyOverrides)
            }
            ("1.0" | "3.0", "permit-overrides") | ("1.1" | "3.0", "ordered-permit-overrides") => {
                Some(Self::PermitOverrides)
            }
            ("3.0", "deny-unless-permit") => Some(Self::DenyUnlessPermit),
            ("3.0", "permit-unless-deny") => Some(Self::PermitUnlessDeny),
            ("1.0", "first-applicable") => Some(Self::FirstApplicable),
            _ => None,
        }
    }

    /// Whether Altinn's engine knows the algorithm by this identifier, too. It has those of XACML
    /// 3.0 only, of which `first-applicable` kept its old one.
    pub(super) fn is_known_to_altinn(urn: &str) -> bool {
        Self::from_urn(urn).is_some()
            && (urn.starts_with("urn:oasis:names:tc:xacml:3.0:")
                || urn.ends_with(":first-applicable"))
    }

    pub(super) fn combine(self, outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
        match self {
            Self::DenyOverrides => overrides(Effect::Deny, Effect::Permit, outcomes),
            Self::PermitOverrides => overrides(Effect::Permit, Effect::Deny, outcomes),
            Self::DenyUnlessPermit => unless(Effect::Permit, Effect::Deny, outcomes),
            Self::PermitUnlessDeny => unless(Effect::Deny, Effect::Permit, outcomes),
            Self::FirstApplicable => outcomes
                .into_iter()
                .find(|outcome| *outcome != Outcome::NotApplicable)
                .unwrap_or(Outcome::NotApplicable),
        }
    }
}

/// XACML 3.0 §C.2 to §C.5: one `strong` beats everything; an error that might have been `strong`
/// keeps a `weak` from deciding.
fn overrides(strong: Effect, weak: Effect, outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    let (mut weak_decided, mut strong_error, mut weak_error, mut either_error) =
        (false, false, false, false);
    for outcome in outcomes {
        match outcome {
            Outcome::Decided(effect) if effect == strong => return outcome,
            Outcome::Decided(_) => weak_decided = true,
            Outcome::Undecided(effect) if effect == strong => strong_error = true,
            Outcome::Undecided(_) => weak_error = true,
            Outcome::UndecidedEither => either_error = true,
            Outcome::NotApplicable => {}
        }
    }
    if either_error || (strong_error && (weak_error || weak_decided)) {
        Outcome::UndecidedEither
    } else if strong_error {
        Outcome::Undecided(strong)
    } else if weak_decided {
        Outcome::Decided(weak)
    } else if weak_error {
        Outcome::Undecided(weak)
    } else {
        Outcome::NotApplicable
    }
}

/// XACML 3.0 §C.6 and §C.7: `wanted` if any rule says so, else `otherwise`; errors count for
/// nothing.
fn unless(
    wanted: Effect,
    otherwise: Effect,
    outcomes: impl IntoIterator<Item = Outcome>,
) -> Outcome {
    let found = outcomes.into_iter().any(|outcome| outcome == Outcome::Decided(wanted));
    Outcome::Decided(if found { wanted } else { otherwise })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NA: Outcome = Outcome::NotApplicable;
    const P: Outcome = Outcome::Decided(Effect::Permit);
    const D: Outcome = Outcome::Decided(Effect::Deny);
    const IP: Outcome = Outcome::Undecided(Effect::Permit);
    const ID: Outcome = Outcome::Undecided(Effect::Deny);
    const IDP: Outcome = Outcome::UndecidedEither;

    #[test]
    fn tables_of_appendix_c_hold() {
        use CombiningAlgorithm::{
            DenyOverrides, DenyUnlessPermit, FirstApplicable, PermitOverrides, PermitUnlessDeny,
        };
        for (algorithm, outcomes, expected) in [
            (DenyOverrides, &[][..], NA),
            (DenyOverrides, &[NA, NA], NA),
            (DenyOverrides, &[P, NA], P),
            (DenyOverrides, &[P, D, IDP], D),
            (DenyOverrides, &[P, IP], P),
            (DenyOverrides, &[P, ID], IDP),
            (DenyOverrides, &[IP, ID], IDP),
            (DenyOverrides, &[ID, NA], ID),
            (DenyOverrides, &[IP, NA], IP),
            (DenyOverrides, &[P, IDP], IDP),
            (PermitOverrides, &[], NA),
            (PermitOverrides, &[D, P, IDP], P),
            (PermitOverrides, &[D, ID], D),
            (PermitOverrides, &[D, IP], IDP),
            (PermitOverrides, &[ID, IP], IDP),
            (PermitOverrides, &[IP], IP),
            (PermitOverrides, &[ID], ID),
            (DenyUnlessPermit, &[], D),
            (DenyUnlessPermit, &[IP, IDP], D),
            (DenyUnlessPermit, &[D, P], P),
            (PermitUnlessDeny, &[], P),
            (PermitUnlessDeny, &[ID, IDP], P),
            (PermitUnlessDeny, &[P, D], D),
            (FirstApplicable, &[], NA),
            (FirstApplicable, &[NA, IP, D], IP),
            (FirstApplicable, &[NA, P, D], P),
        ] {
            let combined = algorithm.combine(outcomes.iter().copied());
            assert_eq!(combined, expected, "{algorithm:?} {outcomes:?}");
        }
    }

    #[test]
    fn identifiers_name_one_table_each() {
        for (urn, expected) in [
            (
                "3.0:rule-combining-algorithm:deny-overrides",
                Some(CombiningAlgorithm::DenyOverrides),
            ),
            (
                "3.0:policy-combining-algorithm:deny-overrides",
                Some(CombiningAlgorithm::DenyOverrides),
            ),
            (
                "1.1:rule-combining-algorithm:ordered-deny-overrides",
                Some(CombiningAlgorithm::DenyOverrides),
            ),
            (
                "3.0:rule-combining-algorithm:ordered-permit-overrides",
                Some(CombiningAlgorithm::PermitOverrides),
            ),
            (
                "1.0:rule-combining-algorithm:first-applicable",
                Some(CombiningAlgorithm::FirstApplicable),
            ),
            (
                "3.0:rule-combining-algorithm:permit-unless-deny",
                Some(CombiningAlgorithm::PermitUnlessDeny),
            ),
            ("1.0:rule-combining-algorithm:permit-unless-deny", None),
            ("3.0:rule-combining-algorithm:deny-overrides ", None),
            ("3.0:rule-combining-algorithm:on-permit-apply-second", None),
            ("", None),
        ] {
            let urn = format!("urn:oasis:names:tc:xacml:{urn}");
            assert_eq!(CombiningAlgorithm::from_urn(&urn), expected, "{urn}");
        }
        assert_eq!(CombiningAlgorithm::from_urn("deny-overrides"), None);
    }

    const ALL: [CombiningAlgorithm; 5] = [
        CombiningAlgorithm::DenyOverrides,
        CombiningAlgorithm::PermitOverrides,
        CombiningAlgorithm::DenyUnlessPermit,
        CombiningAlgorithm::PermitUnlessDeny,
        CombiningAlgorithm::FirstApplicable,
    ];

    fn mirror(outcome: Outcome) -> Outcome {
        match outcome {
            P => D,
            D => P,
            IP => ID,
            ID => IP,
            NA => NA,
            IDP => IDP,
        }
    }

    fn outcomes() -> impl Strategy<Value = Vec<Outcome>> {
        prop::collection::vec(prop::sample::select(vec![NA, P, D, IP, ID, IDP]), 0..12)
    }

    proptest! {
        #[test]
        fn order_means_nothing_but_to_first_applicable(mut one in outcomes(), seed in any::<u64>()) {
            let unordered = [
                CombiningAlgorithm::DenyOverrides,
                CombiningAlgorithm::PermitOverrides,
                CombiningAlgorithm::DenyUnlessPermit,
                CombiningAlgorithm::PermitUnlessDeny,
            ];
            let before = unordered.map(|algorithm| algorithm.combine(one.iter().copied()));
            let middle = usize::try_from(seed % 13).unwrap().min(one.len());
            one.rotate_left(middle);
            one.reverse();
            let after = unordered.map(|algorithm| algorithm.combine(one.iter().copied()));
            prop_assert_eq!(before, after);
        }

        #[test]
        fn any_deny_denies_and_no_permit_never_permits(one in outcomes()) {
            let combined = CombiningAlgorithm::DenyOverrides.combine(one.iter().copied());
            prop_assert_eq!(combined == D, one.contains(&D));
            if combined == P {
                prop_assert!(one.contains(&P) && !one.contains(&ID) && !one.contains(&IDP));
            }
        }

        /// What one of the two does, the other does with the effects exchanged.
        #[test]
        fn deny_and_permit_are_each_others_mirror(one in outcomes()) {
            let mirrored = one.iter().copied().map(mirror);
            for (algorithm, other) in [
                (CombiningAlgorithm::DenyOverrides, CombiningAlgorithm::PermitOverrides),
                (CombiningAlgorithm::DenyUnlessPermit, CombiningAlgorithm::PermitUnlessDeny),
                (CombiningAlgorithm::FirstApplicable, CombiningAlgorithm::FirstApplicable),
            ] {
                let combined = mirror(algorithm.combine(one.iter().copied()));
                prop_assert_eq!(combined, other.combine(mirrored.clone()));
            }
        }

        /// Rules may be grouped: the outcomes of the groups combine to that of all.
        #[test]
        fn groups_combine_to_the_whole(one in outcomes(), at in 0_usize..13) {
            let (left, right) = one.split_at(at.min(one.len()));
            for algorithm in ALL {
                let groups = [left, right].map(|group| algorithm.combine(group.iter().copied()));
                let whole = algorithm.combine(one.iter().copied());
                prop_assert_eq!(algorithm.combine(groups), whole, "{:?}", algorithm);
            }
        }

        /// To say a thing twice is to say it once, and an outcome of one rule is that rule's.
        #[test]
        fn repetition_means_nothing(one in outcomes()) {
            for algorithm in ALL {
                let twice = one.iter().chain(&one).copied();
                let once = algorithm.combine(one.iter().copied());
                prop_assert_eq!(algorithm.combine(twice), once, "{:?}", algorithm);
            }
            for outcome in [NA, P, D, IP, ID, IDP] {
                for algorithm in [
                    CombiningAlgorithm::DenyOverrides,
                    CombiningAlgorithm::PermitOverrides,
                    CombiningAlgorithm::FirstApplicable,
                ] {
                    prop_assert_eq!(algorithm.combine([outcome]), outcome, "{:?}", algorithm);
                }
            }
        }

        /// One more rule that denies, or may have, never makes a permit of what was none; and one more
        /// that permits, or may have, never a denial.
        #[test]
        fn one_more_rule_never_decides_for_the_other_effect(one in outcomes(), deny in any::<bool>()) {
            let (more, other) = if deny { ([D, ID], P) } else { ([P, IP], D) };
            for algorithm in ALL {
                let before = algorithm.combine(one.iter().copied());
                for rule in more {
                    let after = algorithm.combine(one.iter().copied().chain([rule]));
                    prop_assert!(after != other || before == other, "{algorithm:?} {rule:?}");
                }
            }
        }

        /// An error, once resolved, leads to one of the outcomes the combination said it could: what
        /// decides in spite of an error decides the same whatever the error hides.
        #[test]
        fn an_error_hides_only_what_the_outcome_says(one in outcomes(), hidden in prop::collection::vec(0_usize..3, 12)) {
            let resolved: Vec<_> = one
                .iter()
                .zip(&hidden)
                .map(|(outcome, choice)| {
                    let may_be: &[Outcome] = match *outcome {
                        IP => &[P, NA],
                        ID => &[D, NA],
                        IDP => &[P, D, NA],
                        NA | P | D => return *outcome,
                    };
                    may_be[choice % may_be.len()]
                })
                .collect();
            for algorithm in
                [CombiningAlgorithm::DenyOverrides, CombiningAlgorithm::PermitOverrides]
            {
                let told = algorithm.combine(one.iter().copied());
                let truth = algorithm.combine(resolved.iter().copied());
                let agrees = match told {
                    IP => truth != D || one.contains(&D),
                    ID => truth != P || one.contains(&P),
                    IDP => true,
                    NA | P | D => truth == told,
                };
                prop_assert!(agrees, "{algorithm:?} told {told:?}, truth {truth:?}");
            }
        }

        #[test]
        fn rules_that_do_not_apply_change_nothing(one in outcomes(), at in 0_usize..12) {
            for algorithm in ALL {
                let mut more = one.clone();
                more.insert(at.min(one.len()), NA);
                prop_assert_eq!(algorithm.combine(one.clone()), algorithm.combine(more));
            }
        }
    }
}
