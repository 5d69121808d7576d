//! What a trace tells of a decision.

use super::*;

#[test]
fn a_trace_names_the_rule_that_decided() {
    let rules = rule("first", "Permit", &[&[&[resource("y")]]], "")
        + &rule("second", "Permit", &[&[&[resource("x")]]], "");
    let permitting = policy("deny-overrides", &rules);
    for mode in MODES {
        let (evaluation, trace) = evaluate_traced(&permitting, &request(&[resource("x")]), mode);
        assert_eq!(evaluation, evaluate(&permitting, &request(&[resource("x")]), mode));
        let decided_by = trace.decided_by.unwrap();
        assert_eq!((&*decided_by.rule_id, decided_by.effect), ("second", Effect::Permit));
        let denying = policy("deny-unless-permit", &rules);
        let (_, trace) = evaluate_traced(&denying, &request(&[resource("z")]), mode);
        assert_eq!(trace, Trace::default());
    }
}

#[test]
fn a_trace_tells_what_the_subject_lacked() {
    let role = (Category::AccessSubject, "urn:altinn:rolecode", "dagl");
    let policy = policy(
        "deny-overrides",
        &(rule(
            "near",
            "Permit",
            &[&[&[package("a")], &[package("b"), role]], &[&[resource("x")]], &[&[action("read")]]],
            "",
        ) + &rule("far", "Permit", &[&[&[package("c")]], &[&[resource("y")]]], "")),
    );
    let lacking = request(&[package("b"), resource("x"), action("read")]);
    let elsewhere = request(&[package("b"), resource("z"), action("read")]);
    for mode in MODES {
        let (evaluation, trace) = evaluate_traced(&policy, &lacking, mode);
        assert_eq!(evaluation.decision, Decision::NotApplicable);
        assert_eq!(trace.near_misses.len(), 1, "{mode:?}");
        assert_eq!(trace.near_misses[0].rule_id, "near");
        let alternatives: Vec<Vec<(&str, &str)>> = trace.near_misses[0].requirements[0]
            .alternatives
            .iter()
            .map(|all| all.iter().map(|one| (&*one.id, &*one.value)).collect())
            .collect();
        assert_eq!(alternatives, [vec![(PACKAGE, "a")], vec![("urn:altinn:rolecode", "dagl")]]);
        assert_eq!(evaluate_traced(&policy, &elsewhere, mode).1, Trace::default());
    }
}
