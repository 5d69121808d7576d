//! Every published policy is read, and those of resources and apps are taken into a store; what is refused
//! is refused for a reason known here.

use crate::folder;
use crate::tally::Tally;
use portvakt::pdp::embedded::PolicyStore;
use portvakt::xacml::Policy;

#[test]
fn every_published_policy_is_read() {
    let mut tally = Tally::new("policies", &[]);
    for entry in folder::manifest("altinn/policies/manifest.jsonl") {
        let file = folder::word(&entry, "file").to_owned();
        let outcome = match Policy::parse(&folder::read(format!("altinn/{file}"))) {
            Ok(policy) => {
                let stated = entry["rules"].as_u64().unwrap();
                if u64::try_from(policy.rule_count()).unwrap() == stated {
                    Ok(())
                } else {
                    Err(format!("{} rules, not {stated}", policy.rule_count()))
                }
            }
            Err(fault) => Err(fault.to_string()),
        };
        tally.case(&file, outcome);
    }
    tally.end(74);
}

/// The policies of resources and apps can be those of a store, each by itself: several are for one resource.
#[test]
fn every_policy_of_a_resource_or_app_makes_a_store() {
    let mut tally = Tally::new(
        "policies of resources and apps",
        &[(
            "policies/resource/Altinn.ResourceRegistry.Tests__Data__ResourcePolicies__altinn_access_management_invalid_missing_resourceid.xml",
            "one of its rules names an app where the others name the resource",
        )],
    );
    for entry in folder::manifest("altinn/policies/manifest.jsonl") {
        if folder::word(&entry, "kind") == "delegation" {
            continue;
        }
        let file = folder::word(&entry, "file").to_owned();
        let document = folder::read(format!("altinn/{file}"));
        let outcome = match PolicyStore::build([(file.clone(), document)]) {
            Ok(store) if store.resources().count() == 0 => Err("for no resource".to_owned()),
            Ok(_) => Ok(()),
            Err(faults) => Err(format!("{faults:?}")),
        };
        tally.case(&file, outcome);
    }
    tally.end(35);
}
