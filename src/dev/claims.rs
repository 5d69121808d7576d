//! The published shapes of tokens, as Maskinporten, ID-porten and Altinn's exchange write them. Builders
//! of JSON only: what a token may prove is judged by the token room.

use crate::domain::{OrganizationNumber, PersonNumber, SystemId, SystemUserId, UnixSeconds};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// When a token is made and how long it lives.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// `iat`.
    pub issued: UnixSeconds,
    /// `exp − iat`.
    pub lifetime: Duration,
}

/// A plain Maskinporten token: `consumer` is the caller.
#[must_use]
pub fn organization(issuer: &str, life: Life, scope: &str, consumer: OrganizationNumber) -> Value {
    json!({
        "iss": issuer,
        "client_amr": "private_key_jwt",
        "token_type": "Bearer",
        "scope": scope,
        "iat": life.issued.0,
        "exp": life.issued.saturating_add(life.lifetime).0,
        "jti": Uuid::new_v4(),
        "consumer": actor("ID", consumer),
    })
}

/// `claims`, issued to a supplier to whom the consumer has delegated the scope.
#[must_use]
pub fn delegated(mut claims: Value, supplier: OrganizationNumber) -> Value {
    set(&mut claims, "supplier", actor("ID", supplier));
    set(&mut claims, "delegation_source", json!("https://altinn.example/"));
    claims
}

/// `claims` of a Maskinporten token, made a system user's.
#[must_use]
pub fn system_user(
    mut claims: Value,
    id: SystemUserId,
    owner: OrganizationNumber,
    system: &SystemId,
) -> Value {
    let detail = json!({
        "type": "urn:altinn:systemuser",
        // The published tokens write `id` here and `ID` in `consumer`.
        "systemuser_org": actor("id", owner),
        "systemuser_id": [id.to_string()],
        "system_id": system.as_str(),
    });
    set(&mut claims, "authorization_details", json!([detail]));
    claims
}

/// An ID-porten access token; `acr` such as `idporten-loa-high`.
#[must_use]
pub fn person(issuer: &str, life: Life, scope: &str, number: PersonNumber, acr: &str) -> Value {
    json!({
        "iss": issuer,
        "sub": Uuid::new_v4(),
        "client_amr": "private_key_jwt",
        "client_id": Uuid::new_v4(),
        "token_type": "Bearer",
        "aud": "unspecified",
        "scope": scope,
        "pid": number.expose(),
        "acr": acr,
        "iat": life.issued.0,
        "exp": life.issued.saturating_add(life.lifetime).0,
        "jti": Uuid::new_v4(),
    })
}

/// `claims` of a Maskinporten token after Altinn's exchange: some claims dropped, some added, and the
/// list of one in `authorization_details` turned into the one, as a .NET round trip does.
#[must_use]
pub fn exchanged(mut claims: Value, issuer: &str, service_owner: Option<&str>) -> Value {
    if let Some(members) = claims.as_object_mut() {
        for dropped in ["aud", "client_amr", "sid"] {
            members.remove(dropped);
        }
        let single = match members.get("authorization_details").and_then(Value::as_array) {
            Some(list) => match list.as_slice() {
                [single] => Some(single.clone()),
                _ => None,
            },
            None => None,
        };
        if let Some(single) = single {
            members.insert("authorization_details".to_owned(), single);
        }
    }
    set(&mut claims, "iss", json!(issuer));
    set(&mut claims, "sid", json!(Uuid::new_v4()));
    // `consumer.ID` is `0192:` and the number (ISO 6523).
    let consumer = claims.pointer("/consumer/ID").and_then(Value::as_str);
    let number = consumer.and_then(|id| id.split_once(':')).map(|(_, number)| json!(number));
    if let Some(number) = number {
        set(&mut claims, "urn:altinn:orgNumber", number);
    }
    set(&mut claims, "urn:altinn:authenticatemethod", json!("maskinporten"));
    set(&mut claims, "urn:altinn:authlevel", json!(3));
    if let Some(code) = service_owner {
        set(&mut claims, "urn:altinn:org", json!(code));
    }
    claims
}

/// An organization as ISO 6523 names it; the issuers do not agree on the case of `id`.
pub(crate) fn actor(id_name: &str, number: OrganizationNumber) -> Value {
    let mut actor = json!({ "authority": "iso6523-actorid-upis" });
    set(&mut actor, id_name, json!(format!("0192:{number}")));
    actor
}

pub(crate) fn set(claims: &mut Value, name: &str, value: Value) {
    if let Some(members) = claims.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::SigningKey;
    use crate::domain::{
        CheckDigits, Clock, Denial, ManualClock, PersonNumber, SubjectKind, SystemId, SystemUserId,
    };
    use crate::outbound::{Outbound, OutboundSettings};
    use crate::tasks::Tasks;
    use crate::token::{
        BearerToken, IssuerKind, IssuerSettings, KeyLocation, TokenSettings, TokenVerifier,
    };
    use std::sync::Arc;

    const ISSUER: &str = "https://issuer.test/";

    #[tokio::test]
    async fn each_shape_proves_what_it_stands_for() {
        let life = Life { issued: UnixSeconds(1_718_175_015), lifetime: Duration::from_mins(2) };
        let number = |text: &str| OrganizationNumber::parse(text, CheckDigits::Strict).unwrap();
        let plain = organization(ISSUER, life, "x:read", number("314330897"));
        let user = system_user(
            delegated(plain.clone(), number("314000013")),
            SystemUserId::parse("ebe4a681-0a8c-429e-a36f-8f9ca942b59f").unwrap(),
            number("314242726"),
            &SystemId::parse("314330897_maestro").unwrap(),
        );
        // Synthetic: month + 80.
        let pid = PersonNumber::parse("01890012345").unwrap();
        let login = person(ISSUER, life, "x:read", pid, "idporten-loa-high");
        let single = exchanged(user.clone(), ISSUER, Some("skd"));
        assert!(single["authorization_details"].is_object());
        assert_eq!(single["urn:altinn:orgNumber"], "314330897");
        for (kind, claims, proven) in [
            (IssuerKind::Maskinporten, plain.clone(), SubjectKind::Organization),
            (IssuerKind::Maskinporten, user, SubjectKind::SystemUser),
            (IssuerKind::IdPorten, login, SubjectKind::Person),
            (IssuerKind::Altinn, single, SubjectKind::SystemUser),
            (IssuerKind::Altinn, exchanged(plain, ISSUER, None), SubjectKind::Organization),
        ] {
            assert_eq!(verified(kind, &claims).await.unwrap(), proven, "{claims}");
        }
    }

    /// A verifier that has the key at hand, and was never started.
    async fn verified(kind: IssuerKind, claims: &Value) -> Result<SubjectKind, Denial> {
        let key = SigningKey::generate("k").unwrap();
        let keys = KeyLocation::Static(key.public_jwks().into());
        let verifier = TokenVerifier::new(
            TokenSettings::new(vec![IssuerSettings::new(kind, ISSUER, keys)]),
            &Outbound::new(&OutboundSettings::default()).unwrap(),
            &Tasks::new(),
            Arc::new(ManualClock::at(UnixSeconds(1_718_175_020))) as Arc<dyn Clock>,
        );
        let token = key.sign(claims).unwrap();
        let authenticated = verifier.verify(BearerToken::parse(&token)?).await?;
        Ok(authenticated.caller.subject.kind())
    }
}
