//! `docs/reference/diagnostics.md`: what `check` says of each example is what stands there, and every code has one.

use portvakt::config::{
    self, Colour, Diagnostics, Environment, Files, Inputs, Overrides, Runtime, openapi,
};
use portvakt::domain::SystemClock;
use portvakt::tasks::Tasks;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::Arc;

const PAGE: &str = "docs/reference/diagnostics.md";

type Named = BTreeMap<String, String>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What `check` says under this code of these files, which lie over the base.
fn said(code: &str, base: &Named, example: &Named) -> String {
    let mut files = base.clone();
    files.extend(example.clone());
    let variables = files.remove("variables").unwrap_or_default();
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let document = files.contains_key("api.json");
    let files = Files::memory(files);
    let inputs = Inputs {
        config: vec!["c.yaml".into()],
        files: files.clone(),
        environment: Environment::new(variables),
        flags: Vec::new(),
        overrides: Overrides::default(),
    };
    let runtime = Runtime { tasks: Tasks::new(), clock: Arc::new(SystemClock) };
    let mut outcome = config::compile(&inputs, None, &runtime);
    if document
        && let Some(document) =
            openapi::read(&files, Path::new("api.json"), None, &mut outcome.diagnostics)
        && let Some(compiled) = &outcome.compiled
    {
        let _coverage = openapi::cover(
            &document,
            &compiled.snapshot,
            &outcome.places,
            &mut outcome.diagnostics,
        );
    }
    let mut told = Diagnostics::new();
    let findings = outcome.diagnostics.iter().filter(|found| found.code == code);
    findings.cloned().for_each(|found| told.push(found));
    if told.is_empty() {
        return format!("not {code}, but:\n{}", outcome.diagnostics.to_human(Colour::Plain));
    }
    told.to_human(Colour::Plain).trim_end().to_owned() + "\n"
}

/// The page with what the program says in place of what stands there; and the codes that have an example.
fn made(page: &str) -> (String, BTreeSet<String>) {
    let (mut made, mut codes) = (String::new(), BTreeSet::new());
    let (mut base, mut example) = (Named::new(), Named::new());
    let mut code: Option<String> = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        made.extend([line, "\n"]);
        if let Some(named) = line.strip_prefix("### `") {
            code = named.strip_suffix('`').map(str::to_owned);
            example.clear();
        }
        let Some(fence) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let body = body.join("\n") + "\n";
        match (fence.split_once(' '), &code) {
            (Some((_, name)), None) => drop(base.insert(name.to_owned(), body.clone())),
            (Some((_, name)), Some(_)) => drop(example.insert(name.to_owned(), body.clone())),
            (None, Some(code)) => {
                assert!(codes.insert(code.clone()), "{code} has two examples");
                made.extend([&said(code, &base, &example), "```\n"]);
                continue;
            }
            (None, None) => panic!("a block without a name: {body}"),
        }
        made.extend([&body, "```\n"]);
    }
    (made, codes)
}

#[test]
fn the_page_has_an_example_of_every_code_as_the_program_writes_it() {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let (made, codes) = made(&page);
    if made != page {
        let path = std::env::temp_dir().join("portvakt-diagnostics.md");
        fs::write(&path, made).unwrap();
        panic!("{PAGE} is not what the program says, which is in {}", path.display());
    }
    let introduction = page.split("\n## ").next().unwrap();
    let mut known: BTreeSet<String> = codes;
    known.extend(introduction.split('`').skip(1).step_by(2).map(str::to_owned));
    let missing: Vec<_> = of_sources().difference(&known).cloned().collect();
    assert_eq!(missing, Vec::<String>::new(), "codes without an example");
}

/// The codes that the sources name.
fn of_sources() -> BTreeSet<String> {
    let call = r#"(?:error|warning|note|fail|fail_with_help|warn|report)\([ \n]*"([a-z0-9-]+)""#;
    let call = Regex::new(call).unwrap();
    let mut codes = BTreeSet::new();
    let mut folders = vec![root().join("src/config")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if !is_test(&path) {
                let text = fs::read_to_string(path).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                codes.extend(call.captures_iter(text).map(|found| found[1].to_owned()));
            }
        }
    }
    assert!(codes.len() > 55, "{codes:?}");
    codes
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}
