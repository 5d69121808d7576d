//! The user scenarios: who may act for whom, and who may not.

use super::guide::{ApiCall, Expected, Guide};
use crate::domain::DenialCode;
use serde_json::json;

const VAT: &str = "skatteetaten:mvameldinginnsending";
const HOUSING: &str = "skatteetaten:boligselskap";
const PAYMENT: &str = "skatteetaten:betaling";
const SHAREHOLDERS: &str = "skatteetaten:aksjonaerregister";
const DIALOGS: &str = "digdir:dialogporten";
const BROKER: &str = "altinn:broker.write";
const A06: &str = "nav:aordning/a06.read";
const A07: &str = "nav:aordning/a07.read";

const DENIED: Expected<'_> = Expected::Refused(DenialCode::AccessDenied);
const SCOPE_MISSING: Expected<'_> = Expected::Refused(DenialCode::ScopeMissing);

/// Plays them in order.
pub(super) async fn play(guide: &mut Guide<'_>) {
    accountant(guide).await;
    business_manager(guide).await;
    self_employed(guide).await;
    delegation(guide).await;
    own_data(guide).await;
    several_parties(guide).await;
    transfer(guide).await;
    vendor_as_customer(guide).await;
    by_client_type(guide).await;
    new_client(guide).await;
    reconciliation(guide).await;
}

fn post(target: &str) -> ApiCall<'_> {
    ApiCall { method: "POST", target, body: "" }
}

fn get(target: &str) -> ApiCall<'_> {
    ApiCall { method: "GET", target, body: "" }
}

/// 1: an accountant's system user files for a registered client.
async fn accountant(guide: &mut Guide<'_>) {
    let regn = guide.token("SU-REGN", VAT).await;
    let unscoped = guide.token("SU-REGN", DIALOGS).await;
    let client = post("/mva/312714051/melding");
    guide.call("1", client, &regn, Expected::Forwarded(&["312714051"])).await;
    guide.call("1", client, &regn, Expected::Forwarded(&["312714051"])).await;
    guide
        .call("1", post("/mva/315556155/melding"), &regn, Expected::Forwarded(&["315556155"]))
        .await;
    guide.call("1", post("/mva/313750531/melding"), &regn, DENIED).await;
    guide.call("1", client, &unscoped, SCOPE_MISSING).await;
    let public =
        super::guide::Presented { label: "none".to_owned(), token: None, system_user: None };
    guide.call("1", get("/health"), &public, Expected::Forwarded(&[])).await;
    guide.call("1", client, &public, Expected::Refused(DenialCode::TokenMissing)).await;
}

/// 2: a business manager reports for housing companies, and for no other client.
async fn business_manager(guide: &mut Guide<'_>) {
    let ffor = guide.token("SU-FFOR", HOUSING).await;
    guide
        .call("2", post("/boligselskap/950474084"), &ffor, Expected::Forwarded(&["950474084"]))
        .await;
    guide.call("2", post("/boligselskap/312714051"), &ffor, DENIED).await;
}

/// 3: registered and unregistered clients through different system users; the party stands in the body.
async fn self_employed(guide: &mut Guide<'_>) {
    let regn = guide.token("SU-REGN", PAYMENT).await;
    let skatt = guide.token("SU-SKATT", PAYMENT).await;
    let of = |body| ApiCall { method: "POST", target: "/betalinger", body };
    let registered = of(r#"{"oppdragsgiver":"312714051"}"#);
    let unregistered = of(r#"{"oppdragsgiver":"313816915"}"#);
    guide.call("3", registered, &regn, Expected::Forwarded(&["312714051"])).await;
    guide.call("3", unregistered, &skatt, Expected::Forwarded(&["313816915"])).await;
    guide.call("3", unregistered, &regn, DENIED).await;
    guide.call("3", of(r#"{"sum":1}"#), &skatt, Expected::Refused(DenialCode::PartyMissing)).await;
    let twice = of(r#"{"oppdragsgiver":"313816915","oppdragsgiver":"312714051"}"#);
    guide.call("3", twice, &skatt, Expected::Refused(DenialCode::AmbiguousParameter)).await;
}

/// 4: a client's own delegation, and its end.
async fn delegation(guide: &mut Guide<'_>) {
    let skatt = guide.token("SU-SKATT", VAT).await;
    let call = post("/mva/313816915/melding");
    guide.call("4", call, &skatt, Expected::Forwarded(&["313816915"])).await;
    let package = json!({ "from": "313816915", "to": "314242726", "packages": ["skattegrunnlag"] });
    guide.change("4", "/directory/packages/revoke", &package).await;
    guide.call_until("4", call, &skatt, DENIED).await;
    guide.change("4", "/directory/packages/delegate", &package).await;
    guide.call_until("4", call, &skatt, Expected::Forwarded(&["313816915"])).await;
}

/// 5: a business for itself, by single right and by package; the party is the token's owner.
async fn own_data(guide: &mut Guide<'_>) {
    let own = guide.token("SU-OWN", VAT).await;
    let package = guide.token("SU-OWN-PAKKE", VAT).await;
    let call = post("/mva-egen/melding");
    guide.call("5", call, &own, Expected::Forwarded(&["910459880"])).await;
    guide.call("5", call, &package, Expected::Forwarded(&["910459880"])).await;
    guide.call("5", post("/mva/312714051/melding"), &own, DENIED).await;
}

/// 6: a list for several parties: one "no" refuses the whole request.
async fn several_parties(guide: &mut Guide<'_>) {
    let regn = guide.token("SU-REGN", DIALOGS).await;
    let urn = "urn:altinn:organization:identifier-no";
    let both = format!("/dialogs?party={urn}:312714051&party={urn}:315556155");
    guide.call("6", get(&both), &regn, Expected::Forwarded(&["312714051", "315556155"])).await;
    let with_a_stranger = format!("/dialogs?party={urn}:312714051&party={urn}:313750531");
    guide.call("6", get(&with_a_stranger), &regn, DENIED).await;
    guide.call("6", get("/dialogs"), &regn, Expected::Refused(DenialCode::PartyMissing)).await;
    guide.call("6", get("/dialogs/0191a1b2"), &regn, Expected::Forwarded(&[])).await;
}

/// 7: a file transfer: resource and party in the body, the upload left to the API; access list.
async fn transfer(guide: &mut Guide<'_>) {
    let own = guide.token("SU-OWN", BROKER).await;
    let start = ApiCall {
        method: "POST",
        target: "/filetransfer",
        body: r#"{"resourceId":"kartverket-tinglysing","sender":"0192:910459880","recipients":["0192:314000013"]}"#,
    };
    guide.call("7", start, &own, Expected::Forwarded(&["910459880"])).await;
    let upload = ApiCall {
        method: "POST",
        target: "/filetransfer/0191a1b2/upload",
        body: r#"{"any":"bytes"}"#,
    };
    guide.call("7", upload, &own, Expected::Forwarded(&[])).await;
    let other =
        ApiCall { body: r#"{"resourceId":"ske-mva-melding","sender":"0192:910459880"}"#, ..start };
    guide.call("7", other, &own, Expected::Refused(DenialCode::ResourceNotAllowed)).await;
    let outside = guide.token("SU-UTENFOR", BROKER).await;
    let unlisted = ApiCall {
        body: r#"{"resourceId":"kartverket-tinglysing","sender":"0192:313816915"}"#,
        ..start
    };
    guide.call("7", unlisted, &outside, DENIED).await;
}

/// 8 and 9: a vendor that is its own customer; its own client alone obtains the token.
async fn vendor_as_customer(guide: &mut Guide<'_>) {
    let own = guide.token("SU-SELF", BROKER).await;
    let body = r#"{"resourceId":"kartverket-tinglysing","sender":"0192:910459880"}"#;
    let start = ApiCall { method: "POST", target: "/filetransfer", body };
    guide.call("8", start, &own, Expected::Forwarded(&["910459880"])).await;
    let own = guide.token("SU-SELF", VAT).await;
    guide.call("9", post("/mva-egen/melding"), &own, Expected::Forwarded(&["910459880"])).await;
    // Another vendor's client cannot have a token for it: the issuer knows no such system user.
    let refused = guide.grant("superavstemming", A06, Some(("910459880", None))).await;
    let got = match refused {
        Ok(_) => "a token".to_owned(),
        Err(crate::dev::end_user_system::NoToken::Refused { error, .. }) => error,
        Err(fault @ crate::dev::end_user_system::NoToken::NoAnswer(_)) => fault.to_string(),
    };
    guide.observe(
        "9",
        "grant to another vendor's client",
        "-",
        "invalid_altinn_customer_configuration",
        got,
    );
}

/// 10: the system user is chosen by the kind of client; every other combination is refused.
async fn by_client_type(guide: &mut Guide<'_>) {
    let clients = [("SU-REVI", "311127845"), ("SU-SKATT", "313816915"), ("SU-REGN", "312714051")];
    for (name, own_client) in clients {
        let token = guide.token(name, SHAREHOLDERS).await;
        for (_, client) in clients {
            let target = format!("/aksjonaerregister/{client}");
            let permitted = [client];
            let expected =
                if client == own_client { Expected::Forwarded(&permitted) } else { DENIED };
            guide.call("10", post(&target), &token, expected).await;
        }
    }
}

/// 10b: a new client is linked to the system user while everything runs.
async fn new_client(guide: &mut Guide<'_>) {
    let regn = guide.token("SU-REGN", SHAREHOLDERS).await;
    let call = post("/aksjonaerregister/310329495");
    guide.call("10b", call, &regn, DENIED).await;
    let new = json!({
        "systemUser": "a0000001-0000-4000-8000-000000000001",
        "client": "310329495",
        "packages": ["regnskapsforer-med-signeringsrettighet"],
    });
    guide.change("10b", "/directory/clients/link", &new).await;
    guide.call_until("10b", call, &regn, Expected::Forwarded(&["310329495"])).await;
}

/// S1 and S2: single rights are the owner's only; a package opens more than one service, and the scope
/// narrows it again.
async fn reconciliation(guide: &mut Guide<'_>) {
    let own = guide.token("SU-AVST", A07).await;
    let own_party = get("/avstemming/a07?opplysningspliktig=314242726");
    let client = get("/avstemming/a07?opplysningspliktig=312714051");
    guide.call("S1", own_party, &own, Expected::Forwarded(&["314242726"])).await;
    guide.call("S1", client, &own, DENIED).await;
    let agent = guide.token("SU-AVST-KL", A07).await;
    guide.call("S1", client, &agent, Expected::Forwarded(&["312714051"])).await;
    guide
        .call("S1", get("/avstemming/full?opplysningspliktig=312714051"), &agent, SCOPE_MISSING)
        .await;
    let both = guide.token("SU-AVST", &format!("{A06} {A07}")).await;
    guide
        .call(
            "S2",
            get("/avstemming/a06?opplysningspliktig=314242726"),
            &both,
            Expected::Forwarded(&["314242726"]),
        )
        .await;
    guide.call("S2", own_party, &both, Expected::Forwarded(&["314242726"])).await;
    guide
        .call("S2", get("/avstemming/a06?opplysningspliktig=314242726"), &own, SCOPE_MISSING)
        .await;
}
