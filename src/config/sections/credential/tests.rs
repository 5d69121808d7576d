use std::path::{Path, PathBuf};

use super::*;
use crate::config::diagnostic::{Colour, Diagnostics};
use crate::config::layers::Environment;
use crate::config::positions;
use crate::config::reader::read_table;
use crate::pdp::credential::samples::{pem, sample_key};

/// What is read, and `code origin` of what is wrong, with everything as it is shown.
struct Reading {
    credential: Option<Credential>,
    found: Vec<String>,
    shown: String,
}

fn read_in(environment: AltinnEnvironment, variables: &[(&str, &str)], yaml: &str) -> Reading {
    let mut diagnostics = Diagnostics::new();
    let node = positions::parse(Path::new("a.yaml"), yaml.as_bytes(), &mut diagnostics).unwrap();
    let variables: Environment = variables.iter().copied().collect();
    let context = Context { environment, variables: &variables };
    let platform = environment.platform();
    let credential =
        read_table(&node, &mut diagnostics, |table| read(table, context, platform.as_ref()));
    let found = diagnostics.iter().map(|found| format!("{} {}", found.code, found.origin));
    Reading {
        found: found.collect(),
        shown: diagnostics.to_human(Colour::Plain) + &diagnostics.to_json_lines(),
        credential: credential.filter(|_| !diagnostics.has_errors()),
    }
}

fn grant(reading: Reading) -> Arc<GrantSettings> {
    match reading.credential {
        Some(Credential::Maskinporten(settings)) => settings,
        other => panic!("{other:?}: {}", reading.shown),
    }
}

fn jwk() -> String {
    sample_key().jwk.to_string()
}

fn with(settings: &str) -> String {
    format!("maskinporten: {{ client_id: a, key: '{}', {settings} }}\n", jwk())
}

#[test]
fn every_environment_presets_its_addresses() {
    use AltinnEnvironment as E;
    let test = ("https://test.maskinporten.no/token", "https://test.maskinporten.no/");
    for (environment, (token_url, audience), platform) in [
        (
            E::Prod,
            ("https://maskinporten.no/token", "https://maskinporten.no/"),
            "https://platform.altinn.no",
        ),
        (E::Tt02, test, "https://platform.tt02.altinn.no"),
        (E::At22, test, "https://platform.at22.altinn.cloud"),
        (E::At23, test, "https://platform.at23.altinn.cloud"),
        (E::At24, test, "https://platform.at24.altinn.cloud"),
        (
            E::Local,
            ("http://127.0.0.1:7081/token", "http://127.0.0.1:7081/"),
            "http://127.0.0.1:7082",
        ),
    ] {
        let settings = grant(read_in(environment, &[], &with("")));
        assert_eq!(settings.token_url.as_str(), token_url);
        assert_eq!(&*settings.audience, audience);
        assert_eq!(
            settings.exchange_url.as_str(),
            format!("{platform}/authentication/api/v1/exchange/maskinporten")
        );
        assert_eq!(&*settings.scope, "altinn:authorization/authorize");
        assert_eq!((&*settings.client_id, settings.key.kid()), ("a", "sample"));
    }
    let custom = read_in(E::Custom, &[], &with("exchange_url: 'https://a/'"));
    assert_eq!(custom.found, ["missing-key a.yaml:1:1"]);
}

#[test]
fn every_setting_is_heeded() {
    let settings = grant(read_in(
        AltinnEnvironment::Custom,
        &[("MASKINPORTEN_CLIENT_ID", "other"), ("MASKINPORTEN_CLIENT_JWK", "other")],
        &with(
            "kid: mine, token_url: 'https://mp.example.no/a/b', audience: me, scope: 'a b', \
             exchange_url: 'https://altinn.example.no/exchange'",
        ),
    ));
    assert_eq!(settings.token_url.as_str(), "https://mp.example.no/a/b");
    assert_eq!(settings.exchange_url.as_str(), "https://altinn.example.no/exchange");
    assert_eq!((&*settings.audience, &*settings.scope), ("me", "a b"));
    assert_eq!((&*settings.client_id, settings.key.kid()), ("a", "mine"));
    let elsewhere = with("token_url: 'https://mp.example.no/a/b'");
    let settings = grant(read_in(AltinnEnvironment::Tt02, &[], &elsewhere));
    assert_eq!(&*settings.audience, "https://mp.example.no/a/");
}

#[test]
fn the_variables_of_platforms_stand_in_where_nothing_is_written() {
    let jwk = jwk();
    let both = [("MASKINPORTEN_CLIENT_ID", "mine"), ("MASKINPORTEN_CLIENT_JWK", jwk.as_str())];
    let tt02 = |variables, yaml| read_in(AltinnEnvironment::Tt02, variables, yaml);
    for yaml in ["", "maskinporten: {}\n", "maskinporten:\n"] {
        assert_eq!(&*grant(tt02(&both, yaml)).client_id, "mine", "{yaml}");
    }
    let file = folder().join("key.pem");
    std::fs::write(&file, pem("PRIVATE KEY", &sample_key().pkcs8)).unwrap();
    let yaml = format!("maskinporten: {{ key_file: {}, kid: filed }}\n", file.display());
    let settings = grant(tt02(&both, &yaml));
    assert_eq!((&*settings.client_id, settings.key.kid()), ("mine", "filed"));
    for yaml in ["token_file: t\n", "none: true\n"] {
        let reading = tt02(&both, yaml);
        assert!(matches!(reading.credential, Some(Credential::TokenFile(_) | Credential::None)));
    }
    for (variables, yaml, expected) in [
        (&both[..1], "", "missing-key environment variable `MASKINPORTEN_CLIENT_ID`"),
        (&both[1..], "", "missing-key environment variable `MASKINPORTEN_CLIENT_JWK`"),
        (&[], "maskinporten: { client_id: a }", "missing-key a.yaml:1:1"),
        (&both[1..], "maskinporten: {}", "missing-key a.yaml:1:1"),
    ] {
        assert_eq!(tt02(variables, yaml).found, [expected], "{yaml}");
    }
    let wrong = [both[0], ("MASKINPORTEN_CLIENT_JWK", "hemmelig")];
    let reading = tt02(&wrong, "");
    assert_eq!(
        reading.found,
        ["invalid-client-key environment variable `MASKINPORTEN_CLIENT_JWK`"]
    );
    assert!(!reading.shown.contains("hemmelig"), "{}", reading.shown);
}

#[test]
fn what_is_wrong_is_reported_where_it_stands_and_shows_no_secret() {
    let folder = folder();
    let wrong = folder.join("wrong");
    std::fs::write(&wrong, "hemmelig").unwrap();
    let file = |rest: &str| {
        format!("maskinporten:\n  client_id: a\n  key_file: {}\n  {rest}\n", wrong.display())
    };
    let key = |text: &str| format!("maskinporten:\n  client_id: a\n  key: '{text}'\n");
    let rest = |rest: &str| key(&jwk()) + "  " + rest + "\n";
    for (yaml, expected) in [
        (key("hemmelig"), vec!["invalid-client-key a.yaml:3:3"]),
        (key(r#"{"kty":"RSA","hemmelig":"#), vec!["invalid-client-key a.yaml:3:3"]),
        (file(""), vec!["invalid-client-key a.yaml:3:3"]),
        (
            "maskinporten:\n  client_id: a\n  key_file: /nowhere\n".to_owned(),
            vec!["unreadable-secret a.yaml:3:13"],
        ),
        (
            file("key: hemmelig"),
            vec!["conflicting-keys a.yaml:3:3", "invalid-client-key a.yaml:4:3"],
        ),
        (rest("kid: ''"), vec!["invalid-value a.yaml:4:8"]),
        (rest("kit: a"), vec!["unknown-key a.yaml:4:3"]),
        (rest("scope: ''"), vec!["invalid-value a.yaml:4:10"]),
        (rest("audience: ''"), vec!["invalid-value a.yaml:4:13"]),
        (rest("token_url: token"), vec!["invalid-value a.yaml:4:14"]),
        (rest("token_url: 'https://mp.example.no/'"), vec!["invalid-value a.yaml:4:14"]),
        (rest("token_url: 'https://mp.example.no'"), vec!["invalid-value a.yaml:4:14"]),
        (rest("token_url: 'https://mp.example.no/token/'"), vec!["invalid-value a.yaml:4:14"]),
        (rest("token_url: 'https://mp.example.no/token?a'"), vec!["invalid-value a.yaml:4:14"]),
        (rest("token_url: 'https://mp.example.no/?a/b'"), vec!["invalid-value a.yaml:4:14"]),
        (rest("token_url: 'https://me:it@mp.example.no/t'"), vec!["invalid-value a.yaml:4:14"]),
        (rest("token_url: 'ftp://mp.example.no/token'"), vec!["invalid-value a.yaml:4:14"]),
        (rest("exchange_url: 'https://a.example.no/?b'"), vec!["invalid-value a.yaml:4:17"]),
        (rest("exchange_url: 'https://me@a.example.no/'"), vec!["invalid-value a.yaml:4:17"]),
        (key(&jwk()).replace("client_id: a", "client_id: ''"), vec!["invalid-value a.yaml:2:14"]),
        (key(&jwk()) + "token_file: t\n", vec!["conflicting-keys a.yaml:4:1"]),
        (key(&jwk()) + "none: true\n", vec!["conflicting-keys a.yaml:4:1"]),
        ("token_file: t\nnone: true\n".to_owned(), vec!["conflicting-keys a.yaml:2:1"]),
        ("maskinporten: token\n".to_owned(), vec!["wrong-shape a.yaml:1:15"]),
    ] {
        let reading = read_in(AltinnEnvironment::Tt02, &[], &yaml);
        assert_eq!(reading.found, expected, "{yaml}");
        assert!(reading.credential.is_none());
        let d = sample_key().jwk["d"].as_str().unwrap();
        for secret in ["hemmelig", d] {
            assert!(!reading.shown.contains(secret), "{}", reading.shown);
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn prod_takes_its_tokens_from_no_test_environment_and_not_in_the_clear() {
    for (rest, expected) in [
        ("token_url: 'https://test.maskinporten.no/token'", "prod-test-address"),
        ("token_url: 'http://maskinporten.no/token'", "prod-plain-http"),
        ("exchange_url: 'https://platform.tt02.altinn.no/x'", "prod-test-address"),
        ("exchange_url: 'http://platform.altinn.no/x'", "prod-plain-http"),
    ] {
        let found = read_in(AltinnEnvironment::Prod, &[], &with(rest)).found;
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

#[test]
fn a_key_that_is_read_again_is_the_same_credential_and_another_is_not() {
    let read = |rest: &str| read_in(AltinnEnvironment::Tt02, &[], &with(rest)).credential.unwrap();
    assert_eq!(read(""), read(""));
    assert_ne!(read(""), read("kid: other"));
    assert_ne!(read(""), read("scope: other"));
    assert_eq!(read("").identity(), "the Maskinporten client a");
}

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("portvakt-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    folder
}
