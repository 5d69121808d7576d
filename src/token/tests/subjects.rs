//! Whom tokens prove, by the kind of their issuer.

use super::*;
use crate::domain::{AuthenticationLevel, Caller, ProvenLevel, Subject, SubjectKind};

const ID: &str = "ebe4a681-0a8c-429e-a36f-8f9ca942b59f";
/// Synthetic: month + 80.
const PID: &str = "01890012345";

async fn caller(kind: IssuerKind, claims: &Value) -> Result<Arc<Caller>, DenialCode> {
    let fixture = Fixture::started(kind).await;
    match fixture.ask(&ours().sign(claims)).await {
        Ok(authenticated) => Ok(authenticated.caller),
        Err(denial) => Err(denial.code),
    }
}

async fn kind_of(kind: IssuerKind, claims: &Value) -> Result<SubjectKind, DenialCode> {
    caller(kind, claims).await.map(|caller| caller.subject.kind())
}

fn entry() -> Value {
    system_user_claims()["authorization_details"][0].clone()
}

fn details(value: Value) -> Value {
    with(system_user_claims(), "authorization_details", value)
}

fn actor(id: &str) -> Value {
    json!({ "authority": "iso6523-actorid-upis", "ID": id })
}

#[tokio::test]
async fn a_system_users_token_proves_it_with_owner_system_and_vendor() {
    let caller = caller(IssuerKind::Maskinporten, &system_user_claims()).await.unwrap();
    let user = caller.system_user().unwrap();
    assert_eq!(user.id.to_string(), ID);
    assert_eq!(user.owner.to_string(), "314242726");
    assert_eq!(user.system.as_str(), "314330897_maestro");
    assert_eq!(user.vendor.to_string(), "314330897");
    assert_eq!((user.vendor, user.supplier), (user.consumer, None));
    assert_eq!(caller.level, ProvenLevel::AsConfigured);
    assert_eq!(caller.client_id.as_deref(), Some("fc9a8287-e7cb-45e5-b90e-123048d32d85"));
    assert!(!caller.service_owner);
    assert_eq!(caller.window.expires, UnixSeconds(NOW + 115));
    assert_eq!(caller.window.not_before, Some(UnixSeconds(NOW - 5)));
}

#[tokio::test]
async fn where_the_scope_was_delegated_the_supplier_is_the_vendor() {
    let claims = with(system_user_claims(), "supplier", actor("0192:314000013"));
    let caller = caller(IssuerKind::Maskinporten, &claims).await.unwrap();
    let user = caller.system_user().unwrap();
    assert_eq!(user.vendor.to_string(), "314000013");
    assert_eq!(user.consumer.to_string(), "314330897");
}

#[tokio::test]
async fn every_published_spelling_of_the_details_is_read() {
    let upper = json!({
        "TYPE": "urn:altinn:systemuser", "SystemUser_Id": [ID.to_uppercase(), ID],
        "systemuser_ORG": { "Authority": "iso6523-actorid-upis", "ID": "0192:314242726" },
        "System_Id": "314330897_maestro", "future": { "a": 1 }
    });
    let consent =
        json!({ "type": "urn:altinn:consent", "id": "0a7d59f8", "a": 1, "consentRights": [] });
    for value in [
        entry(),
        json!([upper]),
        json!([consent, entry()]),
        json!([entry(), entry()]),
        json!([entry(), upper]),
    ] {
        let kind = kind_of(IssuerKind::Maskinporten, &details(value.clone())).await;
        assert_eq!(kind, Ok(SubjectKind::SystemUser), "{value}");
    }
}

#[tokio::test]
async fn a_faulty_system_user_is_never_an_organization() {
    let with_member = |name: &str, value: Value| json!([with(entry(), name, value)]);
    let owner = |authority: &str, id: &str| {
        with_member("systemuser_org", json!({ "authority": authority, "id": id }))
    };
    let iso = "iso6523-actorid-upis";
    let two_kinds =
        format!(r#"[{{"type":"urn:altinn:consent","Type":"{}"}}]"#, "urn:altinn:systemuser");
    for value in [
        json!(null),
        json!("urn:altinn:systemuser"),
        json!([null]),
        json!([[entry()]]),
        json!([{}]),
        json!([without(entry(), "type")]),
        with_member("type", json!(["urn:altinn:systemuser"])),
        with_member("type", json!("URN:Altinn:SystemUser")),
        with_member("type", json!("urn:altinn:systemuser ")),
        json!([without(entry(), "systemuser_id")]),
        with_member("systemuser_id", json!([])),
        with_member("systemuser_id", json!(ID)),
        with_member("systemuser_id", json!([7])),
        with_member("systemuser_id", json!(["not-a-uuid"])),
        with_member("systemuser_id", json!(["00000000-0000-0000-0000-000000000000"])),
        with_member("systemuser_id", json!([ID.replace('-', "")])),
        with_member("systemuser_id", json!([format!(" {ID}")])),
        with_member("Systemuser_id", json!([ID])),
        json!([without(entry(), "systemuser_org")]),
        with_member("systemuser_org", json!("0192:314242726")),
        with_member(
            "systemuser_org",
            json!({ "authority": iso, "id": "0192:314242726", "ID": "0192:310329495" }),
        ),
        owner(iso, "314242726"),
        owner(iso, "0192:bad"),
        owner(iso, "9908:314242726"),
        owner(iso, "0192:314242727"),
        owner("iso6523", "0192:314242726"),
        owner("", "0192:314242726"),
        json!([without(entry(), "system_id")]),
        with_member("system_id", json!("")),
        with_member("system_id", json!("a".repeat(256))),
        json!([entry(), with(entry(), "system_id", json!("other"))]),
        json!([entry(), {}]),
        serde_json::from_str(&two_kinds).unwrap(),
    ] {
        let code = kind_of(IssuerKind::Maskinporten, &details(value.clone())).await;
        assert_eq!(code, Err(DenialCode::NotASystemUser), "{value}");
    }
    // A repeated member, which no `Value` can hold.
    let good = system_user_claims().to_string();
    let twice = good.replace(r#""system_id":"#, r#""system_id":"other","system_id":"#);
    assert_ne!(good, twice);
    let fixture = Fixture::started(IssuerKind::Maskinporten).await;
    let token = ours().sign_raw(header().to_string().as_bytes(), twice.as_bytes());
    assert_eq!(fixture.refused(&token).await, DenialCode::NotASystemUser);
}

#[tokio::test]
async fn what_no_header_can_carry_makes_the_token_malformed() {
    for system in ["maestro\r\nX: y", "m\u{e6}stro", "a b", "\0"] {
        let claims = details(json!([with(entry(), "system_id", json!(system))]));
        let code = kind_of(IssuerKind::Maskinporten, &claims).await;
        assert_eq!(code, Err(DenialCode::TokenMalformed), "{system:?}");
    }
}

#[tokio::test]
async fn two_system_users_are_none() {
    let other = "11111111-0a8c-429e-a36f-8f9ca942b59f";
    for value in [
        json!([with(entry(), "systemuser_id", json!([ID, other]))]),
        json!([with(entry(), "systemuser_id", json!(["a", "b"]))]),
        json!([entry(), with(entry(), "systemuser_id", json!([other]))]),
        json!([entry(), with(entry(), "systemuser_org", actor("0192:310329495"))]),
    ] {
        let code = kind_of(IssuerKind::Maskinporten, &details(value.clone())).await;
        assert_eq!(code, Err(DenialCode::SeveralSystemUsers), "{value}");
    }
}

#[tokio::test]
async fn without_a_system_user_a_maskinporten_token_proves_an_organization() {
    let plain = without(system_user_claims(), "authorization_details");
    for claims in [
        plain.clone(),
        details(json!([])),
        details(json!([{ "type": "urn:altinn:consent" }])),
        // A `pid` is whom the client asks about, not who logged in.
        with(plain.clone(), "pid", json!(PID)),
    ] {
        let caller = caller(IssuerKind::Maskinporten, &claims).await.unwrap();
        let Subject::Organization(organization) = &caller.subject else { panic!("{caller:?}") };
        assert_eq!(organization.consumer.to_string(), "314330897");
        assert_eq!(caller.level, ProvenLevel::AsConfigured);
    }
    let nobody = without(plain, "consumer");
    assert_eq!(kind_of(IssuerKind::Maskinporten, &nobody).await, Err(DenialCode::TokenUntrusted));
}

fn person_claims() -> Value {
    json!({
        "sub": "pairwise", "iss": ISSUER, "pid": PID, "client_id": "c", "acr": "idporten-loa-high",
        "scope": "openid x:read", "iat": NOW, "exp": NOW + 600, "consumer": actor("0192:314330897")
    })
}

#[tokio::test]
async fn an_id_porten_token_proves_a_person_at_the_level_of_the_login() {
    for (acr, level) in [
        (Some("idporten-loa-high"), 4),
        (Some("Level4"), 4),
        (Some("idporten-loa-substantial"), 3),
        (Some("Level3"), 3),
        (Some("idporten-loa-low"), 0),
        (Some("LEVEL4"), 0),
        (None, 0),
    ] {
        let claims = match acr {
            Some(acr) => with(person_claims(), "acr", json!(acr)),
            None => without(person_claims(), "acr"),
        };
        let caller = caller(IssuerKind::IdPorten, &claims).await.unwrap();
        assert_eq!(caller.subject.kind(), SubjectKind::Person);
        let level = ProvenLevel::Proven(AuthenticationLevel::new(level).unwrap());
        assert_eq!(caller.level, level, "{acr:?}");
        assert!(!format!("{caller:?}").contains(PID));
    }
    // Never a system user, whatever else it carries.
    let claims = with(person_claims(), "authorization_details", json!([entry()]));
    assert_eq!(kind_of(IssuerKind::IdPorten, &claims).await, Ok(SubjectKind::Person));
}

#[tokio::test]
async fn id_tokens_and_tokens_without_a_person_are_refused_of_id_porten() {
    for name in ["scope", "client_id", "pid"] {
        let claims = without(person_claims(), name);
        let code = kind_of(IssuerKind::IdPorten, &claims).await;
        assert_eq!(code, Err(DenialCode::TokenUntrusted), "{name}");
    }
    for pid in [json!("0189001234"), json!(1_890_012_345_u64), json!([PID])] {
        let claims = with(person_claims(), "pid", pid);
        assert_eq!(kind_of(IssuerKind::IdPorten, &claims).await, Err(DenialCode::TokenMalformed));
    }
}

#[tokio::test]
async fn an_exchanged_token_proves_what_the_original_did() {
    let exchanged = |claims: Value, method: &str, level: Value| {
        let claims = with(claims, "urn:altinn:authenticatemethod", json!(method));
        with(claims, "urn:altinn:authlevel", level)
    };
    let plain = without(system_user_claims(), "authorization_details");
    let proven = |level| ProvenLevel::Proven(AuthenticationLevel::new(level).unwrap());
    let single = details(entry());
    for (claims, kind, level) in [
        (
            exchanged(single, "maskinporten", json!(3)),
            SubjectKind::SystemUser,
            ProvenLevel::AsConfigured,
        ),
        (exchanged(plain.clone(), "maskinporten", json!(3)), SubjectKind::Organization, proven(3)),
        (
            exchanged(with(plain, "pid", json!(PID)), "maskinporten", json!(3)),
            SubjectKind::Organization,
            proven(3),
        ),
        (exchanged(person_claims(), "BankID", json!("4")), SubjectKind::Person, proven(4)),
        (person_claims(), SubjectKind::Person, proven(0)),
    ] {
        let caller = caller(IssuerKind::Altinn, &claims).await.unwrap();
        assert_eq!((caller.subject.kind(), caller.level), (kind, level), "{claims}");
    }
    for level in [json!(5), json!("high"), json!(null), json!(3.0)] {
        let claims = exchanged(person_claims(), "BankID", level);
        assert_eq!(kind_of(IssuerKind::Altinn, &claims).await, Err(DenialCode::TokenMalformed));
    }
}

#[tokio::test]
async fn a_service_owner_is_known_by_its_mark() {
    let claims = with(system_user_claims(), "urn:altinn:org", json!("skd"));
    assert!(caller(IssuerKind::Altinn, &claims).await.unwrap().service_owner);
    for value in [json!(""), json!(7), json!(null)] {
        let claims = with(system_user_claims(), "urn:altinn:org", value);
        assert!(!caller(IssuerKind::Altinn, &claims).await.unwrap().service_owner);
    }
}

#[tokio::test]
async fn test_numbers_pass_only_leniently() {
    let claims = with(system_user_claims(), "consumer", actor("0192:123456789"));
    let mut settings =
        TokenSettings::new(vec![IssuerSettings::new(IssuerKind::Maskinporten, ISSUER, at_hand())]);
    settings.check_digits = crate::domain::CheckDigits::Lenient;
    assert!(Fixture::unstarted(settings).ask(&ours().sign(&claims)).await.is_ok());
    let code = kind_of(IssuerKind::Maskinporten, &claims).await;
    assert_eq!(code, Err(DenialCode::TokenMalformed));
}
