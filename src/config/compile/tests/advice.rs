//! What an operator is told beside the fault: bounds and why they are these, other forms, what cannot work.

use super::*;

/// What is said of a good configuration with `upstream` or `server` in place of its own, and of this rule.
fn said_of(section: &str, rule: &str) -> String {
    let key = section.split(':').next().unwrap();
    let lines = GOOD.lines().map(|line| if line.starts_with(key) { section } else { line });
    let config = lines.collect::<Vec<_>>().join("\n");
    let files = [
        ("a.yaml", config),
        ("policies/routes/a.yaml", format!("api: a\nrules:\n  - {{ id: r, {rule} }}\n")),
    ];
    let inputs = Inputs { files: Files::memory(files), ..inputs("") };
    compile(&inputs, None, &runtime()).diagnostics.to_human(Colour::Plain)
}

const OPEN: &str = "match: { method: GET, path: / }, protection: public";

#[test]
fn who_is_out_of_bounds_is_told_the_bounds_and_why_they_are_these() {
    let windows = "server: { limits: { http2: { stream_window: 1 } } }";
    let long = format!("{OPEN}, upgrade: {{ websocket: {{ max_duration: 48h }} }}");
    for (section, rule, bounds, why) in [
        (windows, OPEN, "must lie between 65535 and 64MiB", "the first window of HTTP/2 is 65535"),
        ("server: {}", long.as_str(), "must lie between 10ms and 1d", "outlives its withdrawal"),
    ] {
        let said = said_of(section, rule);
        let help = said.split("help: ").nth(1).unwrap_or_default();
        assert!(said.contains(bounds) && help.contains(why), "{said}");
    }
}

#[test]
fn whoever_writes_another_scheme_is_told_all_that_an_api_may_be_reached_by() {
    for url in ["grpc://api:1", "localhost:8080", "api", "ws://api:1"] {
        let said = said_of(&format!("upstream: {{ url: '{url}' }}"), OPEN);
        for form in ["http://", "https://", "h2c://", "unix:/"] {
            assert!(said.contains(&format!("`{form}")), "{url}: {said}");
        }
    }
}

#[test]
fn a_web_socket_that_the_api_cannot_be_asked_for_is_noticed() {
    let rule = format!("{OPEN}, upgrade: [websocket]");
    let said = said_of("upstream: { url: 'h2c://api:1' }", &rule);
    assert!(said.contains("warning[no-web-sockets]") && said.contains("a.yaml:3:"), "{said}");
    assert_eq!(said_of("upstream: { url: 'h2c://api:1' }", OPEN), "");
    for url in ["http://api:1", "https://api:1", "unix:/run/api"] {
        assert_eq!(said_of(&format!("upstream: {{ url: '{url}' }}"), &rule), "", "{url}");
    }
}
