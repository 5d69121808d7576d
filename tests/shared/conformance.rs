//! The OASIS conformance tests of XACML 3.0, in both modes of the engine.

use crate::documents::Element;
use crate::folder::{self, word};
use crate::tally::Tally;
use portvakt::domain::Indeterminate;
use portvakt::pdp::wire::{self, RequestFault};
use portvakt::xacml::{
    Category, DataType, Decision, Evaluation, Mode, Policy, Request, StatusCode, evaluate,
};
use serde_json::Value;

const NO_REGULAR_EXPRESSIONS: (&str, &str) =
    ("IIB008", "string-regexp-match is not supported: no regular expressions in policies");

#[test]
fn altinns_own_selection_is_decided_as_expected() {
    let mut tally = Tally::new("conformance, Altinn's selection", &[NO_REGULAR_EXPRESSIONS]);
    for case in cases().filter(|case| case["run_by_altinn"] == true) {
        tally.case(word(&case, "id"), run(&case, Mode::Altinn));
    }
    tally.end(17);
}

#[test]
fn what_needs_core_functions_only_is_decided_as_the_standard_says() {
    let mut tally = Tally::new(
        "conformance, core",
        &[
            NO_REGULAR_EXPRESSIONS,
            ("IIC003", "its policy calls a function with a wrong type, which is refused at load"),
            (
                "IIIC002",
                "asks for the children of a resource: the hierarchical profile is not ours",
            ),
        ],
    );
    for case in cases().filter(|case| case["core"] == true) {
        tally.case(word(&case, "id"), run(&case, Mode::Strict));
    }
    tally.end(42);
}

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
    let document = Element::parse(&folder::text(path(case, "request")));
    let answered: Vec<_> = match requests(&document, &policy) {
        Ok(requests) => {
            requests.iter().map(|request| outcome(&evaluate(&policy, request, mode))).collect()
        }
        Err(Unreadable::Unsupported(what)) => return Err(what),
        Err(Unreadable::NoAttributeId) => vec![answer_without_attribute_id()],
    };
    let response = Element::parse(&folder::text(path(case, "response")));
    same(&answered, &response.all("Result").map(expected).collect::<Vec<_>>())?;
    if case["request_json"].is_string() {
        let asked = wire::decode_request(&folder::read(path(case, "request_json")))
            .map_err(|fault| format!("the request in JSON: {fault}"))?;
        let mut request = Request::new();
        for entry in &asked.categories {
            for one in &entry.attributes {
                let data_type = DataType::from_uri(one.data_type).unwrap();
                request.add_typed(
                    Category::from_uri(&entry.category),
                    &*one.id,
                    data_type,
                    &*one.value,
                );
            }
        }
        same(&[outcome(&evaluate(&policy, &request, mode))], &answered)?;
    }
    Ok(())
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

/// Why there is no question to put to the engine.
enum Unreadable {
    /// Beyond the engine.
    Unsupported(String),
    /// An attribute without its id, which is no question to anybody.
    NoAttributeId,
}

/// Questions come to Portvakt's PDP in JSON; what is said there to an attribute without its id.
fn answer_without_attribute_id() -> Outcome {
    let question = br#"{"Request":{"Action":[{"Attribute":[{"Value":"read"}]}]}}"#;
    match wire::decode_request(question) {
        Err(RequestFault::Content { status: Indeterminate::SyntaxError, .. }) => {
            outcome(&Evaluation::indeterminate(StatusCode::SyntaxError))
        }
        other => panic!("an attribute without its id: {other:?}"),
    }
}

/// The questions of a request document: one, or one for each reference.
fn requests<'e>(document: &'e Element, policy: &Policy) -> Result<Vec<Request<'e>>, Unreadable> {
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
) -> Result<Request<'e>, Unreadable> {
    let mut request = Request::new();
    for entry in categories {
        // `Content` is passed over: only attribute selectors look at it, and no policy that has one loads.
        for attribute in entry.all("Attribute") {
            let id = attribute.attribute("AttributeId").ok_or(Unreadable::NoAttributeId)?;
            for value in attribute.all("AttributeValue") {
                let uri = value.attribute("DataType").unwrap();
                let Some(data_type) = DataType::from_uri(uri) else {
                    if policy.mentions(id) {
                        return Err(Unreadable::Unsupported(format!("data type `{uri}`")));
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
