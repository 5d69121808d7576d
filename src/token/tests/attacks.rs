//! What strangers send (RFC 8725 §2, and the attack lists of JWT tools).

use super::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::time::Duration;

#[tokio::test]
async fn the_published_example_is_let_in() {
    let fixture = Fixture::started(IssuerKind::Maskinporten).await;
    let token = ours().sign(&system_user_claims());
    let authenticated = fixture.ask(&token).await.unwrap();
    assert!(!authenticated.remembered);
    assert_eq!(&*authenticated.caller.issuer, ISSUER);
    assert!(fixture.ask(&token).await.unwrap().remembered);
}

#[tokio::test]
async fn no_other_algorithm_or_key_gets_in() {
    let fixture = Fixture::started(IssuerKind::Maskinporten).await;
    let payload = system_user_claims().to_string();
    let hmac = |secret: &[u8], alg: &str| {
        let header = json!({ "alg": alg, "kid": KID }).to_string();
        let input = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload.as_bytes())
        );
        let signature = jsonwebtoken::crypto::sign(
            input.as_bytes(),
            &EncodingKey::from_secret(secret),
            jsonwebtoken::Algorithm::HS256,
        )
        .unwrap();
        format!("{input}.{signature}")
    };
    let modulus = URL_SAFE_NO_PAD.decode(&ours().modulus).unwrap();
    let set = json!({ "keys": [ours().jwk(KID)] }).to_string();
    for secret in [modulus.as_slice(), ours().modulus.as_bytes(), set.as_bytes(), b""] {
        for alg in ["HS256", "RS256", "none"] {
            let code = fixture.refused(&hmac(secret, alg)).await;
            assert_eq!(code, DenialCode::TokenUntrusted, "{alg}");
        }
    }
    for alg in ["none", "None", "NONE", "nOnE", "rs256", "RS384", "PS256", "ES256", "RS1", ""] {
        let header = json!({ "alg": alg, "kid": KID }).to_string();
        let token = ours().sign_raw(header.as_bytes(), payload.as_bytes());
        assert_eq!(fixture.refused(&token).await, DenialCode::TokenUntrusted, "{alg}");
    }
    // Signed well, with a key of the right name that is not the issuer's.
    let token = foreign().sign(&system_user_claims());
    assert_eq!(fixture.refused(&token).await, DenialCode::TokenUntrusted);
}

#[tokio::test]
async fn keys_that_the_token_brings_are_not_looked_at() {
    let fixture = Fixture::started(IssuerKind::Maskinporten).await;
    let fetches = fixture.source.fetches();
    for (name, value) in [
        ("jku", json!("https://evil.test/jwk")),
        ("x5u", json!("https://evil.test/cert")),
        ("jwk", foreign().jwk(KID)),
        ("x5c", json!(["MIIB"])),
    ] {
        let header = with(header(), name, value).to_string();
        let claims = system_user_claims().to_string();
        let token = foreign().sign_raw(header.as_bytes(), claims.as_bytes());
        assert_eq!(fixture.refused(&token).await, DenialCode::TokenUntrusted, "{name}");
        // With the issuer's own signature they change nothing.
        let token = ours().sign_raw(header.as_bytes(), claims.as_bytes());
        assert!(fixture.ask(&token).await.is_ok(), "{name}");
    }
    assert_eq!(fixture.source.fetches(), fetches);
}

#[tokio::test]
async fn a_header_that_is_not_understood_is_refused() {
    let fixture = Fixture::started(IssuerKind::Maskinporten).await;
    let claims = system_user_claims().to_string();
    for header in [
        r#"{"alg":"RS256","kid":"key-1","crit":["x"]}"#,
        r#"{"alg":"RS256","kid":"key-1","crit":[]}"#,
        r#"{"alg":"RS256","kid":"key-1","b64":false,"crit":["b64"]}"#,
        r#"{"alg":"RS256","kid":"key-1","b64":true}"#,
        r#"{"alg":"RS256","kid":"key-1","zip":"DEF"}"#,
        r#"{"alg":"RS256","alg":"RS256","kid":"key-1"}"#,
        r#"{"alg":"none","\u0061lg":"RS256","kid":"key-1"}"#,
        r#"{"alg":"RS256","kid":"key-1","kid":"key-1"}"#,
        r#"{"alg":["RS256"],"kid":"key-1"}"#,
        r#"{"alg":"RS256","kid":7}"#,
        r#"{"alg":"RS256","kid":""}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"kid":"key-1"}"#,
        r#"["RS256"]"#,
        r#"{"alg":"RS256","kid":"key-1"} "#,
        "",
    ] {
        let token = ours().sign_raw(header.as_bytes(), claims.as_bytes());
        if header.ends_with(' ') {
            // White space around JSON is JSON.
            assert!(fixture.ask(&token).await.is_ok());
        } else {
            assert_eq!(fixture.refused(&token).await, DenialCode::TokenMalformed, "{header}");
        }
    }
    let long = json!({ "alg": "RS256", "kid": "k".repeat(10_000) }).to_string();
    let token = ours().sign_raw(long.as_bytes(), claims.as_bytes());
    assert_eq!(fixture.refused(&token).await, DenialCode::TokenMalformed);
}

#[tokio::test]
async fn another_spelling_of_a_good_token_is_not_that_token() {
    let fixture = Fixture::started(IssuerKind::Maskinporten).await;
    let token = ours().sign(&system_user_claims());
    assert!(fixture.ask(&token).await.is_ok());
    let parts: Vec<&str> = token.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    for spelling in [
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!(".{payload}.{signature}"),
        format!("{header}..{signature}"),
        format!("{header}.{payload}.{signature}."),
        format!("{header}.{payload}.{payload}.{signature}"),
        format!("{header}.{payload}.{signature}.{signature}.{signature}"),
        format!("{header}.{payload}.{signature}="),
        format!("{header}.{payload}.{signature}=="),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}.+{signature}"),
        format!("{header}.{payload}.{signature}~"),
        token.replace('_', "/").replace('-', "+") + "+",
    ] {
        assert_eq!(fixture.refused(&spelling).await, DenialCode::TokenMalformed, "{spelling}");
    }
}

#[tokio::test]
async fn stray_bits_after_the_last_byte_are_seen() {
    let fixture = Fixture::started(IssuerKind::Maskinporten).await;
    // 256 bytes of signature end in a character of which only two bits count.
    let token = ours().sign(&system_user_claims());
    let (rest, last) = token.split_at(token.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = alphabet.find(last).unwrap();
    let stray = alphabet.as_bytes()[value | 1] as char;
    assert_eq!(fixture.refused(&format!("{rest}{stray}")).await, DenialCode::TokenMalformed);
}

#[tokio::test]
async fn claims_of_the_wrong_form_are_refused() {
    let fixture = Fixture::started(IssuerKind::Maskinporten).await;
    let refused = DenialCode::TokenMalformed;
    for (name, value) in [
        ("exp", json!("9999999999")),
        ("exp", json!(1_718_175_135.0)),
        ("exp", json!(-1)),
        ("exp", json!(1e308)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(253_402_300_800_u64)),
        ("exp", json!(null)),
        ("exp", json!(true)),
        ("exp", json!([NOW + 100])),
        ("iat", json!("1718175015")),
        ("iat", json!(1_718_175_015.5)),
        ("nbf", json!("1718175015")),
        ("nbf", json!(null)),
        ("iss", json!(["https://issuer.test/"])),
        ("iss", json!(7)),
        ("aud", json!(7)),
        ("aud", json!(["a", 7])),
        ("aud", json!(null)),
        ("scope", json!(["x:read"])),
        ("scope", json!(null)),
        ("scope", json!("x:read\ty")),
        ("scope", json!("x:lesæ")),
        ("client_id", json!(7)),
        ("client_id", json!("")),
        ("client_id", json!("a\nb")),
        ("consumer", json!("0192:314330897")),
        ("consumer", json!({ "authority": "iso6523-actorid-upis", "ID": "314330897" })),
        ("supplier", json!({ "authority": "iso6523-actorid-upis", "ID": "0192:123456789" })),
    ] {
        let claims = with(system_user_claims(), name, value);
        assert_eq!(fixture.refused_claims(&claims).await, refused, "{claims}");
    }
    let claims = without(system_user_claims(), "exp");
    assert_eq!(fixture.refused_claims(&claims).await, refused);
    let good = system_user_claims().to_string();
    for twice in
        ["\"iss\":\"https://issuer.test/\"", "\"scope\":\"x\"", "\"unknown\":1,\"unknown\":1"]
    {
        let payload = format!("{},{twice}}}", good.strip_suffix('}').unwrap());
        let token = ours().sign_raw(header().to_string().as_bytes(), payload.as_bytes());
        assert_eq!(fixture.refused(&token).await, refused, "{twice}");
    }
}

#[tokio::test]
async fn the_issuer_is_the_one_of_the_settings_to_the_last_byte() {
    let fixture = Fixture::started(IssuerKind::Maskinporten).await;
    for issuer in [
        "https://issuer.test",
        "https://ISSUER.test/",
        "https://issuer.test//",
        "https://issuer.test/ ",
        "https://issuer.test.evil/",
        "http://issuer.test/",
        "",
    ] {
        let claims = with(system_user_claims(), "iss", json!(issuer));
        assert_eq!(fixture.refused_claims(&claims).await, DenialCode::TokenUntrusted, "{issuer}");
    }
    let claims = without(system_user_claims(), "iss");
    assert_eq!(fixture.refused_claims(&claims).await, DenialCode::TokenUntrusted);
}

#[tokio::test]
async fn one_issuers_key_does_not_vouch_for_another() {
    let clock: Arc<dyn crate::domain::Clock> = Arc::new(ManualClock::at(UnixSeconds(NOW)));
    let other = "https://other.test/";
    let issuers = [ISSUER, other]
        .map(|name| IssuerSettings::new(IssuerKind::Maskinporten, name, at_hand()))
        .to_vec();
    let sources: Vec<Arc<dyn KeySource>> =
        vec![ToldSource::new(&[ours().jwk(KID)]), ToldSource::new(&[foreign().jwk(KID)])];
    let verifier =
        TokenVerifier::with_sources(TokenSettings::new(issuers), sources, &Tasks::new(), clock);
    verifier.start().await;
    let theirs = with(system_user_claims(), "iss", json!(other));
    for (token, good) in [
        (ours().sign(&system_user_claims()), true),
        (foreign().sign(&theirs), true),
        (ours().sign(&theirs), false),
        (foreign().sign(&system_user_claims()), false),
    ] {
        assert_eq!(verifier.authenticate(&bearer(&token)).await.is_ok(), good);
    }
}

#[tokio::test]
async fn times_are_judged_to_the_second_at_both_ends() {
    const LEEWAY: u64 = 10;
    let fixture = Fixture::started(IssuerKind::Maskinporten).await;
    for (name, value, outcome) in [
        ("exp", NOW - LEEWAY + 1, None),
        ("exp", NOW - LEEWAY, Some(DenialCode::TokenExpired)),
        ("exp", NOW - LEEWAY - 1, Some(DenialCode::TokenExpired)),
        ("exp", 0, Some(DenialCode::TokenExpired)),
        ("nbf", NOW + LEEWAY, None),
        ("nbf", NOW + LEEWAY + 1, Some(DenialCode::TokenNotYetValid)),
        ("iat", NOW + LEEWAY, None),
        ("iat", NOW + LEEWAY + 1, Some(DenialCode::TokenNotYetValid)),
        // The lifetime: an hour from `iat`, which is five seconds ago.
        ("exp", NOW - 5 + 3600, None),
        ("exp", NOW - 5 + 3601, Some(DenialCode::TokenUntrusted)),
    ] {
        let claims = with(system_user_claims(), name, json!(value));
        let code = fixture.ask(&ours().sign(&claims)).await.err().map(|denial| denial.code);
        assert_eq!(code, outcome, "{name} {value}");
    }
    let ageless = without(system_user_claims(), "iat");
    for (expires, good) in [(NOW + 3600, true), (NOW + 3601, false)] {
        let claims = with(ageless.clone(), "exp", json!(expires));
        assert_eq!(fixture.ask(&ours().sign(&claims)).await.is_ok(), good);
    }
}

#[tokio::test]
async fn a_token_for_somebody_else_or_bound_to_its_sender_is_refused() {
    let audience = "https://api.example.no/";
    let settings = |audience: Option<&str>| IssuerSettings {
        audience: audience.map(Arc::from),
        ..IssuerSettings::new(IssuerKind::Maskinporten, ISSUER, at_hand())
    };
    let fixture = Fixture::with_settings(settings(Some(audience))).await;
    for (aud, good) in [
        (json!(audience), true),
        (json!(["https://x.example/", audience]), true),
        (json!("unspecified"), false),
        (json!([]), false),
        (json!(["unspecified"]), false),
        (json!("https://api.example.no"), false),
        (json!("https://api.example.no/v1"), false),
        (json!("https://API.example.no/"), false),
    ] {
        let token = ours().sign(&with(system_user_claims(), "aud", aud.clone()));
        let code = fixture.ask(&token).await.err().map(|denial| denial.code);
        assert_eq!(code, (!good).then_some(DenialCode::TokenWrongAudience), "{aud}");
    }
    let absent = fixture.refused_claims(&system_user_claims()).await;
    assert_eq!(absent, DenialCode::TokenWrongAudience);
    let fixture = Fixture::with_settings(settings(Some("unspecified"))).await;
    let claims = with(system_user_claims(), "aud", json!("unspecified"));
    assert_eq!(fixture.refused_claims(&claims).await, DenialCode::TokenWrongAudience);
    // Without an audience in the settings, `aud` says nothing; `cnf` always does.
    let fixture = Fixture::with_settings(settings(None)).await;
    assert!(fixture.ask(&ours().sign(&claims)).await.is_ok());
    for cnf in [json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }), json!(null)] {
        let claims = with(system_user_claims(), "cnf", cnf);
        assert_eq!(fixture.refused_claims(&claims).await, DenialCode::TokenUntrusted);
    }
}

#[tokio::test]
async fn a_cause_never_repeats_what_the_token_says() {
    let fixture = Fixture::started(IssuerKind::Maskinporten).await;
    let marker = "zebra314";
    for claims in [
        with(system_user_claims(), "iss", json!(marker)),
        with(system_user_claims(), "scope", json!([marker])),
        with(system_user_claims(), "consumer", json!(marker)),
        with(system_user_claims(), "authorization_details", json!([{ "type": 1, "x": marker }])),
    ] {
        let denial = fixture.ask(&ours().sign(&claims)).await.unwrap_err();
        assert!(denial.cause.is_some(), "{denial:?}");
        assert!(!format!("{denial:?}").contains(marker), "{denial:?}");
    }
}

#[tokio::test]
async fn flipping_any_bit_of_a_good_token_never_gets_in() {
    let fixture = Fixture::started(IssuerKind::Maskinporten).await;
    let token = ours().sign(&system_user_claims());
    assert!(fixture.ask(&token).await.is_ok());
    for index in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[index] ^= 1 << bit;
            let Ok(value) = HeaderValue::from_bytes(&[b"Bearer ", bytes.as_slice()].concat())
            else {
                continue;
            };
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            let denial = fixture.verifier.authenticate(&headers).await.unwrap_err();
            assert_eq!(denial.code.status(), 401, "byte {index} bit {bit}: {denial:?}");
        }
    }
}

/// Runs the property on one runtime, because the verifier's tasks live there.
fn never_gets_in<S: Strategy<Value = Vec<u8>>>(strategy: &S) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fixture = runtime.block_on(Fixture::started(IssuerKind::Maskinporten));
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    runner
        .run(strategy, |bytes| {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
                prop_assert!(runtime.block_on(fixture.verifier.authenticate(&headers)).is_err());
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn no_bytes_panic_or_get_in() {
    never_gets_in(&proptest::collection::vec(any::<u8>(), 0..200));
}

#[test]
fn no_bytes_shaped_like_a_token_panic_or_get_in() {
    never_gets_in(&("[ -~]{0,80}", "[ -~]{0,80}", "[A-Za-z0-9_-]{0,40}").prop_map(
        |(header, payload, signature)| {
            let (header, payload) =
                (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
            format!("Bearer {header}.{payload}.{signature}").into_bytes()
        },
    ));
}

#[tokio::test]
async fn a_token_dies_in_memory_when_it_does_on_paper() {
    let fixture = Fixture::started(IssuerKind::Maskinporten).await;
    let token = ours().sign(&system_user_claims());
    assert!(!fixture.ask(&token).await.unwrap().remembered);
    fixture.clock.advance(Duration::from_secs(115 + 9));
    assert!(fixture.ask(&token).await.unwrap().remembered);
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(fixture.refused(&token).await, DenialCode::TokenExpired);
    // A wall clock that steps back before the token was made does not revive it either.
    fixture.clock.set_wall(UnixSeconds(NOW - 100));
    assert_eq!(fixture.refused(&token).await, DenialCode::TokenNotYetValid);
}
