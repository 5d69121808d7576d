//! `portvakt pdp` as a user starts it, asked over plain HTTP; and that a second Portvakt that asks it decides
//! as one that has the PDP inside.

mod as_inside;

use crate::support::{PATIENCE, Reply, exchange};
use portvakt::dev::{Addresses, OnBehalf, World, WorldSettings};
use portvakt::domain::{CheckDigits, OrganizationNumber};
use portvakt::record::RecordSink;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portvakt");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const AUTHORIZE: &str = "/authorization/api/v1/authorize";
const ACTION_ID: &str = "urn:oasis:names:tc:xacml:1.0:action:action-id";
/// Acts for the bakery by a register role.
const ACCOUNTANT: &str = "a0000001-0000-4000-8000-000000000001";
const BAKERY: &str = "312714051";
const STRANGER: &str = "313750531";

/// A folder of its own with the policies of the repository; goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("portvakt-pdp-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(folder.join("policies/resources")).unwrap();
        let from = Path::new(ROOT).join("policies");
        fs::copy(from.join("directory.yaml"), folder.join("policies/directory.yaml")).unwrap();
        for entry in fs::read_dir(from.join("resources")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.join("policies/resources").join(entry.file_name()))
                .unwrap();
        }
        Self(folder)
    }

    fn directory(&self) -> PathBuf {
        self.0.join("policies/directory.yaml")
    }

    /// Changes the directory file, in one step as careful editors do.
    fn edit(&self, change: impl FnOnce(String) -> String) {
        let before = fs::read_to_string(self.directory()).unwrap();
        let after = change(before.clone());
        assert_ne!(before, after, "nothing was changed");
        fs::write(self.0.join("edited"), after).unwrap();
        fs::rename(self.0.join("edited"), self.directory()).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A command that runs until it is told to stop, and what it says.
struct Running {
    child: Child,
    said: Receiver<String>,
    heard: String,
}

impl Running {
    /// In this folder; listens to one of its two outputs.
    fn start(folder: &Folder, arguments: &[&str], output: Output) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(&folder.0).stdin(Stdio::null());
        match output {
            Output::Data => command.stdout(Stdio::piped()).stderr(Stdio::null()),
            Output::Talk => command.stdout(Stdio::null()).stderr(Stdio::piped()),
        };
        let mut child = command.spawn().unwrap();
        let pipe: Box<dyn Read + Send> = match output {
            Output::Data => Box::new(child.stdout.take().unwrap()),
            Output::Talk => Box::new(child.stderr.take().unwrap()),
        };
        let (says, said) = channel();
        // Ends with the pipe, which ends with the child.
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if says.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, said, heard: String::new() }
    }

    /// The next line with this in it.
    fn line(&mut self, mark: &str) -> String {
        loop {
            let Ok(line) = self.said.recv_timeout(PATIENCE) else {
                panic!("`{mark}` was never said:\n{}", self.heard)
            };
            writeln!(self.heard, "{line}").unwrap();
            if line.contains(mark) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    async fn end(&mut self) -> ExitStatus {
        let mut ended = None;
        crate::support::eventually("the end of the process", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        })
        .await;
        ended.unwrap()
    }
}

#[derive(Clone, Copy)]
enum Output {
    Data,
    Talk,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `portvakt pdp` on free ports.
struct Pdp {
    running: Running,
    address: SocketAddr,
    control: SocketAddr,
    started: Value,
}

impl Pdp {
    fn start(folder: &Folder, further: &[&str]) -> Self {
        let free = "127.0.0.1:0";
        let arguments = ["pdp", "--listen", free, "--control", free, "--format", "json"];
        let arguments = [arguments.as_slice(), further].concat();
        let mut running = Running::start(folder, &arguments, Output::Data);
        let started: Value = serde_json::from_str(&running.line("\"pdp\"")).unwrap();
        let at = |name: &str| {
            started[name].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap()
        };
        let (address, control) = (at("pdp"), at("control"));
        Self { running, address, control, started }
    }

    async fn ask(&self, question: &Value, headers: &[(&str, &str)]) -> Reply {
        let headers = [&[("Content-Type", "application/json")], headers].concat();
        send(self.address, "POST", AUTHORIZE, &headers, &question.to_string()).await
    }

    async fn decision(&self, question: &Value) -> String {
        decision(&self.ask(question, &[]).await)
    }

    async fn look(&self, path: &str) -> Reply {
        send(self.control, "GET", path, &[], "").await
    }

    async fn reload(&self, folder: &Folder) -> Reply {
        let file = folder.0.join(self.started["controlTokenFile"].as_str().unwrap());
        let token = format!("Bearer {}", fs::read_to_string(file).unwrap());
        let headers = [("Content-Type", "application/json"), ("Authorization", token.as_str())];
        send(self.control, "POST", "/reload", &headers, "{}").await
    }
}

async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    exchange(address, format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await
}

fn question(system_user: &str, resource: &str, action: &str, party: &str) -> Value {
    let attribute =
        |id: &str, value: &str| json!([{ "Attribute": [{ "AttributeId": id, "Value": value }] }]);
    json!({ "Request": {
        "AccessSubject": attribute("urn:altinn:systemuser:uuid", system_user),
        "Action": attribute(ACTION_ID, action),
        "Resource": [{ "Attribute": [
            { "AttributeId": "urn:altinn:resource", "Value": resource },
            { "AttributeId": "urn:altinn:organization:identifier-no", "Value": party },
        ] }],
    } })
}

fn vat(party: &str) -> Value {
    question(ACCOUNTANT, "ske-mva-melding", "write", party)
}

/// The decision word, or the bare status.
fn decision(reply: &Reply) -> String {
    let word = reply.problem()["response"][0]["decision"].as_str().map(str::to_owned);
    word.unwrap_or_else(|| reply.status.to_string())
}

#[tokio::test]
async fn it_answers_as_altinn_does_and_says_why_on_the_control_listener_only() {
    let folder = Folder::new();
    let pdp = Pdp::start(&folder, &["--open"]);
    assert_eq!(pdp.started["systemUsers"], 10);
    assert_eq!(pdp.started["policies"], 9);
    assert_eq!(pdp.started["warnings"], json!([]));
    let mut ids = Vec::new();
    for (asked, expected) in [
        (vat(BAKERY), "Permit"),
        (vat(STRANGER), "NotApplicable"),
        (question(ACCOUNTANT, "no-such-resource", "write", BAKERY), "Indeterminate"),
        (question("no uuid", "ske-mva-melding", "write", BAKERY), "Indeterminate"),
    ] {
        let reply = pdp.ask(&asked, &[]).await;
        assert_eq!((reply.status, decision(&reply).as_str()), (200, expected), "{asked}");
        let id = reply.head.get("portvakt-decision-id").expect("an id").to_owned();
        assert!(!reply.text().contains("reasons"), "{}", reply.text());
        let kept = pdp.look(&format!("/decisions/{id}")).await.problem();
        assert_eq!(kept["decisions"], json!([expected]), "{kept}");
        assert_eq!(kept["questions"][0]["decision"], expected, "{kept}");
        assert!(kept["questions"][0]["reasons"].is_object(), "{kept}");
        ids.push(id);
    }
    let listed = pdp.look("/decisions").await.problem();
    let listed: Vec<_> = listed["decisions"].as_array().unwrap().iter().rev().collect();
    let listed: Vec<_> = listed.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(listed, ids);
    for (path, status) in
        [("/decisions/x", 400), ("/decisions/a545ca29-7fb8-4810-a2f2-0be171cb2a26", 404)]
    {
        assert_eq!(pdp.look(path).await.status, status, "{path}");
    }
    let refused = pdp.ask(&json!([]), &[]).await;
    assert_eq!((refused.status, refused.head.get("portvakt-decision-id")), (400, None));
}

#[tokio::test]
async fn with_an_issuer_and_a_key_it_demands_both_and_exchanges_tokens_end_to_end() {
    let folder = Folder::new();
    let mut issuer = Running::start(&folder, &["issuer", "--listen", "127.0.0.1:0"], Output::Talk);
    let line = issuer.line("issuer ");
    let issuer_url = line.split_whitespace().last().unwrap();
    issuer.line("client keys");
    fs::write(folder.0.join("sub.key"), "hemmelig-nok\n").unwrap();
    let key_file = ["--issuer", issuer_url, "--subscription-key-file", "sub.key"];
    let pdp = Pdp::start(&folder, &key_file);
    let mint = |client: &str, scope: &str| {
        let key = format!("portvakt-demo/{client}.pem");
        let output = Command::new(PROGRAM)
            .args(["token", "mint", "--issuer", issuer_url, "--client", client, "--key", &key])
            .args(["--scope", scope])
            .current_dir(&folder.0)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        format!("Bearer {}", String::from_utf8(output.stdout).unwrap().trim())
    };
    let exchange_path = "/authentication/api/v1/exchange/maskinporten";
    let exchanged = async |token: &str| {
        send(pdp.address, "GET", exchange_path, &[("Authorization", token)], "").await
    };
    let ours = mint("portvakt", "altinn:authorization/authorize");
    let altinns = exchanged(&ours).await;
    assert_eq!(
        (altinns.status, altinns.head.get("content-type").unwrap()),
        (200, "text/plain; charset=utf-8")
    );
    let altinns = format!("Bearer {}", altinns.text());
    let scopeless = exchanged(&mint("smartcloud", "digdir:dialogporten")).await;
    let scopeless = format!("Bearer {}", scopeless.text());
    assert_eq!(exchanged(&altinns).await.status, 401, "exchanged already");
    assert_eq!(exchanged("Bearer x").await.status, 401);

    let key = ("Ocp-Apim-Subscription-Key", "hemmelig-nok");
    let token = |token| Some(("Authorization", token));
    for (what, headers, expected) in [
        ("nothing", [None, None], "401"),
        ("no key", [None, token(&*altinns)], "401"),
        ("no token", [Some(key), None], "401"),
        ("Maskinporten's own token", [Some(key), token(&*ours)], "401"),
        ("no scope", [Some(key), token(&*scopeless)], "403"),
        ("both", [Some(key), token(&*altinns)], "Permit"),
    ] {
        let headers: Vec<_> = headers.into_iter().flatten().collect();
        assert_eq!(decision(&pdp.ask(&vat(BAKERY), &headers).await), expected, "{what}");
    }
    let gateway = pdp.ask(&vat(BAKERY), &[]).await.problem();
    let message = "Access denied due to missing subscription key.";
    assert_eq!(gateway, json!({ "statusCode": 401, "message": message }));
}

#[tokio::test]
async fn changed_files_are_taken_into_use_and_broken_ones_are_not() {
    let folder = Folder::new();
    let mut pdp = Pdp::start(&folder, &["--open"]);
    assert_eq!(pdp.decision(&vat(BAKERY)).await, "Permit");
    let client =
        r#"      - { client: "312714051", packages: [regnskapsforer-med-signeringsrettighet] }"#;
    folder.edit(|text| text.replace(&format!("    clients:\n{client}\n"), "    clients: []\n"));
    assert!(pdp.running.line("\"reloaded\"").contains(r#""systemUsers":10"#));
    assert_eq!(pdp.decision(&vat(BAKERY)).await, "NotApplicable");

    folder.edit(|text| format!("{text}broken: [\n"));
    assert!(pdp.running.line("yaml-syntax").contains("directory.yaml"));
    assert_eq!(pdp.decision(&vat(BAKERY)).await, "NotApplicable", "as before");
    pdp.running.signal("-HUP");
    pdp.running.line("yaml-syntax");
    let refused = pdp.reload(&folder).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("directory.yaml"), "{}", refused.text());

    let shipped = fs::read_to_string(Path::new(ROOT).join("policies/directory.yaml")).unwrap();
    folder.edit(|_| shipped);
    pdp.running.line("\"reloaded\"");
    assert_eq!(pdp.decision(&vat(BAKERY)).await, "Permit");
    let reloaded = pdp.reload(&folder).await.problem();
    assert_eq!((&reloaded["reloaded"], &reloaded["policies"]), (&json!(true), &json!(9)));
    pdp.running.signal("-HUP");
    pdp.running.line("\"reloaded\"");

    fs::remove_file(folder.0.join("policies/resources/ske-mva-melding.xml")).unwrap();
    assert!(pdp.running.line("\"reloaded\"").contains(r#""policies":8"#));
    assert_eq!(pdp.decision(&vat(BAKERY)).await, "Indeterminate", "a policy that is gone");
}

#[tokio::test]
async fn it_ends_with_0_when_told_to_and_does_not_begin_with_errors() {
    let folder = Folder::new();
    let mut pdp = Pdp::start(&folder, &[]);
    let warned = pdp.started["warnings"][0].as_str().unwrap();
    assert!(warned.contains("no token is demanded"), "{warned}");
    // A connection that is kept open does not hold it up.
    let mut idle = crate::support::Client::connect(pdp.address).await;
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(idle.reply().await.status, 404);
    pdp.running.signal("-TERM");
    assert_eq!(pdp.running.end().await.code(), Some(0));

    folder.edit(|text| format!("{text}broken: [\n"));
    let free = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
    let other = ["--listen", "127.0.0.1:0", "--control", "0.0.0.0:0"];
    for (arguments, said) in [
        (&free[..], "yaml-syntax"),
        (&other[..], "loopback only"),
        (&["--policies", "elsewhere"][..], "`elsewhere` is no folder"),
        (&["--issuer", "ftp://x"][..], "http(s) address"),
        (&["--open", "--issuer", "http://127.0.0.1:1/"][..], "cannot be used with"),
        (&["--control", "none", "--subscription-key-file", "none.key"][..], "none.key"),
    ] {
        let mut command = Command::new(PROGRAM);
        let ended = command.arg("pdp").args(arguments).current_dir(&folder.0).output().unwrap();
        let talk = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {talk}");
        assert!(talk.contains(said), "{arguments:?}: {talk}");
    }
}

#[tokio::test]
async fn the_command_it_prints_works_as_printed() {
    let folder = Folder::new();
    fs::write(folder.0.join("sub key"), "hemmelig-nok\n").unwrap();
    let key = ["--subscription-key-file", "sub key"];
    let free = ["pdp", "--listen", "127.0.0.1:0", "--control", "none"];
    let mut running = Running::start(&folder, &[&free[..], &key[..]].concat(), Output::Talk);
    running.line("Ctrl-C ends it.");
    let from = running.heard.find("  curl -i").unwrap();
    let command = running.heard[from..].split("\n\n").next().unwrap().to_owned();
    let run = Command::new("sh").args(["-c", &command]).current_dir(&folder.0).output().unwrap();
    let answer = String::from_utf8_lossy(&run.stdout);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{command}\n{answer}");
    assert!(answer.contains(r#""decision":"Permit""#), "{command}\n{answer}");
}

#[tokio::test]
async fn the_pdp_of_the_demo_says_why_on_the_control_listener_of_the_demo() {
    let world = World::begin(WorldSettings {
        addresses: Addresses::loopback(0),
        token_lifetime: Duration::from_mins(2),
        files: Vec::new(),
        issuers: "",
        configuration: "shutdown: { wait: 0s, grace: 5s }\n",
        sink: RecordSink::Off,
    });
    let world = world.await.unwrap();
    let owner = OrganizationNumber::parse("314242726", CheckDigits::Strict).unwrap();
    let behalf = OnBehalf { owner, external_ref: Some("regnskap") };
    let scope = "skatteetaten:mvameldinginnsending";
    let token = world.clients["smartcloud"].token(scope, Some(behalf)).await.unwrap();
    let token = format!("Bearer {token}");
    let target = format!("/mva/{BAKERY}/melding");
    let headers = [("Authorization", token.as_str())];
    let permitted = send(world.addresses.proxy, "POST", &target, &headers, "").await;
    assert_eq!(permitted.status, 200, "{}", permitted.text());
    let look =
        async |path: &str| send(world.addresses.control, "GET", path, &[], "").await.problem();
    let listed = look("/decisions").await;
    let id = listed["decisions"][0]["id"].as_str().unwrap();
    let kept = look(&format!("/decisions/{id}")).await;
    assert_eq!(kept["questions"][0]["decision"], "Permit", "{kept}");
    assert!(world.end().await);
}
