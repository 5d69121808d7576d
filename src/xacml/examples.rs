//! The example policies of the project, asked the questions of their scenarios. Which packages a
//! system user holds for a party is the directory's knowledge; here they are given.

use super::{ACTION_ID, Category, Decision, Mode, Policy, Request, evaluate};

const ALL: [(&str, &str); 9] = [
    ("ske-mva-melding", include_str!("../../policies/resources/ske-mva-melding.xml")),
    ("ske-boligselskap", include_str!("../../policies/resources/ske-boligselskap.xml")),
    ("ske-aksjonaerregister", include_str!("../../policies/resources/ske-aksjonaerregister.xml")),
    (
        "ske-selvstendig-betaling",
        include_str!("../../policies/resources/ske-selvstendig-betaling.xml"),
    ),
    ("digdir-meldinger", include_str!("../../policies/resources/digdir-meldinger.xml")),
    ("kartverket-tinglysing", include_str!("../../policies/resources/kartverket-tinglysing.xml")),
    ("nav-aordning-a06", include_str!("../../policies/resources/nav-aordning-a06.xml")),
    ("nav-aordning-a07", include_str!("../../policies/resources/nav-aordning-a07.xml")),
    ("nav-aordning-full", include_str!("../../policies/resources/nav-aordning-full.xml")),
];

const ACCOUNTANT: &str = "regnskapsforer-med-signeringsrettighet";

fn policy(resource: &str) -> Policy {
    let (_, text) = ALL.into_iter().find(|(name, _)| *name == resource).unwrap();
    Policy::parse(text.as_bytes()).unwrap()
}

fn ask(policy: &Policy, resource: &str, action: &str, packages: &[&str]) -> Decision {
    let mut request = Request::new();
    request.add(Category::AccessSubject, "urn:altinn:systemuser:uuid", "an-id");
    for package in packages {
        request.add(Category::AccessSubject, "urn:altinn:accesspackage", *package);
    }
    request.add(Category::Resource, "urn:altinn:resource", resource);
    request.add(Category::Action, ACTION_ID, action);
    let decision = evaluate(policy, &request, Mode::Altinn).decision;
    // The examples hold nothing that the two modes see differently.
    assert_eq!(decision, evaluate(policy, &request, Mode::Strict).decision);
    decision
}

#[test]
fn every_example_permits_exactly_its_packages_and_actions() {
    let packages = [
        "merverdiavgift",
        "skattegrunnlag",
        ACCOUNTANT,
        "forretningsforer-eiendom",
        "revisormedarbeider",
        "ordinaer-post-til-virksomheten",
        "tinglysing-eiendom",
        "a-ordning",
        "regnskapsforer-lonn",
    ];
    for (resource, permitted, actions) in [
        (
            "ske-mva-melding",
            &["merverdiavgift", "skattegrunnlag", ACCOUNTANT][..],
            &["read", "write"][..],
        ),
        ("ske-boligselskap", &["forretningsforer-eiendom"], &["read", "write"]),
        (
            "ske-aksjonaerregister",
            &["revisormedarbeider", "skattegrunnlag", ACCOUNTANT],
            &["write"],
        ),
        ("ske-selvstendig-betaling", &["skattegrunnlag", ACCOUNTANT], &["write"]),
        ("digdir-meldinger", &["ordinaer-post-til-virksomheten", ACCOUNTANT], &["read"]),
        ("kartverket-tinglysing", &["tinglysing-eiendom"], &["read", "write"]),
        ("nav-aordning-a06", &["a-ordning"], &["read"]),
        ("nav-aordning-a07", &["a-ordning"], &["read"]),
        ("nav-aordning-full", &["a-ordning"], &["read", "write"]),
    ] {
        let policy = policy(resource);
        for package in packages {
            for action in ["read", "write", "sign"] {
                let expected = permitted.contains(&package) && actions.contains(&action);
                let found = ask(&policy, resource, action, &[package]);
                let expected = if expected { Decision::Permit } else { Decision::NotApplicable };
                assert_eq!(found, expected, "{resource} {action} {package}");
            }
        }
        assert_eq!(ask(&policy, resource, "read", &[]), Decision::NotApplicable);
        assert_eq!(ask(&policy, "other", "read", &packages), Decision::NotApplicable);
    }
}

#[test]
fn every_example_asks_for_a_level_and_mentions_packages() {
    for (resource, level) in [
        ("ske-mva-melding", "3"),
        ("ske-boligselskap", "3"),
        ("ske-aksjonaerregister", "3"),
        ("ske-selvstendig-betaling", "3"),
        ("digdir-meldinger", "2"),
        ("kartverket-tinglysing", "3"),
        ("nav-aordning-a06", "2"),
        ("nav-aordning-a07", "2"),
        ("nav-aordning-full", "3"),
    ] {
        let policy = policy(resource);
        let levels: Vec<_> = policy
            .obligations(super::Effect::Permit)
            .flat_map(|one| &one.assignments)
            .map(|one| (one.category.as_deref(), &*one.value))
            .collect();
        assert_eq!(levels, [(Some("urn:altinn:minimum-authenticationlevel"), level)]);
        assert!(policy.mentions("urn:altinn:accesspackage") && policy.notes().is_empty());
        assert_eq!(policy.mentions("urn:altinn:rolecode"), resource.contains("-a0"));
    }
}
