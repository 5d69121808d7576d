//! `portvakt import policies`, before a registry of the test.

use crate::support::{Server, Step, answer};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const POLICY: &str = include_str!("../../policies/resources/ske-mva-melding.xml");
const RULES: &str = "api: a\ndefaults: { scopes: [\"s:t\"] }\nrules:\n  - { id: known, match: { method: GET, path: \"/a/{p}\" }, resource: ske-mva-melding, action: write, party: path:p }\n  - { id: unknown, match: { method: GET, path: \"/b/{p}\" }, resource: { from: query:r, allow: [ske-mva-melding, no-such-thing] }, action: write, party: path:p }\n";

async fn import(folder: &Path, platform: &str, rest: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portvakt"));
    command.args(["import", "policies", "--config", "c.yaml", "--platform", platform]);
    command.args(rest).current_dir(folder);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn policies_are_fetched_once_and_compared_from_then_on() {
    let changed = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&changed);
    let registry = Server::start(Arc::new(move |asked| {
        let known = "GET /at/resourceregistry/api/v1/resource/ske-mva-melding/policy HTTP/1.1";
        let comment = if now.load(Ordering::SeqCst) { "\n<!-- later -->\n" } else { "" };
        let step = if asked.head.start == known {
            answer("200 OK", "application/xml", &format!("{POLICY}{comment}"))
        } else {
            answer("404 Not Found", "text/plain", "")
        };
        vec![Step::Send(step)]
    }));
    let folder = std::env::temp_dir().join(format!("portvakt-registry-{}", std::process::id()));
    fs::create_dir_all(folder.join("p/routes")).unwrap();
    fs::write(folder.join("p/routes/a.yaml"), RULES).unwrap();
    // Without the secret, and without what comes of it.
    fs::write(folder.join("c.yaml"), "environment: tt02\nupstream: { url: \"http://127.0.0.1:9\" }\npdp: { credential: { token_file: /nowhere } }\npolicies: p\n").unwrap();
    let platform = format!("http://{}/at/", registry.address);
    let of = |outcome: &str| {
        format!(
            "no-such-thing  unknown to the registry: correct the id in the rules, or ask whoever owns it\nske-mva-melding  {outcome}\n"
        )
    };
    assert_eq!(import(&folder, &platform, &[]).await, (1, of("new")));
    let file = folder.join("p/resources/ske-mva-melding.xml");
    assert_eq!(fs::read_to_string(&file).unwrap(), POLICY);
    assert!(!folder.join("p/resources/no-such-thing.xml").exists());
    fs::write(folder.join("p/routes/a.yaml"), RULES.replace(", no-such-thing", "")).unwrap();
    assert_eq!(
        import(&folder, &platform, &[]).await,
        (0, "ske-mva-melding  as it was\n".to_owned())
    );
    changed.store(true, Ordering::SeqCst);
    let (exit, text) = import(&folder, &platform, &[]).await;
    assert!(exit == 1 && text.contains("has changed: `--refresh` replaces"), "{text}");
    assert_eq!(fs::read_to_string(&file).unwrap(), POLICY);
    let (exit, text) = import(&folder, &platform, &["--refresh", "--format", "json"]).await;
    assert!(exit == 0 && text.contains(r#""outcome":"replaced""#), "{text}");
    assert!(fs::read_to_string(&file).unwrap().ends_with("<!-- later -->\n"));
    // Under a name of one's own it is left alone.
    fs::rename(&file, folder.join("p/resources/mine.xml")).unwrap();
    let (exit, text) = import(&folder, &platform, &["--refresh"]).await;
    assert!(exit == 0 && text.contains("not fetched: a file of another name"), "{text}");
    drop(registry);
    let (exit, text) = import(&folder, "http://127.0.0.1:1/", &[]).await;
    assert!(exit == 1 && text.contains("failed: cannot connect"), "{text}");
    fs::remove_dir_all(folder).unwrap();
}
