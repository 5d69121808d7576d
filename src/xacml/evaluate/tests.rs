mod combining;
mod conditions;
mod traces;

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
