//! What a decision of the embedded PDP takes: over a policy of ten rules, among many policies, and over a
//! directory of many delegations, whose loading is timed and weighed in a process of its own.

use crate::harness::{Report, now};
use crate::memory::organizations;
use crate::usage::{mebibytes, resident};
use portvakt::config::diagnostic::Origin;
use portvakt::config::{self, Diagnostics, Files};
use portvakt::domain::{CheckDigits, OrganizationNumber};
use portvakt::pdp::embedded::{Attribute, EmbeddedPdp, Question};
use portvakt::xacml::{ACTION_ID, Decision, Mode};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// The word by which a process learns how many delegations its directory is to have.
pub(crate) const DELEGATIONS: &str = "delegations";
const POLICIES: [usize; 2] = [1, 1_000];
const COUNTS: [u32; 3] = [0, 1_000, 100_000];
/// Receivers of each giver.
const RECEIVERS: usize = 100;
const RULES: usize = 10;
const AGENT: &str = "a0000001-0000-4000-8000-000000000001";
const STANDARD: &str = "a0000002-0000-4000-8000-000000000002";

pub(crate) fn run(report: &Report) {
    if !report.heading("The embedded PDP", "embedded") {
        return;
    }
    for count in POLICIES {
        let pdp = pdp(count, 0);
        let resource = format!("bench-resource-{}", count / 2);
        let plural = if count == 1 { "policy" } else { "policies" };
        for (case, subject, action, party, expected) in cases(&organizations(3)) {
            let question = question(&subject, &resource, &action, party);
            assert_eq!(pdp.answer(&question).decision, expected, "{case}");
            report.time(&format!("embedded: {case}, {count} {plural}"), || pdp.answer(&question));
        }
        if count == 1 {
            let (_, _, action, party, _) = cases(&organizations(3)).swap_remove(0);
            let question = question(AGENT, &resource, &action, party);
            report.time("embedded: the same, explained", || pdp.explained(&question));
        }
    }
    for count in COUNTS {
        if report.wants(&format!("embedded: {count} delegations")) {
            let own = std::env::current_exe().unwrap();
            let word = format!("{DELEGATIONS}={count}");
            assert!(Command::new(own).arg(word).arg("embedded").status().unwrap().success());
        }
    }
}

/// Loads a directory of so many delegations, and asks it.
pub(crate) fn load(report: &Report, count: u32) {
    let text = directory(count as usize);
    let before = resident();
    let started = now();
    let pdp = pdp_of(policies(1), text.clone());
    let seconds = started.elapsed().as_secs_f64();
    let after = resident().saturating_sub(before);
    println!(
        "embedded: {count} delegations, {} of YAML: loaded in {seconds:.2} s, {} more resident",
        mebibytes(text.len() as u64),
        mebibytes(after)
    );
    let parties = organizations(3);
    for (case, subject, action, party, expected) in cases(&parties) {
        let question = question(&subject, "bench-resource-0", &action, party);
        assert_eq!(pdp.answer(&question).decision, expected, "{case}");
        report.time(&format!("embedded: {case}, {count} delegations"), || pdp.answer(&question));
    }
}

type Case = (&'static str, String, String, OrganizationNumber, Decision);

/// Vendor, provider and client are the first three organizations.
fn cases(parties: &[OrganizationNumber]) -> Vec<Case> {
    let &[_, provider, client] = parties else { panic!("three parties") };
    let last = format!("action-{}", RULES - 1);
    vec![
        ("a client's package", AGENT.into(), last.clone(), client, Decision::Permit),
        ("nothing", AGENT.into(), last.clone(), provider, Decision::NotApplicable),
        ("a single right", STANDARD.into(), last, provider, Decision::Permit),
    ]
}

fn question<'a>(
    subject: &'a str,
    resource: &'a str,
    action: &'a str,
    party: OrganizationNumber,
) -> Question<'a> {
    Question {
        subject: vec![Attribute::string("urn:altinn:systemuser:uuid", subject)],
        resource: vec![
            Attribute::string("urn:altinn:resource", resource),
            Attribute::string("urn:altinn:organization:identifier-no", party.to_string()),
        ],
        action: vec![Attribute::string(ACTION_ID, action)],
        environment: Vec::new(),
    }
}

fn pdp(policy_count: usize, delegation_count: usize) -> EmbeddedPdp {
    pdp_of(policies(policy_count), directory(delegation_count))
}

fn pdp_of(policies: Vec<(String, String)>, directory: String) -> EmbeddedPdp {
    let files =
        Files::memory(policies.into_iter().chain([("directory.yaml".to_owned(), directory)]));
    let mut diagnostics = Diagnostics::new();
    let store =
        config::load_policies(&files, Path::new("resources"), &Origin::Nowhere, &mut diagnostics);
    let store = store.unwrap();
    let path = Path::new("directory.yaml");
    let check = CheckDigits::Strict;
    let directory = config::load_directory(&files, path, check, Some(&store), &mut diagnostics);
    let Some(directory) = directory else {
        panic!("{}", diagnostics.to_human(config::Colour::Plain));
    };
    EmbeddedPdp::new(store, directory, Mode::Altinn)
}

/// So many policies, each of ten rules; a rule is for two roles and a package, one resource, one action.
fn policies(count: usize) -> Vec<(String, String)> {
    const HEAD: &str = r#"<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p" Version="1.0" RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides"><Target/>"#;
    const SUBJECT: &str = "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject";
    const RESOURCE: &str = "urn:oasis:names:tc:xacml:3.0:attribute-category:resource";
    const ACTION: &str = "urn:oasis:names:tc:xacml:3.0:attribute-category:action";
    const IGNORE_CASE: &str = "urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case";
    const EQUAL: &str = "urn:oasis:names:tc:xacml:1.0:function:string-equal";
    let is = |function: &str, category: &str, id: &str, value: &str| {
        format!(
            r#"<AllOf><Match MatchId="{function}"><AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">{value}</AttributeValue><AttributeDesignator AttributeId="{id}" Category="{category}" DataType="http://www.w3.org/2001/XMLSchema#string" MustBePresent="false"/></Match></AllOf>"#
        )
    };
    let policy = |number: usize| {
        let mut text = HEAD.to_owned();
        for rule in 0..RULES {
            let subjects = [
                is(IGNORE_CASE, SUBJECT, "urn:altinn:rolecode", "DAGL"),
                is(IGNORE_CASE, SUBJECT, "urn:altinn:rolecode", "REGNA"),
                is(IGNORE_CASE, SUBJECT, "urn:altinn:accesspackage", "skattegrunnlag"),
            ];
            let resource =
                is(EQUAL, RESOURCE, "urn:altinn:resource", &format!("bench-resource-{number}"));
            let action = is(EQUAL, ACTION, ACTION_ID, &format!("action-{rule}"));
            write!(
                text,
                r#"<Rule RuleId="r{rule}" Effect="Permit"><Target><AnyOf>{}</AnyOf><AnyOf>{resource}</AnyOf><AnyOf>{action}</AnyOf></Target></Rule>"#,
                subjects.concat()
            )
            .unwrap();
        }
        text.push_str("</Policy>");
        text
    };
    (0..count).map(|number| (format!("resources/{number}.xml"), policy(number))).collect()
}

/// Vendor, provider and client first; then so many delegations between others, half of them packages and
/// half of them single rights.
fn directory(delegations: usize) -> String {
    let givers = delegations.div_ceil(RECEIVERS);
    let parties = organizations(3 + givers + RECEIVERS);
    let [vendor, provider, client] = [parties[0], parties[1], parties[2]];
    let (receivers, givers) = parties[3..].split_at(RECEIVERS);
    let mut text = String::from("parties:\n");
    for party in &parties {
        writeln!(text, "  - {{ organization: \"{party}\", type: AS }}").unwrap();
    }
    writeln!(text, "delegations:").unwrap();
    writeln!(text, "  - {{ from: \"{client}\", to: \"{provider}\", packages: [skattegrunnlag] }}")
        .unwrap();
    let pairs = givers.iter().flat_map(|giver| receivers.iter().map(move |to| (giver, to)));
    for (index, (giver, to)) in pairs.take(delegations).enumerate() {
        let given = if index % 2 == 0 {
            "packages: [skattegrunnlag, a-ordning]"
        } else {
            "rights: [{ resource: bench-resource-0, actions: [read, write] }]"
        };
        writeln!(text, "  - {{ from: \"{giver}\", to: \"{to}\", {given} }}").unwrap();
    }
    let rights = [0, 500].map(|number| {
        format!("{{ resource: bench-resource-{number}, actions: [action-{}] }}", RULES - 1)
    });
    write!(
        text,
        "system_users:
  - id: {AGENT}
    kind: agent
    owner: \"{provider}\"
    system_id: bench
    vendor: \"{vendor}\"
    clients: [{{ client: \"{client}\", packages: [skattegrunnlag] }}]
  - id: {STANDARD}
    kind: standard
    owner: \"{provider}\"
    system_id: bench
    vendor: \"{vendor}\"
    external_ref: own
    rights: [{}]
",
        rights.join(", ")
    )
    .unwrap();
    text
}
