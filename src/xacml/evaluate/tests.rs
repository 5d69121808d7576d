use super::*;
use crate::xacml::{AttributeIs, DataType, Right};

const PACKAGE: &str = "urn:altinn:accesspackage";
const RESOURCE: &str = "urn:altinn:resource";
const ACTION: &str = crate::xacml::ACTION_ID;

/// A match in a policy: category, attribute, value; `!` before the value makes the attribute
/// required.
type Wanted<'a> = (Category, &'a str, &'a str);

fn policy(algorithm: &str, rules: &str) -> Policy {
    let text = format!(
        r#"<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p" Version="1"
RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:{algorithm}"><Target/>{rules}
<ObligationExpressions>{}{}</ObligationExpressions></Policy>"#,
        obligation("on-permit", "Permit"),
        obligation("on-deny", "Deny"),
    );
    Policy::parse(text.as_bytes()).unwrap()
}

fn obligation(id: &str, on: &str) -> String {
    format!(r#"<ObligationExpression ObligationId="{id}" FulfillOn="{on}"/>"#)
}

/// A rule from `AnyOf`s of `AllOf`s of matches.
fn rule(id: &str, effect: &str, any_ofs: &[&[&[Wanted<'_>]]], rest: &str) -> String {
    let one = |(category, id, value): &Wanted<'_>| {
        let required = value.starts_with('!');
        let (value, category) = (value.trim_start_matches('!'), category.uri());
        format!(
            r#"<Match MatchId="urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case">
<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">{value}</AttributeValue>
<AttributeDesignator AttributeId="{id}" Category="{category}" DataType="http://www.w3.org/2001/XMLSchema#string" MustBePresent="{required}"/></Match>"#
        )
    };
    let all_of = |all_of: &&[Wanted<'_>]| {
        format!("<AllOf>{}</AllOf>", all_of.iter().map(one).collect::<String>())
    };
    let any_of = |any_of: &&[&[Wanted<'_>]]| {
        format!("<AnyOf>{}</AnyOf>", any_of.iter().map(all_of).collect::<String>())
    };
    let target: String = any_ofs.iter().map(any_of).collect();
    format!(r#"<Rule RuleId="{id}" Effect="{effect}"><Target>{target}</Target>{rest}</Rule>"#)
}

fn package(code: &str) -> Wanted<'_> {
    (Category::AccessSubject, PACKAGE, code)
}

fn resource(id: &str) -> Wanted<'_> {
    (Category::Resource, RESOURCE, id)
}

fn action(name: &str) -> Wanted<'_> {
    (Category::Action, ACTION, name)
}

fn request<'a>(attributes: &[Wanted<'a>]) -> Request<'a> {
    let mut request = Request::new();
    for (category, id, value) in attributes {
        request.add(category.clone(), *id, *value);
    }
    request
}

fn decision(policy: &Policy, attributes: &[Wanted<'_>], mode: Mode) -> (Decision, StatusCode) {
    let evaluation = evaluate(policy, &request(attributes), mode);
    (evaluation.decision, evaluation.status)
}

const MODES: [Mode; 2] = [Mode::Altinn, Mode::Strict];
const PERMIT: (Decision, StatusCode) = (Decision::Permit, StatusCode::Ok);
const DENY: (Decision, StatusCode) = (Decision::Deny, StatusCode::Ok);
const NOT_APPLICABLE: (Decision, StatusCode) = (Decision::NotApplicable, StatusCode::Ok);
const MISSING: (Decision, StatusCode) = (Decision::Indeterminate, StatusCode::MissingAttribute);

#[test]
fn subject_resource_and_action_must_all_match() {
    let policy = policy(
        "deny-overrides",
        &rule(
            "r",
            "Permit",
            &[&[&[package("a")], &[package("b")]], &[&[resource("x")]], &[&[action("read")]]],
            "",
        ),
    );
    for mode in MODES {
        for (attributes, expected) in [
            (&[package("a"), resource("x"), action("read")][..], PERMIT),
            (&[package("B"), resource("x"), action("read")], PERMIT),
            (&[package("z"), package("b"), resource("x"), action("read")], PERMIT),
            (&[package("c"), resource("x"), action("read")], NOT_APPLICABLE),
            (&[resource("x"), action("read")], NOT_APPLICABLE),
            (&[package("a"), resource("y"), action("read")], NOT_APPLICABLE),
            (&[package("a"), resource("x"), action("write")], NOT_APPLICABLE),
            (&[package("a"), resource("x")], NOT_APPLICABLE),
            (&[], NOT_APPLICABLE),
            // The right values in the wrong category are nothing.
            (&[(Category::Resource, PACKAGE, "a"), resource("x"), action("read")], NOT_APPLICABLE),
        ] {
            assert_eq!(decision(&policy, attributes, mode), expected, "{mode:?} {attributes:?}");
        }
    }
}

#[test]
fn two_subject_blocks_are_alternatives_to_altinn_and_both_needed_by_the_standard() {
    let policy = policy(
        "deny-overrides",
        &rule("r", "Permit", &[&[&[package("a")]], &[&[package("b")]], &[&[resource("x")]]], ""),
    );
    let one = [package("a"), resource("x")];
    assert_eq!(decision(&policy, &one, Mode::Altinn), PERMIT);
    assert_eq!(decision(&policy, &one, Mode::Strict), NOT_APPLICABLE);
    let both = [package("a"), package("b"), resource("x")];
    assert_eq!(decision(&policy, &both, Mode::Strict), PERMIT);
}

#[test]
fn an_all_of_of_several_categories_is_split_by_altinn_only() {
    let any_of: &[&[Wanted<'_>]] =
        &[&[package("a"), resource("x")], &[package("b"), resource("y")]];
    let policy = policy("deny-overrides", &rule("r", "Permit", &[any_of], ""));
    let crossed = [package("a"), resource("y")];
    assert_eq!(decision(&policy, &crossed, Mode::Altinn), PERMIT);
    assert_eq!(decision(&policy, &crossed, Mode::Strict), NOT_APPLICABLE);
}

#[test]
fn a_category_altinn_does_not_know_must_match_all_the_same() {
    let evening = (Category::Environment, "urn:t", "evening");
    let policy = policy(
        "deny-overrides",
        &rule("r", "Permit", &[&[&[resource("x")]], &[std::slice::from_ref(&evening)]], ""),
    );
    for mode in MODES {
        assert_eq!(decision(&policy, &[resource("x")], mode), NOT_APPLICABLE);
        assert_eq!(decision(&policy, &[resource("x"), evening.clone()], mode), PERMIT);
    }
}

#[test]
fn a_missing_required_resource_attribute_makes_the_policy_indeterminate() {
    let policy = policy(
        "deny-overrides",
        &(rule("good", "Permit", &[&[&[package("a")]], &[&[resource("x")]]], "")
            + &rule("other", "Permit", &[&[&[(Category::Resource, "urn:b", "!y")]]], "")),
    );
    let attributes = [package("a"), resource("x")];
    assert_eq!(decision(&policy, &attributes, Mode::Altinn), MISSING);
    // Deny-overrides of Permit and Indeterminate{P} is Permit.
    assert_eq!(decision(&policy, &attributes, Mode::Strict), PERMIT);
    let with = [package("a"), resource("x"), (Category::Resource, "urn:b", "z")];
    assert_eq!(decision(&policy, &with, Mode::Altinn), PERMIT);
}

#[test]
fn a_missing_required_subject_attribute_makes_the_rule_indeterminate() {
    let of = |effect| {
        let required = rule("required", effect, &[&[&[package("!a")]], &[&[resource("x")]]], "");
        let open = rule("open", "Permit", &[&[&[resource("x")]]], "");
        policy("deny-overrides", &(required + &open))
    };
    for mode in MODES {
        assert_eq!(decision(&of("Permit"), &[resource("x")], mode), PERMIT);
        assert_eq!(decision(&of("Deny"), &[resource("x")], mode), MISSING);
    }
}

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
        let policy = policy(algorithm, &rule("r", "Permit", &[&[&[resource("x")]]], ""));
        for mode in MODES {
            assert_eq!(decision(&policy, &[resource("y")], mode), expected, "{algorithm}");
        }
    }
}

#[test]
fn a_policy_target_is_for_the_standard_only() {
    let text = format!(
        r#"<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p"
RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides">{}
<Rule RuleId="r" Effect="Permit"/></Policy>"#,
        rule("", "", &[&[&[resource("!x")]]], "")
            .replace(r#"<Rule RuleId="" Effect="">"#, "")
            .replace("</Rule>", "")
    );
    let policy = Policy::parse(text.as_bytes()).unwrap();
    assert_eq!(decision(&policy, &[resource("x")], Mode::Strict), PERMIT);
    assert_eq!(decision(&policy, &[resource("y")], Mode::Strict), NOT_APPLICABLE);
    assert_eq!(decision(&policy, &[], Mode::Strict), MISSING);
    assert_eq!(decision(&policy, &[resource("y")], Mode::Altinn), PERMIT);
}

fn condition(function: &str, inner: &str) -> Policy {
    let condition = format!(
        r#"<Condition><Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:{function}">{inner}</Apply></Condition>"#
    );
    policy("deny-overrides", &rule("r", "Permit", &[], &condition))
}

fn ages(values: &[&'static str]) -> Request<'static> {
    let mut request = Request::new();
    for value in values {
        request.add_typed(Category::AccessSubject, "urn:age", DataType::Integer, *value);
    }
    request
}

#[test]
fn conditions_decide_and_their_errors_are_indeterminate() {
    const AGE: &str = r#"<AttributeDesignator AttributeId="urn:age" Category="urn:oasis:names:tc:xacml:1.0:subject-category:access-subject" DataType="http://www.w3.org/2001/XMLSchema#integer" MustBePresent="false"/>"#;
    let number = |text: &str| {
        format!(
            r#"<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#integer">{text}</AttributeValue>"#
        )
    };
    let apply = |name: &str, inner: &str| {
        format!(
            r#"<Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:{name}">{inner}</Apply>"#
        )
    };
    let only = condition("integer-equal", &(apply("integer-one-and-only", AGE) + &number("45")));
    let size = condition("integer-equal", &(apply("integer-bag-size", AGE) + &number("1")));
    let held = condition("integer-is-in", &(number("45") + AGE));
    let not = condition("not", &apply("integer-is-in", &(number("45") + AGE)));
    let either = condition(
        "or",
        &(apply("integer-is-in", &(number("1") + AGE))
            + &apply("integer-is-in", &(number("2") + AGE))),
    );
    let undecided = |status| (Decision::Indeterminate, status);
    let processing = undecided(StatusCode::ProcessingError);
    let unclear = undecided(StatusCode::Ok);
    for (name, policy, values, altinn, strict) in [
        ("only", &only, &["45"][..], PERMIT, PERMIT),
        ("only", &only, &["46"], NOT_APPLICABLE, NOT_APPLICABLE),
        ("only", &only, &["45", "46"], processing, processing),
        ("only", &only, &[], unclear, processing),
        (
            "only",
            &only,
            &["old"],
            undecided(StatusCode::SyntaxError),
            undecided(StatusCode::SyntaxError),
        ),
        ("size", &size, &["7"], PERMIT, PERMIT),
        ("size", &size, &["7", "8"], unclear, NOT_APPLICABLE),
        ("size", &size, &[], unclear, NOT_APPLICABLE),
        ("held", &held, &["46", "45"], PERMIT, PERMIT),
        ("held", &held, &["46"], NOT_APPLICABLE, NOT_APPLICABLE),
        ("held", &held, &[], unclear, NOT_APPLICABLE),
        ("not", &not, &["46"], PERMIT, PERMIT),
        ("not", &not, &["45"], NOT_APPLICABLE, NOT_APPLICABLE),
        ("either", &either, &["2"], PERMIT, PERMIT),
        ("either", &either, &["3"], NOT_APPLICABLE, NOT_APPLICABLE),
    ] {
        for (mode, expected) in [(Mode::Altinn, altinn), (Mode::Strict, strict)] {
            let evaluation = evaluate(policy, &ages(values), mode);
            let found = (evaluation.decision, evaluation.status);
            assert_eq!(found, expected, "{name} {values:?} {mode:?}");
        }
    }
}

#[test]
fn values_of_another_data_type_or_issuer_do_not_match() {
    let text = rule("r", "Permit", &[&[&[resource("x")]]], "");
    let plain = policy("deny-overrides", &text);
    let issued =
        policy("deny-overrides", &text.replace("MustBePresent", r#"Issuer="i" MustBePresent"#));
    for mode in MODES {
        let mut as_uri = Request::new();
        as_uri.add_typed(Category::Resource, RESOURCE, DataType::AnyUri, "x");
        assert_eq!(evaluate(&plain, &as_uri, mode).decision, Decision::NotApplicable);
        assert_eq!(decision(&issued, &[resource("x")], mode), NOT_APPLICABLE);
        for (issuer, expected) in [("i", Decision::Permit), ("j", Decision::NotApplicable)] {
            let mut request = Request::new();
            request.add_issued(Category::Resource, RESOURCE, issuer, DataType::String, "x");
            assert_eq!(evaluate(&issued, &request, mode).decision, expected, "{issuer}");
            assert_eq!(evaluate(&plain, &request, mode).decision, Decision::Permit);
        }
    }
}

#[test]
fn a_request_beyond_the_limit_is_never_decided() {
    let policy = policy("permit-unless-deny", "");
    let mut request = Request::new();
    for _ in 0..crate::xacml::limits::MAX_VALUES {
        request.add(Category::AccessSubject, PACKAGE, "a");
    }
    assert_eq!(evaluate(&policy, &request, Mode::Altinn).decision, Decision::Permit);
    request.add(Category::AccessSubject, PACKAGE, "a");
    for mode in MODES {
        let expected = Evaluation::indeterminate(StatusCode::ProcessingError);
        assert_eq!(evaluate(&policy, &request, mode), expected);
    }
}

fn right(user: &str, resources: &[(&str, &str)], action: &str) -> Right {
    let is = |id: &str, value: &str| AttributeIs { id: id.to_owned(), value: value.to_owned() };
    Right {
        subject: is("urn:altinn:systemuser:uuid", user),
        resource: resources.iter().map(|(id, value)| is(id, value)).collect(),
        action: action.to_owned(),
    }
}

#[test]
fn single_rights_permit_exactly_themselves() {
    let policy = Policy::of_rights(
        "delegation",
        [
            right("u", &[(RESOURCE, "x")], "read"),
            right("u", &[("urn:altinn:org", "ttd"), ("urn:altinn:app", "app")], "write"),
        ],
    );
    let user = |id| (Category::AccessSubject, "urn:altinn:systemuser:uuid", id);
    let (org, app) = (
        (Category::Resource, "urn:altinn:org", "ttd"),
        (Category::Resource, "urn:altinn:app", "app"),
    );
    assert!(policy.mentions("urn:altinn:systemuser:uuid") && !policy.mentions(PACKAGE));
    for mode in MODES {
        for (attributes, expected) in [
            (&[user("u"), resource("x"), action("read")][..], PERMIT),
            (&[user("U"), resource("x"), action("read")], NOT_APPLICABLE),
            (&[user("u"), resource("x"), action("write")], NOT_APPLICABLE),
            (&[user("u"), org.clone(), app.clone(), action("write")], PERMIT),
            (&[user("u"), app.clone(), action("write")], NOT_APPLICABLE),
            (&[user("v"), resource("x"), action("read")], NOT_APPLICABLE),
        ] {
            assert_eq!(decision(&policy, attributes, mode), expected, "{mode:?} {attributes:?}");
        }
    }
    let asked = [user("u"), resource("x"), action("read")];
    for rights in [vec![], vec![right("u", &[], "read")]] {
        let policy = Policy::of_rights("none", rights);
        assert_eq!(decision(&policy, &asked, Mode::Altinn), NOT_APPLICABLE);
    }
}

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
