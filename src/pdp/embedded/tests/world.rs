//! A small world of users, units and instances, written out here: who holds what follows from the lines
//! below alone. Policies are written in the form in which Altinn stores them.

use super::super::*;
use super::fixture::{CLIENT_A, CLIENT_B, FIRM, STRANGER, SUBUNIT};
use crate::domain::{CheckDigits, Indeterminate};
use crate::pdp::wire::{WireAttribute, WireCategory, WireResult, category};
use crate::xacml::{ACTION_ID, DataType, Mode};

pub(super) const RESOURCE: &str = "urn:altinn:resource";
pub(super) const PARTY_ID: &str = "urn:altinn:partyid";
pub(super) const PARTY_UUID: &str = "urn:altinn:party:uuid";
pub(super) const ORGANIZATION: &str = "urn:altinn:organization:identifier-no";
pub(super) const PERSON: &str = "urn:altinn:person:identifier-no";
pub(super) const USER: &str = "urn:altinn:userid";
pub(super) const SYSTEM_USER: &str = "urn:altinn:systemuser:uuid";
pub(super) const INSTANCE: &str = "urn:altinn:instance-id";
pub(super) const RESOURCE_INSTANCE: &str = "urn:altinn:resource:instance-id";
pub(super) const TASK: &str = "urn:altinn:task";
pub(super) const ROLE_CODE: &str = "urn:altinn:rolecode";

/// Persons, each with the user id and the party id that ends the same.
pub(super) const ANNA: (&str, &str) = ("15877012345", "501");
pub(super) const BO: (&str, &str) = ("02868112345", "502");
pub(super) const KARI: (&str, &str) = ("03878212345", "503");
pub(super) const DECEASED: (&str, &str) = ("04873912345", "504");

/// Party ids of the organizations.
pub(super) const ID_A: &str = "1001";
pub(super) const ID_SUBUNIT: &str = "1002";
pub(super) const ID_B: &str = "1003";
pub(super) const ID_FIRM: &str = "1004";
pub(super) const ID_STRANGER: &str = "1005";

/// Of client A, of client A in another task, of client B and ended.
pub(super) const FIRST: &str = "00000001-0000-4000-8000-000000000001";
pub(super) const SECOND: &str = "00000002-0000-4000-8000-000000000002";
pub(super) const OTHERS: &str = "00000003-0000-4000-8000-000000000003";

/// A standard system user of client A, and an agent of the firm.
pub(super) const OWN_SYSTEM: &str = "a0000011-0000-4000-8000-000000000011";
pub(super) const AGENT: &str = "a0000012-0000-4000-8000-000000000012";

pub(super) const FORM: &str = "app_ttd_skjema";
pub(super) const REGISTER: &str = "ttd-register";

pub(super) type Pair<'a> = (&'a str, &'a str);

pub(super) fn uuid_of(party_id: &str) -> String {
    format!("00000000-0000-4000-8000-{party_id:0>12}")
}

pub(super) fn parts() -> DirectoryParts {
    let organization = |number: &str, id: &str, parent: Option<&str>| PartyPart {
        organization: Some(number.to_owned()),
        party_id: Some(id.to_owned()),
        party_uuid: Some(uuid_of(id)),
        parent: parent.map(str::to_owned),
        ..PartyPart::default()
    };
    let person = |(number, user): Pair<'_>| PartyPart {
        person: Some(PersonText(number.to_owned())),
        user_id: Some(user.to_owned()),
        party_id: Some(format!("2{user}")),
        party_uuid: Some(uuid_of(&format!("2{user}"))),
        ..PartyPart::default()
    };
    let instance = |id: &str, uuid: &str, task: Option<&str>, end: Option<&str>| InstancePart {
        id: format!("{id}/{uuid}"),
        resource: FORM.to_owned(),
        task: task.map(str::to_owned),
        end_event: end.map(str::to_owned),
    };
    DirectoryParts {
        check_digits: CheckDigits::Strict,
        parties: vec![
            organization(CLIENT_A, ID_A, None),
            organization(SUBUNIT, ID_SUBUNIT, Some(CLIENT_A)),
            organization(CLIENT_B, ID_B, None),
            organization(FIRM, ID_FIRM, None),
            organization(STRANGER, ID_STRANGER, None),
            person(ANNA),
            person(BO),
            person(KARI),
            person(DECEASED),
        ],
        instances: vec![
            instance(ID_A, FIRST, Some("Task_1"), None),
            instance(ID_A, SECOND, Some("Task_2"), None),
            instance(ID_B, OTHERS, None, Some("EndEvent_1")),
        ],
        system_users: vec![
            SystemUserPart {
                id: OWN_SYSTEM.to_owned(),
                kind: "standard".to_owned(),
                owner: CLIENT_A.to_owned(),
                vendor: CLIENT_A.to_owned(),
                system_id: "own_system".to_owned(),
                ..SystemUserPart::default()
            },
            SystemUserPart {
                id: AGENT.to_owned(),
                kind: "agent".to_owned(),
                owner: FIRM.to_owned(),
                vendor: FIRM.to_owned(),
                system_id: "agent".to_owned(),
                ..SystemUserPart::default()
            },
        ],
        ..DirectoryParts::default()
    }
}

/// One rule: a subject, what the resource must be, an action. Compared ignoring case.
pub(super) fn policy(rules: &[(Pair<'_>, &[Pair<'_>], &str)]) -> String {
    let written: Vec<String> = rules
        .iter()
        .enumerate()
        .map(|(index, (subject, resource, action))| {
            format!(
                "<Rule RuleId=\"rule-{index}\" Effect=\"Permit\"><Target>{}{}{}</Target></Rule>",
                any_of(category::SUBJECT, &[*subject]),
                any_of(category::RESOURCE, resource),
                any_of(category::ACTION, &[(ACTION_ID, action)]),
            )
        })
        .collect();
    let written = written.concat();
    format!(
        "<Policy xmlns=\"urn:oasis:names:tc:xacml:3.0:core:schema:wd-17\" PolicyId=\"urn:test\" \
         Version=\"1.0\" RuleCombiningAlgId=\"urn:oasis:names:tc:xacml:3.0:\
         rule-combining-algorithm:deny-overrides\"><Target/>{written}</Policy>"
    )
}

fn any_of(category: &str, pairs: &[Pair<'_>]) -> String {
    let matches: Vec<String> = pairs
        .iter()
        .map(|(id, value)| {
            format!(
                "<Match MatchId=\"urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case\">\
                 <AttributeValue DataType=\"http://www.w3.org/2001/XMLSchema#string\">{value}\
                 </AttributeValue><AttributeDesignator AttributeId=\"{id}\" Category=\"{category}\" \
                 DataType=\"http://www.w3.org/2001/XMLSchema#string\" MustBePresent=\"false\"/>\
                 </Match>"
            )
        })
        .collect();
    let matches = matches.concat();
    format!("<AnyOf><AllOf>{matches}</AllOf></AnyOf>")
}

/// What every policy of this world permits demands.
pub(super) const OBLIGATION: &str = "<ObligationExpressions><ObligationExpression \
    ObligationId=\"urn:altinn:obligation:1\" FulfillOn=\"Permit\"><AttributeAssignmentExpression \
    AttributeId=\"urn:altinn:obligation-assignment:1\" \
    Category=\"urn:altinn:minimum-authenticationlevel\"><AttributeValue \
    DataType=\"http://www.w3.org/2001/XMLSchema#integer\">3</AttributeValue>\
    </AttributeAssignmentExpression></ObligationExpression></ObligationExpressions>";

pub(super) fn with_obligation(policy: &str) -> String {
    policy.replace("</Policy>", &format!("{OBLIGATION}</Policy>"))
}

/// `dagl` may read the form and sign it in its second task, and read the register.
pub(super) fn policies() -> Vec<(String, String)> {
    let app: &[Pair<'_>] = &[("urn:altinn:org", "ttd"), ("urn:altinn:app", "skjema")];
    let in_task = [app, &[(TASK, "Task_2")]].concat();
    let form = policy(&[
        ((ROLE_CODE, "dagl"), app, "read"),
        ((ROLE_CODE, "dagl"), &in_task, "sign"),
        (("urn:altinn:org", "ttd"), app, "read"),
    ]);
    let register = policy(&[((ROLE_CODE, "dagl"), &[(RESOURCE, REGISTER)], "read")]);
    vec![
        ("form.xml".to_owned(), with_obligation(&form)),
        ("register.xml".to_owned(), with_obligation(&register)),
    ]
}

pub(super) fn pdp(parts: DirectoryParts) -> EmbeddedPdp {
    pdp_with(parts, policies())
}

pub(super) fn pdp_with(parts: DirectoryParts, policies: Vec<(String, String)>) -> EmbeddedPdp {
    let store = PolicyStore::build(policies).unwrap();
    let directory = Directory::build(parts).unwrap();
    assert_eq!(directory.notes(), []);
    EmbeddedPdp::new(store, directory, Mode::Altinn)
}

pub(super) fn ask(
    pdp: &EmbeddedPdp,
    api: Api,
    subject: &[Pair<'_>],
    resource: &[Pair<'_>],
    action: &str,
) -> Result<WireResult, Indeterminate> {
    let category = |category: &str, pairs: &[Pair<'_>]| WireCategory {
        category: category.to_owned(),
        id: None,
        attributes: pairs
            .iter()
            .map(|(id, value)| WireAttribute {
                id: (*id).to_owned(),
                value: (*value).to_owned(),
                data_type: DataType::String.uri(),
                include_in_result: false,
                is_further: false,
            })
            .collect(),
    };
    let asked = [
        category(category::SUBJECT, subject),
        category(category::RESOURCE, resource),
        category(category::ACTION, &[(ACTION_ID, action)]),
    ];
    pdp.answer_wire(api, &asked.each_ref())
}

/// The decision's word; of a question that cannot be read, why.
pub(super) fn word(
    pdp: &EmbeddedPdp,
    api: Api,
    subject: &[Pair<'_>],
    resource: &[Pair<'_>],
    action: &str,
) -> String {
    match ask(pdp, api, subject, resource, action) {
        Ok(result) => result.decision.as_str().to_owned(),
        Err(why) => format!("{why:?}"),
    }
}

pub(super) fn role(client: &str, codes: &[&str], holder: Pair<'_>) -> RolePart {
    RolePart {
        client: Some(client.to_owned()),
        codes: codes.iter().map(|code| (*code).to_owned()).collect(),
        person: Some(PersonText(holder.0.to_owned())),
        ..RolePart::default()
    }
}

pub(super) fn right(resource: &str, action: &str) -> RightPart {
    RightPart {
        resource: resource.to_owned(),
        actions: vec![action.to_owned()],
        ..RightPart::default()
    }
}

/// From one organization to another.
pub(super) fn delegation(from: &str, to: &str, rights: Vec<RightPart>) -> DelegationPart {
    DelegationPart {
        from: Some(from.to_owned()),
        to: Some(to.to_owned()),
        rights,
        ..DelegationPart::default()
    }
}

pub(super) fn to_person(from: &str, to: Pair<'_>, rights: Vec<RightPart>) -> DelegationPart {
    DelegationPart {
        from: Some(from.to_owned()),
        person: Some(PersonText(to.0.to_owned())),
        rights,
        ..DelegationPart::default()
    }
}

/// A delegation in Altinn's form, from client A to whom the caller names.
pub(super) fn stored(resource: &str, document: String) -> DelegationPolicyPart {
    DelegationPolicyPart {
        from: Some(CLIENT_A.to_owned()),
        resource: resource.to_owned(),
        file: "delegated.xml".to_owned(),
        document: document.into_bytes(),
        ..DelegationPolicyPart::default()
    }
}
