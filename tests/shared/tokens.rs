//! The claims of published tokens, signed here, through the whole token room.

use crate::folder;
use bytes::Bytes;
use portvakt::dev::SigningKey;
use portvakt::domain::{CheckDigits, DenialCode, ManualClock, SubjectKind, UnixSeconds};
use portvakt::outbound::{Outbound, OutboundSettings};
use portvakt::tasks::Tasks;
use portvakt::token::{
    Algorithm, BearerToken, IssuerKind, IssuerSettings, KeyLocation, TokenSettings, TokenVerifier,
};
use serde_json::Value;
use std::sync::Arc;

/// A verifier of one issuer whose keys are at hand.
pub(crate) async fn verifier(
    kind: IssuerKind,
    issuer: &str,
    keys: Vec<u8>,
    check_digits: CheckDigits,
    now: u64,
) -> TokenVerifier {
    let mut settings = IssuerSettings::new(kind, issuer, KeyLocation::Static(Bytes::from(keys)));
    settings.algorithms = Algorithm::ALL.to_vec();
    let mut settings = TokenSettings::new(vec![settings]);
    settings.check_digits = check_digits;
    let clock = Arc::new(ManualClock::at(UnixSeconds(now)));
    let outbound = Outbound::new(&OutboundSettings::default()).unwrap();
    let verifier = TokenVerifier::new(settings, &outbound, &Tasks::new(), clock);
    verifier.start().await;
    verifier
}

type Outcome = Result<SubjectKind, DenialCode>;

#[tokio::test]
async fn published_tokens_prove_what_they_say_or_are_refused() {
    use DenialCode::{NotASystemUser, TokenMalformed};
    use IssuerKind::{Altinn, IdPorten, Maskinporten};
    use SubjectKind::{Organization, Person, SystemUser};
    // With and without check digits judged.
    let expected: [(&str, IssuerKind, Outcome, Outcome); 10] = [
        ("altinn-exchanged-systemuser.constructed.json", Altinn, Ok(SystemUser), Ok(SystemUser)),
        // A consent beside the consumer is not a system user.
        ("consent-docs.json", Maskinporten, Ok(Organization), Ok(Organization)),
        ("idporten-access.constructed.json", IdPorten, Ok(Person), Ok(Person)),
        // Times written as texts: RFC 7519 §2 has numbers.
        ("maskinporten-budnad.json", Maskinporten, Err(TokenMalformed), Err(TokenMalformed)),
        ("maskinporten-delegated-docs.json", Maskinporten, Ok(Organization), Ok(Organization)),
        ("maskinporten-digipost.json", Maskinporten, Err(TokenMalformed), Err(TokenMalformed)),
        ("maskinporten-plain-docs.json", Maskinporten, Ok(Organization), Ok(Organization)),
        ("systemuser-altinn-docs-service-owner.json", Maskinporten, Ok(SystemUser), Ok(SystemUser)),
        // Its organization numbers are made up, with wrong check digits.
        ("systemuser-altinn-docs-vendor.json", Maskinporten, Err(NotASystemUser), Ok(SystemUser)),
        // Prose where the ids of client and system user should be.
        ("systemuser-digdir-docs.json", Maskinporten, Err(TokenMalformed), Err(TokenMalformed)),
    ];
    let files = folder::list("altinn/tokens", ".json");
    assert_eq!(files, expected.each_ref().map(|(file, ..)| *file), "other files than expected");
    let key = SigningKey::generate("published").unwrap();
    let mut faults = Vec::new();
    for (file, kind, strict, lenient) in expected {
        let claims = folder::json(format!("altinn/tokens/{file}"));
        let issuer = folder::word(&claims, "iss");
        let issued = whole(&claims["iat"]);
        let token = key.sign(&claims).unwrap();
        for (check, wanted) in [(CheckDigits::Strict, strict), (CheckDigits::Lenient, lenient)] {
            let verifier = verifier(kind, issuer, key.public_jwks(), check, issued).await;
            let outcome = verifier.verify(BearerToken::parse(&token).unwrap()).await;
            let outcome = outcome.map(|proven| proven.caller.subject.kind());
            let cause = outcome.as_ref().err().and_then(|denial| denial.cause.clone());
            let outcome = outcome.map_err(|denial| denial.code);
            if outcome != wanted {
                faults.push(format!("{file} {check:?}: {outcome:?} {cause:?}, not {wanted:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

fn whole(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap()
}
