//! Changes that are not made, and why.

use super::{NOBODY, OUTSIDE, OWN, PERSON, REGN, SKATT, STRANGER, Scene, changes};
use crate::support::log;
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test]
async fn what_the_file_would_refuse_is_refused_with_its_reason_and_no_person_is_named() {
    log::listen();
    let scene = Scene::open().await;
    let before = Arc::as_ptr(&scene.world.directory.current());
    for ((page, body), part) in conflicts() {
        let reply = scene.post(&format!("/directory/{page}"), &body.to_string()).await;
        assert_eq!(reply.status, 409, "{page} {body}: {}", reply.text());
        let detail = reply.problem()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(part), "{page} {body}: {detail}");
        assert!(![PERSON, STRANGER].iter().any(|person| detail.contains(person)), "{detail}");
    }
    for (page, body, part) in malformed() {
        let reply = scene.post(page, &body).await;
        assert_eq!(reply.status, 400, "{page} {body}: {}", reply.text());
        let detail = reply.problem()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(part), "{page} {body}: {detail}");
        assert!(!detail.contains(PERSON), "{page} {body}: {detail}");
    }
    assert_eq!(Arc::as_ptr(&scene.world.directory.current()), before, "nothing is changed");
    assert_eq!(scene.world.faults.current(), Default::default());
    // The last of these belongs to this test alone.
    let refused = log::about("`revisor` is not held");
    assert!(refused[0].contains("page=\"/directory/roles/strike\""), "{refused:?}");
    assert!(refused[0].contains("urn:altinn:person:identifier-no:***********"), "{refused:?}");
    let own = json!({ "from": "910459880", "person": PERSON, "packages": ["tinglysing-eiendom"] });
    scene.change("/directory/packages/delegate", &own).await;
    let changed = log::about("the directory is changed");
    assert!(changed.iter().any(|line| line.contains("/decisions/purge")), "{changed:?}");
    for line in changed.iter().chain(&log::about("a change of the directory")) {
        assert!(![PERSON, STRANGER].iter().any(|person| line.contains(person)), "{line}");
    }
    scene.end().await;
}

type Conflict = ((&'static str, Value), &'static str);

/// Page and body of a change that is not made, and a part of why.
fn conflicts() -> Vec<Conflict> {
    let signing = "regnskapsforer-med-signeringsrettighet";
    let link = |user: &str, client: &str, packages: &[&str]| {
        ("clients/link", json!({ "systemUser": user, "client": client, "packages": packages }))
    };
    let give = |what: Value| ("packages/delegate", what);
    let right = |what: Value| ("rights/delegate", what);
    let vat = ["merverdiavgift"];
    vec![
        (link(NOBODY, "312714051", &[signing]), "no such system user"),
        (link(OWN, "312714051", &[signing]), "`standard`"),
        (link(REGN, "312500108", &[signing]), "312500108` is not among the parties"),
        (link(REGN, "313750531", &[signing]), "does not give"),
        (link(REGN, "312714051", &[]), "no package"),
        (
            ("clients/unlink", json!({ "systemUser": REGN, "client": "313750531" })),
            "`313750531` is not held",
        ),
        (
            give(json!({ "from": "312714051", "to": "314242726", "packages": [signing] })),
            "register",
        ),
        (give(json!({ "from": "312714051", "to": "312714051", "packages": vat })), "itself"),
        (give(json!({ "from": "312714051", "to": "312500108", "packages": vat })), "not among"),
        (give(json!({ "from": "312500108", "to": "312714051", "packages": vat })), "not among"),
        (
            give(json!({ "from": "312714051", "person": STRANGER, "packages": vat })),
            "urn:altinn:person:identifier-no:***********` is not among",
        ),
        (give(json!({ "systemUser": SKATT, "packages": vat })), "`agent`"),
        (give(json!({ "systemUser": NOBODY, "packages": vat })), "no such system user"),
        (give(json!({ "systemUser": OWN, "packages": [signing] })), "register"),
        (give(json!({ "systemUser": OWN, "from": "312714051", "packages": vat })), "`910459880`"),
        (
            ("packages/revoke", json!({ "from": "313750531", "to": "314242726", "packages": vat })),
            "`merverdiavgift` is not held",
        ),
        // All of them or none.
        (
            (
                "packages/revoke",
                json!({ "from": "313816915", "to": "314242726", "packages": ["skattegrunnlag", "x"] }),
            ),
            "`x` is not held",
        ),
        (
            right(
                json!({ "systemUser": SKATT, "resource": "ske-mva-melding", "actions": ["read"] }),
            ),
            "`agent`",
        ),
        (
            right(json!({ "systemUser": OWN, "resource": "ske-unknown", "actions": ["read"] })),
            "`ske-unknown`",
        ),
        (
            right(json!({ "systemUser": OWN, "resource": "ske-mva-melding", "actions": [] })),
            "action",
        ),
        (
            (
                "rights/revoke",
                json!({ "systemUser": OUTSIDE, "resource": "ske-mva-melding", "actions": ["read"] }),
            ),
            "`read ske-mva-melding` is not held",
        ),
        (
            ("access-lists/add", json!({ "list": PERSON, "organization": "313816915" })),
            "no access list",
        ),
        (
            (
                "access-lists/add",
                json!({ "list": "tinglysing-innsendere", "organization": "312500108" }),
            ),
            "not among",
        ),
        (
            (
                "access-lists/remove",
                json!({ "list": "tinglysing-innsendere", "organization": "313816915" }),
            ),
            "`313816915` is not held",
        ),
        (
            ("roles/add", json!({ "client": "312714051", "role": "revisor", "person": STRANGER })),
            "not among",
        ),
        (
            ("roles/strike", json!({ "client": "312714051", "role": "revisor", "person": PERSON })),
            "`revisor` is not held",
        ),
    ]
}

/// Page, body, and a part of what is answered.
#[expect(clippy::too_many_lines, reason = "a table")]
fn malformed() -> Vec<(&'static str, String, &'static str)> {
    let mut rows = Vec::new();
    for (page, good) in changes() {
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body[name] = value;
            body.to_string()
        };
        rows.push((page, String::new(), "must be an object with"));
        rows.push((page, "null".to_owned(), "must be an object with"));
        rows.push((page, format!("[{good}]"), "must be an object with"));
        rows.push((page, format!("{good}{good}"), "must be an object with"));
        rows.push((page, with("systemuser", json!(PERSON)), "must be an object with"));
        for name in good.as_object().unwrap().keys() {
            for value in [json!(null), json!({ "x": PERSON }), json!([[PERSON]]), json!(true)] {
                rows.push((page, with(name, value), "must be an object with"));
            }
            let again = good.to_string().replacen('{', &format!("{{\"{name}\":{},", good[name]), 1);
            rows.push((page, again, "must be an object with"));
        }
    }
    let delegate = "/directory/packages/delegate";
    for (page, body, part) in [
        (
            "/directory/clients/link",
            json!({ "systemUser": "SU-REGN", "client": "310329495", "packages": ["x"] }),
            "`systemUser` is not a uuid",
        ),
        (
            "/directory/clients/link",
            json!({ "systemUser": REGN, "client": PERSON, "packages": ["x"] }),
            "`client` is not",
        ),
        (
            "/directory/clients/link",
            json!({ "systemUser": REGN, "client": "310329495", "packages": ["X"] }),
            "`packages` are not",
        ),
        (
            delegate,
            json!({ "from": "313816915", "packages": ["x"] }),
            "exactly one of `to`, `person` and `systemUser`",
        ),
        (
            delegate,
            json!({ "from": "313816915", "to": "314242726", "person": PERSON, "packages": ["x"] }),
            "exactly one of",
        ),
        (
            delegate,
            json!({ "to": "314242726", "packages": ["x"] }),
            "exactly one of `from` and `fromPerson`",
        ),
        (
            delegate,
            json!({ "from": "313816915", "person": "1", "packages": ["x"] }),
            "`person` is not",
        ),
        (
            delegate,
            json!({ "from": "313816915", "to": "314242726", "packages": ["x"], "resource": "r", "actions": ["a"] }),
            "`packages` (a list)",
        ),
        (
            "/directory/rights/delegate",
            json!({ "systemUser": OWN, "packages": ["x"] }),
            "`resource` and `actions`",
        ),
        (
            "/directory/rights/delegate",
            json!({ "systemUser": OWN, "resource": "r/x", "actions": ["a"] }),
            "`resource` is not",
        ),
        (
            "/directory/rights/delegate",
            json!({ "systemUser": OWN, "resource": "ske-mva-melding", "actions": [""] }),
            "`actions` are not",
        ),
        (
            "/directory/roles/add",
            json!({ "client": "312714051", "role": "revisor" }),
            "exactly one of `provider` and `person`",
        ),
        (
            "/directory/roles/add",
            json!({ "client": "312714051", "role": "DAGL", "provider": "314242726" }),
            "`role` is not",
        ),
        ("/faults", json!({}), "must be an object with"),
        ("/faults", json!({ "times": 1 }), "must be an object with"),
        ("/faults", json!({ "behaviour": "explode" }), "must be an object with"),
        ("/faults", json!({ "behaviour": "refuse" }), "needs a `status`"),
        ("/faults", json!({ "behaviour": "drop", "status": 503 }), "`refuse` only"),
        ("/faults", json!({ "status": 200 }), "from 400 to 599"),
        ("/faults", json!({ "status": 600 }), "from 400 to 599"),
        ("/faults", json!({ "status": "503" }), "must be an object with"),
        ("/faults", json!({ "behaviour": "drop", "retryAfter": 1 }), "with a `status` only"),
        ("/faults", json!({ "status": 429, "retryAfter": 3601 }), "3600 at most"),
        ("/faults", json!({ "latencyMs": 60001 }), "60000 at most"),
        ("/faults", json!({ "latencyMs": -1 }), "must be an object with"),
        ("/faults", json!({ "status": 503, "times": 0 }), "must be an object with"),
        ("/faults", json!({ "behaviour": "answer", "times": 1 }), "`times` needs a fault"),
    ] {
        rows.push((page, body.to_string(), part));
    }
    rows
}
