//! The control listener of a demo: the directory changes and the PDP misbehaves while calls are made.
//!
//! Everything is over real sockets: a token from the issuer, a call to the proxy, a change at the control
//! listener, a purge, and the same call again.

mod refused;

use crate::support::{Reply, exchange};
use portvakt::dev::{Addresses, OnBehalf, World, WorldSettings, control};
use portvakt::domain::{CheckDigits, OrganizationNumber};
use portvakt::record::RecordSink;
use portvakt::tasks::Tasks;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const REGN: &str = "a0000001-0000-4000-8000-000000000001";
const SKATT: &str = "a0000002-0000-4000-8000-000000000002";
const OWN: &str = "a0000005-0000-4000-8000-000000000005";
const OWN_PACKAGE: &str = "a0000006-0000-4000-8000-000000000006";
const OUTSIDE: &str = "a0000008-0000-4000-8000-000000000008";
const NOBODY: &str = "a00000ff-0000-4000-8000-0000000000ff";
/// Synthetic, and in the directory: month + 80.
const PERSON: &str = "15877012345";
/// Synthetic, and not in the directory.
const STRANGER: &str = "01890012345";

struct Scene {
    world: World,
}

impl Scene {
    async fn open() -> Self {
        let world = World::begin(WorldSettings {
            addresses: Addresses::loopback(0),
            token_lifetime: Duration::from_mins(5),
            files: Vec::new(),
            issuers: "",
            // A PDP that is asked however often it fails, and given up soon.
            configuration: "pdp: { timeout: 3s, breaker: { failures: 1000 } }\n",
            sink: RecordSink::Off,
        });
        Self { world: world.await.unwrap() }
    }

    /// The token of a system user, by its owner and external reference.
    async fn token(&self, owner: &str, external_ref: Option<&str>, scope: &str) -> String {
        let owner = OrganizationNumber::parse(owner, CheckDigits::Strict).unwrap();
        let client = &self.world.clients["smartcloud"];
        client.token(scope, Some(OnBehalf { owner, external_ref })).await.unwrap()
    }

    async fn control(&self, start: &str, further: &[String], body: &str) -> Reply {
        let length = body.len();
        let lines = further.join("\r\n");
        let bytes =
            format!("{start} HTTP/1.1\r\n{lines}\r\nContent-Length: {length}\r\n\r\n{body}");
        exchange(self.world.addresses.control, bytes.as_bytes()).await
    }

    fn lines(&self) -> [String; 3] {
        let token = self.world.control_token.expose_secret();
        [
            "Host: localhost".to_owned(),
            format!("Authorization: Bearer {token}"),
            "Content-Type: application/json".to_owned(),
        ]
    }

    async fn post(&self, path: &str, body: &str) -> Reply {
        self.control(&format!("POST {path}"), &self.lines(), body).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.control(&format!("GET {path}"), &["Host: 127.0.0.1".to_owned()], "").await
    }

    async fn system_user(&self, id: &str) -> Value {
        let reply = self.get(&format!("/directory/system-users/{id}")).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.problem()
    }

    /// A change that is made; gives what is in force then.
    async fn change(&self, path: &str, body: &Value) -> Value {
        let reply = self.post(path, &body.to_string()).await;
        assert_eq!(reply.status, 200, "{path} {body}: {}", reply.text());
        assert!(reply.text().contains("/decisions/purge"), "{}", reply.text());
        reply.problem()["now"].clone()
    }

    /// Has the PDP asked anew, and makes a call; gives its status and its code.
    async fn call(&self, token: &str, target: &str, body: &str) -> String {
        let purged = self.post("/decisions/purge", r#"{"all":true}"#).await;
        assert_eq!(purged.status, 200, "{}", purged.text());
        let length = body.len();
        let bytes = format!(
            "POST {target} HTTP/1.1\r\nHost: api.example.no\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let reply = exchange(self.world.addresses.proxy, bytes.as_bytes()).await;
        if reply.status == 200 {
            return "200".to_owned();
        }
        format!("{} {}", reply.status, reply.problem()["code"].as_str().unwrap_or_default())
    }

    async fn end(self) {
        assert!(self.world.end().await);
    }
}

/// A change that could be made, for every page that changes something.
fn changes() -> BTreeMap<&'static str, Value> {
    let delegation =
        json!({ "from": "313816915", "to": "314242726", "packages": ["merverdiavgift"] });
    let revocation =
        json!({ "from": "313816915", "to": "314242726", "packages": ["skattegrunnlag"] });
    let right = json!({ "systemUser": OWN, "resource": "ske-mva-melding", "actions": ["write"] });
    let package = ["regnskapsforer-med-signeringsrettighet"];
    BTreeMap::from([
        (
            "/directory/clients/link",
            json!({ "systemUser": REGN, "client": "310329495", "packages": package }),
        ),
        ("/directory/clients/unlink", json!({ "systemUser": REGN, "client": "312714051" })),
        ("/directory/packages/delegate", delegation),
        ("/directory/packages/revoke", revocation),
        ("/directory/rights/delegate", right.clone()),
        ("/directory/rights/revoke", right),
        (
            "/directory/access-lists/add",
            json!({ "list": "tinglysing-innsendere", "organization": "313816915" }),
        ),
        (
            "/directory/access-lists/remove",
            json!({ "list": "tinglysing-innsendere", "organization": "910459880" }),
        ),
        (
            "/directory/roles/add",
            json!({ "client": "313816915", "role": "revisor", "provider": "314242726" }),
        ),
        (
            "/directory/roles/strike",
            json!({ "client": "312714051", "role": "regnskapsforer", "provider": "314242726" }),
        ),
        ("/faults", json!({ "status": 503 })),
    ])
}

#[tokio::test]
async fn who_is_not_on_this_machine_with_the_token_changes_nothing_on_any_page() {
    let scene = Scene::open().await;
    let changes = changes();
    let pages = control::pages(scene.world.directory.clone(), scene.world.faults.clone());
    let pages: BTreeSet<_> = pages.iter().map(|page| format!("{page:?}")).collect();
    let posts = changes.keys().map(|path| format!("POST {path}"));
    let shown = ["GET /directory/system-users", "GET /directory/system-users/", "GET /faults"];
    assert_eq!(pages, posts.chain(shown.map(str::to_owned)).collect());
    for page in &pages {
        let row = format!("| `{page}` |");
        let row = row.replace("/` |", "/` + uuid |");
        assert!(include_str!("../../docs/CONTROL.md").contains(&row), "no row `{row}`");
    }
    let before = Arc::as_ptr(&scene.world.directory.current());
    let [host, token, json] = scene.lines();
    let line = |text: &str| text.to_owned();
    for (path, body) in &changes {
        let rows = [
            ("no token", vec![host.clone(), json.clone()], 401),
            ("another", vec![host.clone(), line("Authorization: Bearer other"), json.clone()], 401),
            ("another host", vec![line("Host: x.example"), token.clone(), json.clone()], 421),
            (
                "a page of elsewhere",
                vec![host.clone(), token.clone(), json.clone(), line("Origin: http://x.example")],
                403,
            ),
            ("a form", vec![host.clone(), token.clone(), line("Content-Type: text/plain")], 415),
        ];
        for (name, lines, status) in rows {
            let reply = scene.control(&format!("POST {path}"), &lines, &body.to_string()).await;
            assert_eq!(reply.status, status, "{path}, {name}: {}", reply.text());
        }
    }
    for page in shown.map(|page| page.strip_prefix("GET ").unwrap()) {
        let reply = scene.control(&format!("GET {page}"), &["Host: x.example".into()], "").await;
        assert_eq!(reply.status, 421, "{page}");
    }
    assert_eq!(Arc::as_ptr(&scene.world.directory.current()), before, "nothing is changed");
    assert_eq!(scene.world.faults.current(), Default::default());
    scene.end().await;
}

#[tokio::test]
async fn each_change_is_seen_in_the_next_decision() {
    let scene = Scene::open().await;
    let changes = changes();
    let vat = "skatteetaten:mvameldinginnsending";
    let firm = "314242726";
    let regn = scene.token(firm, Some("regnskap"), vat).await;
    let shares = scene.token(firm, Some("regnskap"), "skatteetaten:aksjonaerregister").await;
    let skatt = scene.token(firm, Some("skattegrunnlag"), vat).await;
    let own = scene.token("910459880", None, vat).await;
    let own_package = scene.token("910459880", Some("pakke"), vat).await;
    let broker = scene.token("910459880", None, "altinn:broker.write").await;
    let outside = scene.token("313816915", None, "altinn:broker.write").await;
    let transfer = |sender: &str| {
        json!({ "resourceId": "kartverket-tinglysing", "sender": format!("0192:{sender}") })
            .to_string()
    };
    let (listed, unlisted) = (transfer("910459880"), transfer("313816915"));
    let tax = changes["/directory/packages/revoke"].clone();
    let vat_package = json!({ "systemUser": OWN_PACKAGE, "packages": ["merverdiavgift"] });
    let by_owner =
        json!({ "systemUser": OWN_PACKAGE, "from": "910459880", "packages": ["merverdiavgift"] });
    let role = changes["/directory/roles/strike"].clone();
    let given = "/directory/packages/delegate";
    let taken = "/directory/packages/revoke";
    let of = |path: &'static str| (path, changes[path].clone());
    let unlinked = json!({ "systemUser": REGN, "client": "310329495" });
    let (permitted, denied) = ("200", "403 access-denied");
    let new_client = (&*shares, "/aksjonaerregister/310329495", "");
    let tax_client = (&*skatt, "/mva/313816915/melding", "");
    let by_package = (&*own_package, "/mva-egen/melding", "");
    let by_right = (&*own, "/mva-egen/melding", "");
    let member = (&*broker, "/filetransfer", &*listed);
    let newcomer = (&*outside, "/filetransfer", &*unlisted);
    let by_role = (&*regn, "/mva/312714051/melding", "");
    for ((path, change), (token, target, body), before, after) in [
        (of("/directory/clients/link"), new_client, denied, permitted),
        (("/directory/clients/unlink", unlinked), new_client, permitted, denied),
        ((taken, tax.clone()), tax_client, permitted, denied),
        ((given, tax), tax_client, denied, permitted),
        ((taken, vat_package), by_package, permitted, denied),
        ((given, by_owner), by_package, denied, permitted),
        (of("/directory/rights/revoke"), by_right, permitted, denied),
        (of("/directory/rights/delegate"), by_right, denied, permitted),
        (of("/directory/access-lists/remove"), member, permitted, denied),
        (of("/directory/access-lists/add"), newcomer, denied, permitted),
        (of("/directory/roles/strike"), by_role, permitted, denied),
        (("/directory/roles/add", role), by_role, denied, permitted),
    ] {
        assert_eq!(scene.call(token, target, body).await, before, "before {path} {change}");
        scene.change(path, &change).await;
        assert_eq!(scene.call(token, target, body).await, after, "after {path} {change}");
    }
    scene.end().await;
}

#[tokio::test]
async fn a_change_answers_with_what_is_held_now_and_the_pages_show_it() {
    let scene = Scene::open().await;
    let linked =
        scene.change("/directory/clients/link", &changes()["/directory/clients/link"]).await;
    assert_eq!(linked, scene.system_user(REGN).await);
    let signing = ["regnskapsforer-med-signeringsrettighet"];
    let client = |number: &str, in_effect: &[&str]| json!({ "client": number, "packages": signing, "inEffect": in_effect });
    assert_eq!(
        linked["clients"],
        json!([client("310329495", &signing), client("312714051", &signing)])
    );
    assert_eq!((&linked["kind"], &linked["name"]), (&json!("agent"), &json!("SU-REGN")));
    // A link without effect is told from one with.
    let role = &changes()["/directory/roles/strike"];
    let struck = scene.change("/directory/roles/strike", role).await;
    let left = json!(["forretningsforer"]);
    assert_eq!(struck["roles"], left);
    let now = scene.system_user(REGN).await;
    assert_eq!(now["clients"], json!([client("310329495", &signing), client("312714051", &[])]));
    // Single rights, one action at a time.
    let read = json!({ "systemUser": OWN, "resource": "ske-mva-melding", "actions": ["read"] });
    let right =
        |resource: &str, actions: &[&str]| json!({ "resource": resource, "actions": actions });
    let deed = right("kartverket-tinglysing", &["write"]);
    let now = scene.change("/directory/rights/revoke", &read).await;
    assert_eq!(now["rights"], json!([deed, right("ske-mva-melding", &["write"])]));
    let now = scene.change("/directory/rights/delegate", &read).await;
    assert_eq!(now["rights"], json!([deed, right("ske-mva-melding", &["read", "write"])]));
    // A person is given a package and a right, and masked.
    let given = json!({ "from": "313816915", "person": PERSON, "packages": ["tinglysing-eiendom", "a-ordning"] });
    scene.change("/directory/packages/delegate", &given).await;
    let given = json!({ "from": "313816915", "person": PERSON, "resource": "ske-mva-melding", "actions": ["read"] });
    let now = scene.change("/directory/rights/delegate", &given).await;
    assert_eq!(
        now,
        json!({
            "from": "urn:altinn:organization:identifier-no:313816915",
            "to": "urn:altinn:person:identifier-no:***********",
            "held": {
                "packages": ["a-ordning", "tinglysing-eiendom"],
                "rights": [right("ske-mva-melding", &["read"])],
            },
        })
    );
    let list = json!({ "list": "tinglysing-innsendere", "organization": "313816915" });
    let now = scene.change("/directory/access-lists/add", &list).await;
    assert_eq!(now["members"], json!(["313816915", "910459880"]));
    let all = scene.get("/directory/system-users").await.problem();
    let all = all["systemUsers"].as_array().unwrap();
    assert_eq!(all.len(), 10);
    assert_eq!(all[0], scene.system_user(REGN).await);
    assert_eq!(scene.get(&format!("/directory/system-users/{NOBODY}")).await.status, 404);
    assert_eq!(scene.get("/directory/system-users/SU-REGN").await.status, 400);
    scene.end().await;
}

#[tokio::test]
async fn of_two_hundred_changes_at_once_none_is_lost() {
    let scene = Arc::new(Scene::open().await);
    let tasks = Tasks::new();
    let changes: Vec<_> = (0..200)
        .map(|number| {
            let scene = Arc::clone(&scene);
            tasks.spawn(async move {
                let package = format!("package-{number}");
                let given =
                    json!({ "from": "312714051", "to": "313750531", "packages": [package] });
                scene.change("/directory/packages/delegate", &given).await
            })
        })
        .collect();
    for change in changes {
        change.await.unwrap();
    }
    let one = json!({ "from": "312714051", "to": "313750531", "packages": ["package-0"] });
    let now = scene.change("/directory/packages/revoke", &one).await;
    let held = now["held"]["packages"].as_array().unwrap().clone();
    let expected: BTreeSet<_> = (1..200).map(|number| format!("package-{number}")).collect();
    assert_eq!(held, expected.into_iter().map(Value::from).collect::<Vec<_>>());
    Arc::into_inner(scene).unwrap().end().await;
}

#[tokio::test]
async fn faults_come_on_command_and_go_again() {
    let scene = Scene::open().await;
    let regn =
        scene.token("314242726", Some("regnskap"), "skatteetaten:mvameldinginnsending").await;
    let call = || scene.call(&regn, "/mva/312714051/melding", "");
    let well = json!({ "behaviour": "answer" });
    assert_eq!(scene.get("/faults").await.problem(), well);
    let rows = [
        (json!({ "status": 503 }), "503 pdp-unavailable"),
        (json!({ "status": 401 }), "503 credential-unavailable"),
        (json!({ "status": 403 }), "503 credential-unavailable"),
        (json!({ "status": 429 }), "503 overloaded"),
        (json!({ "behaviour": "drop" }), "503 pdp-unavailable"),
        (json!({ "behaviour": "indeterminate" }), "503 decision-indeterminate"),
        (json!({ "behaviour": "repeat" }), "503 pdp-protocol-error"),
        (json!({ "latencyMs": 60000 }), "503 pdp-timeout"),
        (json!({ "latencyMs": 1, "behaviour": "answer" }), "200"),
    ];
    for (fault, expected) in rows {
        let set = scene.post("/faults", &fault.to_string()).await;
        assert_eq!(set.status, 200, "{fault}: {}", set.text());
        for (name, value) in fault.as_object().unwrap() {
            assert_eq!(set.problem()[name], *value, "{}", set.text());
        }
        assert_eq!(scene.get("/faults").await.problem(), set.problem());
        assert_eq!(call().await, expected, "{fault}");
        let ended = scene.post("/faults", &well.to_string()).await;
        assert_eq!((ended.status, ended.problem()), (200, well.clone()));
        assert_eq!(call().await, "200", "after {fault}");
    }
    // A number of answers, after which all is well by itself.
    let twice = json!({ "behaviour": "indeterminate", "times": 2 });
    assert_eq!(scene.post("/faults", &twice.to_string()).await.problem(), twice);
    assert_eq!(call().await, "503 decision-indeterminate");
    assert_eq!(scene.get("/faults").await.problem()["times"], 1);
    assert_eq!(call().await, "503 decision-indeterminate");
    assert_eq!(scene.get("/faults").await.problem(), well);
    assert_eq!(call().await, "200");
    let busy = json!({ "behaviour": "refuse", "status": 429, "retryAfter": 7, "latencyMs": 10 });
    assert_eq!(scene.post("/faults", &busy.to_string()).await.problem(), busy);
    scene.end().await;
}
