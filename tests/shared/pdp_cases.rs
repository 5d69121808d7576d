//! The embedded PDP against the cases of Altinn's own test suite, with the directory they rest on: at
//! each address a case names, in JSON and in XML.

use crate::documents::Element;
use crate::facts;
use crate::folder::{self, lower_case, word, words};
use crate::tally::Tally;
use portvakt::domain::{Decision, Indeterminate};
use portvakt::pdp::embedded::{Api, Directory, EmbeddedPdp, PolicyStore};
use portvakt::pdp::wire::{self, WireCategory, WireResult};
use portvakt::xacml::Mode;
use serde_json::Value;

#[test]
fn the_embedded_pdp_decides_the_cases_of_altinns_pdp() {
    let facts = folder::json("altinn/pdp-cases/directory.json");
    let mut json = Tally::new("cases of Altinn's PDP, in JSON", &[]);
    let mut xml = Tally::new("cases of Altinn's PDP, in XML", &[]);
    for case in folder::manifest("altinn/pdp-cases/manifest.jsonl") {
        let tally = match word(&case, "format") {
            "json" => &mut json,
            "xml" => &mut xml,
            other => panic!("a case in {other}"),
        };
        tally.case(word(&case, "id"), run(&case, &facts));
    }
    json.end(34);
    xml.end(5);
}

fn run(case: &Value, facts: &Value) -> Result<(), String> {
    let files = words(case, "policies").into_iter();
    let files = files.map(|file| (file.to_owned(), folder::read(format!("altinn/{file}"))));
    let policies = PolicyStore::build(files).map_err(|faults| format!("{faults:?}"))?;
    let directory =
        Directory::build(facts::directory(facts)).map_err(|faults| format!("{faults:?}"))?;
    assert_eq!(directory.notes(), [], "what the facts say has an effect");
    let pdp = EmbeddedPdp::new(policies, directory, Mode::Altinn);
    let request = folder::text(format!("altinn/{}", word(case, "request")));
    let response = format!("altinn/{}", word(case, "response"));
    let (request, expected) = if word(case, "format") == "json" {
        let request =
            wire::decode_request(request.as_bytes()).map_err(|fault| fault.to_string())?;
        let response = lower_case(folder::json(response));
        let results = response["response"].as_array().unwrap().iter();
        (request, results.map(Outcome::expected).collect::<Vec<_>>())
    } else {
        let response = Element::parse(&folder::text(response));
        let results = response.all("Result").map(Outcome::expected_in_xml);
        let request = wire::decode_request_xml(request.as_bytes());
        (request.map_err(|fault| fault.to_string())?, results.collect())
    };
    let questions = request.questions().map_err(|fault| fault.to_string())?;
    for endpoint in words(case, "endpoint") {
        let api = match endpoint {
            "authorize" => Api::External,
            "decision" => Api::Internal,
            other => panic!("no address `{other}`"),
        };
        let answered = questions.iter().map(|question| {
            let result = pdp.answer_wire(api, question);
            Outcome::of(&result.unwrap_or_else(|why| Decision::Indeterminate(why).into()))
        });
        let answered: Vec<_> = answered.collect();
        if answered != expected {
            return Err(format!("{endpoint}: answered {answered:#?}, expected {expected:#?}"));
        }
    }
    Ok(())
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

    fn expected_in_xml(result: &Element) -> Self {
        let mut obligations = Vec::new();
        for obligation in result.all("Obligations").flat_map(|all| all.all("Obligation")) {
            for one in obligation.all("AttributeAssignment") {
                let category = one.attribute("Category").unwrap_or_default();
                obligations.push((category.to_owned(), one.text().to_owned()));
            }
        }
        let mut echoed = Vec::new();
        for entry in result.all("Attributes") {
            for one in entry.all("Attribute") {
                echoed.push((
                    entry.attribute("Category").unwrap().to_owned(),
                    one.attribute("AttributeId").unwrap().to_owned(),
                    one.one("AttributeValue").unwrap().text().to_owned(),
                ));
            }
        }
        let code = result.one("Status").and_then(|status| status.one("StatusCode")).unwrap();
        let status = code.attribute("Value").unwrap().rsplit(':').next().unwrap();
        Self::sorted(result.one("Decision").unwrap().text(), status, obligations, echoed)
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
