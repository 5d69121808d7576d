//! Cases 61–75: tokens. What a token proves is tested in its own room, to the last bit; here is what the
//! caller is told over a socket, that the API never hears of it, and what stands in the record.

use super::{Case, Ground, Want, case};
use crate::support::{
    Client, ISSUER, KID, OWNER, PERMITTED, READ, SYSTEM_USER, Server, Setup, Sidecar, VENDOR, ask,
    claims, eventually, exchange, jwks, key, ok, permits, sign, sign_raw, soon, with,
};
use crate::support::{peers, token};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portvakt::dev::SigningKey;
use serde_json::{Value, json};
use std::sync::Arc;

const UNTRUSTED: Want = Want::Refused(401, "token-untrusted");
const BAD: Want = Want::Refused(401, "token-malformed");
const NOBODY: Want = Want::Refused(403, "not-a-system-user");
const SEVERAL: Want = Want::Refused(403, "several-system-users");
const SCOPE: Want = Want::Refused(403, "scope-missing");

/// A token that is to be refused where the good one is let in.
fn row(number: u8, name: &str, token: impl AsRef<str>, want: Want) -> Case {
    case(number, name, ask("GET", READ).token(token.as_ref()).bytes(), want)
}

fn header(member: &str, value: impl Into<Value>) -> String {
    let mut header = json!({ "alg": "RS256", "typ": "JWT", "kid": KID });
    header[member] = value.into();
    header.to_string()
}

/// Signed rightly, with another header.
fn headed(member: &str, value: impl Into<Value>) -> String {
    sign_raw(key(), &header(member, value), &claims().to_string())
}

fn claimed(pointer: &str, value: impl Into<Value>) -> String {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let mut claims = claims();
    claims.pointer_mut(parent).unwrap()[name] = value.into();
    sign(&claims)
}

fn without(name: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name).unwrap();
    sign(&claims)
}

/// The forms in which a library may hold the issuer's public key, for use as a shared secret.
fn public_forms() -> Vec<(&'static str, Vec<u8>)> {
    let pem = key().private_pem();
    let private: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(&STANDARD.decode(private).unwrap()).unwrap();
    let public = pair.public_key();
    let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> = public.as_der().unwrap();
    let pem = |label: &str, der: &[u8]| {
        let text = STANDARD.encode(der);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    };
    let spki = pem("PUBLIC KEY", der.as_ref());
    vec![
        ("PEM without its last line feed", spki.trim_end().as_bytes().to_vec()),
        ("PEM", spki.into_bytes()),
        ("DER", der.as_ref().to_vec()),
        ("PKCS#1 PEM", pem("RSA PUBLIC KEY", public.as_ref()).into_bytes()),
        ("PKCS#1 DER", public.as_ref().to_vec()),
        ("key set", jwks()),
        ("nothing", Vec::new()),
    ]
}

/// Signed with a shared secret.
fn hmac(algorithm: &str, secret: &[u8]) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let input = format!("{}.{}", encode(&header("alg", algorithm)), encode(&claims().to_string()));
    let secret = jsonwebtoken::EncodingKey::from_secret(secret);
    let algorithm = jsonwebtoken::Algorithm::HS256;
    let signed = jsonwebtoken::crypto::sign(input.as_bytes(), &secret, algorithm).unwrap();
    format!("{input}.{signed}")
}

/// Cases 61, 62: signatures by nobody, by a shared secret, or by another algorithm.
#[tokio::test]
async fn no_key_or_algorithm_but_the_issuers_counts() {
    let mut rows = Vec::new();
    for algorithm in ["none", "None", "NONE", "nOnE"] {
        let token = headed("alg", algorithm);
        let (input, _) = token.rsplit_once('.').unwrap();
        rows.push(row(61, algorithm, token.clone(), UNTRUSTED));
        rows.push(row(61, "without a signature", format!("{input}."), BAD));
    }
    for (form, secret) in public_forms() {
        for algorithm in ["HS256", "RS256"] {
            rows.push(row(
                61,
                &format!("{algorithm} with {form}"),
                hmac(algorithm, &secret),
                UNTRUSTED,
            ));
        }
    }
    for algorithm in ["RS384", "RS512", "PS256", "ES256", "EdDSA", "RS1", "rs256", "HS256", ""] {
        rows.push(row(62, algorithm, headed("alg", algorithm), UNTRUSTED));
    }
    Ground::plain().await.play(rows).await;
}

/// Cases 63, 64: what a token says of its key.
#[tokio::test]
async fn keys_that_a_token_brings_or_names_are_not_fetched_and_not_used() {
    let trap = Server::start(ok());
    let impostor = SigningKey::generate(KID).unwrap();
    let set: Value = serde_json::from_slice(&impostor.public_jwks()).unwrap();
    let mut rows = Vec::new();
    for (name, value) in [
        ("jku", json!(format!("{}/jwk", trap.url()))),
        ("x5u", json!(format!("{}/certificate", trap.url()))),
        ("jwk", set["keys"][0].clone()),
        ("x5c", json!(["MIIB"])),
    ] {
        let forged = sign_raw(&impostor, &header(name, value), &claims().to_string());
        rows.push(row(63, name, forged, UNTRUSTED));
    }
    for (name, kid) in [
        ("a path", "../../../../dev/null"),
        ("an address", "http://evil.example/key"),
        ("a query", "x' UNION SELECT 'key' --"),
        ("unknown", "unknown"),
        ("in another case", "IT-1"),
        ("NUL", "it-1\0"),
    ] {
        rows.push(row(64, name, headed("kid", kid), UNTRUSTED));
    }
    rows.push(row(64, "long", headed("kid", "k".repeat(10_000)), BAD));
    rows.push(row(64, "none", headed("kid", Value::Null), BAD));
    rows.push(row(64, "several", headed("kid", json!([KID])), BAD));
    Ground::plain().await.play(rows).await;
    assert_eq!(trap.accepted(), 0, "a key was fetched from where the token says");
}

/// Cases 65, 74: forms that are not the one of RFC 7515, and members that are there twice.
#[tokio::test]
async fn another_spelling_of_a_token_is_none() {
    let good = token();
    let parts: Vec<&str> = good.split('.').collect();
    let (head, payload, signature) = (parts[0], parts[1], parts[2]);
    let rows = [
        ("two parts", format!("{head}.{payload}")),
        ("five parts", format!("{head}.{payload}.{payload}.{payload}.{signature}")),
        ("an empty signature", format!("{head}.{payload}.")),
        ("no header", format!(".{payload}.{signature}")),
        ("padding", format!("{good}=")),
        ("padding within", format!("{head}=.{payload}.{signature}")),
        ("the other alphabet", format!("{head}.{payload}.+/{signature}")),
        ("a space within", format!("{head} .{payload}.{signature}")),
        ("a tab behind", format!("{good}\tx")),
        ("another one behind", format!("{good},{good}")),
    ];
    let mut rows: Vec<Case> =
        rows.into_iter().map(|(name, token)| row(65, name, token, BAD)).collect();
    rows.extend([
        row(65, "crit", headed("crit", json!(["x"])), BAD),
        row(65, "an empty crit", headed("crit", json!([])), BAD),
        row(65, "b64", headed("b64", false), BAD),
        row(65, "zip", headed("zip", "DEF"), BAD),
        row(
            65,
            "enc",
            sign_raw(key(), "{\"alg\":\"RSA-OAEP\",\"enc\":\"A128GCM\",\"kid\":\"it-1\"}", "{}"),
            BAD,
        ),
    ]);
    let payload = claims().to_string();
    for (name, head, payload) in [
        ("alg", r#"{"alg":"none","alg":"RS256","kid":"it-1"}"#, payload.clone()),
        ("alg, escaped", r#"{"\u0061lg":"none","alg":"RS256","kid":"it-1"}"#, payload.clone()),
        ("kid", r#"{"alg":"RS256","kid":"it-0","kid":"it-1"}"#, payload.clone()),
        (
            "iss",
            r#"{"alg":"RS256","kid":"it-1"}"#,
            again(&payload, r#""iss":"https://evil.example/""#),
        ),
        ("exp", r#"{"alg":"RS256","kid":"it-1"}"#, again(&payload, r#""exp":9999999999"#)),
        ("scope", r#"{"alg":"RS256","kid":"it-1"}"#, again(&payload, r#""scope":"it:read x""#)),
        ("iss, escaped", r#"{"alg":"RS256","kid":"it-1"}"#, again(&payload, r#""\u0069ss":"x""#)),
    ] {
        rows.push(row(74, name, sign_raw(key(), head, &payload), BAD));
    }
    Ground::plain().await.play(rows).await;
}

/// The claims with one more member at the front: what some readers take and others overwrite.
fn again(claims: &str, member: &str) -> String {
    claims.replacen('{', &format!("{{{member},"), 1)
}

/// Cases 66, 67, 69: claims that are nearly right.
#[tokio::test]
async fn times_issuers_and_scopes_are_read_strictly() {
    let now = claims()["iat"].as_u64().unwrap();
    let mut rows = vec![
        row(66, "no exp", without("exp"), BAD),
        row(66, "exp as text", claimed("/exp", "9999999999"), BAD),
        row(66, "a fraction", claimed("/exp", 1e9 + 0.5), BAD),
        row(
            66,
            "a float",
            sign_raw(
                key(),
                &header("typ", "JWT"),
                &claims().to_string().replace("\"exp\":", "\"exp\":1.0e9,\"x\":"),
            ),
            BAD,
        ),
        row(66, "negative", claimed("/exp", -1), BAD),
        row(66, "huge", claimed("/exp", 1e308), BAD),
        row(66, "two hours of life", claimed("/exp", now + 7200), UNTRUSTED),
        row(
            66,
            "over",
            sign(&with(with(claims(), "/iat", now - 300), "/exp", now - 200)),
            Want::Refused(401, "token-expired"),
        ),
        row(
            66,
            "nbf to come",
            claimed("/nbf", now + 60),
            Want::Refused(401, "token-not-yet-valid"),
        ),
        row(
            66,
            "iat to come",
            sign(&with(with(claims(), "/iat", now + 60), "/exp", now + 120)),
            Want::Refused(401, "token-not-yet-valid"),
        ),
    ];
    for issuer in [
        "https://issuer.it.example",
        "https://ISSUER.it.example/",
        "https://issuer.it.example.evil/",
        "https://issuer.it.example//",
        "http://issuer.it.example/",
        "https://test.maskinporten.no/",
        " https://issuer.it.example/",
        "",
    ] {
        assert_ne!(issuer, ISSUER);
        rows.push(row(67, issuer, claimed("/iss", issuer), UNTRUSTED));
    }
    for scope in ["it:readall", "it", "it:rea", "IT:READ", "x:it:read", "it:read:more", ""] {
        rows.push(row(69, scope, claimed("/scope", scope), SCOPE));
    }
    rows.push(row(69, "none", without("scope"), SCOPE));
    rows.push(row(69, "a list", claimed("/scope", json!(["it:read"])), BAD));
    rows.push(row(69, "commas", claimed("/scope", "it:read,it:write"), SCOPE));
    rows.push(row(69, "a line feed", claimed("/scope", "x\nit:read"), BAD));
    Ground::plain().await.play(rows).await;
}

/// Cases 70, 71, 73: whom a token of Maskinporten proves.
#[tokio::test]
async fn one_well_formed_system_user_is_proven_or_none() {
    let entry = claims()["authorization_details"][0].clone();
    let other = "a0000002-0000-4000-8000-000000000002";
    let details = |value: Value| claimed("/authorization_details", value);
    let member = |name: &str, value: Value| {
        let mut entry = entry.clone();
        entry[name] = value;
        details(json!([entry]))
    };
    let owner = |authority: &str, id: &str| {
        member("systemuser_org", json!({ "authority": authority, "ID": id }))
    };
    let iso = "iso6523-actorid-upis";
    let second = member("systemuser_id", json!([SYSTEM_USER, other]));
    let mut two = entry.clone();
    two["systemuser_id"] = json!([other]);
    let bare = format!("0192:{OWNER}");
    let rows = vec![
        row(70, "none", without("authorization_details"), NOBODY),
        row(70, "an empty list", details(json!([])), NOBODY),
        row(70, "another type", member("type", json!("urn:altinn:consent")), NOBODY),
        row(70, "the type in another case", member("type", json!("URN:ALTINN:SYSTEMUSER")), NOBODY),
        row(70, "two entries", details(json!([entry.clone(), two])), SEVERAL),
        row(70, "no id", member("systemuser_id", json!([])), NOBODY),
        row(70, "two ids", second, SEVERAL),
        row(70, "two ids that are none", member("systemuser_id", json!(["a", "b"])), SEVERAL),
        row(70, "not a UUID", member("systemuser_id", json!(["a"])), NOBODY),
        row(70, "not in a list", member("systemuser_id", json!(SYSTEM_USER)), NOBODY),
        row(71, "another authority", owner("iso6523", &bare), NOBODY),
        row(71, "no prefix", owner(iso, OWNER), NOBODY),
        row(71, "another prefix", owner(iso, &format!("9908:{OWNER}")), NOBODY),
        row(71, "no number", owner(iso, "0192:bad"), NOBODY),
        row(71, "a wrong check digit", owner(iso, "0192:314242727"), NOBODY),
        row(71, "as text", member("systemuser_org", json!(bare)), NOBODY),
        row(73, "an organization's", without("authorization_details"), NOBODY),
    ];
    Ground::plain().await.play(rows).await;
}

/// Cases 64, 69, 70: the nearest forms that are right, to show that the rows above fail for what they say.
#[tokio::test]
async fn tokens_beside_the_wrong_ones_are_let_in() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let now = claims()["iat"].as_u64().unwrap();
    for (name, token) in [
        ("a second scope", claimed("/scope", "x it:read it:write")),
        ("an unknown member", claimed("/unknown", json!({ "a": 1 }))),
        ("nbf that is past", claimed("/nbf", now)),
        ("a list of audiences", claimed("/aud", json!(["x"]))),
        (
            "the same id twice",
            claimed("/authorization_details/0/systemuser_id", json!([SYSTEM_USER, SYSTEM_USER])),
        ),
        ("an unknown header member", headed("x", "y")),
        ("a jku that nobody follows", headed("jku", "http://evil.example/")),
    ] {
        let reply = exchange(sidecar.traffic, ask("GET", READ).token(&token).bytes()).await;
        assert_eq!(reply.verdict(), "200", "{name}");
        let head = upstream.last().head;
        assert_eq!(head.get("portvakt-system-user"), Some(SYSTEM_USER), "{name}");
        assert_eq!(head.get("authorization"), Some(format!("Bearer {token}").as_str()), "{name}");
    }
}

/// Case 72: the customer is the party, and never the vendor, where the rule says that the token names it.
#[tokio::test]
async fn a_party_from_the_token_is_the_owner_and_never_the_consumer() {
    const RULES: &str = "api: own
rules:
  - { id: own, match: { method: GET, path: /own }, resource: r-read, action: read, \
      party: \"token:systemuser_org\", object: upstream, scopes: [\"it:read\"] }
";
    let upstream = Server::start(ok());
    let open = async |permitted: &str| {
        let pattern = crate::support::pattern(permitted);
        let point = portvakt::pdp::Scripted::new(vec![(pattern, Ok(crate::support::permit()))]);
        Sidecar::before(&upstream).rules(RULES).point(Arc::new(point)).open().await
    };
    let asked = ask("GET", "/own").bearer().bytes();
    let sidecar = open(VENDOR).await;
    assert_eq!(exchange(sidecar.traffic, &asked).await.verdict(), "403 access-denied");
    assert_eq!(upstream.accepted(), 0);
    let sidecar = open(OWNER).await;
    assert_eq!(exchange(sidecar.traffic, &asked).await.verdict(), "200");
    let party = format!("urn:altinn:organization:identifier-no:{OWNER}");
    assert_eq!(upstream.last().head.get("portvakt-party"), Some(party.as_str()));
}

/// Case 73: good tokens of the other kinds of issuer, which prove somebody else than a system user.
#[tokio::test]
async fn a_person_or_an_organization_is_no_system_user() {
    let person = "15877012345";
    let keys = std::env::temp_dir().join(format!("portvakt-it-keys-{}", uuid::Uuid::new_v4()));
    std::fs::write(&keys, jwks()).unwrap();
    let issuers = ["idporten", "altinn"].map(|kind| {
        json!({ "kind": kind, "issuer": format!("https://{kind}.it.example/"), "jwks_file": keys })
    });
    let upstream = Server::start(ok());
    let settings = json!({ "tokens": { "issuers": issuers } }).to_string();
    let sidecar = Setup::among(&upstream, &settings).point(permits()).open().await;
    let issued = |kind: &str| {
        let mut claims = with(claims(), "/iss", format!("https://{kind}.it.example/"));
        claims.as_object_mut().unwrap().remove("authorization_details");
        claims
    };
    let with_person = |mut claims: Value| {
        claims["pid"] = person.into();
        claims["acr"] = "idporten-loa-high".into();
        claims["client_id"] = "end-user-system".into();
        claims
    };
    let mut exchanged = issued("altinn");
    exchanged["urn:altinn:authlevel"] = "4".into();
    for (name, claims) in [
        ("a person of ID-porten", with_person(issued("idporten"))),
        ("an exchanged token of an organization", exchanged.clone()),
        ("an exchanged token of a person", {
            exchanged.as_object_mut().unwrap().remove("consumer");
            with_person(exchanged)
        }),
    ] {
        let asked = ask("GET", READ).token(&sign(&claims)).bytes();
        let reply = exchange(sidecar.traffic, asked).await;
        assert_eq!(reply.verdict(), "403 not-a-system-user", "{name}: {}", sidecar.records.text());
        assert!(!reply.text().contains(person), "{name}");
    }
    std::fs::remove_file(&keys).unwrap();
    assert_eq!(upstream.accepted(), 0);
}

/// Case 64: names of keys cost the issuer one fetch in each interval, and known keys nothing.
#[tokio::test]
async fn hundreds_of_unknown_keys_cost_one_fetch_and_delay_no_known_one() {
    const STRANGERS: usize = 500;
    let upstream = Server::start(ok());
    let world = peers::World::start();
    let pace = peers::Pace { refresh: "1h", refresh_min_interval: "1h", ..peers::Pace::default() };
    let sidecar = world.sidecar(&upstream, &pace).open().await;
    let fetched = world.keys.jwks.asked();
    let payload = URL_SAFE_NO_PAD.encode(world.keys.claims().to_string());
    let good = ask("GET", READ).token(&world.keys.token());
    let mut strangers = Client::connect(sidecar.traffic).await;
    let mut known = Client::connect(sidecar.traffic).await;
    for number in 0..STRANGERS {
        let head = URL_SAFE_NO_PAD.encode(header("kid", format!("unknown-{number}")));
        let asked = ask("GET", READ).token(&format!("{head}.{payload}.AAAA"));
        assert_eq!(strangers.ask(&asked).await.verdict(), "401 token-untrusted", "{number}");
        if number % 100 == 0 {
            assert_eq!(known.ask(&good).await.verdict(), "200", "{number}");
        }
    }
    assert!(world.keys.jwks.asked() <= fetched + 1, "{} fetches", world.keys.jwks.asked());
    assert_eq!(upstream.count(), STRANGERS / 100);
}

/// Case 75: what is too large is refused before anything is computed, and bad signatures keep nobody from
/// being served.
#[tokio::test]
async fn large_tokens_and_bad_signatures_keep_nobody_waiting() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let large = "a".repeat(17 * 1024);
    let reply = exchange(sidecar.traffic, ask("GET", READ).token(&large).bytes()).await;
    assert_eq!(reply.verdict(), "401 token-malformed");
    let larger = "a".repeat(64 * 1024);
    let reply = exchange(sidecar.traffic, ask("GET", READ).token(&larger).bytes()).await;
    assert_eq!(reply.verdict(), "431 headers-too-large");
    assert_eq!(upstream.accepted(), 0);
    let impostor = SigningKey::generate(KID).unwrap();
    let attack = async |from: usize| {
        let mut client = Client::connect(sidecar.traffic).await;
        for number in 0..50 {
            // Each another token, so that none is remembered as bad either.
            let claims = with(claims(), "/jti", format!("{from}-{number}"));
            let asked = ask("GET", READ).token(&impostor.sign(&claims).unwrap());
            assert_eq!(client.ask(&asked).await.verdict(), "401 token-untrusted");
        }
    };
    let serve = async {
        let mut client = Client::connect(sidecar.traffic).await;
        for _ in 0..100 {
            assert_eq!(client.ask(&ask("GET", READ).bearer()).await.status, 200);
        }
    };
    let attacks = futures_util::future::join_all((0..4).map(attack));
    soon("the end of both", async { tokio::join!(attacks, serve) }).await;
    eventually("the good ones", || upstream.count() == 100).await;
    assert!(upstream.seen().iter().all(|seen| seen.head.start == format!("GET {READ} HTTP/1.1")));
    assert!(READ.contains(PERMITTED));
}
