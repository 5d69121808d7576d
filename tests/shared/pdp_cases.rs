//! The embedded PDP against the cases of Altinn's own test suite, with the directory they rest on.
//!
//! The embedded PDP knows organizations, persons and system users; what a case needs beyond that is named,
//! and the case not counted as passed.

use crate::facts;
use crate::folder::{self, lower_case, word, words};
use crate::tally::Tally;
use portvakt::domain::{Decision, Indeterminate};
use portvakt::pdp::embedded::{Api, Directory, EmbeddedPdp, PolicyStore};
use portvakt::pdp::wire::{self, WireCategory, WireResult};
use portvakt::xacml::Mode;
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn the_embedded_pdp_decides_the_cases_of_altinns_pdp() {
    let facts = folder::json("altinn/pdp-cases/directory.json");
    let mut tally = Tally::new("cases of Altinn's PDP", &[]);
    let mut unsupported: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for case in folder::manifest("altinn/pdp-cases/manifest.jsonl") {
        if case["format"] != "json" {
            continue;
        }
        match beyond_us(&case) {
            Some(reason) => {
                unsupported.entry(reason).or_default().push(word(&case, "id").to_owned());
            }
            None => tally.case(word(&case, "id"), run(&case, &facts)),
        }
    }
    report(&unsupported);
    let count: usize = unsupported.values().map(Vec::len).sum();
    assert_eq!(count, 23, "another number of cases is beyond the embedded PDP");
    tally.end(11);
}

#[expect(clippy::print_stdout, reason = "the numbers of a suite are its product")]
fn report(unsupported: &BTreeMap<&str, Vec<String>>) {
    for (reason, cases) in unsupported {
        println!("not run, {reason}: {} cases: {}", cases.len(), cases.join(", "));
    }
}

/// What the case needs that the embedded PDP does not have.
fn beyond_us(case: &Value) -> Option<&'static str> {
    let has = |member: &str, wanted: &dyn Fn(&str, &str) -> bool| {
        let sets = case[member].as_array().unwrap().iter();
        sets.flat_map(|set| set.as_array().unwrap())
            .any(|pair| wanted(pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
    };
    if has("subject", &|id, _| id == "urn:altinn:userid") {
        return Some("user ids");
    }
    if has("resource", &|id, _| id.ends_with("instance-id")) {
        return Some("instances");
    }
    has("action", &|_, value| value == "requestconsent").then_some("consent")
}

fn run(case: &Value, facts: &Value) -> Result<(), String> {
    let files = words(case, "policies").into_iter();
    let files = files.map(|file| (file.to_owned(), folder::read(format!("altinn/{file}"))));
    let policies = PolicyStore::build(files).map_err(|faults| format!("{faults:?}"))?;
    let directory =
        Directory::build(facts::directory(facts)).map_err(|faults| format!("{faults:?}"))?;
    let pdp = EmbeddedPdp::new(policies, directory, Mode::Altinn);
    let request = folder::text(format!("altinn/{}", word(case, "request")));
    let request = wire::decode_request(request.as_bytes()).map_err(|fault| fault.to_string())?;
    let questions = request.questions().map_err(|fault| fault.to_string())?;
    let answered: Vec<_> = questions
        .iter()
        .map(|question| {
            let result = pdp.answer_wire(Api::External, question);
            Outcome::of(&result.unwrap_or_else(|why| Decision::Indeterminate(why).into()))
        })
        .collect();
    let response = lower_case(folder::json(format!("altinn/{}", word(case, "response"))));
    let expected = response["response"].as_array().unwrap().iter().map(Outcome::expected);
    let expected: Vec<_> = expected.collect();
    if answered == expected {
        Ok(())
    } else {
        Err(format!("answered {answered:#?}, expected {expected:#?}"))
    }
}

/// What of a result is compared: not the ids of obligations, which Altinn's own suite does not either.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    decision: String,
    status: String,
    /// Category and value.
    obligations: Vec<(String, String)>,
    /// Category, attribute and value.
    echoed: Vec<(String, String, String)>,
}

impl Outcome {
    fn of(result: &WireResult) -> Self {
        let (status, obligations) = match &result.decision {
            Decision::Permit(obligations) => ("ok", obligations.as_slice()),
            Decision::Deny | Decision::NotApplicable => ("ok", [].as_slice()),
            Decision::Indeterminate(why) => (
                match why {
                    Indeterminate::MissingAttribute => "missing-attribute",
                    Indeterminate::SyntaxError => "syntax-error",
                    Indeterminate::ProcessingError => "processing-error",
                    Indeterminate::Unstated => "",
                },
                [].as_slice(),
            ),
        };
        let obligations =
            obligations.iter().map(|one| (one.category.to_string(), one.value.to_string()));
        let echo = |entry: &WireCategory| {
            let category = entry.category.clone();
            let triple = move |(id, value)| (category.clone(), id, value);
            let attributes = entry.attributes.iter();
            attributes
                .map(|one| (one.id.clone(), one.value.clone()))
                .map(triple)
                .collect::<Vec<_>>()
        };
        Self::sorted(
            result.decision.as_str(),
            status,
            obligations.collect(),
            result.echoed.iter().flat_map(echo).collect(),
        )
    }

    /// From a result whose member names are in lower case.
    fn expected(result: &Value) -> Self {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text =
            |value: &Value, member: &str| value[member].as_str().unwrap_or_default().to_owned();
        let mut obligations = Vec::new();
        for obligation in list(&result["obligations"]) {
            for one in list(&obligation["attributeassignment"]) {
                obligations.push((text(&one, "category"), text(&one, "value")));
            }
        }
        let mut echoed = Vec::new();
        for entry in list(&result["category"]) {
            for one in list(&entry["attribute"]) {
                echoed.push((
                    text(&entry, "categoryid"),
                    text(&one, "attributeid"),
                    text(&one, "value"),
                ));
            }
        }
        let code = text(&result["status"]["statuscode"], "value");
        let status = code.rsplit(':').next().unwrap_or_default();
        Self::sorted(word(result, "decision"), status, obligations, echoed)
    }

    fn sorted(
        decision: &str,
        status: &str,
        mut obligations: Vec<(String, String)>,
        mut echoed: Vec<(String, String, String)>,
    ) -> Self {
        obligations.sort();
        echoed.sort();
        Self { decision: decision.to_owned(), status: status.to_owned(), obligations, echoed }
    }
}
