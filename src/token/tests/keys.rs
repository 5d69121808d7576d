//! What becomes of tokens when keys come, change, go, or cannot be had.

use super::*;
use crate::token::keys::KeyRing;
use std::time::Duration;

fn ring(keys: &[Value]) -> KeyRing {
    let set = json!({ "keys": keys }).to_string();
    KeyRing::parse(set.as_bytes(), &[Algorithm::Rs512, Algorithm::Rs256, Algorithm::Es256], None)
        .unwrap()
}

fn issuer() -> IssuerSettings {
    IssuerSettings::new(IssuerKind::Maskinporten, ISSUER, at_hand())
}

/// An elliptic-curve key pair as PKCS#8, and its public half.
fn ec_key(curve: &str) -> (Vec<u8>, Value) {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        KeyPair as _,
    };
    let algorithm = match curve {
        "P-256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
        _ => &ECDSA_P384_SHA384_FIXED_SIGNING,
    };
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let private = pair.to_pkcs8v1().unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let public = json!({ "kty": "EC", "crv": curve, "kid": "ec",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) });
    (private.as_ref().to_vec(), public)
}

fn ec_jwk() -> Value {
    ec_key("P-256").1
}

#[tokio::test]
async fn every_allowed_algorithm_verifies_and_only_with_the_key_bound_to_it() {
    let claims = system_user_claims().to_string();
    for algorithm in Algorithm::ALL {
        let word = algorithm.as_str();
        let (signing, public) = match word {
            "ES256" | "ES384" => {
                let (private, public) = ec_key(if word == "ES256" { "P-256" } else { "P-384" });
                (EncodingKey::from_ec_der(&private), with(public, "kid", json!(KID)))
            }
            _ => (ours().key.clone(), with(ours().jwk(KID), "alg", json!(word))),
        };
        let settings = IssuerSettings { algorithms: Algorithm::ALL.to_vec(), ..issuer() };
        let fixture = Fixture::unstarted(TokenSettings::new(vec![settings]));
        fixture.source.publish(&[public]);
        fixture.verifier.start().await;
        let header = json!({ "alg": word, "kid": KID }).to_string();
        let input = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims.as_bytes())
        );
        let signed = jsonwebtoken::crypto::sign(input.as_bytes(), &signing, algorithm.of_library());
        let token = format!("{input}.{}", signed.unwrap());
        assert!(fixture.ask(&token).await.is_ok(), "{word}");
        // The issuer may use RS256, and the key is of that type, but it is bound to another.
        if word != "RS256" {
            let code = fixture.refused(&ours().sign(&system_user_claims())).await;
            assert_eq!(code, DenialCode::TokenUntrusted, "{word}");
        }
    }
}

#[tokio::test]
async fn keys_in_a_file_are_read_within_the_limit() {
    let path = std::env::temp_dir().join(format!("portvakt-{}.json", uuid::Uuid::new_v4()));
    let set = json!({ "keys": [ours().jwk(KID)] }).to_string();
    let outbound =
        crate::outbound::Outbound::new(&crate::outbound::OutboundSettings::default()).unwrap();
    for (contents, ready) in [
        (Some(set.clone()), true),
        (Some(set.clone() + &" ".repeat(MAX_JWKS_BYTES - set.len())), true),
        (Some(set.clone() + &" ".repeat(MAX_JWKS_BYTES - set.len() + 1)), false),
        (None, false),
    ] {
        match contents {
            Some(contents) => std::fs::write(&path, contents).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let settings = IssuerSettings { keys: KeyLocation::File(path.clone()), ..issuer() };
        let verifier = TokenVerifier::new(
            TokenSettings::new(vec![settings]),
            &outbound,
            &Tasks::new(),
            Arc::new(ManualClock::at(UnixSeconds(NOW))),
        );
        verifier.start().await;
        assert_eq!(verifier.is_ready(), ready, "{:?}", verifier.key_states());
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_panics_is_an_outage_and_the_next_one_succeeds() {
    let fixture = Fixture::with_settings(issuer()).await;
    fixture.source.panics.store(true, Ordering::SeqCst);
    fixture.clock.advance(Duration::from_secs(31));
    assert_eq!(fixture.refused(&unknown(0)).await, DenialCode::KeysUnavailable);
    fixture.source.panics.store(false, Ordering::SeqCst);
    fixture.clock.advance(Duration::from_secs(31));
    assert_eq!(fixture.refused(&unknown(0)).await, DenialCode::TokenUntrusted);
}

#[test]
fn a_key_is_bound_to_the_algorithm_it_states_or_to_the_issuers_first() {
    let unstated = without(ours().jwk("b"), "alg");
    let ring = ring(&[ours().jwk("a"), unstated, ec_jwk()]);
    let algorithm = |kid: &str| ring.key(kid).unwrap().algorithm();
    assert_eq!(algorithm("a"), Algorithm::Rs256);
    assert_eq!(algorithm("b"), Algorithm::Rs512);
    assert_eq!(algorithm("ec"), Algorithm::Es256);
}

#[test]
fn a_bad_key_is_skipped_and_the_good_one_beside_it_is_not() {
    let weak = URL_SAFE_NO_PAD.encode([0xFF; 128]);
    let huge = URL_SAFE_NO_PAD.encode([0xFF; 1025]);
    let bad = ours().jwk("bad");
    let cases = [
        with(bad.clone(), "use", json!("enc")),
        with(bad.clone(), "key_ops", json!(["encrypt"])),
        with(bad.clone(), "key_ops", json!([])),
        with(bad.clone(), "alg", json!("RS384")),
        with(bad.clone(), "alg", json!("HS256")),
        with(bad.clone(), "alg", json!("RSA-OAEP")),
        with(bad.clone(), "kty", json!("oct")),
        with(bad.clone(), "n", json!(weak)),
        with(bad.clone(), "n", json!(huge)),
        with(bad.clone(), "n", json!("")),
        with(bad.clone(), "n", json!("+/=")),
        with(bad.clone(), "e", json!("")),
        with(bad.clone(), "d", json!("AQAB")),
        without(bad.clone(), "kid"),
        with(bad.clone(), "kid", json!("")),
        with(bad.clone(), "kid", json!("k".repeat(257))),
        with(ec_jwk(), "crv", json!("P-521")),
        with(ec_jwk(), "x", json!(URL_SAFE_NO_PAD.encode([1; 32]))),
        json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "bad", "alg": "HS256" }),
        json!("not a key"),
        json!(null),
    ];
    for case in cases {
        let ring = ring(&[case.clone(), ours().jwk("good")]);
        assert_eq!((ring.len(), ring.skip_reasons().count()), (1, 1), "{case}");
        assert!(ring.key("good").is_some());
    }
    let padded = URL_SAFE_NO_PAD.decode(&ours().modulus).unwrap();
    let padded = URL_SAFE_NO_PAD.encode([&[0], padded.as_slice()].concat());
    assert_eq!(ring(&[with(bad, "n", json!(padded))]).len(), 1);
}

#[test]
fn a_name_that_is_there_twice_names_no_key() {
    let bad = with(ours().jwk("twice"), "kty", json!("oct"));
    for keys in [
        [ours().jwk("twice"), foreign().jwk("twice"), ours().jwk("once")],
        [ours().jwk("twice"), bad, ours().jwk("once")],
    ] {
        let ring = ring(&keys);
        assert!(ring.key("twice").is_none() && ring.key("once").is_some());
        assert_eq!(ring.skip_reasons().count(), 2);
    }
    let thrice = [ours().jwk("a"), ours().jwk("a"), ours().jwk("a")];
    assert!(ring(&thrice).is_empty());
}

#[test]
fn a_set_that_is_none_or_too_large_is_refused_whole() {
    let parse = |set: &str| KeyRing::parse(set.as_bytes(), &[Algorithm::Rs256], None);
    for set in ["", "<html>", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]} x"#] {
        assert_eq!(parse(set).unwrap_err(), InvalidKeySet::Unreadable, "{set}");
    }
    assert!(parse(r#"{"keys":[]}"#).unwrap().is_empty());
    let many = |count| json!({ "keys": vec![json!({}); count] }).to_string();
    assert!(parse(&many(MAX_KEYS)).is_ok());
    assert_eq!(parse(&many(MAX_KEYS + 1)).unwrap_err(), InvalidKeySet::TooManyKeys);
    let large = " ".repeat(MAX_JWKS_BYTES) + r#"{"keys":[]}"#;
    assert_eq!(parse(&large).unwrap_err(), InvalidKeySet::Unreadable);
}

#[tokio::test(start_paused = true)]
async fn a_remembered_token_is_forgotten_with_its_key_and_not_before() {
    let fixture = Fixture::with_settings(issuer()).await;
    let token = ours().sign(&system_user_claims());
    assert!(fixture.ask(&token).await.is_ok());
    // The same key again, in a new set: nothing has changed for what it verified.
    fixture.source.publish(&[foreign().jwk("other"), ours().jwk(KID)]);
    refreshed(&fixture, 2).await;
    assert!(fixture.ask(&token).await.unwrap().remembered);
    // Another key of the same name: the token was verified with a key that is no more.
    fixture.source.publish(&[foreign().jwk(KID)]);
    refreshed(&fixture, 3).await;
    assert_eq!(fixture.refused(&token).await, DenialCode::TokenUntrusted);
    fixture.source.publish(&[foreign().jwk("other")]);
    refreshed(&fixture, 4).await;
    assert_eq!(fixture.refused(&token).await, DenialCode::TokenUntrusted);
    // An issuer without keys is an outage, remembered tokens or not.
    fixture.source.publish(&[]);
    refreshed(&fixture, 5).await;
    assert_eq!(fixture.refused(&token).await, DenialCode::KeysUnavailable);
    assert!(!fixture.verifier.is_ready());
}

/// Lets the background fetch run; paused time jumps to its timer.
async fn refreshed(fixture: &Fixture, fetches: usize) {
    while fixture.source.fetches() < fetches {
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    // The fetch answers at once; a turn of the runtime lets it land.
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_fetched_again_count_until_they_are_stale() {
    let fixture = Fixture::with_settings(issuer()).await;
    fixture.source.fail();
    let token = |now: u64| {
        let claims = with(system_user_claims(), "iat", json!(now));
        ours().sign(&with(claims, "exp", json!(now + 100)))
    };
    let day = 24 * 60 * 60;
    fixture.clock.advance(Duration::from_secs(day));
    assert!(fixture.ask(&token(NOW + day)).await.is_ok());
    assert!(fixture.verifier.is_ready());
    fixture.clock.advance(Duration::from_secs(1));
    // Remembered or new, and although its window holds.
    for token in [token(NOW + day), token(NOW + day + 1)] {
        assert_eq!(fixture.refused(&token).await, DenialCode::KeysUnavailable);
    }
    let state = fixture.verifier.key_states().remove(0);
    assert_eq!((state.keys, state.age), (0, Some(Duration::from_secs(day + 1))));
    assert!(state.last_fault.is_some());
    assert!(!fixture.verifier.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_rotated_key_is_fetched_by_the_first_token_that_names_it() {
    let fixture = Fixture::with_settings(issuer()).await;
    fixture.clock.advance(Duration::from_mins(1));
    fixture.source.publish(&[foreign().jwk("key-2")]);
    let header = json!({ "alg": "RS256", "kid": "key-2" }).to_string();
    let token = foreign().sign_raw(header.as_bytes(), system_user_claims().to_string().as_bytes());
    assert!(fixture.ask(&token).await.is_ok());
    assert_eq!(fixture.source.fetches(), 2);
}

fn unknown(index: usize) -> String {
    let header = json!({ "alg": "RS256", "kid": format!("unknown-{index}") }).to_string();
    ours().sign_raw(header.as_bytes(), system_user_claims().to_string().as_bytes())
}

#[tokio::test(start_paused = true)]
async fn unknown_keys_cause_at_most_one_fetch_in_each_interval() {
    let fixture = Fixture::with_settings(issuer()).await;
    for index in 0..20 {
        assert_eq!(fixture.refused(&unknown(index)).await, DenialCode::TokenUntrusted);
    }
    assert_eq!(fixture.source.fetches(), 1, "the set of the start is recent enough");
    fixture.clock.advance(Duration::from_secs(31));
    for index in 0..20 {
        assert_eq!(fixture.refused(&unknown(index)).await, DenialCode::TokenUntrusted);
    }
    assert_eq!(fixture.source.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_the_callers_fault_only_if_we_know_the_keys() {
    let fixture = Fixture::with_settings(issuer()).await;
    fixture.source.fail();
    fixture.clock.advance(Duration::from_secs(31));
    for index in 0..5 {
        let denial = fixture.ask(&unknown(index)).await.unwrap_err();
        assert_eq!(denial.code, DenialCode::KeysUnavailable);
        assert!(denial.extras.retry_after.is_some());
    }
    assert_eq!(fixture.source.fetches(), 2, "a failed fetch is not repeated at once");
    assert!(fixture.ask(&ours().sign(&system_user_claims())).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_fetch_serves_all_who_wait_and_delays_nobody_else() {
    let fixture = Arc::new(Fixture::with_settings(issuer()).await);
    fixture.clock.advance(Duration::from_secs(31));
    fixture.source.gate.forget_permits(Semaphore::MAX_PERMITS);
    let tasks = Tasks::new();
    let waiting: Vec<_> = (0..10)
        .map(|index| {
            let fixture = Arc::clone(&fixture);
            tasks.spawn(async move { fixture.refused(&unknown(index)).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fixture.source.fetches(), 2);
    // The first caller leaves; the others' fetch goes on.
    waiting[0].abort();
    assert!(fixture.ask(&ours().sign(&system_user_claims())).await.is_ok());
    assert!(waiting[1..].iter().all(|task| !task.is_finished()));
    fixture.source.gate.add_permits(1);
    for task in waiting.into_iter().skip(1) {
        assert_eq!(task.await.unwrap(), DenialCode::TokenUntrusted);
    }
    assert_eq!(fixture.source.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_keys_from_the_start_every_token_meets_an_outage_until_they_come() {
    let fixture = Fixture::unstarted(TokenSettings::new(vec![issuer()]));
    fixture.source.fail();
    fixture.verifier.start().await;
    let token = ours().sign(&system_user_claims());
    assert_eq!(fixture.refused(&token).await, DenialCode::KeysUnavailable);
    assert!(!fixture.verifier.is_ready());
    fixture.source.publish(&[ours().jwk(KID)]);
    refreshed(&fixture, 2).await;
    assert!(fixture.verifier.is_ready());
    assert!(fixture.ask(&token).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_background_ends_with_the_verifier_and_with_the_process() {
    let sources = || vec![ToldSource::new(&[ours().jwk(KID)]) as Arc<dyn KeySource>];
    let clock = Arc::new(ManualClock::at(UnixSeconds(NOW)));
    let tasks = Tasks::new();
    let settings = TokenSettings::new(vec![issuer()]);
    let first = TokenVerifier::with_sources(
        settings.clone(),
        sources(),
        &tasks,
        Arc::clone(&clock) as Arc<dyn crate::domain::Clock>,
    );
    first.start().await;
    let second = TokenVerifier::with_sources(settings, sources(), &tasks, clock);
    second.start().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(tasks.running(), 2);
    drop(first);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(tasks.running(), 1);
    assert!(tasks.stop(Duration::from_secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_count_causes_no_fetch() {
    let fixture = Fixture::with_settings(issuer()).await;
    fixture.clock.advance(Duration::from_secs(31));
    let expired = with(system_user_claims(), "exp", json!(NOW)).to_string();
    let good = system_user_claims().to_string();
    for (algorithm, claims) in [("ES256", &good), ("HS256", &good), ("RS256", &expired)] {
        let header = json!({ "alg": algorithm, "kid": "unknown" }).to_string();
        let token = ours().sign_raw(header.as_bytes(), claims.as_bytes());
        assert_eq!(fixture.refused(&token).await.status(), 401, "{algorithm}");
    }
    assert_eq!(fixture.source.fetches(), 1);
}
