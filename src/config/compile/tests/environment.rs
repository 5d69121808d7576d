//! What `environment` and the variables of platforms preset, and what production refuses.

use super::*;
use crate::config::ListenAddress;

#[test]
fn prod_refuses_what_production_must_not_rest_on() {
    let config = |rest: &str| {
        format!("environment: prod\nupstream: {{ url: http://api }}\npolicies: policies\n{rest}\n")
    };
    for (rest, expected) in [
        ("pdp: { credential: { none: true } }", "prod-no-credential a.yaml:4:28"),
        ("pdp: { kind: embedded }", "prod-embedded-pdp a.yaml:4:14"),
        (
            "pdp: { credential: { token_file: t }, url: http://pdp.example.no, subscription_key: k }",
            "prod-plain-http a.yaml:4:44",
        ),
        (
            "pdp: { credential: { token_file: t }, url: https://platform.tt02.altinn.no, subscription_key: k }",
            "prod-test-address a.yaml:4:44",
        ),
        (
            "pdp: { credential: { token_file: t }, subscription_key: k }\ntokens: { issuers: [{ kind: maskinporten, issuer: https://test.maskinporten.no/, jwks_url: https://a/ }] }",
            "prod-test-issuer a.yaml:5:51",
        ),
        (
            "pdp: { credential: { token_file: t }, subscription_key: k }\ntokens: { issuers: [{ kind: maskinporten, issuer: https://maskinporten.no/, jwks_url: http://a/ }] }",
            "prod-plain-http a.yaml:5:87",
        ),
    ] {
        assert_eq!(found_in(&config(rest)), [expected], "{rest}");
    }
    let sound = config(
        "pdp: { credential: { token_file: t }, url: http://127.0.0.1:9, subscription_key: k }",
    );
    assert_eq!(found_in(&sound), [""; 0]);
    assert_eq!(compiled(&inputs(&sound)).snapshot.judging.check_digits, CheckDigits::Strict);
}

#[test]
fn a_test_issuer_in_a_variable_is_seen_in_prod() {
    let config = "environment: prod\nupstream: { url: http://api }\npolicies: policies\npdp: { credential: { token_file: t }, subscription_key: k }\n";
    let url = "https://test.maskinporten.no/.well-known/oauth-authorization-server";
    let outcome =
        compile(&with_variables(config, &[("MASKINPORTEN_WELL_KNOWN_URL", url)]), None, &runtime());
    let variable = "environment variable `MASKINPORTEN_WELL_KNOWN_URL`";
    assert_eq!(
        found(&outcome),
        [format!("prod-test-issuer {variable}"), format!("prod-test-address {variable}")]
    );
}

#[test]
fn variables_of_platforms_stand_in_where_nothing_is_written() {
    let config =
        "upstream: { url: http://api }\npolicies: policies\npdp: { credential: { none: true } }\n";
    let variables = [
        ("ALTINN_ENVIRONMENT", "at22"),
        (
            "MASKINPORTEN_WELL_KNOWN_URL",
            "https://mp.example.no/.well-known/oauth-authorization-server/",
        ),
        ("ALTINN_SUBSCRIPTION_KEY", "hemmelig"),
        ("HTTPS_PROXY", "http://proxy:3128"),
        ("NO_PROXY", ".example.no"),
        ("MASKINPORTEN_CLIENT_ID", "unused"),
    ];
    let compiled = compiled(&with_variables(config, &variables));
    assert_eq!(compiled.environment, AltinnEnvironment::At22);
    let issuer = &compiled.snapshot.tokens.settings().issuers[0];
    assert_eq!(&*issuer.issuer, "https://mp.example.no/");
    assert!(matches!(&issuer.keys, KeyLocation::Metadata(url) if url.as_str() == variables[1].1));
    assert_eq!(
        compiled.basis.outbound.no_proxy.as_deref(),
        Some("localhost,127.0.0.0/8,::1,.example.no")
    );
    let Some(PdpSettings::Altinn(pdp)) = &compiled.basis.pdp else { panic!() };
    assert!(pdp.subscription_key.is_some());
    assert!(!format!("{compiled:?}").contains("hemmelig"));
}

#[test]
fn a_platforms_maskinporten_client_is_the_credential_where_none_is_written() {
    let config = "environment: tt02\nupstream: { url: http://api }\npolicies: policies\n";
    let jwk = crate::pdp::credential::samples::sample_key().jwk.clone();
    let text = jwk.to_string();
    let variables = [("MASKINPORTEN_CLIENT_ID", "mine"), ("MASKINPORTEN_CLIENT_JWK", &text)];
    let compiled = compiled(&with_variables(config, &variables));
    assert!(compiled.snapshot.decisions.identity().ends_with("as the Maskinporten client mine"));
    assert!(!format!("{compiled:?}").contains(jwk["d"].as_str().unwrap()));
}

#[test]
fn what_is_written_wins_over_variables_of_platforms() {
    let variables = [
        ("ALTINN_ENVIRONMENT", "prod"),
        (
            "MASKINPORTEN_WELL_KNOWN_URL",
            "https://a.example.no/.well-known/oauth-authorization-server",
        ),
        ("PORTVAKT_UPSTREAM__URL", "http://other:9"),
        ("PORTVAKT_IDENTIFIERS__CHECK_DIGITS", "strict"),
    ];
    let config = format!(
        "{GOOD}tokens: {{ issuers: [{{ kind: maskinporten, issuer: b, jwks_url: https://b/ }}] }}\n"
    );
    let mut inputs = with_variables(&config, &variables);
    inputs.flags =
        vec![Flag { name: "--listen", key: "server.listen", value: "127.0.0.1:5".to_owned() }];
    let compiled = compiled(&inputs);
    assert_eq!(compiled.environment, AltinnEnvironment::Tt02);
    assert_eq!(&*compiled.snapshot.tokens.settings().issuers[0].issuer, "b");
    assert_eq!(compiled.upstream.address.to_string(), "other:9");
    assert_eq!(compiled.snapshot.judging.check_digits, CheckDigits::Strict);
    assert_eq!(compiled.server.listen, [ListenAddress::Tcp("127.0.0.1:5".parse().unwrap())]);
}

#[test]
fn without_an_environment_nothing_is_preset_and_that_is_said() {
    let outcome = compile(&inputs(&GOOD.replace("environment: tt02\n", "")), None, &runtime());
    let first = outcome.diagnostics.iter().next().unwrap();
    assert_eq!((first.code, &first.origin), ("no-environment", &Origin::Nowhere));
    assert!(outcome.compiled.is_none());
}
