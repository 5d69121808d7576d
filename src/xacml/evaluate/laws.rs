//! What holds of every policy, found out with policies and requests made up.

use proptest::prelude::*;

use super::*;
use crate::xacml::functions::Function;
use crate::xacml::model::{
    AllOf, AnyOf, AttributeDesignator, Literal, Match, PolicyParts, Target, Test,
};
use crate::xacml::values::DataType;

const MODES: [Mode; 2] = [Mode::Altinn, Mode::Strict];
const CATEGORIES: [Category; 3] = [Category::AccessSubject, Category::Resource, Category::Action];
const VALUES: [&str; 3] = ["a", "b", "c"];
const IDS: [&str; 2] = ["urn:one", "urn:two"];

/// Which of the ids and values above a match names, and whether it requires the attribute.
type MatchSpec = (usize, usize, bool);

#[derive(Debug, Clone)]
struct RuleSpec {
    effect: Effect,
    /// For each category, the alternatives; none when the rule does not name it.
    categories: Vec<Vec<Vec<MatchSpec>>>,
}

fn rules(required: bool) -> impl Strategy<Value = Vec<RuleSpec>> {
    let required = if required { any::<bool>().boxed() } else { Just(false).boxed() };
    let one = (0..IDS.len(), 0..VALUES.len(), required);
    let all_of = prop::collection::vec(one, 1..3);
    let any_of = prop::collection::vec(all_of, 0..3);
    let rule =
        (any::<bool>(), prop::collection::vec(any_of, 3)).prop_map(|(permit, categories)| {
            RuleSpec { effect: if permit { Effect::Permit } else { Effect::Deny }, categories }
        });
    prop::collection::vec(rule, 0..6)
}

fn algorithms() -> impl Strategy<Value = CombiningAlgorithm> {
    prop::sample::select(vec![
        CombiningAlgorithm::DenyOverrides,
        CombiningAlgorithm::PermitOverrides,
        CombiningAlgorithm::FirstApplicable,
        CombiningAlgorithm::DenyUnlessPermit,
        CombiningAlgorithm::PermitUnlessDeny,
    ])
}

/// Values of the attributes, by category, id and value.
fn requests() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    prop::collection::vec((0..CATEGORIES.len(), 0..IDS.len(), 0..VALUES.len()), 0..8)
}

fn policy(algorithm: CombiningAlgorithm, rules: &[RuleSpec]) -> Policy {
    let on_both = |name: &str| {
        [Effect::Permit, Effect::Deny].map(|effect| {
            Arc::new(Obligation {
                id: format!("{name}-{effect:?}"),
                fulfill_on: effect,
                assignments: Vec::new(),
            })
        })
    };
    let rules = rules.iter().enumerate().map(|(index, spec)| Rule {
        id: index.to_string(),
        effect: spec.effect,
        target: target(spec),
        condition: None,
        obligations: on_both(&index.to_string()).to_vec(),
    });
    Policy::new(PolicyParts {
        id: "p".to_owned(),
        algorithm,
        altinn_knows_algorithm: true,
        target: Target::default(),
        rules: rules.collect(),
        obligations: on_both("policy").to_vec(),
        notes: Vec::new(),
    })
}

/// One `AnyOf` for each category the rule names.
fn target(spec: &RuleSpec) -> Target {
    let one = |category: &Category, (id, value, must_be_present): MatchSpec| Match {
        test: Test::Function(Function::Equal(DataType::String)),
        literal: Literal::read(DataType::String, VALUES[value].to_owned()).unwrap(),
        designator: AttributeDesignator {
            category: category.clone(),
            id: IDS[id].to_owned(),
            data_type: DataType::String,
            issuer: None,
            must_be_present,
        },
    };
    let any_of = |(category, alternatives): (&Category, &Vec<Vec<MatchSpec>>)| AnyOf {
        all_ofs: alternatives
            .iter()
            .map(|all| AllOf { matches: all.iter().map(|spec| one(category, *spec)).collect() })
            .collect(),
    };
    let named = CATEGORIES.iter().zip(&spec.categories).filter(|(_, any_of)| !any_of.is_empty());
    Target { any_ofs: named.map(any_of).collect() }
}

fn request(values: &[(usize, usize, usize)]) -> Request<'static> {
    let mut request = Request::new();
    for (category, id, value) in values {
        request.add(CATEGORIES[*category].clone(), IDS[*id], VALUES[*value]);
    }
    request
}

proptest! {
    /// The trace is read off the decision, and names a rule of the decided effect.
    #[test]
    fn to_ask_why_changes_nothing(
        algorithm in algorithms(), rules in rules(true), asked in requests(),
    ) {
        let (policy, request) = (policy(algorithm, &rules), request(&asked));
        for mode in MODES {
            let (evaluation, trace) = evaluate_traced(&policy, &request, mode);
            prop_assert_eq!(&evaluation, &evaluate(&policy, &request, mode));
            if let Some(rule) = trace.decided_by {
                let decided = match rule.effect {
                    Effect::Permit => Decision::Permit,
                    Effect::Deny => Decision::Deny,
                };
                prop_assert_eq!(evaluation.decision, decided);
                prop_assert_eq!(rules[rule.rule_id.parse::<usize>().unwrap()].effect, rule.effect);
            }
        }
    }

    #[test]
    fn obligations_are_the_policys_and_the_deciding_rules_of_the_decided_effect(
        algorithm in algorithms(), rules in rules(true), asked in requests(),
    ) {
        let (policy, request) = (policy(algorithm, &rules), request(&asked));
        for mode in MODES {
            let evaluation = evaluate(&policy, &request, mode);
            let effect = match evaluation.decision {
                Decision::Permit => Some(Effect::Permit),
                Decision::Deny => Some(Effect::Deny),
                Decision::NotApplicable | Decision::Indeterminate => None,
            };
            for one in &evaluation.obligations {
                prop_assert_eq!(Some(one.fulfill_on), effect);
                let of = one.id.split('-').next().unwrap();
                if of != "policy" {
                    let index: usize = of.parse().unwrap();
                    prop_assert_eq!((mode, Some(rules[index].effect)), (Mode::Strict, effect));
                }
            }
            let of_policy = evaluation.obligations.iter().any(|one| one.id.starts_with("policy"));
            let expected = match mode {
                Mode::Strict => effect.is_some(),
                Mode::Altinn => effect == Some(Effect::Permit),
            };
            prop_assert_eq!(of_policy, expected);
        }
    }

    /// With one block for each category, and nothing required, Altinn's way of matching is the
    /// standard's. Only what the algorithm makes of no rule at all differs.
    #[test]
    fn the_modes_agree_where_a_target_names_each_category_once(
        algorithm in algorithms(), rules in rules(false), asked in requests(),
    ) {
        let (policy, request) = (policy(algorithm, &rules), request(&asked));
        let [altinn, strict] = MODES.map(|mode| evaluate(&policy, &request, mode).decision);
        if altinn == Decision::NotApplicable {
            let none_applies = algorithm.combine([]);
            let expected = match none_applies {
                Outcome::Decided(Effect::Permit) => Decision::Permit,
                Outcome::Decided(Effect::Deny) => Decision::Deny,
                Outcome::NotApplicable | Outcome::Undecided(_) | Outcome::UndecidedEither => {
                    Decision::NotApplicable
                }
            };
            prop_assert_eq!(strict, expected);
        } else {
            prop_assert_eq!(altinn, strict);
        }
    }

    /// Where rules only permit, an attribute more never takes a permit away.
    #[test]
    fn more_attributes_never_take_a_permit_away(
        rules in rules(false), asked in requests(), more in requests(),
    ) {
        let permits: Vec<_> =
            rules.into_iter().map(|rule| RuleSpec { effect: Effect::Permit, ..rule }).collect();
        let policy = policy(CombiningAlgorithm::DenyOverrides, &permits);
        let all: Vec<_> = asked.iter().chain(&more).copied().collect();
        for mode in MODES {
            if evaluate(&policy, &request(&asked), mode).decision == Decision::Permit {
                prop_assert_eq!(evaluate(&policy, &request(&all), mode).decision, Decision::Permit);
            }
        }
    }
}
