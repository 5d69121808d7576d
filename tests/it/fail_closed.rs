//! A configuration with anything missing or contradictory is none. Faults of peers are in `faults`.

use crate::support::{ISSUER, RULES};
use portvakt::config::{self, Files, Inputs, Runtime};
use portvakt::domain::SystemClock;
use portvakt::tasks::Tasks;
use std::sync::Arc;

#[tokio::test]
async fn every_fault_of_the_configuration_is_no_configuration() {
    let base = "environment: custom
server: { listen: [\"127.0.0.1:7080\"] }
upstream: { url: \"http://127.0.0.1:8080\" }
pdp: { url: \"http://127.0.0.1:8081\", credential: { none: true } }
tokens: { issuers: [{ kind: maskinporten, issuer: \"https://issuer.it.example/\", jwks_url: \"http://127.0.0.1:8082/\" }] }
policies: policies
";
    assert!(base.contains(ISSUER));
    let without = |section: &str| {
        base.split_inclusive('\n').filter(|line| !line.starts_with(section)).collect()
    };
    let replaced = |old: &str, new: &str| {
        assert!(base.contains(old), "{old}");
        base.replace(old, new)
    };
    let open = RULES.replace("scopes: [\"it:read\"]", "");
    let tie = format!(
        "{RULES}  - id: again\n    match: {{ method: any, path: \"/public/{{*all}}\" }}\n    protection: public\n"
    );
    let good = || (base.to_owned(), RULES.to_owned());
    let config = |config: String| (config, RULES.to_owned());
    let rules = |rules: &str| (base.to_owned(), rules.to_owned());
    let rows: Vec<(&str, (String, String), bool)> = vec![
        ("as it should be", good(), true),
        ("no PDP", config(without("pdp")), false),
        ("no address of the PDP", config(replaced("url: \"http://127.0.0.1:8081\", ", "")), false),
        ("an address that is none", config(replaced("http://127.0.0.1:8081", "platform")), false),
        ("no credential", config(replaced(", credential: { none: true }", "")), false),
        ("no API", config(without("upstream")), false),
        ("the API is ourselves", config(replaced("127.0.0.1:8080", "127.0.0.1:7080")), false),
        ("no issuers", config(without("tokens")), false),
        ("no issuer at all", config(replaced("issuers: [{", "issuers: [] # {")), false),
        ("no keys", config(replaced(", jwks_url: \"http://127.0.0.1:8082/\"", "")), false),
        (
            "keys that cannot be read",
            config(replaced(
                "jwks_url: \"http://127.0.0.1:8082/\"",
                "jwks_file: /nowhere/keys.json",
            )),
            false,
        ),
        ("no policies", config(without("policies")), false),
        (
            "policies that are not there",
            config(replaced("policies: policies", "policies: nowhere")),
            false,
        ),
        ("an unknown key", config(base.to_owned() + "fail_open: true\n"), false),
        ("a mode that is none", config(base.to_owned() + "mode: off\n"), false),
        (
            "production without a credential",
            config(replaced("environment: custom", "environment: prod")),
            false,
        ),
        ("not YAML", config(base.to_owned() + "x: [\n"), false),
        ("no rules", rules("api: it\nrules: []\n"), false),
        ("rules that are none", rules("rules\n"), false),
        ("an empty file", rules(""), false),
        ("rules without scopes", rules(&open), false),
        ("two rules for one request", rules(&tie), false),
        (
            "an unknown protection",
            rules(&RULES.replace("protection: closed", "protection: open")),
            false,
        ),
        (
            "a party that is nowhere",
            rules(&RULES.replace("party: path:org", "party: path:nowhere")),
            false,
        ),
        ("no party", rules(&RULES.replace("party: query:orgnr", "")), false),
        ("no action", rules(&RULES.replace("action: read", "")), false),
    ];
    for (name, (config, rules), compiles) in rows {
        let files = Files::memory([("c.yaml", config), ("policies/routes/r.yaml", rules)]);
        let inputs = Inputs { config: vec!["c.yaml".into()], files, ..Inputs::default() };
        let runtime = Runtime { tasks: Tasks::new(), clock: Arc::new(SystemClock) };
        let outcome = config::compile(&inputs, None, &runtime);
        let said = outcome.diagnostics.to_human(config::Colour::Plain);
        assert_eq!(outcome.compiled.is_some(), compiles, "{name}: {said}");
        assert_eq!(outcome.diagnostics.has_errors(), !compiles, "{name}: {said}");
    }
}
