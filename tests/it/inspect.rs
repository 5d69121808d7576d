//! `portvakt token inspect` as it is called, and the commands that want no secret.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Exit code, data and talk of the program where no secret is mounted.
fn run(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut running = Command::new(env!("CARGO_BIN_EXE_portvakt"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    running.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = running.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

const CLAIMS: &str = r#"{
  "iss": "https://maskinporten.no/", "iat": 1700000000, "exp": 1700000120, "scope": "skatteetaten:mvameldinginnsending",
  "client_id": "fc9a8287-e7cb-45e5-b90e-123048d32d85",
  "consumer": { "authority": "iso6523-actorid-upis", "ID": "0192:314330897" },
  "authorization_details": [{
    "type": "urn:altinn:systemuser", "systemuser_id": ["ebe4a681-0a8c-429e-a36f-8f9ca942b59f"],
    "systemuser_org": { "authority": "iso6523-actorid-upis", "ID": "0192:314242726" }, "system_id": "314330897_maestro"
  }]
}"#;

#[test]
fn what_a_token_says_is_said_in_words() {
    let (exit, text, _) = run(&["token", "inspect"], CLAIMS);
    assert_eq!(exit, 0);
    let begins = "for       system user ebe4a681-0a8c-429e-a36f-8f9ca942b59f of 314242726, system `314330897_maestro`, vendor 314330897\n\
        client    fc9a8287-e7cb-45e5-b90e-123048d32d85\n\
        scopes    skatteetaten:mvameldinginnsending\n\
        issuer    https://maskinporten.no/\n\
        issued    2023-11-14T22:13:20Z, ";
    assert!(text.starts_with(begins), "{text}");
    assert!(text.contains("expires   2023-11-14T22:15:20Z, ") && text.contains(" ago\n"), "{text}");
    assert!(!text.contains("checks"), "{text}");
    // {"alg":"RS256","kid":"a"} and the claims {"iss":"b"}: no `exp`.
    let token = "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJpc3MiOiJiIn0.AAAA\n";
    let bare = token.trim_start_matches("Bearer ").trim();
    let answer = format!(r#"{{ "access_token": "{bare}", "token_type": "Bearer" }}"#);
    for token in [token, bare, &format!("Authorization: {token}"), &answer] {
        let (exit, text, _) = run(&["token", "inspect"], token);
        assert_eq!(exit, 0);
        assert!(
            text.starts_with("for       nobody: refuse with 401 token-malformed: the token has no `exp`\nissuer    b\nsigned    RS256 by the key `a`; not verified\n"),
            "{text}"
        );
    }
    // Nothing of another's token commands a terminal.
    let (_, text, _) = run(&["token", "inspect"], r#"{"iss":"\u001b[2J\u009b31m","exp":1}"#);
    assert!(text.contains("issuer    \u{fffd}[2J\u{fffd}31m\n"), "{text:?}");
    for (wrong, why) in [("", "three parts"), ("a.b", "three parts"), ("!.!.!", "base64url")] {
        let (exit, _, talk) = run(&["token", "inspect"], wrong);
        assert!(exit == 2 && talk.contains(why), "{talk}");
    }
}

#[test]
fn a_configuration_says_which_of_its_checks_fail_without_its_secrets() {
    let arguments = ["token", "inspect", "--config", "config/prod.yaml"];
    let (exit, text, talk) = run(&arguments, CLAIMS);
    assert_eq!(exit, 1, "{talk}");
    for expected in [
        "\n  issuer    ok\n",
        "\n  time      refuse with 401 token-expired\n",
        "\n  subject   ok\n",
        "\n  let in, and Altinn is asked: ",
        "\n  refuse with 403 scope-missing, needs `",
    ] {
        assert!(text.contains(expected), "{expected}{text}");
    }
    let (exit, text, _) = run(&[&arguments[..], &["--format", "json"]].concat(), CLAIMS);
    assert_eq!(exit, 1);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let check = |name: &str| {
        document["checks"].as_array().unwrap().iter().find(|it| it["check"] == name).unwrap()
    };
    assert_eq!(
        (&check("time")["ok"], &check("time")["code"]),
        (&false.into(), &"token-expired".into())
    );
    assert_eq!(check("audience")["ok"], true);
    let let_in =
        |rule: &serde_json::Value| rule["rule"] == "submit-vat-return" && rule["letIn"] == true;
    assert!(document["rules"].as_array().unwrap().iter().any(let_in), "{text}");
    // A token of the test environment.
    let foreign = CLAIMS.replace("https://maskinporten.no/", "https://test.maskinporten.no/");
    let (exit, text, _) = run(&arguments, &foreign);
    assert!(exit == 1 && text.contains("  issuer    refuse with 401 token-untrusted: "), "{text}");
    assert!(!text.contains("rules"), "{text}");
}

#[test]
fn rules_are_checked_and_tested_where_no_secret_is() {
    let prod = ["--config", "config/prod.yaml"];
    let (exit, _, talk) = run(&[&["check"], &prod[..]].concat(), "");
    assert!(exit == 1 && talk.contains("unreadable-secret"), "{talk}");
    let (exit, text, talk) = run(&[&["check", "--without-secrets"], &prod[..]].concat(), "");
    assert_eq!(exit, 0, "{talk}");
    let last =
        "asked for decisions: the PDP of the configuration, with secrets that were not read\n";
    assert!(text.ends_with(last), "{text}");
    let (exit, text, talk) = run(&[&["test"], &prod[..]].concat(), "");
    assert!(exit == 0 && text.contains("test result: ok."), "{text}{talk}");
    let explain = [&["explain"], &prod[..], &["GET", "/health"]].concat();
    let (exit, _, talk) = run(&explain, "");
    assert!(exit == 2 && talk.contains("`--live`"), "{talk}");
    let (exit, text, talk) = run(&[&explain[..], &["--pdp", "permit"]].concat(), "");
    assert!(exit == 0 && text.contains("forwarded under rule `health`"), "{text}{talk}");
    // What is wrong in the rest is found all the same.
    let folder = std::env::temp_dir().join(format!("portvakt-inspect-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let config = fs::read_to_string("config/prod.yaml").unwrap();
    let config = config.replace("../policies", concat!(env!("CARGO_MANIFEST_DIR"), "/policies"));
    let config = config.replace("permit_ttl: 60s", "permit_ttl: 60");
    let file = folder.join("c.yaml");
    fs::write(&file, config).unwrap();
    let (exit, _, talk) = run(&["check", "--without-secrets", "-c", file.to_str().unwrap()], "");
    assert!(exit == 1 && talk.contains("permit_ttl"), "{talk}");
    fs::remove_dir_all(folder).unwrap();
}
