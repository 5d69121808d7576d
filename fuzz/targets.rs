//! What is done with one input of each fuzz target, and what must hold of it. The same functions are called
//! by libFuzzer (`fuzz_targets/`) and by `cargo test`, which replays the corpora (`tests/it/corpus.rs`).

use portvakt::config::diagnostic::Origin;
use portvakt::config::{self, Diagnostics, Files};
use portvakt::dev::DEMO_FILES;
use portvakt::domain::{CheckDigits, Decision};
use portvakt::pdp::embedded::{Api, Attribute, Directory, EmbeddedPdp, PolicyStore, Question};
use portvakt::pdp::wire::{
    RequestFault, WireRequest, WireResult, decode_request, decode_request_xml, decode_response,
    encode_response, encode_response_xml,
};
use portvakt::xacml::{
    ACTION_ID, Category, Mode, Policy, Request, StatusCode, evaluate, evaluate_traced,
};
use std::path::Path;
use std::sync::OnceLock;

const SYSTEM_USER: &str = "urn:altinn:systemuser:uuid";

/// A policy document: refused at a place inside it, or evaluated to the same with a trace and without.
pub(crate) fn policy(input: &[u8]) {
    let policy = match Policy::parse(input) {
        Ok(policy) => policy,
        Err(fault) => {
            let lines = input.split(|byte| *byte == b'\n').count();
            assert!((1..=lines).contains(&fault.line) && fault.column >= 1, "{fault:?}");
            assert!(!fault.message.is_empty() && fault.message.len() < 4096, "{fault:?}");
            return;
        }
    };
    let mut asked = Request::new();
    // What the policy itself speaks of, so that its rules are reached.
    for (category, id) in [
        (Category::AccessSubject, "urn:altinn:rolecode"),
        (Category::AccessSubject, "urn:altinn:accesspackage"),
        (Category::AccessSubject, "urn:altinn:org"),
        (Category::Resource, "urn:altinn:resource"),
        (Category::Resource, "urn:altinn:org"),
        (Category::Resource, "urn:altinn:app"),
        (Category::Action, ACTION_ID),
    ] {
        for value in policy.compared_with(&category, id).into_iter().take(3) {
            asked.add(category.clone(), id.to_owned(), value.to_owned());
        }
    }
    for request in [Request::new(), asked] {
        for mode in [Mode::Altinn, Mode::Strict] {
            let plain = evaluate(&policy, &request, mode);
            let (traced, trace) = evaluate_traced(&policy, &request, mode);
            assert_eq!(plain, traced);
            let decided = matches!(
                plain.decision,
                portvakt::xacml::Decision::Permit | portvakt::xacml::Decision::Deny
            );
            assert!(decided || plain.obligations.is_empty(), "{plain:?}");
            assert!(trace.decided_by.is_none() || decided, "{plain:?} {trace:?}");
            if plain.decision != portvakt::xacml::Decision::Indeterminate {
                assert_eq!(plain.status, StatusCode::Ok);
            }
        }
    }
}

/// A question in JSON to the PDP of the example.
pub(crate) fn question_json(input: &[u8]) {
    ask(decode_request(input));
}

/// A question in XML to the PDP of the example.
pub(crate) fn question_xml(input: &[u8]) {
    ask(decode_request_xml(input));
}

/// A directory file, beside the policies of the example.
pub(crate) fn directory(input: &[u8]) {
    let (_, store) = example();
    let files = Files::memory([("directory.yaml", input.to_vec())]);
    let mut diagnostics = Diagnostics::new();
    let path = Path::new("directory.yaml");
    let check = CheckDigits::Strict;
    let directory = config::load_directory(&files, path, check, Some(store), &mut diagnostics);
    assert_eq!(directory.is_some(), diagnostics.error_count() == 0);
    // What is said of it can be printed.
    let _ = diagnostics.to_human(config::Colour::Plain);
    let Some(directory) = directory else { return };
    let users: Vec<_> = directory.system_users().take(4).map(|user| user.id.to_string()).collect();
    let pdp = EmbeddedPdp::new(store.clone(), directory, Mode::Altinn);
    for user in users {
        for resource in store.resources().take(4) {
            let question = Question {
                subject: vec![Attribute::string(SYSTEM_USER, user.as_str())],
                resource: vec![
                    Attribute::string("urn:altinn:resource", resource.as_str()),
                    Attribute::string("urn:altinn:organization:identifier-no", "312714051"),
                ],
                action: vec![Attribute::string(ACTION_ID, "read")],
                environment: Vec::new(),
            };
            let plain = pdp.answer(&question);
            let (explained, _) = pdp.explained(&question);
            assert_eq!(explained, Ok(plain));
        }
    }
}

/// A question of any form is answered the same with reasons and without, and every answer can be written
/// and read again.
fn ask(request: Result<WireRequest, RequestFault>) {
    let Ok(request) = request else { return };
    let Ok(questions) = request.questions() else { return };
    let (pdp, _) = example();
    let mut results: Vec<WireResult> = Vec::new();
    for question in questions.iter().take(16) {
        for api in [Api::External, Api::Internal] {
            let plain = pdp.answer_wire(api, question);
            let (explained, reasons) = pdp.answer_wire_explained(api, question);
            assert_eq!(plain, explained);
            let _ = reasons.to_string();
            let subjects = question
                .iter()
                .filter(|entry| entry.category.ends_with(":access-subject"))
                .flat_map(|entry| &entry.attributes);
            let (mut users, mut others) = (0, 0);
            for one in subjects {
                if one.id == SYSTEM_USER { users += 1 } else { others += 1 }
            }
            // A system user stands alone, or nothing is permitted.
            if let Ok(result) = &plain
                && users > 0
                && users + others > 1
            {
                assert!(!matches!(result.decision, Decision::Permit(_)), "{question:?}");
            }
            results.extend(plain);
        }
    }
    for result in &results {
        let written = encode_response(std::slice::from_ref(result));
        let read = decode_response(&written);
        assert_eq!(read.as_ref().ok(), Some(&result.decision), "{result:?}");
    }
    let _ = encode_response_xml(&results);
}

/// The PDP of the example, and its policies.
fn example() -> &'static (EmbeddedPdp, PolicyStore) {
    static EXAMPLE: OnceLock<(EmbeddedPdp, PolicyStore)> = OnceLock::new();
    EXAMPLE.get_or_init(|| {
        let files = Files::memory(DEMO_FILES.iter().map(|(path, text)| (*path, text.as_bytes())));
        let mut diagnostics = Diagnostics::new();
        let (resources, directory) =
            (Path::new("policies/resources"), Path::new("policies/directory.yaml"));
        let store =
            config::load_policies(&files, resources, &Origin::Nowhere, &mut diagnostics).unwrap();
        let check = CheckDigits::Strict;
        let directory: Directory =
            config::load_directory(&files, directory, check, Some(&store), &mut diagnostics)
                .unwrap();
        (EmbeddedPdp::new(store.clone(), directory, Mode::Altinn), store)
    })
}
