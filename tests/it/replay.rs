//! `portvakt replay` as it is called: what a changed configuration would have made of records.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A record of the shipped rules.
fn record(id: &str, method: &str, rule: &str, route: &str, rest: &str) -> String {
    let head = format!(
        r#"{{"schema":"portvakt.decision/1","requestId":"{id}","method":"{method}","rule":"{rule}","route":"{route}","#
    );
    let user = r#""subject":"system-user","system":"314330897_smartcloud","vendor":"314330897","#;
    format!("{head}{user}{rest}\"mode\":\"enforce\"}}\n")
}

fn replay(folder: &Path, rules: &str) -> (i32, String) {
    fs::write(folder.join("p/routes/tax.yaml"), rules).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_portvakt"))
        .args(["replay", "records.log", "--config", "c.yaml"])
        .current_dir(folder)
        .output()
        .unwrap();
    let text =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

#[test]
fn each_outcome_that_would_be_another_is_listed_before_it_is_deployed() {
    let folder = std::env::temp_dir().join(format!("portvakt-replay-{}", std::process::id()));
    fs::create_dir_all(folder.join("p/routes")).unwrap();
    fs::write(folder.join("c.yaml"), "environment: tt02\nupstream: { url: \"http://127.0.0.1:9\" }\npdp: { credential: { none: true } }\npolicies: p\n").unwrap();
    let asked = r#""resource":"ske-mva-melding","action":"write","decision":"Permit","outcome":"forwarded","#;
    let denied = r#""resource":"ske-mva-melding","action":"write","decision":"NotApplicable","outcome":"refused","code":"access-denied","#;
    let expired = r#""outcome":"refused","code":"token-expired","#;
    let submit = |id: &str, rest: &str| {
        record(id, "POST", "submit-vat-return", "/mva/{orgnr}/melding", rest)
    };
    let log = [
        "serving\n".to_owned(),
        submit("a", asked),
        submit("b", asked),
        submit("c", denied),
        submit("d", expired),
        record("e", "GET", "health", "/health", r#""outcome":"forwarded","#),
        r#"{"schema":"portvakt.decision/1","requestId":"f","method":"GET","outcome":"refused","code":"route-unknown","mode":"enforce"}"#.to_owned(),
    ];
    fs::write(folder.join("records.log"), log.concat()).unwrap();
    let rules = "api: tax\nrules:\n  - id: submit-vat-return\n    match: { method: POST, path: \"/mva/{orgnr}/melding\" }\n    resource: ske-mva-melding\n    action: write\n    party: path:orgnr\n    scopes: [\"s:t\"]\n  - { id: health, match: { method: GET, path: /health }, protection: public }\n";
    let same = "6 records: 0 would end otherwise, 1 could not be looked up\n";
    assert_eq!(replay(&folder, rules), (0, same.to_owned()));
    for (from, to, expected) in [
        (
            "method: POST",
            "method: PUT",
            "  submit-vat-return  POST /mva/{orgnr}/melding: 1 access-denied, now method-not-allowed, such as c\n",
        ),
        (
            "action: write",
            "action: sign",
            "  submit-vat-return  POST /mva/{orgnr}/melding: 2 forwarded, now asks `sign` on `ske-mva-melding`, such as a\n",
        ),
        (
            "    action: write\n",
            "    action: write\n    vendors: [\"314242726\"]\n",
            "  submit-vat-return  POST /mva/{orgnr}/melding: 2 forwarded, now vendor-not-allowed, such as a\n",
        ),
        (
            "protection: public",
            "protection: closed",
            "  health  GET /health: 1 forwarded, now route-closed, such as e\n",
        ),
        (
            "path: /health",
            "path: /helse",
            "  health  GET /health: 1 forwarded, now route-unknown, such as e\n",
        ),
    ] {
        assert!(rules.contains(from), "{from}");
        let (exit, text) = replay(&folder, &rules.replacen(from, to, 1));
        assert!(exit == 1 && text.contains(expected), "{exit} {expected}{text}");
        // Rules come before the token is looked at, and do not mend it.
        assert_eq!(text.contains("token-expired"), to == "method: PUT", "{text}");
    }
    // Whether refusals have an effect is a change too, in both directions.
    let shadow = rules.replacen("    action: write\n", "    action: write\n    mode: shadow\n", 1);
    let (exit, text) = replay(&folder, &shadow);
    let expected = "  submit-vat-return  POST /mva/{orgnr}/melding: 1 access-denied, now forwarded in shadow (access-denied), such as c\n";
    assert!(exit == 1 && text.contains(expected), "{exit} {text}");
    let log = log.concat().replace("\"mode\":\"enforce\"", "\"mode\":\"shadow\"");
    let log = log.replace("\"outcome\":\"refused\"", "\"outcome\":\"forwarded\"");
    fs::write(folder.join("records.log"), log).unwrap();
    let (exit, text) = replay(&folder, rules);
    let expected = "6 records: 2 would end otherwise, 1 could not be looked up
  submit-vat-return  POST /mva/{orgnr}/melding: 1 forwarded in shadow (access-denied), now access-denied, such as c
  submit-vat-return  POST /mva/{orgnr}/melding: 1 forwarded in shadow (token-expired), now token-expired, such as d
";
    assert_eq!((exit, &*text), (1, expected));
    let (exit, text) = replay(&folder, &shadow);
    assert_eq!((exit, &*text), (0, "6 records: 0 would end otherwise, 1 could not be looked up\n"));
    fs::remove_dir_all(folder).unwrap();
}
