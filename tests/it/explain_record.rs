//! `portvakt explain --record`: a request of yesterday, rebuilt from its decision record and judged again.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

const RULES: &str = r#"
api: tax
defaults: { resource: ske-mva-melding, scopes: ["s:t"] }
rules:
  - { id: in-path, match: { method: POST, path: "/mva/{orgnr}/{period}" }, action: write, party: path:orgnr, object: upstream }
  - { id: in-query, match: { method: GET, path: /mva, query: { kind: ny } }, action: read, party: { from: query:party, many: all, max: 3 } }
  - { id: in-json, match: { method: POST, path: /list }, resource: { from: "json:/what", map: { mva: ske-mva-melding } }, action: write, party: { from: "json:/of/*/orgnr", many: all, max: 3 } }
  - { id: in-form, match: { method: POST, path: /form }, action: write, party: form:orgnr }
  - { id: in-header, match: { method: GET, path: /header }, action: read, party: header:X-Party }
  - { id: in-xml, match: { method: POST, path: /xml }, action: write, party: "xml:/a" }
"#;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("portvakt-record-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("p/routes")).unwrap();
        fs::write(path.join("p/routes/a.yaml"), RULES).unwrap();
        // The secret is not there, and is not needed.
        fs::write(path.join("c.yaml"), "environment: tt02\nupstream: { url: \"http://127.0.0.1:9\" }\npdp: { credential: { maskinporten: { client_id: a, key_file: /nowhere } } }\npolicies: p\n").unwrap();
        Self(path)
    }

    fn explain(&self, rest: &str, arguments: &[&str]) -> (i32, String) {
        let record = format!(
            "serving\n{{\"schema\":\"portvakt.decision/1\",\"requestId\":\"r\",\"mode\":\"enforce\",{rest}}}\n"
        );
        fs::write(self.0.join("records.log"), record).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_portvakt"))
            .args(["explain", "--config", "c.yaml", "--log", "records.log", "--record"])
            .args(arguments)
            .current_dir(&self.0)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const USER: &str = r#""subject":"system-user","systemUser":"a0000001-0000-4000-8000-000000000001","owner":"314242726","system":"314330897_x","vendor":"314330897","consumer":"314330897""#;

fn record(rule: &str, method: &str, parties: &[&str], rest: &str) -> String {
    let parties: Vec<_> = parties
        .iter()
        .map(|number| format!("\"urn:altinn:organization:identifier-no:{number}\""))
        .collect();
    format!(
        r#"{USER},"rule":"{rule}","method":"{method}","resource":"ske-mva-melding","party":[{}],{rest}"#,
        parties.join(",")
    )
}

#[test]
fn a_request_is_judged_again_from_what_its_record_tells() {
    let folder = Folder::new("told");
    let denied = r#""outcome":"refused","decision":"NotApplicable","code":"access-denied""#;
    let permitted = r#""outcome":"forwarded","decision":"Permit""#;
    let asked = |text: &str, party: &str, action: &str| {
        let question = text.lines().find(|line| line.starts_with(" question ")).unwrap_or_default();
        question.contains(&format!("`{action}` on `ske-mva-melding`"))
            && question.contains(&format!(" for urn:altinn:organization:identifier-no:{party}"))
    };
    for (rule, method, parties, action) in [
        ("in-path", "POST", &["312714051"][..], "write"),
        ("in-query", "GET", &["312714051", "313750531"], "read"),
        ("in-json", "POST", &["312714051", "313750531"], "write"),
        ("in-form", "POST", &["312714051"], "write"),
        ("in-header", "GET", &["312714051"], "read"),
    ] {
        let (exit, text) = folder.explain(&record(rule, method, parties, permitted), &["r"]);
        assert_eq!(exit, 0, "{rule}: {text}");
        assert!(asked(&text, parties[0], action), "{rule}: {text}");
        assert!(text.contains("not in the record: the token has the scopes"), "{text}");
        assert!(text.ends_with("the record says the same: permitted\n"), "{text}");
        let (exit, text) = folder.explain(&record(rule, method, parties, denied), &["r"]);
        assert!(
            exit == 1 && text.ends_with("the record says the same: `access-denied`\n"),
            "{text}"
        );
    }
    let path = record("in-path", "POST", &["312714051"], denied);
    let (exit, text) = folder.explain(&path, &["r", "--pdp", "permit"]);
    assert!(exit == 0 && text.contains("`path:period` is `sample-value`"), "{text}");
    assert!(text.ends_with("the record says `access-denied`, and this permitted\n"), "{text}");
    // A party that was not given is not given again.
    let absent = r#""outcome":"refused","code":"party-missing""#;
    let (_, text) =
        folder.explain(&record("in-header", "GET", &[], absent), &["r", "--pdp", "permit"]);
    assert!(text.ends_with("the record says the same: `party-missing`\n"), "{text}");
    let scopes = r#""outcome":"refused","code":"scope-missing""#;
    let scopes = record("in-header", "GET", &[], scopes);
    let (_, text) = folder.explain(&scopes, &["urn:uuid:r", "--pdp", "permit"]);
    assert!(text.contains("not in the record: the token has none of the scopes"), "{text}");
    assert!(text.ends_with("the record says the same: `scope-missing`\n"), "{text}");
    let nobody = r#""rule":"in-header","method":"GET","outcome":"refused","code":"token-missing""#;
    let (_, text) = folder.explain(nobody, &["r", "--pdp", "permit"]);
    assert!(text.ends_with("the record says the same: `token-missing`\n"), "{text}");
}

#[test]
fn what_a_record_does_not_tell_is_said_and_not_guessed() {
    let folder = Folder::new("untold");
    let refused = |code: &str| format!(r#""outcome":"refused","code":"{code}""#);
    let person = r#"{USER},"rule":"in-header","method":"GET","party":["urn:altinn:person:identifier-no:158770*****"],"outcome":"forwarded""#;
    for (rest, why) in [
        (format!(r#""method":"GET",{}"#, refused("route-unknown")), "records hold no targets"),
        (
            record("gone", "GET", &[], &refused("access-denied")),
            "the configuration has no rule `gone`",
        ),
        (
            record("in-xml", "POST", &["312714051"], &refused("access-denied")),
            "`xml:/a` is not rebuilt",
        ),
        (
            format!(r#""rule":"in-form","method":"POST",{}"#, refused("token-expired")),
            "the token itself was refused (`token-expired`)",
        ),
        (person.replace("{USER}", USER), "records mask persons"),
    ] {
        let (exit, text) = folder.explain(&rest, &["r", "--pdp", "permit"]);
        assert!(exit == 2 && text.contains(why), "{why}: {text}");
    }
    let whole = record("in-form", "POST", &["312714051"], &refused("access-denied"));
    let (exit, text) = folder.explain(&whole, &["other"]);
    assert!(exit == 2 && text.contains("`records.log` has no record `other`"), "{text}");
    let (exit, text) = folder.explain(&whole, &["r", "GET", "/"]);
    assert!(exit == 2 && text.contains("cannot be used with"), "{text}");
}

#[test]
fn a_person_is_masked_in_all_that_is_told() {
    let folder = Folder::new("person");
    let rule = "api: a\nrules:\n  - { id: a, match: { method: GET, path: /a }, resource: ske-mva-melding, action: read, party: header:X-Party, party_kinds: [person], subject: [organization], scopes: [\"s:t\"] }\n";
    fs::write(folder.0.join("p/routes/a.yaml"), rule).unwrap();
    let claims = r#"{"iss":"https://test.maskinporten.no/","scope":"s:t","consumer":{"authority":"iso6523-actorid-upis","ID":"0192:314330897"}}"#;
    fs::write(folder.0.join("claims.json"), claims).unwrap();
    for format in ["human", "json"] {
        let output = Command::new(env!("CARGO_BIN_EXE_portvakt"))
            .args(["explain", "-c", "c.yaml", "--claims", "claims.json", "--pdp", "permit"])
            .args(["--format", format, "-H", "X-Party: 15877012345", "GET", "/a"])
            .current_dir(&folder.0)
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{text}");
        let masked = "urn:altinn:person:identifier-no:***********";
        assert!(text.contains(masked) && text.contains("portvakt-party"), "{text}");
        assert!(!text.contains("15877012345"), "{text}");
    }
}
