use proptest::prelude::*;

use super::*;
use crate::xacml::limits::MAX_DEPTH;

const STRING: &str = "http://www.w3.org/2001/XMLSchema#string";
const SUBJECT: &str = "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject";

fn designator(extra: &str) -> String {
    format!(
        r#"<AttributeDesignator AttributeId="urn:a" Category="{SUBJECT}" DataType="{STRING}" {extra}/>"#
    )
}

fn value(text: &str) -> String {
    format!(r#"<AttributeValue DataType="{STRING}">{text}</AttributeValue>"#)
}

fn one_match(inner: &str) -> String {
    format!(
        r#"<Match MatchId="urn:oasis:names:tc:xacml:1.0:function:string-equal">{inner}</Match>"#
    )
}

fn target(inner: &str) -> String {
    format!("<Target><AnyOf><AllOf>{inner}</AllOf></AnyOf></Target>")
}

fn rule(inner: &str) -> String {
    format!(r#"<Rule RuleId="r" Effect="Permit">{inner}</Rule>"#)
}

fn document(inner: &str) -> String {
    format!(
        r#"<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p" Version="1.0"
RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides">
{inner}
</Policy>"#
    )
}

fn with_rule(inner: &str) -> String {
    document(&format!("<Target/>{}", rule(inner)))
}

fn apply(name: &str, inner: &str) -> String {
    format!(r#"<Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:{name}">{inner}</Apply>"#)
}

fn obligation(inner: &str) -> String {
    format!(
        r#"<ObligationExpressions><ObligationExpression ObligationId="o" FulfillOn="Permit">{inner}</ObligationExpression></ObligationExpressions>"#
    )
}

fn message(document: &str) -> String {
    policy(document.as_bytes()).map(|policy| policy.id).unwrap_err().message
}

#[test]
fn a_whole_policy_is_read() {
    let assignment = format!(
        r#"<AttributeAssignmentExpression AttributeId="l" Category="c">{}</AttributeAssignmentExpression>"#,
        value("2")
    );
    let text = document(&format!(
        "<Description>d</Description><Target/>{}{}",
        rule(&format!(
            "<Description>d</Description>{}<Condition>{}</Condition>",
            target(&one_match(&format!("{}{}", value("x"), designator("MustBePresent='true'")))),
            apply("string-is-in", &format!("<Description/>{}{}", value("x"), designator(""))),
        )),
        obligation(&assignment),
    ));
    let policy = policy(text.as_bytes()).unwrap();
    assert_eq!((policy.id(), policy.rule_count()), ("p", 1));
    assert!(policy.mentions("urn:a") && !policy.mentions("urn:b"));
    assert!(policy.notes().is_empty());
    let obligations: Vec<_> = policy.obligations(Effect::Permit).collect();
    assert_eq!(obligations[0].assignments[0].category.as_deref(), Some("c"));
    assert_eq!(policy.obligations(Effect::Deny).count(), 0);
}

#[test]
fn what_altinn_passes_over_is_noted() {
    let matching = target(&one_match(&format!("{}{}", value("x"), designator(""))));
    let text = document(&format!("{matching}{}", rule(&obligation(""))));
    let notes = policy(text.as_bytes()).unwrap().notes().to_vec();
    assert_eq!(notes.len(), 2);
    assert!(notes[0].message.contains("target") && notes[1].message.contains("obligations"));
    assert_eq!(notes[1].line, 3);
    assert!(notes.iter().all(|note| note.severity == NoteSeverity::Note));
}

#[test]
fn what_is_not_understood_is_refused() {
    let good = one_match(&format!("{}{}", value("x"), designator("")));
    let integer = |text: &str| {
        format!(
            r#"<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#integer">{text}</AttributeValue>"#
        )
    };
    for (document, expected) in [
        (document("").replace("Policy", "PolicySet"), "expected a `Policy`"),
        (document("").replace("deny-overrides", "deny-mostly"), "combining algorithm"),
        (document("").replace("PolicyId=\"p\"", ""), "no `PolicyId`"),
        (document("").replace("PolicyId=\"p\"", "PolicyId=\"\""), "no `PolicyId`"),
        (document("").replace("Version", "Versjon"), "unknown attribute `Versjon`"),
        (document(""), "no `Target`"),
        (document("<Target/><Target/>"), "second `Target`"),
        (document("<Target/>text"), "holds the text"),
        (document(&format!("{}<Target/>", rule(""))), "no `Target`"),
        (document("<Target/><VariableDefinition/>"), "element `VariableDefinition`"),
        (document("<Target/><AdviceExpressions/>"), "element `AdviceExpressions`"),
        (document(&format!("<Target/><ObligationExpressions/>{}", rule(""))), "wrong place"),
        (with_rule("").replace("Permit", "permit"), "`Effect` is `permit`"),
        (with_rule("").replace("Effect=\"Permit\"", ""), "no `Effect`"),
        (with_rule("<Target><AnyOf/></Target>"), "`AnyOf` is empty"),
        (with_rule("<Target><AnyOf><AllOf/></AnyOf></Target>"), "`AllOf` is empty"),
        (with_rule("<Target><AllOf/></Target>"), "element `AllOf`"),
        (
            with_rule(&target(
                &good.replace("string-equal", "string-regexp-match").replace(">x<", ">[a-z-[x]]<"),
            )),
            "a class inside a class",
        ),
        (
            with_rule(&target(
                &good.replace("string-equal", "string-regexp-match").replace(">x<", ">(x<"),
            )),
            "not a regular expression",
        ),
        (
            with_rule(&format!(
                "<Condition>{}</Condition>",
                apply("string-regexp-match", &(sole() + &sole()))
            )),
            "not written in the policy",
        ),
        (with_rule(&target(&good.replace("string-equal", "string-is-in"))), "string-is-in"),
        (with_rule(&target(&good.replacen("#string", "#double", 1))), "data type"),
        (with_rule(&target(&one_match(&value("x")))), "exactly two"),
        (
            with_rule(&target(&one_match(&format!("{}{}", designator(""), value("x"))))),
            "element `AttributeDesignator`",
        ),
        (
            with_rule(&target(&one_match(&format!("{}<AttributeSelector/>", value("x"))))),
            "element `AttributeSelector`",
        ),
        (
            with_rule(&target(&good.replace("/></Match>", "MustBePresent='maybe'/></Match>"))),
            "`MustBePresent` is `maybe`",
        ),
        (
            with_rule(&target(&good.replace("/></Match>", "Mustbepresent='true'/></Match>"))),
            "unknown attribute",
        ),
        (with_rule(&target(&good.replace(">x<", "><b/><"))), "element `b`"),
        (with_rule("<Condition/>"), "exactly one expression"),
        (with_rule(&format!("<Condition>{}</Condition>", apply("integer-add", ""))), "integer-add"),
        (
            with_rule(&format!(
                "<Condition>{}</Condition>",
                apply("integer-equal", &format!("{}{}", integer("1"), integer("one")))
            )),
            "`one` is not a value of type integer",
        ),
        (
            document(&format!(
                "<Target/>{}",
                obligation(&format!(
                    "<AttributeAssignmentExpression AttributeId='a'>{}</AttributeAssignmentExpression>",
                    designator("")
                ))
            )),
            "element `AttributeDesignator`",
        ),
    ] {
        let found = message(&document);
        assert!(found.contains(expected), "{document}\n{found}\nexpected {expected}");
    }
}

fn sole() -> String {
    apply("string-one-and-only", &designator(""))
}

#[test]
fn a_type_error_is_loaded_with_a_warning_that_says_the_rule_never_decides() {
    let good = one_match(&format!("{}{}", value("x"), designator("")));
    let condition = |inner: &str| with_rule(&format!("\n<Condition>\n {inner}</Condition>"));
    let deny = |text: String| text.replace("\"Permit\"", "\"Deny\"");
    let bag = apply("string-equal", &format!("{}{}", value("x"), designator("")));
    for (document, line, expected) in [
        (condition(&value("x")), 5, "evaluates to one string"),
        (condition(&designator("")), 5, "evaluates to a bag of string"),
        (condition(&bag), 5, "applied to (one string, a bag of string)"),
        (condition(&bag), 5, "the rule never decides: it never permits"),
        (deny(condition(&bag)), 5, "permit-unless-deny permits what it should deny"),
        (condition(&apply("not", &bag)), 5, "it takes (one string, one string)"),
        (condition(&apply("string-regexp-match", &(sole() + &designator("")))), 5, "it takes"),
        (with_rule(&target(&good.replace("string-equal", "integer-equal"))), 3, "no rule decides"),
    ] {
        let policy = policy(document.as_bytes()).unwrap();
        assert_eq!(policy.notes().len(), 1, "{document}\n{:?}", policy.notes());
        let note = &policy.notes()[0];
        let found = (note.severity, note.line);
        assert_eq!(found, (NoteSeverity::Warning, line), "{document}\n{note:?}");
        assert!(note.message.contains(expected), "{document}: {}", note.message);
    }
}

#[test]
fn what_altinn_would_not_evaluate_is_warned_of() {
    let with = |inner: &str| with_rule(&format!("<Condition>{inner}</Condition>"));
    let matching = one_match(&format!("{}{}", value("true"), designator("")));
    let is_in = apply("string-is-in", &(value("x") + &designator("")));
    let size = |of: &str| {
        let number = r#"<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#integer">1</AttributeValue>"#;
        let bag =
            apply(&format!("{of}-bag-size"), &designator("")).replace("#string", &format!("#{of}"));
        apply("integer-equal", &(bag + number))
    };
    for (document, expected) in [
        (with(&is_in), None),
        (with(&apply("string-equal", &(value("x") + &sole()))), None),
        (with(&size("time")), None),
        (with(&size("integer")), Some("does not evaluate this condition")),
        (with(&apply("not", &is_in)), Some("does not evaluate this condition")),
        (with(&apply("or", &(is_in.clone() + &is_in))), Some("does not evaluate this condition")),
        (with(&apply("string-regexp-match", &(value("x") + &sole()))), Some("for the pattern")),
        (with_rule(&target(&matching)), None),
        (with_rule(&target(&matching.replace("string", "boolean"))), Some("does not know")),
        (
            document("<Target/>").replace(":3.0:rule-comb", ":1.0:rule-comb"),
            Some("answers Indeterminate"),
        ),
    ] {
        let policy = policy(document.as_bytes()).unwrap();
        let found = policy.notes().first().map(|note| note.message.as_str());
        match expected {
            None => assert_eq!(found, None, "{document}"),
            Some(expected) => assert!(found.unwrap().contains(expected), "{document}: {found:?}"),
        }
    }
}

#[test]
fn patterns_are_counted() {
    let one = one_match(&format!("{}{}", value("x"), designator("")))
        .replace("string-equal", "string-regexp-match");
    let patterns = |count: usize| with_rule(&target(&one.repeat(count)));
    assert!(policy(patterns(MAX_PATTERNS).as_bytes()).is_ok());
    assert!(message(&patterns(MAX_PATTERNS + 1)).contains("patterns"));
}

#[test]
fn a_fault_says_where_and_what_to_write_instead() {
    let text = with_rule("\n  <Condition/>");
    let fault = policy(text.as_bytes()).unwrap_err();
    assert_eq!((fault.line, fault.column), (4, 3));
    assert!(fault.help.contains("`and`"));
    assert_eq!(fault.to_string(), "4:3: a `Condition` does not hold exactly one expression");
}

#[test]
fn counts_are_limited_at_their_edge() {
    let rules = |count: usize| document(&format!("<Target/>{}", rule("").repeat(count)));
    assert!(policy(rules(MAX_RULES).as_bytes()).is_ok());
    assert!(message(&rules(MAX_RULES + 1)).contains("rules"));
    let one = obligation("");
    let inner = one
        .trim_start_matches("<ObligationExpressions>")
        .trim_end_matches("</ObligationExpressions>");
    let obligations = |count: usize| {
        let all = inner.repeat(count);
        document(&format!("<Target/><ObligationExpressions>{all}</ObligationExpressions>"))
    };
    assert!(policy(obligations(MAX_OBLIGATIONS).as_bytes()).is_ok());
    assert!(message(&obligations(MAX_OBLIGATIONS + 1)).contains("obligations"));
}

#[test]
fn conditions_nest_as_deep_as_documents_and_no_deeper() {
    let nested = |depth: usize| {
        let not = r#"<Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:not">"#;
        let truth = r#"<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#boolean">true</AttributeValue>"#;
        let inner = format!("{}{truth}{}", not.repeat(depth), "</Apply>".repeat(depth));
        with_rule(&format!("<Condition>{inner}</Condition>"))
    };
    // Policy, Rule, Condition and the value take four.
    assert!(policy(nested(MAX_DEPTH - 4).as_bytes()).is_ok());
    assert!(message(&nested(MAX_DEPTH - 3)).contains("deep"));
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = policy(&bytes);
    }

    /// A good policy with a piece cut out, doubled or overwritten is a policy or a fault.
    #[test]
    fn no_damage_makes_the_parser_panic(at in 0_usize..1200, length in 0_usize..40, with in ".{0,8}") {
        let whole = with_rule(&format!(
            "{}<Condition>{}</Condition>",
            target(&one_match(&format!("{}{}", value("x"), designator("")))),
            apply("string-is-in", &format!("{}{}", value("x"), designator(""))),
        ));
        let mut bytes = whole.into_bytes();
        let start = at.min(bytes.len());
        let end = start.saturating_add(length).min(bytes.len());
        bytes.splice(start..end, with.into_bytes());
        if let Err(fault) = policy(&bytes) {
            prop_assert!(fault.line >= 1 && fault.column >= 1 && !fault.help.is_empty());
        }
    }
}
