//! `portvakt test` as it is called: what it prints for build servers, and how it ends where rules are left out.

use std::process::Command;

fn run(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_portvakt"))
        .args(["test", "--config", "config/local.yaml"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_shipped_rules_are_tested_whole_and_a_rule_left_out_is_named() {
    let (exit, text) = run(&["--require-coverage"]);
    assert_eq!(exit, 0, "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("rules: 13 of 13 have a test that passes"), "{last}");
    let empty = std::env::temp_dir().join(format!("portvakt-tests-{}", std::process::id()));
    std::fs::create_dir_all(&empty).unwrap();
    std::fs::write(
        empty.join("one.yaml"),
        "tests:\n  - { name: one, request: GET /health, claims: none, expect: { rule: health, outcome: forward } }\n",
    )
    .unwrap();
    let folder = empty.to_str().unwrap();
    let (exit, text) = run(&[folder]);
    assert_eq!(exit, 0, "{text}");
    assert!(
        text.lines()
            .last()
            .unwrap()
            .starts_with("rules: 1 of 13 have a test that passes; without: start-transfer, "),
        "{text}"
    );
    assert_eq!(run(&["--require-coverage", folder]).0, 1);
    std::fs::remove_dir_all(empty).unwrap();
}

#[test]
fn some_tests_run_alone_and_build_servers_get_a_document() {
    let (exit, text) = run(&["--rule", "health"]);
    assert!(
        exit == 0 && text.contains("test result: ok. 1 passed") && !text.contains("rules:"),
        "{text}"
    );
    let (exit, text) = run(&["--format", "junit"]);
    assert_eq!(exit, 0);
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"portvakt test\" tests=\""), "{text}");
    assert_eq!(text.matches("<testsuite ").count(), 4);
    assert!(text.contains("failures=\"0\"") && text.ends_with("</testsuites>\n"), "{text}");
}
