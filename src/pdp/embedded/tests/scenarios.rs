//! The user scenarios: who asks for what, and what the answer is.

use super::fixture::*;
use crate::domain::{Decision, Party, PdpSubject};

const MVA: &str = "ske-mva-melding";
const BOLIG: &str = "ske-boligselskap";
const AKSJE: &str = "ske-aksjonaerregister";
const BETALING: &str = "ske-selvstendig-betaling";
const MELDINGER: &str = "digdir-meldinger";
const TINGLYSING: &str = "kartverket-tinglysing";
const A06: &str = "nav-aordning-a06";
const A07: &str = "nav-aordning-a07";
const FULL: &str = "nav-aordning-full";

const NO: &str = "NotApplicable";

#[test]
fn every_row_of_the_scenarios_is_decided_as_written() {
    let pdp = pdp();
    for (scenario, id, resource, action, party, expected) in [
        ("1", REGN, MVA, "write", CLIENT_A, "Permit"),
        ("1, read", REGN, MVA, "read", CLIENT_A, "Permit"),
        ("1, no relation", REGN, MVA, "write", STRANGER, NO),
        ("1, another action", REGN, MVA, "delete", CLIENT_A, NO),
        ("1, not for the firm itself", REGN, MVA, "write", FIRM, NO),
        ("1, subunit of the client", REGN, MVA, "write", SUBUNIT, "Permit"),
        ("2", FFOR, BOLIG, "write", HOUSING, "Permit"),
        ("2, not a housing company", FFOR, BOLIG, "write", CLIENT_A, NO),
        ("2, wrong system user", REGN, BOLIG, "write", HOUSING, NO),
        ("3, registered", REGN, BETALING, "write", CLIENT_A, "Permit"),
        ("3, unregistered", SKATT, BETALING, "write", CLIENT_C, "Permit"),
        ("3, wrong system user", REGN, BETALING, "write", CLIENT_C, NO),
        ("3, wrong system user", SKATT, BETALING, "write", CLIENT_A, NO),
        ("4", SKATT, MVA, "write", CLIENT_C, "Permit"),
        ("5, single right", OWN, MVA, "write", OWN_DATA, "Permit"),
        ("5, package", OWN_PAKKE, MVA, "write", OWN_DATA, "Permit"),
        ("5, not the owner", OWN, MVA, "write", CLIENT_A, NO),
        ("5, not the owner, package", OWN_PAKKE, MVA, "write", CLIENT_A, NO),
        ("5, a right it lacks", OWN, MVA, "delete", OWN_DATA, NO),
        ("5, a resource it lacks", OWN, MELDINGER, "read", OWN_DATA, NO),
        ("6, first party", REGN, MELDINGER, "read", CLIENT_A, "Permit"),
        ("6, second party", REGN, MELDINGER, "read", SUBUNIT, "Permit"),
        ("6, third party", REGN, MELDINGER, "read", CLIENT_C, NO),
        ("7", OWN, TINGLYSING, "write", OWN_DATA, "Permit"),
        ("7, no right to read", OWN, TINGLYSING, "read", OWN_DATA, NO),
        ("7, on no list", UTENFOR, TINGLYSING, "write", CLIENT_C, "Deny"),
        ("8", SELF, TINGLYSING, "write", OWN_DATA, "Permit"),
        ("9", SELF, MVA, "write", OWN_DATA, "Permit"),
        ("10b, before the link", REGN, AKSJE, "write", CLIENT_D, NO),
        ("S1, for the owner", AVST, A07, "read", FIRM, "Permit"),
        ("S1, for a client", AVST, A07, "read", CLIENT_A, NO),
        ("S1, agent", AVST_KL, A07, "read", CLIENT_A, "Permit"),
        ("S1, agent, the whole", AVST_KL, FULL, "read", CLIENT_A, "Permit"),
        ("S1, agent, other client", AVST_KL, A07, "read", CLIENT_B, NO),
        ("S1, agent, the owner", AVST_KL, A07, "read", FIRM, NO),
        ("S2", AVST, A06, "read", FIRM, "Permit"),
        ("S2, not the whole", AVST, FULL, "read", FIRM, NO),
        ("unknown resource", REGN, "ske-ukjent", "read", CLIENT_A, "Indeterminate"),
        ("unknown system user", CLIENT_ID, MVA, "write", CLIENT_A, NO),
        ("unknown party", REGN, MVA, "write", "312500108", NO),
    ] {
        let found = ask(&pdp, id, resource, action, party);
        assert_eq!(found, expected, "scenario {scenario}: {id} {resource} {action} {party}");
    }
}

/// Of no system user.
const CLIENT_ID: &str = "a00000ff-0000-4000-8000-0000000000ff";

#[test]
fn in_scenario_10_each_client_is_reached_by_its_own_system_user_alone() {
    let pdp = pdp();
    let permitted = [(REVI, CLIENT_B), (SKATT, CLIENT_C), (REGN, CLIENT_A), (REGN, SUBUNIT)];
    let users = [REGN, SKATT, REVI, FFOR, OWN, OWN_PAKKE, SELF, UTENFOR, AVST, AVST_KL];
    let parties =
        [CLIENT_A, SUBUNIT, CLIENT_B, CLIENT_C, CLIENT_D, STRANGER, HOUSING, FIRM, OWN_DATA];
    for id in users {
        for party in parties {
            let expected = if permitted.contains(&(id, party)) { "Permit" } else { NO };
            assert_eq!(ask(&pdp, id, AKSJE, "write", party), expected, "{id} {party}");
        }
    }
}

#[test]
fn a_permit_carries_the_level_of_the_policy_however_it_came_about() {
    let pdp = pdp();
    for (how, id, resource, action, party, level) in [
        ("by package", REGN, MVA, "write", CLIENT_A, "3"),
        ("by single right", OWN, MVA, "write", OWN_DATA, "3"),
        ("by single right, past an access list", OWN, TINGLYSING, "write", OWN_DATA, "3"),
        ("by single right", AVST, A07, "read", FIRM, "2"),
    ] {
        let subject = PdpSubject::SystemUser(user(id));
        let party = Party::Organization(number(party));
        let Decision::Permit(obligations) = decide(&pdp, subject, resource, action, party) else {
            panic!("{how}: not permitted");
        };
        let found: Vec<_> =
            obligations.as_slice().iter().map(|one| (&*one.category, &*one.value)).collect();
        assert_eq!(found, [("urn:altinn:minimum-authenticationlevel", level)], "{how}");
    }
}

#[test]
fn a_token_is_for_a_client_of_the_vendor_and_the_external_reference_it_names() {
    let pdp = pdp();
    let directory = pdp.directory().current();
    for (client, owner, external_ref, expected) in [
        ("smartcloud", FIRM, Some("regnskap"), Some(REGN)),
        ("smartcloud", FIRM, Some("skattegrunnlag"), Some(SKATT)),
        ("smartcloud", FIRM, Some("revisjon"), Some(REVI)),
        ("smartcloud", FIRM, None, None),
        ("smartcloud", FIRM, Some("ukjent"), None),
        ("smartcloud", OWN_DATA, None, Some(OWN)),
        ("smartcloud", OWN_DATA, Some(OWN_DATA), Some(OWN)),
        ("smartcloud", OWN_DATA, Some("pakke"), Some(OWN_PAKKE)),
        ("smartcloud", CLIENT_A, Some("regnskap"), None),
        // Scenario 9: the same owner, and only its own client obtains SU-SELF.
        ("eget-regnskap-sap", OWN_DATA, None, Some(SELF)),
        ("superavstemming", FIRM, None, Some(AVST)),
        ("superavstemming", FIRM, Some("klienter"), Some(AVST_KL)),
        ("superavstemming", FIRM, Some("regnskap"), None),
        ("unknown", FIRM, Some("regnskap"), None),
    ] {
        let found = directory.granted(client, number(owner), external_ref).map(|user| user.id);
        assert_eq!(found, expected.map(user), "{client} {owner} {external_ref:?}");
    }
}
