//! Why an answer is as it is: in words, for programs, and whether what it says is missing really is.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::reasons::{Missing, Need, Way};
use super::super::*;
use super::fixture::*;
use crate::domain::{AccessRequest, Action, Party, PdpSubject, ResourceId};
use crate::pdp::DecisionPoint as _;
use crate::xacml::{ACTION_ID, Decision, Evaluation, Mode};

const SYSTEM_USER: &str = "urn:altinn:systemuser:uuid";
const PERSON: &str = "urn:altinn:person:identifier-no";
const ORGANIZATION: &str = "urn:altinn:organization:identifier-no";
const RESOURCE: &str = "urn:altinn:resource";
const MANAGER: &str = "02868112345";
const USERS: [&str; 10] = [REGN, SKATT, REVI, FFOR, OWN, OWN_PAKKE, SELF, UTENFOR, AVST, AVST_KL];
const PARTIES: [&str; 9] =
    [FIRM, CLIENT_A, SUBUNIT, CLIENT_B, CLIENT_C, CLIENT_D, STRANGER, HOUSING, OWN_DATA];

type Pair<'a> = (&'a str, &'a str);

fn question<'a>(
    subject: &[Pair<'a>],
    resource: &'a str,
    action: &'a str,
    party: Pair<'a>,
) -> Question<'a> {
    Question {
        subject: subject.iter().map(|(id, value)| Attribute::string(*id, *value)).collect(),
        resource: vec![Attribute::string(RESOURCE, resource), Attribute::string(party.0, party.1)],
        action: vec![Attribute::string(ACTION_ID, action)],
        environment: Vec::new(),
    }
}

fn reasons_for(
    pdp: &EmbeddedPdp,
    id: &str,
    resource: &str,
    action: &str,
    party: &str,
) -> Box<Reasons> {
    let request = AccessRequest {
        subject: PdpSubject::SystemUser(user(id)),
        resource: ResourceId::parse(resource).unwrap(),
        action: Action::parse(action).unwrap(),
        party: Party::Organization(number(party)),
        instance: None,
        attributes: [].into(),
    };
    pdp.reasons(&request).unwrap()
}

/// The lines after the second, which repeats the question.
fn told(reasons: &Reasons) -> String {
    let text = reasons.to_string();
    let mut lines: Vec<&str> = text.lines().collect();
    assert!(lines.remove(1).starts_with("asked: "), "{text}");
    lines.join("\n")
}

/// System user, resource, action, party, and what is said.
const EXPLAINED: &[(&str, &str, &str, &str, &str)] = &[
        (
            REGN,
            "ske-mva-melding",
            "write",
            CLIENT_A,
            "permitted by rule 1 of `ske-mva-melding.xml` (`urn:portvakt:example:ske-mva-melding:rule:1`)
holds for this party: package `regnskapsforer-med-signeringsrettighet` (given with the client 312714051, which gives it by the role `regnskapsforer`)",
        ),
        (
            OWN,
            "ske-mva-melding",
            "write",
            OWN_DATA,
            "permitted by a single right to `ske-mva-melding`, given by 910459880 to a0000005-0000-4000-8000-000000000005 (directory: system_users[4].rights[0])
holds for this party: no package",
        ),
        (
            OWN,
            "kartverket-tinglysing",
            "write",
            OWN_DATA,
            "permitted by a single right to `kartverket-tinglysing`, given by 910459880 to a0000005-0000-4000-8000-000000000005 (directory: system_users[4].rights[1])
access lists: the party is on `tinglysing-innsendere`
holds for this party: no package",
        ),
        (
            UTENFOR,
            "kartverket-tinglysing",
            "write",
            CLIENT_C,
            "denied by the access lists of the resource, though permitted by a single right to `kartverket-tinglysing`, given by 313816915 to a0000008-0000-4000-8000-000000000008 (directory: system_users[7].rights[0])
access lists: the party is not on `tinglysing-innsendere`
holds for this party: no package",
        ),
        (
            REGN,
            "ske-mva-meldign",
            "write",
            CLIENT_A,
            "the resource has no policy; did you mean `ske-mva-melding`?",
        ),
        (
            REGN,
            "ske-mva-melding",
            "delete",
            CLIENT_A,
            "no rule of `ske-mva-melding.xml` is about this action; its actions are `read`, `write`
holds for this party: package `regnskapsforer-med-signeringsrettighet` (given with the client 312714051, which gives it by the role `regnskapsforer`)",
        ),
        (
            REGN,
            "ske-mva-melding",
            "write",
            STRANGER,
            "rule 1 of `ske-mva-melding.xml` is about this, and asks for what the subject does not have
holds for this party: no package
any one of these would be enough:
- package `merverdiavgift` or `skattegrunnlag` for 313750531
    313750531 does not give it to 314242726, but can delegate it; 314242726 can then give this system user the client
- package `regnskapsforer-med-signeringsrettighet` for 313750531
    313750531 does not give it to 314242726: it arises only from the role `regnskapsforer` in the register
    this system user holds it for 312714051
what else a permit could rest on, and cannot here:
- a single right to `write` on `ske-mva-melding`
    single rights cannot be used for clients",
        ),
        (
            REGN,
            "ske-selvstendig-betaling",
            "write",
            CLIENT_C,
            "rule 1 of `ske-selvstendig-betaling.xml` is about this, and asks for what the subject does not have
holds for this party: no package
any one of these would be enough:
- package `skattegrunnlag` for 313816915
    313816915 gives it to 314242726, but 314242726 has not given it to this system user for that client
    another system user of 314242726, SU-SKATT, holds it for 313816915
- package `regnskapsforer-med-signeringsrettighet` for 313816915
    313816915 does not give it to 314242726: it arises only from the role `regnskapsforer` in the register
    this system user holds it for 312714051
what else a permit could rest on, and cannot here:
- a single right to `write` on `ske-selvstendig-betaling`
    single rights cannot be used for clients",
        ),
        (
            REGN,
            "ske-boligselskap",
            "write",
            CLIENT_A,
            "rule 1 of `ske-boligselskap.xml` is about this, and asks for what the subject does not have
holds for this party: package `regnskapsforer-med-signeringsrettighet` (given with the client 312714051, which gives it by the role `regnskapsforer`)
what else a permit could rest on, and cannot here:
- package `forretningsforer-eiendom` for 312714051
    312714051 does not give it to 314242726: only clients of type BRL or ESEK do, and 312714051 is AS
- a single right to `write` on `ske-boligselskap`
    single rights cannot be used for clients",
        ),
        (
            AVST,
            "nav-aordning-a07",
            "read",
            CLIENT_A,
            "rules 1, 2 of `nav-aordning-a07.xml` are about this, and ask for what the subject does not have
holds for this party: no package
what else a permit could rest on, and cannot here:
- package `a-ordning` for 312714051
    this system user acts for its owner 314242726 alone: only an agent acts for others
    another system user of 314242726, SU-AVST-KL, holds it for 312714051
- a single right to `read` on `nav-aordning-a07`
    a single right of its own counts for its owner alone, 314242726
- role `dagl`, `lede` or `innh` at 312714051
    roles are never a system user's: only a package that the policy names, or a single right, would do",
        ),
];

#[test]
fn every_kind_of_answer_says_what_settled_it_and_what_was_missing() {
    let pdp = pdp();
    for (id, resource, action, party, expected) in EXPLAINED {
        let found = told(&reasons_for(&pdp, id, resource, action, party));
        assert_eq!(found, *expected, "{id} {resource} {action} {party}\n{found}");
    }
}

#[test]
fn a_link_that_has_lost_its_ground_is_named_as_such() {
    let pdp = pdp();
    pdp.directory()
        .revoke_packages(Holding::Delegated(key(CLIENT_C), key(FIRM)), [package("skattegrunnlag")])
        .unwrap();
    let reasons = reasons_for(&pdp, SKATT, "ske-mva-melding", "write", CLIENT_C);
    let first = &reasons.missing[0];
    assert_eq!(first.way, Way::Delegate);
    assert_eq!(
        first.hints,
        [
            "this system user was given it with the client 313816915, without effect: 313816915 does not \
          give it to 314242726, but can delegate it"
        ]
    );
}

#[test]
fn what_was_understood_of_the_question_is_repeated() {
    let pdp = pdp();
    let text = |subject: Pair<'_>, party: Pair<'_>| {
        let question = question(&[subject], "ske-mva-melding", "write", party);
        let text = pdp.explained(&question).1.to_string();
        text.lines().nth(1).unwrap().to_owned()
    };
    let asked = "asked: `write` on `ske-mva-melding` for";
    for (subject, party, expected) in [
        (
            (SYSTEM_USER, REGN),
            (ORGANIZATION, SUBUNIT),
            "315556155 (Tyttebær Bakeri AS avdeling Torget, subunit of 312714051 Tyttebær Bakeri AS), \
             by system user a0000001-0000-4000-8000-000000000001 (SU-REGN, agent of 314242726 Rett \
             Revisjon AS)",
        ),
        (
            (SYSTEM_USER, "a00000ff-0000-4000-8000-0000000000ff"),
            (ORGANIZATION, "312500108"),
            "312500108 (not in the directory), by system user a00000ff-0000-4000-8000-0000000000ff \
             (not in the directory)",
        ),
        (
            (PERSON, MANAGER),
            ("urn:altinn:partyid", "51581690"),
            "312714051 (Tyttebær Bakeri AS), by person ***********",
        ),
        (
            (ORGANIZATION, FIRM),
            ("urn:altinn:partyid", "1"),
            "urn:altinn:partyid:1 (not in the directory), by 314242726 (Rett Revisjon AS)",
        ),
    ] {
        assert_eq!(text(subject, party), format!("{asked} {expected}"));
    }
}

#[test]
fn a_question_that_cannot_be_read_is_told_why() {
    let pdp = pdp();
    let user = (SYSTEM_USER, REGN);
    for (subject, action, why) in [
        (&[][..], Some("write"), "it names no subject"),
        (&[user], None, "it names no action"),
        (
            &[user, (ORGANIZATION, FIRM)],
            Some("write"),
            "something stands beside the system user, which must be alone",
        ),
        (&[(SYSTEM_USER, "SU-REGN")], Some("write"), "the system user's id is not a uuid"),
        (
            &[(PERSON, MANAGER), (ORGANIZATION, FIRM)],
            Some("write"),
            "it names more than one subject",
        ),
        (&[(PERSON, "01890012345")], Some("write"), "the person is not in the directory"),
    ] {
        let mut question = question(subject, "ske-mva-melding", "", (ORGANIZATION, CLIENT_A));
        question.action = action.into_iter().map(|one| Attribute::string(ACTION_ID, one)).collect();
        let (answer, reasons) = pdp.explained(&question);
        assert!(answer.is_err(), "{why}");
        assert_eq!(reasons.in_short(), format!("the question cannot be read: {why}"));
    }
}

#[test]
fn programs_get_the_same_in_parts() {
    let reasons = reasons_for(&pdp(), REGN, "ske-aksjonaerregister", "write", CLIENT_D);
    let written = serde_json::to_value(&reasons).unwrap();
    assert_eq!(written["decision"], "NotApplicable");
    assert_eq!(written["settled"]["by"], "noRule");
    assert_eq!(written["settled"]["reached"]["rules"][0]["number"], 1);
    assert_eq!(written["asked"]["subject"]["kind"], "agent");
    assert_eq!(
        written["missing"][0],
        serde_json::json!({
            "needs": [{
                "need": "package", "package": "regnskapsforer-med-signeringsrettighet",
                "for": CLIENT_D,
            }],
            "way": "link",
            "hints": [
                "310329495 gives it to 314242726, but 314242726 has not given it to this system \
                 user for that client",
                "this system user holds it for 312714051",
            ],
        })
    );
    assert_eq!(
        reasons.in_short(),
        "rule 1 of `ske-aksjonaerregister.xml` is about this, and asks for what the subject does \
         not have; missing: package `regnskapsforer-med-signeringsrettighet` for 310329495"
    );
}

#[test]
fn no_person_is_named() {
    let pdp = pdp();
    for subject in [(PERSON, MANAGER), (SYSTEM_USER, REGN), (SYSTEM_USER, MANAGER)] {
        for party in [(PERSON, MANAGER), (PERSON, "01890012345"), (PERSON, "1 02868112345")] {
            for resource in ["ske-mva-melding", "nav-aordning-a07", MANAGER] {
                let question = question(&[subject], resource, MANAGER, party);
                let (_, reasons) = pdp.explained(&question);
                let all =
                    format!("{reasons} {} {reasons:?}", serde_json::to_string(&reasons).unwrap());
                for secret in [MANAGER, "01890012345", "Daglig Leder"] {
                    assert!(!all.contains(secret), "{all}");
                }
            }
        }
    }
}

#[test]
fn a_policy_of_many_packages_fills_no_screen() {
    let text = include_str!("../../../../policies/resources/ske-mva-melding.xml");
    let (_, rest) = text.split_once("<xacml:AllOf>").unwrap();
    let (inside, _) = rest.split_once("</xacml:AllOf>").unwrap();
    let block = format!("<xacml:AllOf>{inside}</xacml:AllOf>");
    let many: String =
        (0..500).map(|n| block.replace("merverdiavgift", &format!("pakke-{n}"))).collect();
    let policy = text.replacen(&block, &many, 1);
    let policies = PolicyStore::build([("many.xml".to_owned(), policy)]).unwrap();
    let pdp = EmbeddedPdp::new(policies, Directory::build(parts()).unwrap(), Mode::Altinn);
    let reasons = reasons_for(&pdp, REGN, "ske-mva-melding", "write", STRANGER);
    assert!(reasons.missing.len() <= 16 && reasons.more_missing, "{reasons}");
    assert!(reasons.to_string().ends_with("\n- and more"), "{reasons}");
}

/// Lets the directory say what the hint says that somebody would do.
fn follow(missing: &Missing, id: &str, party: &str, parts: &mut DirectoryParts) -> bool {
    let [Need::Package { package: code, .. }] = missing.needs.as_slice() else { return false };
    let client = if party == SUBUNIT { CLIENT_A } else { party };
    let owner = system_user_part(parts, id).owner.clone();
    match missing.way {
        Way::Link | Way::OwnPackage => {}
        Way::Delegate | Way::DelegateAndLink => {
            let given = parts
                .delegations
                .iter_mut()
                .find(|one| one.from.as_deref() == Some(client) && one.to.as_ref() == Some(&owner));
            match given {
                Some(given) => given.packages.push(code.clone()),
                None => parts.delegations.push(DelegationPart {
                    from: Some(client.to_owned()),
                    to: Some(owner),
                    packages: vec![code.clone()],
                    ..DelegationPart::default()
                }),
            }
        }
        Way::Role | Way::RoleAndLink => {
            let hint = &missing.hints[0];
            let (_, role) = hint.split_once("from the role `").unwrap();
            let (role, _) = role.split_once('`').unwrap();
            parts.roles.push(RolePart {
                client: Some(client.to_owned()),
                role: Some(role.to_owned()),
                provider: Some(owner),
                ..RolePart::default()
            });
        }
        Way::SingleRight | Way::AccessList | Way::None => return false,
    }
    let user = system_user_part(parts, id);
    match missing.way {
        Way::OwnPackage => user.packages.push(code.clone()),
        Way::Link | Way::DelegateAndLink | Way::RoleAndLink => {
            match user.clients.iter_mut().find(|one| one.client == client) {
                Some(linked) => linked.packages.push(code.clone()),
                None => user.clients.push(AgentClientPart {
                    client: client.to_owned(),
                    packages: vec![code.clone()],
                }),
            }
        }
        Way::Delegate | Way::Role | Way::SingleRight | Way::AccessList | Way::None => {}
    }
    true
}

#[test]
fn what_is_said_to_be_missing_makes_a_permit_when_it_is_given_in_the_way_it_says() {
    let whole = pdp();
    let mut without = parts();
    // Links remain that nothing supports any longer.
    without.delegations.clear();
    without.roles.retain(|one| one.person.is_some());
    let bare = pdp_of(without.clone());
    let mut followed = std::collections::BTreeMap::new();
    for (pdp, parts) in [(&whole, parts()), (&bare, without)] {
        for id in USERS {
            for resource in pdp.policies().resources() {
                for (action, party) in
                    PARTIES.iter().flat_map(|party| [("read", party), ("write", party)])
                {
                    let reasons = reasons_for(pdp, id, resource.as_str(), action, party);
                    for missing in &reasons.missing {
                        let mut parts = parts.clone();
                        if follow(missing, id, party, &mut parts) {
                            let directory = Directory::build(parts).unwrap();
                            let pdp =
                                EmbeddedPdp::new(pdp.policies().clone(), directory, Mode::Altinn);
                            let found = ask(&pdp, id, resource.as_str(), action, party);
                            // What the lists of the resource say comes after.
                            let open = resource.as_str() != "kartverket-tinglysing";
                            let expected =
                                if open || *party == OWN_DATA { "Permit" } else { "Deny" };
                            assert_eq!(found, expected, "{missing:?} of\n{reasons}");
                            *followed.entry(format!("{:?}", missing.way)).or_insert(0) += 1;
                        }
                    }
                }
            }
        }
    }
    let ways: Vec<_> = followed.keys().map(String::as_str).collect();
    let expected = ["Delegate", "DelegateAndLink", "Link", "OwnPackage", "Role", "RoleAndLink"];
    assert_eq!(ways, expected, "every way was tried: {followed:?}");
}

static PDPS: LazyLock<[(Mode, EmbeddedPdp); 2]> = LazyLock::new(|| {
    [Mode::Altinn, Mode::Strict]
        .map(|mode| (mode, EmbeddedPdp::new(policies(), Directory::build(parts()).unwrap(), mode)))
});

fn attribute() -> impl Strategy<Value = (&'static str, &'static str)> {
    let users = proptest::sample::select(&USERS[..]).prop_map(|id| (SYSTEM_USER, id));
    let parties = proptest::sample::select(&PARTIES[..]).prop_map(|number| (ORGANIZATION, number));
    let others = proptest::sample::select(vec![
        (PERSON, MANAGER),
        (PERSON, "15877012345"),
        (PERSON, "x"),
        (SYSTEM_USER, "x"),
        ("urn:altinn:partyid", "51581690"),
        ("urn:altinn:party:uuid", "c12f8f37-391b-4651-be09-05665f5acdb6"),
        ("urn:altinn:userid", "1"),
        ("urn:altinn:rolecode", "dagl"),
        ("urn:altinn:accesspackage", "skattegrunnlag"),
    ]);
    prop_oneof![4 => users, 3 => parties, 2 => others]
}

proptest! {
    #[test]
    fn a_witness_changes_no_answer(
        subject in proptest::collection::vec(attribute(), 0..3),
        resource in proptest::sample::select(vec![
            "ske-mva-melding", "ske-boligselskap", "ske-aksjonaerregister", "digdir-meldinger",
            "kartverket-tinglysing", "nav-aordning-a07", "nav-aordning-full", "unknown-one",
        ]),
        parties in proptest::collection::vec(attribute(), 0..3),
        action in proptest::sample::select(vec!["read", "write", "delete", ""]),
        strict in any::<bool>(),
    ) {
        let mode = if strict { Mode::Strict } else { Mode::Altinn };
        let pdp = PDPS.iter().find(|(one, _)| *one == mode).map(|(_, pdp)| pdp).unwrap();
        let mut question = question(&subject, resource, action, (ORGANIZATION, CLIENT_A));
        question.resource.truncate(1);
        question.resource.extend(parties.iter().map(|(id, value)| Attribute::string(*id, *value)));
        let (explained, reasons) = pdp.explained(&question);
        let word = match &explained {
            Ok(evaluation) => evaluation.decision,
            Err(_) => Decision::Indeterminate,
        };
        prop_assert_eq!(explained.clone().unwrap_or_else(Evaluation::indeterminate), pdp.answer(&question));
        prop_assert_eq!(reasons.decision, format!("{word:?}"));
        let text = reasons.to_string();
        prop_assert!(!text.contains("by rule") || word == Decision::Permit || word == Decision::Deny, "{}", text);
    }
}
