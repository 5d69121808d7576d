//! Instances: what one tells about a question, and what is delegated for one alone.

use super::super::*;
use super::fixture::{CLIENT_A, CLIENT_B, FIRM};
use super::world::*;

const PERMIT: &str = "Permit";
const NO: &str = "NotApplicable";
const ORG: &str = "urn:altinn:org";
const APP: &str = "urn:altinn:app";

fn id(owner: &str, uuid: &str) -> String {
    format!("{owner}/{uuid}")
}

#[test]
fn an_instance_tells_its_app_its_party_and_its_task() {
    let mut parts = parts();
    parts.roles = vec![role(CLIENT_A, &["dagl"], ANNA)];
    let pdp = pdp(parts);
    let (first, second, others) = (id(ID_A, FIRST), id(ID_A, SECOND), id(ID_B, OTHERS));
    let (first, second) = ((INSTANCE, &*first), (INSTANCE, &*second));
    let (app, a) = ((RESOURCE, FORM), (PARTY_ID, ID_A));
    for (resource, action, expected) in [
        (&[first][..], "read", PERMIT),
        (&[first, app], "read", PERMIT),
        (&[first, (ORG, "ttd"), (APP, "skjema"), a], "read", PERMIT),
        (&[(INSTANCE, &*others)], "read", NO),
        // To be signed in the second task only, which is the instance's to tell unless it is told.
        (&[first], "sign", NO),
        (&[second], "sign", PERMIT),
        (&[second, app, a], "sign", PERMIT),
        (&[first, (TASK, "Task_2")], "sign", PERMIT),
        (&[second, (TASK, "Task_1")], "sign", NO),
        // Whose it is, is never the question's to tell.
        (&[(INSTANCE, &*others), a], "read", NO),
        (&[(INSTANCE, &*others), a, app, (TASK, "Task_1")], "read", NO),
        (&[first, (PARTY_ID, ID_B)], "read", NO),
        (&[first, (ORGANIZATION, CLIENT_B)], "read", NO),
        (&[first, (ORGANIZATION, "312500108")], "read", NO),
        // An app without an instance has no task.
        (&[app, a], "read", PERMIT),
        (&[app, a], "sign", NO),
    ] {
        let found = word(&pdp, Api::Internal, &[(USER, ANNA.1)], resource, action);
        assert_eq!(found, expected, "{resource:?} {action}");
    }
}

#[test]
fn an_instance_that_is_needed_and_not_known_cannot_be_answered() {
    let mut parts = parts();
    parts.roles = vec![role(CLIENT_A, &["dagl"], ANNA)];
    let pdp = pdp(parts);
    let unknown = id(ID_A, "00000009-0000-4000-8000-000000000009");
    let (not_its_owners, not_a_uuid) = (id(ID_B, FIRST), id(ID_A, "x"));
    let first = id(ID_A, FIRST);
    let (app, a) = ((RESOURCE, FORM), (PARTY_ID, ID_A));
    for (resource, expected) in [
        (&[(INSTANCE, &*unknown)][..], "SyntaxError"),
        (&[(INSTANCE, &*unknown), app, a], "SyntaxError"),
        (&[(INSTANCE, &*not_its_owners)], "SyntaxError"),
        (&[(INSTANCE, &*not_a_uuid)], "SyntaxError"),
        (&[(INSTANCE, FIRST)], "SyntaxError"),
        (&[(INSTANCE, "")], "SyntaxError"),
        (&[(INSTANCE, &*first), (RESOURCE, "app_ttd_annet")], "SyntaxError"),
        (&[(INSTANCE, &*first), (RESOURCE, REGISTER)], "SyntaxError"),
        (&[(INSTANCE, &*first), (ORG, "skd")], "SyntaxError"),
        (&[(INSTANCE, &*first), (APP, "annet")], "SyntaxError"),
        // A question that says everything itself needs no lookup, nor does one about no app.
        (&[(INSTANCE, &*unknown), app, a, (TASK, "Task_1")], PERMIT),
        (&[(INSTANCE, &*unknown), app, a, ("urn:altinn:appresource", "events")], PERMIT),
        (&[(INSTANCE, &*unknown), (RESOURCE, REGISTER), a], PERMIT),
        (&[(RESOURCE_INSTANCE, "anything"), (RESOURCE, REGISTER), a], PERMIT),
    ] {
        let found = word(&pdp, Api::Internal, &[(USER, ANNA.1)], resource, "read");
        assert_eq!(found, expected, "{resource:?}");
    }
}

#[test]
fn the_party_an_instance_told_is_repeated_where_a_rule_was_looked_at() {
    let mut parts = parts();
    parts.roles = vec![role(CLIENT_A, &["dagl"], ANNA)];
    let pdp = pdp(parts);
    let first = id(ID_A, FIRST);
    for (subject, resource, action, echoed) in [
        ((USER, ANNA.1), &[(INSTANCE, &*first)][..], "read", Some(ID_A)),
        (("urn:altinn:org", "ttd"), &[(INSTANCE, &*first)], "read", Some(ID_A)),
        // Rules are about reading, none is met.
        ((USER, BO.1), &[(INSTANCE, &*first)], "read", Some(ID_A)),
        // No rule is about this.
        ((USER, ANNA.1), &[(INSTANCE, &*first)], "delete", None),
        ((USER, ANNA.1), &[(INSTANCE, &*first), (PARTY_ID, ID_A)], "read", None),
        ((USER, ANNA.1), &[(INSTANCE, &*first), (ORGANIZATION, CLIENT_A)], "read", None),
        ((USER, ANNA.1), &[(RESOURCE, REGISTER), (ORGANIZATION, CLIENT_A)], "read", None),
    ] {
        let result = ask(&pdp, Api::Internal, &[subject], resource, action).unwrap();
        let found: Vec<_> = result.echoed.iter().flat_map(|entry| &entry.attributes).collect();
        let values: Vec<_> = found.iter().map(|one| (&*one.id, &*one.value)).collect();
        let expected: Vec<_> = echoed.into_iter().map(|id| (PARTY_ID, id)).collect();
        assert_eq!(values, expected, "{subject:?} {resource:?} {action}");
    }
}

#[test]
fn a_right_to_one_instance_or_task_is_for_no_other() {
    let mut parts = parts();
    let only = |instance: Option<&str>, task: Option<&str>, resource, action| RightPart {
        instance: instance.map(str::to_owned),
        task: task.map(str::to_owned),
        ..right(resource, action)
    };
    parts.delegations = vec![to_person(
        CLIENT_A,
        KARI,
        vec![
            only(Some(SECOND), None, FORM, "write"),
            only(None, Some("Task_1"), FORM, "write"),
            only(Some(FIRST), None, REGISTER, "write"),
        ],
    )];
    let pdp = pdp(parts);
    let (first, second) = (id(ID_A, FIRST), id(ID_A, SECOND));
    let long = format!("urn:altinn:instance-id:{second}");
    let others_long = format!("urn:altinn:instance-id:{ID_B}/{SECOND}");
    let (app, register, a) = ((RESOURCE, FORM), (RESOURCE, REGISTER), (PARTY_ID, ID_A));
    for (resource, expected) in [
        (&[(INSTANCE, &*second)][..], PERMIT),
        (&[app, a, (RESOURCE_INSTANCE, SECOND)], PERMIT),
        (&[app, a, (RESOURCE_INSTANCE, &*long)], PERMIT),
        (&[app, a, (RESOURCE_INSTANCE, &*others_long)], NO),
        (&[(INSTANCE, &*second), (RESOURCE_INSTANCE, FIRST), (TASK, "x")], NO),
        // By its task.
        (&[(INSTANCE, &*first)], PERMIT),
        (&[(INSTANCE, &*first), (TASK, "Task_3")], NO),
        (&[app, a, (TASK, "Task_1")], PERMIT),
        (&[app, a], NO),
        (&[app, a, (RESOURCE_INSTANCE, FIRST)], NO),
        (&[app, (PARTY_ID, ID_B), (TASK, "Task_1")], NO),
        (&[register, a, (RESOURCE_INSTANCE, FIRST)], PERMIT),
        (&[register, a, (RESOURCE_INSTANCE, SECOND)], NO),
        (&[register, a, (RESOURCE_INSTANCE, "anything")], NO),
        (&[register, a], NO),
    ] {
        let found = word(&pdp, Api::Internal, &[(USER, KARI.1)], resource, "write");
        assert_eq!(found, expected, "{resource:?}");
        let other = word(&pdp, Api::Internal, &[(USER, BO.1)], resource, "write");
        assert_eq!(other, NO, "{resource:?}");
    }
}

#[test]
fn an_instance_delegated_in_altinns_form_is_for_its_receiver_alone() {
    let about: &[Pair<'_>] = &[(RESOURCE, FORM), (TASK, "Task_1"), (RESOURCE_INSTANCE, FIRST)];
    let firm = uuid_of(ID_FIRM);
    let anna = uuid_of("2501");
    let mut parts = parts();
    parts.roles = vec![role(FIRM, &["ECKEYROLE"], BO), role(FIRM, &["MEDL"], KARI)];
    parts.delegation_policies = vec![
        DelegationPolicyPart {
            to: Some(FIRM.to_owned()),
            instance: Some(FIRST.to_owned()),
            ..stored(FORM, policy(&[(("urn:altinn:organization:uuid", &firm), about, "sign")]))
        },
        DelegationPolicyPart {
            person: Some(PersonText(ANNA.0.to_owned())),
            instance: Some(FIRST.to_owned()),
            ..stored(FORM, policy(&[(("urn:altinn:person:uuid", &anna), about, "sign")]))
        },
    ];
    let pdp = pdp(parts);
    let (first, second) = (id(ID_A, FIRST), id(ID_A, SECOND));
    let here: &[Pair<'_>] = &[(INSTANCE, &first)];
    for (subject, resource, action, expected) in [
        ((USER, ANNA.1), here, "sign", PERMIT),
        ((USER, BO.1), here, "sign", PERMIT),
        ((PARTY_ID, ID_FIRM), here, "sign", PERMIT),
        ((USER, ANNA.1), here, "write", NO),
        ((USER, KARI.1), here, "sign", NO),
        ((PARTY_ID, ID_STRANGER), here, "sign", NO),
        ((SYSTEM_USER, AGENT), here, "sign", NO),
        ((SYSTEM_USER, OWN_SYSTEM), here, "sign", NO),
        ((USER, ANNA.1), &[(INSTANCE, &second)], "sign", NO),
        ((USER, ANNA.1), &[(INSTANCE, &first), (TASK, "Task_2")], "sign", NO),
        ((USER, ANNA.1), &[(RESOURCE, FORM), (PARTY_ID, ID_A), (TASK, "Task_1")], "sign", NO),
    ] {
        let found = word(&pdp, Api::Internal, &[subject], resource, action);
        assert_eq!(found, expected, "{subject:?} {resource:?} {action}");
    }
}
