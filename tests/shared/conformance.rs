//! The OASIS conformance tests of XACML 3.0, in both modes of the engine.

use crate::documents::Element;
use crate::folder::{self, word};
use crate::tally::Tally;
use portvakt::domain::Indeterminate;
use portvakt::pdp::wire::{self, RequestFault, WireCategory, WireRequest};
use portvakt::xacml::{
    Category, DataType, Decision, Evaluation, Mode, Policy, Request, StatusCode, evaluate,
};
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn altinns_own_selection_is_decided_as_expected() {
    let mut tally = Tally::new("conformance, Altinn's selection", &[]);
    for case in cases().filter(|case| case["run_by_altinn"] == true) {
        tally.case(word(&case, "id"), run(&case, Mode::Altinn));
    }
    tally.end(18);
}

#[test]
fn what_needs_core_functions_only_is_decided_as_the_standard_says() {
    let mut tally = Tally::new(
        "conformance, core",
        &[(
            "IIIC002",
            "asks about `urn:root` with the scope `Children`, and expects a result for each of its \
                 children too: which they are stands in no part of the request, and the hierarchical \
                 profile that would know is not ours",
        )],
    );
    for case in cases().filter(|case| case["core"] == true) {
        tally.case(word(&case, "id"), run(&case, Mode::Strict));
    }
    tally.end(44);
}

/// The tests beyond the core, by what of theirs is not ours.
#[test]
#[expect(clippy::print_stdout, reason = "the numbers of a suite are its product")]
fn the_rest_is_refused_at_load_for_a_reason_that_is_known() {
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in cases().filter(|case| case["core"] == false) {
        let reason = match Policy::parse(&folder::read(path(&case, "policy"))) {
            Err(fault) => beyond(&fault.message),
            Ok(_) if run(&case, Mode::Strict).is_ok() => "none: decided as expected".to_owned(),
            Ok(_) if run(&case, Mode::Altinn).is_ok() => {
                "expects what Altinn decides, and is so decided in its mode".to_owned()
            }
            Ok(_) => "loaded, but decided otherwise".to_owned(),
        };
        reasons.entry(reason).or_default().push(word(&case, "id").to_owned());
    }
    for (reason, ids) in &reasons {
        println!("{}: {reason}: {}", ids.len(), ids.join(" "));
    }
    let counts: Vec<_> = reasons.iter().map(|(reason, ids)| (&**reason, ids.len())).collect();
    assert_eq!(counts, REST);
}

/// The first thing of a policy that is not ours, by the message that refuses it.
fn beyond(message: &str) -> String {
    let named = message.split('`').nth(1).unwrap_or_default();
    if message.starts_with("expected a `Policy`") {
        return format!("policies of policies: {}", message.split('`').nth(3).unwrap_or_default());
    }
    let kind = match message {
        _ if message.starts_with("the function") => {
            let name = named.rsplit(':').next().unwrap_or_default();
            // `integer-greater-than-or-equal`, `double-bag`: the type and what is done to it.
            let (data_type, what) = name.split_once('-').unwrap_or((name, name));
            return match what {
                "one-and-only" | "bag-size" | "equal" | "is-in" => format!("data type {data_type}"),
                _ => format!("function of {}", family(what)),
            };
        }
        _ if message.starts_with("the element") => "element",
        _ if message.starts_with("the data type") => "data type",
        _ => return message.to_owned(),
    };
    format!("{kind} {}", named.rsplit(['#', ':']).next().unwrap_or_default())
}

fn family(what: &str) -> &'static str {
    match what {
        "greater-than" | "greater-than-or-equal" | "less-than" | "less-than-or-equal" => "order",
        "bag" | "intersection" | "union" | "at-least-one-member-of" | "subset" | "set-equals" => {
            "bags and sets"
        }
        "of" | "any" | "of-any" | "of-all" | "map" => "higher order",
        _ => "arithmetic, texts and conversion",
    }
}

const REST: &[(&str, usize)] = &[
    ("data type base64Binary", 4),
    ("data type dayTimeDuration", 2),
    ("data type double", 8),
    ("data type hexBinary", 3),
    ("data type rfc822Name", 4),
    ("data type x500Name", 4),
    ("data type yearMonthDuration", 5),
    ("element AdviceExpressions", 10),
    ("element PolicyDefaults", 7),
    ("expects what Altinn decides, and is so decided in its mode", 2),
    ("function of arithmetic, texts and conversion", 16),
    ("function of bags and sets", 30),
    ("function of higher order", 5),
    ("function of order", 51),
    ("none: decided as expected", 12),
    ("policies of policies: PolicySet", 36),
];

/// What the engine does not support is refused when the policy is loaded, or decided as expected; never
/// is a test that expects anything but a permit answered by one.
#[test]
fn no_test_of_the_whole_suite_is_permitted_against_its_expectation() {
    let mut wrong = Vec::new();
    let mut evaluated = 0;
    for case in cases() {
        let Ok(policy) = Policy::parse(&folder::read(path(&case, "policy"))) else { continue };
        let document = Element::parse(&folder::text(path(&case, "request")));
        let Ok(requests) = requests(&document, &policy) else { continue };
        evaluated += 1;
        let expected = folder::words(&case, "decisions");
        for request in &requests {
            let decision = evaluate(&policy, request, Mode::Strict).decision;
            if decision == Decision::Permit && !expected.contains(&"Permit") {
                wrong.push(word(&case, "id").to_owned());
            }
        }
    }
    assert!(evaluated >= 45, "only {evaluated} policies were loaded");
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn cases() -> impl Iterator<Item = Value> {
    folder::manifest("altinn/conformance/manifest.jsonl").into_iter()
}

fn path(case: &Value, member: &str) -> String {
    format!("altinn/{}", word(case, member))
}

fn run(case: &Value, mode: Mode) -> Result<(), String> {
    let policy = Policy::parse(&folder::read(path(case, "policy")))
        .map_err(|fault| format!("refused at load: {fault}"))?;
    let request = folder::text(path(case, "request"));
    let by_itself = || {
        let document = Element::parse(&request);
        let requests = requests(&document, &policy)?;
        let answers = requests.iter().map(|request| outcome(&evaluate(&policy, request, mode)));
        Ok::<_, String>(answers.collect())
    };
    let answered: Vec<_> = match wire::decode_request_xml(request.as_bytes()) {
        // Altinn's wire has no issuers.
        Ok(_) if request.contains(" Issuer=") => by_itself()?,
        Ok(asked) => by_the_wire(&asked, &policy, mode)?,
        Err(RequestFault::Content { status: Indeterminate::SyntaxError, .. }) => {
            vec![outcome(&Evaluation::indeterminate(StatusCode::SyntaxError))]
        }
        // A data type beyond those of Altinn's wire: the test reads the document itself.
        Err(RequestFault::Content { status: Indeterminate::ProcessingError, .. }) => by_itself()?,
        Err(fault) => return Err(format!("the request in XML: {fault}")),
    };
    let response = Element::parse(&folder::text(path(case, "response")));
    same(&answered, &response.all("Result").map(expected).collect::<Vec<_>>())?;
    if case["request_json"].is_string() {
        let asked = wire::decode_request(&folder::read(path(case, "request_json")))
            .map_err(|fault| format!("the request in JSON: {fault}"))?;
        same(&by_the_wire(&asked, &policy, mode)?, &answered)?;
    }
    Ok(())
}

/// The answers to what Portvakt's own readers read.
fn by_the_wire(asked: &WireRequest, policy: &Policy, mode: Mode) -> Result<Vec<Outcome>, String> {
    let questions = asked.questions().map_err(|fault| fault.to_string())?;
    let answer = |question: &Vec<&WireCategory>| {
        let mut request = Request::new();
        for entry in question {
            for one in &entry.attributes {
                let data_type = DataType::from_uri(one.data_type).unwrap();
                let category = Category::from_uri(&entry.category);
                request.add_typed(category, &*one.id, data_type, &*one.value);
            }
        }
        outcome(&evaluate(policy, &request, mode))
    };
    Ok(questions.iter().map(answer).collect())
}

fn same(answered: &[Outcome], expected: &[Outcome]) -> Result<(), String> {
    if answered == expected {
        Ok(())
    } else {
        Err(format!("answered {answered:?}, expected {expected:?}"))
    }
}

/// Decision, status code, ids of obligations.
type Outcome = (String, String, Vec<String>);

fn outcome(evaluation: &Evaluation) -> Outcome {
    let mut obligations: Vec<_> =
        evaluation.obligations.iter().map(|obligation| obligation.id.clone()).collect();
    obligations.sort();
    (format!("{:?}", evaluation.decision), evaluation.status.uri().to_owned(), obligations)
}

fn expected(result: &Element) -> Outcome {
    let status = result
        .one("Status")
        .and_then(|status| status.one("StatusCode"))
        .and_then(|code| code.attribute("Value"))
        .unwrap_or("urn:oasis:names:tc:xacml:1.0:status:ok");
    let mut obligations: Vec<_> = result
        .all("Obligations")
        .flat_map(|list| list.all("Obligation"))
        .map(|one| one.attribute("ObligationId").unwrap().to_owned())
        .collect();
    obligations.sort();
    (result.one("Decision").unwrap().text().to_owned(), status.to_owned(), obligations)
}

/// The questions of a request document: one, or one for each reference.
fn requests<'e>(document: &'e Element, policy: &Policy) -> Result<Vec<Request<'e>>, String> {
    let references: Vec<_> =
        document.all("MultiRequests").flat_map(|multi| multi.all("RequestReference")).collect();
    if references.is_empty() {
        return Ok(vec![request(document.all("Attributes"), policy)?]);
    }
    references
        .into_iter()
        .map(|reference| {
            let wanted: Vec<_> = reference
                .all("AttributesReference")
                .map(|one| one.attribute("ReferenceId").unwrap())
                .collect();
            let named =
                |entry: &&Element| entry.attribute("id").is_some_and(|id| wanted.contains(&id));
            request(document.all("Attributes").filter(named), policy)
        })
        .collect()
}

fn request<'e>(
    categories: impl Iterator<Item = &'e Element>,
    policy: &Policy,
) -> Result<Request<'e>, String> {
    let mut request = Request::new();
    for entry in categories {
        // `Content` is passed over: only attribute selectors look at it, and no policy that has one loads.
        for attribute in entry.all("Attribute") {
            let id = attribute.attribute("AttributeId").ok_or("an attribute without its id")?;
            for value in attribute.all("AttributeValue") {
                let uri = value.attribute("DataType").unwrap();
                let Some(data_type) = DataType::from_uri(uri) else {
                    if policy.mentions(id) {
                        return Err(format!("data type `{uri}`"));
                    }
                    // A value of a type the engine does not know, that nothing asks for.
                    continue;
                };
                let category = Category::from_uri(entry.attribute("Category").unwrap());
                match attribute.attribute("Issuer") {
                    None => request.add_typed(category, id, data_type, value.text()),
                    Some(issuer) => {
                        request.add_issued(category, id, issuer, data_type, value.text());
                    }
                }
            }
        }
    }
    Ok(request)
}
