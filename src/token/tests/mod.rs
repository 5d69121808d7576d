//! The room through its public face: `attacks` on tokens, `subjects` they may prove, `keys` and what
//! becomes of tokens when keys change.

mod attacks;
mod keys;
mod subjects;

use super::*;
use crate::domain::{Clock as _, ManualClock, UnixSeconds};
use crate::tasks::Tasks;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use tokio::sync::Semaphore;

const NOW: u64 = 1_718_175_020;
const ISSUER: &str = "https://issuer.test/";
const KID: &str = "key-1";

/// A key made at run time; one of each name per process, because making one is slow.
struct Signer {
    key: EncodingKey,
    modulus: String,
    exponent: String,
}

fn ours() -> &'static Signer {
    static KEY: OnceLock<Signer> = OnceLock::new();
    KEY.get_or_init(Signer::generate)
}

fn foreign() -> &'static Signer {
    static KEY: OnceLock<Signer> = OnceLock::new();
    KEY.get_or_init(Signer::generate)
}

impl Signer {
    fn generate() -> Self {
        use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
        use aws_lc_rs::rsa::{KeyPair, KeySize};
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let base64 = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n");
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
        let public =
            jsonwebtoken::jwk::Jwk::from_encoding_key(&key, jsonwebtoken::Algorithm::RS256)
                .unwrap();
        let public = serde_json::to_value(public).unwrap();
        let part = |name: &str| public[name].as_str().unwrap().to_owned();
        Self { key, modulus: part("n"), exponent: part("e") }
    }

    fn jwk(&self, kid: &str) -> Value {
        json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
                "n": self.modulus, "e": self.exponent })
    }

    /// Signs whatever it is given; nothing of it need be JSON.
    fn sign_raw(&self, header: &[u8], payload: &[u8]) -> String {
        let input =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        self.sign_input(&input)
    }

    fn sign_input(&self, input: &str) -> String {
        let signature =
            jsonwebtoken::crypto::sign(input.as_bytes(), &self.key, jsonwebtoken::Algorithm::RS256)
                .unwrap();
        format!("{input}.{signature}")
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_raw(header().to_string().as_bytes(), claims.to_string().as_bytes())
    }
}

fn header() -> Value {
    json!({ "alg": "RS256", "kid": KID, "typ": "JWT" })
}

/// The published example of a system user's token, with the time and issuer of the tests.
fn system_user_claims() -> Value {
    json!({
        "authorization_details": [{
            "type": "urn:altinn:systemuser",
            "systemuser_org": { "authority": "iso6523-actorid-upis", "id": "0192:314242726" },
            "systemuser_id": ["ebe4a681-0a8c-429e-a36f-8f9ca942b59f"],
            "system_id": "314330897_maestro"
        }],
        "scope": "krr:global/kontaktinformasjon.read x:read",
        "iss": ISSUER,
        "client_amr": "private_key_jwt",
        "token_type": "Bearer",
        "iat": NOW - 5,
        "exp": NOW + 115,
        "client_id": "fc9a8287-e7cb-45e5-b90e-123048d32d85",
        "jti": "-SpfU--1Zn_Oqvkpjwu3oVn",
        "consumer": { "authority": "iso6523-actorid-upis", "ID": "0192:314330897" }
    })
}

/// `claims` with one member set.
fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// A source of keys that does as it is told and counts how often it was asked.
#[derive(Debug)]
struct ToldSource {
    answer: Mutex<Result<Fetched, KeyFault>>,
    fetches: AtomicUsize,
    /// One permit is used up by each fetch.
    gate: Semaphore,
    panics: AtomicBool,
}

impl ToldSource {
    fn new(keys: &[Value]) -> Arc<Self> {
        let source = Self {
            answer: Mutex::new(Err(KeyFault::Metadata)),
            fetches: AtomicUsize::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            panics: AtomicBool::new(false),
        };
        source.publish(keys);
        Arc::new(source)
    }

    fn publish(&self, keys: &[Value]) {
        let set = json!({ "keys": keys }).to_string();
        *self.answer.lock().unwrap() = Ok(Bytes::from(set).into());
    }

    fn fail(&self) {
        *self.answer.lock().unwrap() = Err(KeyFault::Metadata);
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

impl KeySource for ToldSource {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async {
            self.fetches.fetch_add(1, Ordering::SeqCst);
            self.gate.acquire().await.unwrap().forget();
            assert!(!self.panics.load(Ordering::SeqCst), "told to panic");
            self.answer.lock().unwrap().clone()
        })
    }
}

/// A verifier with one issuer, its clock and its keys.
struct Fixture {
    verifier: Arc<TokenVerifier>,
    clock: Arc<ManualClock>,
    source: Arc<ToldSource>,
}

impl Fixture {
    async fn started(kind: IssuerKind) -> Self {
        Self::with_settings(IssuerSettings::new(kind, ISSUER, at_hand())).await
    }

    async fn with_settings(issuer: IssuerSettings) -> Self {
        let fixture = Self::unstarted(TokenSettings::new(vec![issuer]));
        fixture.verifier.start().await;
        fixture
    }

    fn unstarted(settings: TokenSettings) -> Self {
        let clock = Arc::new(ManualClock::at(UnixSeconds(NOW)));
        let source = ToldSource::new(&[ours().jwk(KID)]);
        let sources = vec![Arc::clone(&source) as Arc<dyn KeySource>];
        let verifier = TokenVerifier::with_sources(
            settings,
            sources,
            &Tasks::new(),
            Arc::clone(&clock) as Arc<dyn crate::domain::Clock>,
        );
        Self { verifier: Arc::new(verifier), clock, source }
    }

    async fn ask(&self, token: &str) -> Result<Authenticated, Denial> {
        let answered = self.verifier.authenticate(&bearer(token)).await;
        self.inspects_alike(token, &answered);
        answered
    }

    /// Whatever is sent: who only looks at it finds what the verifier finds, but for keys and signature.
    fn inspects_alike(&self, token: &str, answered: &Result<Authenticated, Denial>) {
        let inspection = self.verifier.settings().inspect(token, self.clock.wall());
        let first = inspection.checks.iter().find_map(|(_, outcome)| outcome.as_ref().err());
        match (answered, first) {
            (Ok(authenticated), first) => {
                assert!(first.is_none(), "{first:?}");
                let subject = inspection.if_verified(|caller| caller.subject.clone());
                assert_eq!(subject.as_ref(), Some(&authenticated.caller.subject));
            }
            (Err(denial), Some(first)) if denial.code == first.code => {}
            (Err(denial), _) => {
                let by_key = [DenialCode::TokenUntrusted, DenialCode::KeysUnavailable];
                assert!(by_key.contains(&denial.code), "{denial:?} {first:?}");
            }
        }
    }

    async fn refused(&self, token: &str) -> DenialCode {
        match self.ask(token).await {
            Ok(authenticated) => panic!("let in {:?}", authenticated.caller),
            Err(denial) => denial.code,
        }
    }

    async fn refused_claims(&self, claims: &Value) -> DenialCode {
        self.refused(&ours().sign(claims)).await
    }
}

/// Where keys are said to be; the tests bring their own source.
fn at_hand() -> KeyLocation {
    KeyLocation::Static(Bytes::new())
}

fn bearer(token: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    HeaderMap::from_iter([(AUTHORIZATION, value)])
}
