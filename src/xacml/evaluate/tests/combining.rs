//! How rules and their obligations become one decision.

use super::*;

#[test]
fn one_deny_beats_every_permit_and_obligations_follow_the_decision() {
    let rules = rule("yes", "Permit", &[&[&[resource("x")]]], "")
        + &rule("no", "Deny", &[&[&[package("a")]], &[&[resource("x")]]], "");
    let denying = policy("deny-overrides", &rules);
    let permitting = policy("permit-overrides", &rules);
    let attributes = [package("a"), resource("x")];
    let ids = |policy: &Policy, attributes: &[Wanted<'_>], mode| {
        let evaluation = evaluate(policy, &request(attributes), mode);
        evaluation.obligations.iter().map(|one| one.id.clone()).collect::<Vec<_>>()
    };
    for mode in MODES {
        assert_eq!(decision(&denying, &attributes, mode), DENY);
        assert_eq!(decision(&permitting, &attributes, mode), PERMIT);
        assert_eq!(ids(&permitting, &attributes, mode), ["on-permit"]);
        assert!(ids(&denying, &[resource("y")], mode).is_empty());
    }
    assert!(ids(&denying, &attributes, Mode::Altinn).is_empty());
    assert_eq!(ids(&denying, &attributes, Mode::Strict), ["on-deny"]);
}

#[test]
fn obligations_of_a_rule_are_given_by_the_standard_only() {
    let of_rule = format!(
        "<ObligationExpressions>{}{}</ObligationExpressions>",
        obligation("of-rule", "Permit"),
        obligation("never", "Deny")
    );
    let rules = rule("one", "Permit", &[&[&[resource("x")]]], &of_rule)
        + &rule("two", "Permit", &[&[&[resource("y")]]], &of_rule.replace("of-rule", "of-two"));
    let policy = policy("deny-overrides", &rules);
    let ids = |mode| {
        let evaluation = evaluate(&policy, &request(&[resource("x")]), mode);
        evaluation.obligations.iter().map(|one| one.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(Mode::Altinn), ["on-permit"]);
    assert_eq!(ids(Mode::Strict), ["of-rule", "on-permit"]);
}

#[test]
fn no_rule_for_a_resource_is_what_the_algorithm_says() {
    for (algorithm, expected) in [
        ("deny-overrides", NOT_APPLICABLE),
        ("ordered-permit-overrides", NOT_APPLICABLE),
        ("deny-unless-permit", DENY),
        ("permit-unless-deny", PERMIT),
    ] {
        let rule = rule("r", "Permit", &[&[&[package("a")]], &[&[resource("x")]]], "");
        let policy = policy(algorithm, &rule);
        let elsewhere = [package("a"), resource("y")];
        assert_eq!(decision(&policy, &elsewhere, Mode::Strict), expected, "{algorithm}");
        // Altinn does not come as far as the algorithm.
        assert_eq!(decision(&policy, &elsewhere, Mode::Altinn), NOT_APPLICABLE, "{algorithm}");
        // It does when a rule is about the resource, and only the subject is another.
        for mode in MODES {
            assert_eq!(decision(&policy, &[resource("x")], mode), expected, "{algorithm} {mode:?}");
        }
    }
}

#[test]
fn an_algorithm_by_its_old_name_is_unknown_to_altinn() {
    for (urn, altinn) in [
        ("urn:oasis:names:tc:xacml:1.0:rule-combining-algorithm:deny-overrides", None),
        ("urn:oasis:names:tc:xacml:1.1:rule-combining-algorithm:ordered-deny-overrides", None),
        ("urn:oasis:names:tc:xacml:3.0:policy-combining-algorithm:deny-overrides", Some(PERMIT)),
        ("urn:oasis:names:tc:xacml:1.0:rule-combining-algorithm:first-applicable", Some(PERMIT)),
    ] {
        let text = format!(
            r#"<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p"
RuleCombiningAlgId="{urn}"><Target/>{}</Policy>"#,
            rule("r", "Permit", &[&[&[resource("x")]]], "")
        );
        let policy = Policy::parse(text.as_bytes()).unwrap();
        let unknown = (Decision::Indeterminate, StatusCode::Ok);
        let asked = [resource("x")];
        assert_eq!(decision(&policy, &asked, Mode::Altinn), altinn.unwrap_or(unknown), "{urn}");
        assert_eq!(decision(&policy, &[resource("y")], Mode::Altinn), NOT_APPLICABLE, "{urn}");
        assert_eq!(decision(&policy, &asked, Mode::Strict), PERMIT, "{urn}");
    }
}
