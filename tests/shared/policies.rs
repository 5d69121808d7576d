//! Every published policy is loaded, or refused for a reason known here.

use crate::folder;
use crate::tally::Tally;
use portvakt::xacml::Policy;

#[test]
fn every_published_policy_is_loaded() {
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
