//! Conditions, and functions that compare other than by equality.

use super::*;

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
