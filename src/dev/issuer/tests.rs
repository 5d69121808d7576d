use super::super::issuer_directory::{DirectorySystemUser, IssuerClient, SystemUserKind};
use super::*;
use crate::domain::{
    CheckDigits, ManualClock, OrganizationNumber, Scope, Subject, SystemId, SystemUserId,
    UnixSeconds,
};
use crate::outbound::{Call, Outbound, OutboundSettings, Reply};
use crate::token::{
    BearerToken, IssuerKind, IssuerSettings, KeyLocation, TokenSettings, TokenVerifier,
};
use http::HeaderMap;
use std::sync::OnceLock;

const NOW: u64 = 1_718_175_020;
const CLIENT: &str = "fc9a8287-e7cb-45e5-b90e-123048d32d85";
const OTHER_CLIENT: &str = "0b6f9dfe-8b7a-4c0e-9a3e-7d6c6d9f8b11";
const REGN: &str = "ebe4a681-0a8c-429e-a36f-8f9ca942b59f";
const SKATT: &str = "11111111-0a8c-429e-a36f-8f9ca942b59f";

fn client_key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate("client-key").unwrap())
}

fn number(text: &str) -> OrganizationNumber {
    OrganizationNumber::parse(text, CheckDigits::Strict).unwrap()
}

fn directory() -> IssuerDirectory {
    let client = |client_id: &str, organization: &str| IssuerClient {
        client_id: client_id.to_owned(),
        organization: number(organization),
        scopes: ["x:read", "x:write"].map(|scope| Scope::parse(scope).unwrap()).to_vec(),
        jwks: client_key().public_jwks().into(),
        consumers: vec![number("310329495")],
    };
    let user = |id: &str, external_ref: Option<&str>| DirectorySystemUser {
        id: SystemUserId::parse(id).unwrap(),
        kind: SystemUserKind::Agent,
        owner: number("314242726"),
        system: SystemId::parse("314330897_maestro").unwrap(),
        vendor: number("314330897"),
        client_ids: vec![CLIENT.to_owned()],
        external_ref: external_ref.map(str::to_owned),
    };
    IssuerDirectory {
        clients: vec![client(CLIENT, "314330897"), client(OTHER_CLIENT, "314330897")],
        system_users: vec![user(REGN, None), user(SKATT, Some("skatt"))],
    }
}

/// An issuer on a real socket of its own.
struct Served {
    issuer: Arc<Issuer>,
    clock: Arc<ManualClock>,
    outbound: Outbound,
    tasks: Tasks,
}

impl Served {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let clock = Arc::new(ManualClock::at(UnixSeconds(NOW)));
        let key = SigningKey::generate("issuer-key").unwrap();
        let issuer =
            Issuer::new(&base, key, directory(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let (issuer, tasks) = (Arc::new(issuer), Tasks::new());
        drop(serve(listener, Arc::clone(&issuer), &tasks));
        let outbound = Outbound::new(&OutboundSettings::default()).unwrap();
        Self { issuer, clock, outbound, tasks }
    }

    async fn call(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Reply {
        let mut headers = HeaderMap::new();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        let url = format!("{}{path}", self.issuer.name()).parse().unwrap();
        let call = Call {
            method,
            url,
            headers,
            body: body.into(),
            timeout: Duration::from_secs(10),
            max_answer_bytes: 64 * 1024,
        };
        self.outbound.exchange(call).await.unwrap()
    }

    /// An assertion as Maskinporten wants it, unless changed.
    fn assertion(&self) -> Value {
        json!({
            "aud": self.issuer.name(), "iss": CLIENT, "iat": NOW, "exp": NOW + 120,
            "jti": uuid::Uuid::new_v4(), "scope": "x:read",
        })
    }

    async fn token(&self, assertion: &Value) -> (StatusCode, Value) {
        self.token_for(&client_key().sign(assertion).unwrap()).await
    }

    async fn token_for(&self, assertion: &str) -> (StatusCode, Value) {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", GRANT_TYPE)
            .append_pair("assertion", assertion)
            .finish();
        let reply = self.call(Method::POST, "token", form).await;
        (reply.status, serde_json::from_slice(&reply.body).unwrap())
    }
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn asked(owner: &str, external_ref: Option<&str>) -> Value {
    let mut entry = json!({
        "type": "urn:altinn:systemuser",
        "systemuser_org": { "authority": "iso6523-actorid-upis", "ID": format!("0192:{owner}") },
    });
    if let Some(reference) = external_ref {
        entry["externalRef"] = json!(reference);
    }
    json!([entry])
}

#[tokio::test]
async fn a_granted_token_is_verified_with_keys_found_by_the_metadata() {
    let served = Served::new().await;
    for (external_ref, id) in [(None, REGN), (Some("314242726"), REGN), (Some("skatt"), SKATT)] {
        let details = asked("314242726", external_ref);
        let assertion = with(served.assertion(), "authorization_details", details);
        let (status, answer) = served.token(&assertion).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["token_type"], "Bearer");
        assert_eq!((&answer["expires_in"], &answer["scope"]), (&json!(120), &json!("x:read")));

        for metadata in ["oauth-authorization-server", "oauth-authorization-server/"] {
            let address = format!("{}.well-known/{metadata}", served.issuer.name());
            let settings = IssuerSettings::new(
                IssuerKind::Maskinporten,
                served.issuer.name(),
                KeyLocation::Metadata(address.parse().unwrap()),
            );
            let clock = Arc::clone(&served.clock) as Arc<dyn Clock>;
            let settings = TokenSettings::new(vec![settings]);
            let verifier = TokenVerifier::new(settings, &served.outbound, &served.tasks, clock);
            verifier.start().await;
            assert!(verifier.is_ready(), "{:?}", verifier.key_states());
            let token = BearerToken::parse(answer["access_token"].as_str().unwrap()).unwrap();
            let caller = verifier.verify(token).await.unwrap().caller;
            let user = caller.system_user().unwrap();
            assert_eq!(user.id.to_string(), id);
            assert_eq!((user.owner, user.vendor), (number("314242726"), number("314330897")));
            assert_eq!(caller.client_id.as_deref(), Some(CLIENT));
        }
    }
    assert!(served.tasks.stop(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_metadata_document_of_another_issuer_gives_no_keys() {
    let served = Served::new().await;
    let verifier = |issuer: &str, location: KeyLocation| {
        let settings = IssuerSettings::new(IssuerKind::Maskinporten, issuer, location);
        TokenVerifier::new(
            TokenSettings::new(vec![settings]),
            &served.outbound,
            &served.tasks,
            Arc::clone(&served.clock) as Arc<dyn Clock>,
        )
    };
    let name = served.issuer.name();
    let address = |path: &str| format!("{name}{path}").parse::<Url>().unwrap();
    let openid = address(".well-known/openid-configuration");
    for (issuer, location, ready) in [
        (name, KeyLocation::Metadata(openid.clone()), true),
        (name, KeyLocation::Jwks(address("jwk")), true),
        (name, KeyLocation::Jwks(address("nothing")), false),
        (name, KeyLocation::Jwks(openid.clone()), false),
        (name.trim_end_matches('/'), KeyLocation::Metadata(openid.clone()), false),
        ("https://other.test/", KeyLocation::Metadata(openid), false),
    ] {
        let verifier = verifier(issuer, location.clone());
        verifier.start().await;
        assert_eq!(verifier.is_ready(), ready, "{issuer} {location:?}");
        assert_eq!(verifier.key_states()[0].last_fault.is_none(), ready);
    }
}

#[tokio::test]
async fn a_system_user_that_is_not_the_clients_is_mp_303() {
    let served = Served::new().await;
    for (client, details) in [
        (CLIENT, asked("314242726", Some("unknown"))),
        (CLIENT, asked("310329495", None)),
        (OTHER_CLIENT, asked("314242726", None)),
    ] {
        let assertion = with(served.assertion(), "iss", json!(client));
        let assertion = with(assertion, "authorization_details", details);
        let (status, answer) = served.token(&assertion).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(answer["error"], "invalid_altinn_customer_configuration", "{answer}");
        assert!(answer["error_description"].as_str().unwrap().contains("MP-303"));
    }
}

#[tokio::test]
async fn an_assertion_is_taken_only_as_maskinporten_takes_it() {
    let served = Served::new().await;
    let name = served.issuer.name().to_owned();
    for (claim, value, error) in [
        ("aud", json!(format!("{name}token")), "invalid_grant"),
        ("aud", json!(name.trim_end_matches('/')), "invalid_grant"),
        ("aud", json!([name]), "invalid_grant"),
        ("iss", json!("unknown"), "invalid_client"),
        ("iat", json!(NOW - 11), "invalid_grant"),
        ("iat", json!(NOW + 11), "invalid_grant"),
        ("exp", json!(NOW + 121), "invalid_grant"),
        ("exp", json!(NOW), "invalid_grant"),
        ("exp", json!("1718175135"), "invalid_grant"),
        ("jti", json!(7), "invalid_grant"),
        ("scope", json!(""), "invalid_grant"),
        ("scope", json!("x:readall"), "invalid_scope"),
        ("scope", json!("x:read y"), "invalid_scope"),
        ("resource", json!([]), "invalid_grant"),
        ("resource", json!(7), "invalid_grant"),
        ("pid", json!("1"), "invalid_grant"),
        ("consumer_org", json!("314242726"), "invalid_grant"),
        ("unknown", json!(1), "invalid_grant"),
        ("authorization_details", json!([]), "invalid_authorization_details"),
        ("authorization_details", json!({}), "invalid_authorization_details"),
    ] {
        let assertion = with(served.assertion(), claim, value);
        let (status, answer) = served.token(&assertion).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{assertion}");
        assert_eq!(answer["error"], error, "{assertion}");
    }
    for claim in ["aud", "iss", "iat", "exp", "scope"] {
        let mut assertion = served.assertion();
        assertion.as_object_mut().unwrap().remove(claim);
        assert_eq!(served.token(&assertion).await.0, StatusCode::BAD_REQUEST, "{claim}");
    }
    for (claim, value) in [
        ("iat", json!(NOW - 10)),
        ("iat", json!(NOW + 10)),
        ("exp", json!(NOW + 1)),
        ("scope", json!("x:read x:write")),
    ] {
        let mut assertion = with(served.assertion(), "exp", json!(NOW + 110));
        assertion[claim] = value;
        let (status, answer) = served.token(&assertion).await;
        assert_eq!(status, StatusCode::OK, "{assertion} {answer}");
    }
}

#[tokio::test]
async fn an_assertion_counts_once_and_only_with_the_clients_signature() {
    let served = Served::new().await;
    let assertion = served.assertion();
    assert_eq!(served.token(&assertion).await.0, StatusCode::OK);
    let (status, answer) = served.token(&assertion).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));

    let foreign = SigningKey::generate("client-key").unwrap();
    let forged = foreign.sign(&served.assertion()).unwrap();
    assert_eq!(served.token_for(&forged).await.1["error"], "invalid_grant");
    let foreign = SigningKey::generate("another").unwrap();
    let unknown = foreign.sign(&served.assertion()).unwrap();
    assert_eq!(served.token_for(&unknown).await.1["error"], "invalid_client");
    assert_eq!(served.token_for("a.b.c").await.1["error"], "invalid_grant");
    let nameless = SigningKey::generate("").unwrap().sign(&served.assertion()).unwrap();
    let (_, answer) = served.token_for(&nameless).await;
    assert!(answer["error_description"].as_str().unwrap().contains("kid"), "{answer}");
}

#[tokio::test]
async fn a_delegated_scope_an_audience_and_a_pid_are_issued_as_published() {
    let served = Served::new().await;
    let mut assertion = served.assertion();
    for (claim, value) in [
        ("consumer_org", json!("310329495")),
        ("resource", json!(["https://api.example.no/"])),
        ("pid", json!("01890012345")),
    ] {
        assertion[claim] = value;
    }
    let (_, answer) = served.token(&assertion).await;
    let audience = Arc::from("https://api.example.no/");
    let settings = IssuerSettings {
        audience: Some(audience),
        ..IssuerSettings::new(
            IssuerKind::Maskinporten,
            served.issuer.name(),
            KeyLocation::Static(served.issuer.key().public_jwks().into()),
        )
    };
    let verifier = TokenVerifier::new(
        TokenSettings::new(vec![settings]),
        &served.outbound,
        &served.tasks,
        Arc::clone(&served.clock) as Arc<dyn Clock>,
    );
    let token = BearerToken::parse(answer["access_token"].as_str().unwrap()).unwrap();
    let caller = verifier.verify(token).await.unwrap().caller;
    let Subject::Organization(organization) = &caller.subject else { panic!("{caller:?}") };
    assert_eq!(organization.consumer, number("310329495"));
    assert_eq!(organization.supplier, Some(number("314330897")));
}

#[tokio::test]
async fn what_is_not_a_grant_is_refused() {
    let served = Served::new().await;
    let large = format!("assertion={}", "a".repeat(MAX_FORM_BYTES));
    let twice = format!("grant_type={GRANT_TYPE}&assertion=a&assertion=b");
    for (body, error) in [
        (large.as_str(), "invalid_request"),
        ("grant_type=client_credentials", "unsupported_grant_type"),
        (twice.as_str(), "invalid_request"),
        ("x", "unsupported_grant_type"),
    ] {
        let reply = served.call(Method::POST, "token", body.to_owned()).await;
        let answer: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer["error"], error);
    }
    let status = |method, path| served.call(method, path, Bytes::new());
    assert_eq!(status(Method::GET, "token").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(status(Method::POST, "jwk").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(status(Method::GET, "other").await.status, StatusCode::NOT_FOUND);
}

#[test]
fn the_name_of_a_real_issuer_is_never_taken() {
    let issuer = |base: &str, directory: IssuerDirectory| {
        let clock = Arc::new(ManualClock::at(UnixSeconds(NOW)));
        let key = SigningKey::generate("k").unwrap();
        Issuer::new(&base.parse().unwrap(), key, directory, clock)
            .map(|issuer| issuer.name().to_owned())
    };
    let empty = IssuerDirectory::default;
    for base in [
        "https://maskinporten.no",
        "https://test.maskinporten.no/",
        "http://MASKINPORTEN.no:7081/",
        "https://maskinporten.no.",
        "https://idporten.no",
        "https://platform.altinn.no",
    ] {
        assert_eq!(issuer(base, empty()), Err(InvalidIssuer::RealName), "{base}");
    }
    for base in ["http://127.0.0.1:7081/x", "http://a@localhost/", "ftp://localhost/"] {
        assert_eq!(issuer(base, empty()), Err(InvalidIssuer::Address), "{base}");
    }
    assert_eq!(issuer("http://127.0.0.1:7081", empty()), Ok("http://127.0.0.1:7081/".to_owned()));
    let mut keyless = directory();
    keyless.clients[1].jwks = Bytes::from_static(br#"{"keys":[]}"#);
    assert_eq!(
        issuer("http://127.0.0.1:7081", keyless),
        Err(InvalidIssuer::ClientKey(OTHER_CLIENT.to_owned()))
    );
}
