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

/// Compared again for each match of the category, this would take minutes.
#[test]
fn a_rule_with_many_matches_on_the_environment_is_decided_in_proportion_to_them() {
    let values: Vec<_> = (0..1500).map(|number| number.to_string()).collect();
    let matches: Vec<_> =
        values.iter().map(|value| (Category::Environment, "e", &**value)).collect();
    let policy = policy("deny-overrides", &rule("r", "Permit", &[&[&matches]], ""));
    let one = |decision| (decision, StatusCode::Ok);
    for mode in [Mode::Altinn, Mode::Strict] {
        assert_eq!(decision(&policy, &matches, mode), one(Decision::Permit));
        assert_eq!(decision(&policy, &matches[1..], mode), one(Decision::NotApplicable));
    }
}

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

#[test]
fn the_last_alternative_to_match_or_to_miss_decides_in_altinns_mode() {
    let missing = (Category::Resource, "urn:b", "!y");
    let of =
        |all_ofs: &[&[Wanted<'_>]]| policy("deny-overrides", &rule("r", "Permit", &[all_ofs], ""));
    let required_last = of(&[&[resource("x")], std::slice::from_ref(&missing)]);
    let required_first = of(&[std::slice::from_ref(&missing), &[resource("x")]]);
    assert_eq!(decision(&required_last, &[resource("x")], Mode::Altinn), MISSING);
    assert_eq!(decision(&required_first, &[resource("x")], Mode::Altinn), PERMIT);
    for policy in [required_first, required_last] {
        assert_eq!(decision(&policy, &[resource("x")], Mode::Strict), PERMIT);
    }
    // To Altinn an attribute is there when its id is, of whatever data type.
    let policy = of(&[&[(Category::Resource, RESOURCE, "!x")]]);
    let mut as_uri = Request::new();
    as_uri.add_typed(Category::Resource, RESOURCE, DataType::AnyUri, "x");
    let found = |mode| evaluate(&policy, &as_uri, mode);
    assert_eq!(found(Mode::Altinn).decision, Decision::NotApplicable);
    assert_eq!(found(Mode::Strict), Evaluation::indeterminate(StatusCode::MissingAttribute));
}

#[test]
fn values_of_one_attribute_are_a_bag_across_categories_given_twice() {
    let policy = policy(
        "deny-overrides",
        &rule("r", "Permit", &[&[&[resource("x")]], &[&[action("read")]]], ""),
    );
    for mode in MODES {
        let asked = [action("write"), resource("y"), action("read"), resource("x")];
        assert_eq!(decision(&policy, &asked, mode), PERMIT);
    }
}

fn patterned(function: &str, data_type: &str, pattern: &str) -> Policy {
    let text = rule("r", "Permit", &[&[&[(Category::Resource, "urn:t", "PATTERN")]]], "")
        .replace("urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case", function)
        .replace("#string\" MustBePresent", &format!("#{data_type}\" MustBePresent"))
        .replace("PATTERN", pattern);
    policy("deny-overrides", &text)
}

#[test]
fn a_pattern_matches_any_value_of_the_attribute() {
    const STRINGS: &str = "urn:oasis:names:tc:xacml:1.0:function:string-regexp-match";
    const URIS: &str = "urn:oasis:names:tc:xacml:2.0:function:anyURI-regexp-match";
    let strings = patterned(STRINGS, "string", "^(read|write)$");
    let asked = |values: &[&'static str], data_type| {
        let mut request = Request::new();
        for value in values {
            request.add_typed(Category::Resource, "urn:t", data_type, *value);
        }
        request
    };
    for mode in MODES {
        for (values, expected) in [
            (&["write"][..], Decision::Permit),
            (&["sign", "read"], Decision::Permit),
            (&["reread"], Decision::NotApplicable),
            (&[], Decision::NotApplicable),
        ] {
            let request = asked(values, DataType::String);
            assert_eq!(evaluate(&strings, &request, mode).decision, expected, "{values:?}");
        }
        let as_uri = asked(&["write"], DataType::AnyUri);
        assert_eq!(evaluate(&strings, &as_uri, mode).decision, Decision::NotApplicable);
    }
    let long: &'static str = "x".repeat(3000).leak();
    let expected = Evaluation::indeterminate(StatusCode::ProcessingError);
    assert_eq!(evaluate(&strings, &asked(&[long], DataType::String), Mode::Strict), expected);
    // Altinn's engine has no patterns over `anyURI`.
    let uris = patterned(URIS, "anyURI", "^urn:");
    let request = asked(&["urn:x"], DataType::AnyUri);
    assert_eq!(evaluate(&uris, &request, Mode::Strict).decision, Decision::Permit);
    let expected = Evaluation::indeterminate(StatusCode::SyntaxError);
    assert_eq!(evaluate(&uris, &request, Mode::Altinn), expected);
}

#[test]
fn a_type_error_is_an_error_in_both_modes_wherever_evaluation_would_have_gone() {
    const WRONG: &str = r#"<Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:string-equal">
<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">a</AttributeValue>
<AttributeDesignator AttributeId="urn:altinn:accesspackage" Category="urn:oasis:names:tc:xacml:1.0:subject-category:access-subject" DataType="http://www.w3.org/2001/XMLSchema#string" MustBePresent="false"/></Apply>"#;
    const RIGHT: &str = r#"<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#boolean">true</AttributeValue>"#;
    let error = (Decision::Indeterminate, StatusCode::ProcessingError);
    for inner in [
        WRONG.to_owned(),
        format!(
            r#"<Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:or">{RIGHT}{WRONG}</Apply>"#
        ),
    ] {
        let condition = format!("<Condition>{inner}</Condition>");
        let of = |algorithm: &str, effect: &str| {
            policy(algorithm, &rule("r", effect, &[&[&[resource("x")]]], &condition))
        };
        let asked = [package("a"), resource("x")];
        for mode in MODES {
            assert_eq!(decision(&of("deny-overrides", "Permit"), &asked, mode), error);
            assert_eq!(decision(&of("deny-overrides", "Deny"), &asked, mode), error);
            // Errors count for nothing in these two: what the warning at load is about.
            assert_eq!(decision(&of("permit-unless-deny", "Deny"), &asked, mode), PERMIT);
            assert_eq!(decision(&of("deny-unless-permit", "Permit"), &asked, mode), DENY);
            let elsewhere = decision(&of("deny-overrides", "Permit"), &[resource("y")], mode);
            assert_eq!(elsewhere, NOT_APPLICABLE);
        }
    }
    let mistyped = policy(
        "deny-overrides",
        &(rule("wrong", "Permit", &[&[&[package("a")]]], "").replace(
            "urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case",
            "urn:oasis:names:tc:xacml:1.0:function:anyURI-equal",
        ) + &rule("right", "Permit", &[&[&[package("b")]]], "")),
    );
    for mode in MODES {
        assert_eq!(decision(&mistyped, &[package("a")], mode), error);
        assert_eq!(decision(&mistyped, &[package("a"), package("b")], mode), PERMIT);
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
    // Altinn's engine throws, which its PDP answers so.
    let thrown = undecided(StatusCode::SyntaxError);
    for (name, policy, values, altinn, strict) in [
        ("only", &only, &["45"][..], PERMIT, PERMIT),
        ("only", &only, &["46"], NOT_APPLICABLE, NOT_APPLICABLE),
        ("only", &only, &["45", "46"], processing, processing),
        ("only", &only, &[], unclear, processing),
        ("only", &only, &["old"], NOT_APPLICABLE, thrown),
        ("size", &size, &["7"], thrown, PERMIT),
        ("size", &size, &["7", "8"], thrown, NOT_APPLICABLE),
        ("held", &held, &["46", "45"], thrown, PERMIT),
        ("held", &held, &["46"], thrown, NOT_APPLICABLE),
        ("held", &held, &[], thrown, NOT_APPLICABLE),
        ("not", &not, &["46"], thrown, PERMIT),
        ("not", &not, &["45"], thrown, NOT_APPLICABLE),
        ("either", &either, &["2"], thrown, PERMIT),
        ("either", &either, &["3"], thrown, NOT_APPLICABLE),
    ] {
        for (mode, expected) in [(Mode::Altinn, altinn), (Mode::Strict, strict)] {
            let evaluation = evaluate(policy, &ages(values), mode);
            let found = (evaluation.decision, evaluation.status);
            assert_eq!(found, expected, "{name} {values:?} {mode:?}");
        }
    }
}

#[test]
fn conditions_are_one_comparison_to_altinn() {
    const NAMES: &str = r#"<AttributeDesignator AttributeId="urn:name" Category="urn:oasis:names:tc:xacml:1.0:subject-category:access-subject" DataType="http://www.w3.org/2001/XMLSchema#TYPE" MustBePresent="false"/>"#;
    let value = |data_type: &str, text: &str| {
        format!(
            r#"<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#{data_type}">{text}</AttributeValue>"#
        )
    };
    let of = |name: &str, data_type: &str| {
        format!(
            r#"<Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:{name}">{}</Apply>"#,
            NAMES.replace("TYPE", data_type)
        )
    };
    let names = |values: &[(DataType, &'static str)]| {
        let mut request = Request::new();
        request.add(Category::AccessSubject, "urn:other", "x");
        for (data_type, value) in values {
            request.add_typed(Category::AccessSubject, "urn:name", *data_type, *value);
        }
        request
    };
    let text = |value| (DataType::String, value);
    let date = |value| (DataType::Date, value);
    let undecided = |status| (Decision::Indeterminate, status);
    let sole =
        condition("string-equal", &(value("string", "a") + &of("string-one-and-only", "string")));
    let held =
        condition("string-is-in", &(value("string", "a") + &NAMES.replace("TYPE", "string")));
    let number = condition(
        "integer-equal",
        &(value("integer", "5") + &of("integer-one-and-only", "integer")),
    );
    let day =
        condition("date-equal", &(of("date-one-and-only", "date") + &value("date", "2026-01-01")));
    let days = condition("integer-equal", &(of("date-bag-size", "date") + &value("integer", "0")));
    let found = condition(
        "string-regexp-match",
        &(value("string", "^a+$") + &of("string-one-and-only", "string")),
    );
    let processing = undecided(StatusCode::ProcessingError);
    let unclear = undecided(StatusCode::Ok);
    let thrown = undecided(StatusCode::SyntaxError);
    for (name, policy, values, altinn, strict) in [
        // The values of a string are not counted there.
        ("sole", &sole, &[text("b"), text("a")][..], PERMIT, processing),
        ("sole", &sole, &[text("b")], NOT_APPLICABLE, NOT_APPLICABLE),
        ("held", &held, &[text("b"), text("a")], PERMIT, PERMIT),
        ("held", &held, &[text("b")], NOT_APPLICABLE, NOT_APPLICABLE),
        ("held", &held, &[], unclear, NOT_APPLICABLE),
        // Nor are the data types of a request's values looked at.
        ("number", &number, &[text("05")], PERMIT, processing),
        ("number", &number, &[text("five")], NOT_APPLICABLE, processing),
        ("day", &day, &[date("2026-01-01")], PERMIT, PERMIT),
        ("day", &day, &[date("2026-01-01"), date("2026-01-02")], processing, processing),
        ("day", &day, &[date("yesterday")], thrown, thrown),
        ("days", &days, &[], PERMIT, PERMIT),
        ("days", &days, &[date("2026-01-01")], unclear, NOT_APPLICABLE),
        ("found", &found, &[text("aa")], PERMIT, PERMIT),
        ("found", &found, &[text("ab")], NOT_APPLICABLE, NOT_APPLICABLE),
    ] {
        for (mode, expected) in [(Mode::Altinn, altinn), (Mode::Strict, strict)] {
            let evaluation = evaluate(policy, &names(values), mode);
            let found = (evaluation.decision, evaluation.status);
            assert_eq!(found, expected, "{name} {values:?} {mode:?}");
        }
    }
    // An exception is the end of the whole answer, whatever another rule says.
    let unreadable = names(&[date("yesterday")]);
    let condition = format!(
        r#"<Condition><Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:date-equal">{}{}</Apply></Condition>"#,
        of("date-one-and-only", "date"),
        value("date", "2026-01-01")
    );
    let two = rule("bad", "Permit", &[], &condition) + &rule("good", "Permit", &[], "");
    let policy = policy("permit-overrides", &two);
    let expected = Evaluation::indeterminate(StatusCode::SyntaxError);
    assert_eq!(evaluate(&policy, &unreadable, Mode::Altinn), expected);
    assert_eq!(evaluate(&policy, &unreadable, Mode::Strict).decision, Decision::Permit);
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
    let policy = policy("permit-unless-deny", &rule("r", "Permit", &[], ""));
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
