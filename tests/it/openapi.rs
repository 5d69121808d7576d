//! `import openapi` and `check --openapi` as they are called: what they print, how they end, and that nothing is
//! overwritten.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const DOCUMENT: &str = r#"{
  "openapi": "3.0.3", "info": { "title": "Melding" },
  "components": { "securitySchemes": { "m": { "type": "http", "scheme": "bearer" } } },
  "security": [{ "m": ["skatteetaten:mva"] }],
  "paths": {
    "/mva/{orgnr}": { "post": { "operationId": "sendMelding", "summary": "Smile \ud83d\ude00 og si \"hei\"" } },
    "/status": { "get": { "operationId": "status" } }
  }
}"#;
const CONFIG: &str = "environment: tt02\nupstream: { url: \"http://127.0.0.1:9\" }\npdp: { credential: { none: true } }\npolicies: .\n";

/// A folder with the document and a configuration, which goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("portvakt-openapi-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("routes")).unwrap();
        fs::write(path.join("api.json"), DOCUMENT).unwrap();
        fs::write(path.join("c.yaml"), CONFIG).unwrap();
        Self(path)
    }

    fn run(&self, arguments: &str) -> (i32, String, String) {
        let program = env!("CARGO_BIN_EXE_portvakt");
        let Output { status, stdout, stderr } =
            Command::new(program).args(arguments.split(' ')).current_dir(&self.0).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    fn edit(&self, from: &str, to: &str) {
        let path = self.0.join("routes/api.yaml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn from_a_document_to_rules_that_cover_it() {
    let folder = Folder::new("whole");
    let import = "import openapi api.json --output routes/api.yaml";
    let (exit, data, talk) = folder.run(import);
    assert_eq!((exit, data.as_str()), (0, ""), "{talk}");
    assert!(talk.contains("2 rules for 2 operations: 1 ask Altinn"), "{talk}");
    // Tests too: strangers are refused.
    assert_eq!(folder.run("import openapi api.json --tests tests.yaml").0, 0);
    let tests = fs::read_to_string(folder.0.join("tests.yaml")).unwrap();
    let first = "tests:\n  - name: \"send-melding without a token\"\n    request: \"POST /mva/sample-value\"\n    claims: none\n    expect: { rule: send-melding, outcome: token-missing }\n\n";
    assert!(tests.contains(first), "{tests}");
    let (exit, _, talk) = folder.run("import openapi api.json --tests tests.yaml");
    assert!(exit == 2 && talk.contains("is not overwritten"), "{talk}");
    // What is there is not overwritten.
    folder.edit("resource: TODO", "resource: ske-mva-melding");
    let (exit, _, talk) = folder.run(import);
    assert_eq!(
        (exit, talk.as_str()),
        (2, "error: `routes/api.yaml` is there already, and is not overwritten\n")
    );
    let (exit, data, talk) = folder.run("check --config c.yaml --openapi api.json");
    assert_eq!(exit, 0, "{talk}");
    assert!(data.ends_with("2 operations: 1 decided by Altinn, 0 object left to the API, 1 token alone, 0 public, 0 closed, 0 not covered\n"), "{data}");
    // A forgotten operation is found where it stands.
    folder.edit("path: /status", "path: /statsu");
    let (exit, data, talk) = folder.run("check --config c.yaml --openapi api.json --format json");
    assert_eq!(exit, 1, "{data}{talk}");
    let gap = data.lines().find(|line| line.contains("uncovered-operation")).unwrap();
    assert!(gap.contains(r#""file":"api.json","line":7"#), "{gap}");
    assert!(
        data.contains(r#""not covered":1"#) && data.contains("rule-without-operation"),
        "{data}"
    );
}

#[test]
fn what_is_to_be_chosen_is_refused_and_what_is_no_document_is_said() {
    let folder = Folder::new("choices");
    assert_eq!(folder.run("import openapi api.json -o routes/api.yaml").0, 0);
    let (exit, _, talk) = folder.run("check --config c.yaml");
    assert_eq!(exit, 1);
    assert!(
        talk.starts_with("error[unfinished-rule]: `resource` is still to be chosen\n"),
        "{talk}"
    );
    let (exit, data, _) = folder
        .run("import openapi api.json --resource ske-mva-melding --base-path /v2 --format json");
    let said: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert_eq!((exit, &said["toChoose"], &said["askAltinn"]), (0, &0.into(), &1.into()));
    assert!(said["yaml"].as_str().unwrap().contains("path: \"/v2/mva/{orgnr}\""), "{data}");
    let (exit, data, talk) = folder.run("import openapi c.yaml");
    assert_eq!((exit, data.as_str()), (2, ""), "{talk}");
    assert!(talk.starts_with("error[not-openapi]"), "{talk}");
    assert_eq!(folder.run("import openapi nowhere.json").0, 2);
}
