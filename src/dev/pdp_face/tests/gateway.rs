//! Keys and tokens before the service: what the gateway and the exchange refuse.

use super::*;

#[tokio::test]
async fn a_wrong_key_or_token_is_refused_by_the_gateway_and_then_by_the_service() {
    let platform = Platform::new();
    let good = platform.good().await;
    let scopeless = platform.issuer.sign(&Platform::claims("altinn:authorization")).unwrap();
    let foreign = scopeless.clone();
    let scopeless = platform.exchange(&scopeless).await.unwrap();
    let face = face()
        .with_subscription_key(SecretString::from("key"))
        .with_exchange(Arc::clone(&platform.exchange));
    let cases = [
        (None, Some(&good), 401, "missing subscription key"),
        (Some("other"), Some(&good), 401, "invalid subscription key"),
        (Some("key"), None, 401, ""),
        (Some("key"), Some(&foreign), 401, ""),
        (Some("key"), Some(&scopeless), 403, ""),
        (Some("key"), Some(&good), 200, "Indeterminate"),
    ];
    for path in [AUTHORIZE_PATH, DECISION_PATH] {
        for (key, token, status, said) in cases {
            let mut request = Request::post(path).header(CONTENT_TYPE, "application/json");
            if let Some(key) = key {
                request = request.header("Ocp-Apim-Subscription-Key", key);
            }
            if let Some(token) = token {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            let request = request.body(Full::new(Bytes::from_static(b"{}"))).unwrap();
            let (head, body) = face.respond(request).await.unwrap().into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert_eq!(head.status, status, "{key:?} {said}");
            assert!(body.contains(said) && body.is_empty() == said.is_empty(), "{said}: {body}");
            assert_eq!(head.headers.contains_key(DECISION_ID), status == 200, "{key:?} {said}");
        }
    }
    assert_eq!(kept(&face, "").await["decisions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_token_is_exchanged_for_altinns_form_of_it_if_the_issuer_is_the_one_believed() {
    let platform = Platform::new();
    let claims = Platform::claims(SCOPE);
    let exchanged = platform.good().await;
    let payload = exchanged.split('.').nth(1).unwrap();
    let payload =
        base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, payload).unwrap();
    let altinns: Value = serde_json::from_slice(&payload).unwrap();
    for (name, expected) in [
        ("iss", json!("http://platform.test/authentication/api/v1/openid/")),
        ("scope", json!(SCOPE)),
        ("consumer", claims["consumer"].clone()),
        ("urn:altinn:orgNumber", json!("314330897")),
        ("urn:altinn:authenticatemethod", json!("maskinporten")),
        ("urn:altinn:authlevel", json!(3)),
        ("client_amr", Value::Null),
        ("iat", json!(NOW.0)),
        ("exp", json!(NOW.0 + 30 * 60)),
    ] {
        assert_eq!(altinns[name], expected, "{name}");
    }

    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let impostor = SigningKey::generate("k").unwrap();
    let stranger = SigningKey::generate("other").unwrap();
    let sign = |key: &SigningKey, claims: &Value| key.sign(claims).unwrap();
    let ours = |claims: &Value| sign(&platform.issuer, claims);
    let rows = [
        ("another key of that name", sign(&impostor, &claims)),
        ("a key of no known name", sign(&stranger, &claims)),
        ("another issuer", ours(&with("iss", json!("https://issuer.test")))),
        ("past its end and the leeway", ours(&with("exp", json!(NOW.0 - 10)))),
        ("without an end", ours(&with("exp", Value::Null))),
        ("bound to its sender", ours(&with("cnf", json!({ "jkt": "x" })))),
        ("exchanged already", exchanged.clone()),
        ("unsigned", crate::dev::tour::unsigned_token(&claims, "k")),
        ("no token", "x".to_owned()),
    ];
    for (what, token) in rows {
        assert_eq!(platform.exchange(&token).await, Err(NotExchanged::Untrusted), "{what}");
    }
    assert!(platform.exchange(&ours(&with("exp", json!(NOW.0 - 9)))).await.is_ok(), "the leeway");

    let admits = async || platform.exchange.admits(&bearing(&exchanged)).await;
    assert_eq!(admits().await, Admission::Admitted);
    platform.clock.advance(Duration::from_secs(30 * 60 - 1));
    assert_eq!(admits().await, Admission::Admitted);
    platform.clock.advance(Duration::from_secs(1));
    assert_eq!(admits().await, Admission::Unauthorized, "the platform allows itself no leeway");
}
