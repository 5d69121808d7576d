//! The architecture of `docs/ARCHITECTURE.md`, held to by reading the sources: which room may use which,
//! who may make a proof, and that no file or junk drawer grows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms in import order; each uses only rooms in earlier groups. Rooms of one group do not use
/// each other.
const ORDER: &[&[&str]] = &[
    &["domain", "xacml"],
    &["tasks", "alarm", "in_flight", "members", "reach"],
    &["flow", "frames"],
    &["record"],
    &["answer", "outbound"],
    &["route", "token", "pdp", "otlp"],
    &["snapshot"],
    &["authorize"],
    &["upstream"],
    &["door"],
    &["config"],
    &["server"],
    &["dev"],
    &["cli"],
];

/// Rooms with a reason to use less than their place allows.
const NOTHING_OF_OURS: &[&str] = &["domain", "xacml"];

struct Source {
    room: String,
    path: PathBuf,
    /// Without the tests.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let relative = path.strip_prefix(&root).unwrap();
                let room = relative
                    .iter()
                    .next()
                    .unwrap()
                    .to_string_lossy()
                    .trim_end_matches(".rs")
                    .to_owned();
                found.push(Source { room, code: code_of(&path, &text), path: relative.to_owned() });
            }
        }
    }
    found.retain(|source| !is_test_file(&source.path));
    assert!(found.len() > 30, "the sources are not where this test looks for them");
    found
}

fn is_test_file(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_string_lossy();
    let declared_for_tests = |text: String| text.contains(&format!("#[cfg(test)]\nmod {name};"));
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path.parent().unwrap());
    let declaring = [parent.join("mod.rs"), parent.with_extension("rs")];
    path.iter().any(|part| part == "tests" || part == "tests.rs")
        || declaring.iter().any(|file| fs::read_to_string(file).is_ok_and(declared_for_tests))
}

/// The part of a file before its tests, without comments.
fn code_of(_path: &Path, text: &str) -> String {
    let end = text.find("\n#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end]
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n")
}

fn group_of(room: &str) -> Option<usize> {
    ORDER.iter().position(|group| group.contains(&room))
}

/// The rooms named by `crate::room` anywhere in the code, also inside braces.
fn rooms_used(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut start = true;
            let mut word = String::new();
            for character in list.chars() {
                match character {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    character
                        if start
                            && depth == 0
                            && (character.is_alphanumeric() || character == '_') =>
                    {
                        word.push(character);
                    }
                    _ if !word.is_empty() => {
                        used.push(std::mem::take(&mut word));
                        start = false;
                    }
                    _ => {}
                }
            }
            used.extend((!word.is_empty()).then_some(word));
        } else {
            let word: String = rest
                .chars()
                .take_while(|character| character.is_alphanumeric() || *character == '_')
                .collect();
            used.push(word);
        }
    }
    used
}

#[test]
fn rooms_use_only_rooms_to_their_left() {
    let mut faults = Vec::new();
    for source in sources() {
        if matches!(source.room.as_str(), "lib" | "main") {
            continue;
        }
        let Some(own) = group_of(&source.room) else {
            faults.push(format!("{}: `{}` is not a room", source.path.display(), source.room));
            continue;
        };
        for used in rooms_used(&source.code) {
            let allowed = used == source.room
                || (!NOTHING_OF_OURS.contains(&source.room.as_str())
                    && group_of(&used).is_some_and(|group| group < own));
            if !allowed {
                faults.push(format!("{} uses `{used}`", source.path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_reader_of_imports_sees_every_form() {
    assert_eq!(rooms_used("use crate::door::Proxy;"), ["door"]);
    assert_eq!(
        rooms_used("use crate::{answer::x, domain::{A, B}, record};"),
        ["answer", "domain", "record"]
    );
    assert_eq!(rooms_used("let x = crate::upstream::forward();"), ["upstream"]);
}

#[test]
fn no_file_is_a_junk_drawer_and_none_grows_past_500_lines() {
    let mut faults = Vec::new();
    for source in sources() {
        let lines = source.code.lines().count();
        if lines > 500 {
            faults.push(format!("{} has {lines} lines", source.path.display()));
        }
        for part in &source.path {
            let name = part.to_string_lossy();
            let name = name.trim_end_matches(".rs");
            if matches!(
                name,
                "util" | "utils" | "common" | "helper" | "helpers" | "types" | "misc" | "prelude"
            ) {
                faults.push(format!("{} is a junk drawer", source.path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn proofs_are_made_in_one_place() {
    // What is written to make the proof, and the files that may write it.
    let makers: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("Permit {", &["authorize.rs"][..]),
        ("Ok(Permit", &["authorize.rs"]),
        ("Caller {", &["domain/caller.rs", "token/"]),
        ("SystemUser {", &["domain/caller.rs", "token/", "pdp/embedded/", "config/", "dev/"]),
        (
            "jsonwebtoken::",
            &["token/settings.rs", "token/tests/", "pdp/credential/", "dev/", "config/"],
        ),
        ("moka::", &["token/", "pdp/"]),
        ("prometheus::", &["record/metrics/"]),
        ("prost::", &["otlp/"]),
        ("figment::", &["config/"]),
    ]);
    let mut faults = Vec::new();
    for source in sources() {
        let path = source.path.to_string_lossy().replace('\\', "/");
        for (text, allowed) in &makers {
            let whole_word = source.code.match_indices(text).any(|(at, _)| {
                let before = source.code[..at].chars().next_back();
                !before.is_some_and(|character| character.is_alphanumeric() || character == '_')
                    && !source.code[..at].ends_with("impl ")
                    && !source.code[..at].ends_with("-> ")
            });
            if whole_word && !allowed.iter().any(|prefix| path.starts_with(prefix)) {
                faults.push(format!("{path} writes `{text}`"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn our_own_traits_are_the_four_of_the_design() {
    let mut traits = Vec::new();
    for source in sources() {
        for line in source.code.lines() {
            let line = line.trim_start();
            let declared = line
                .strip_prefix("pub trait ")
                .or_else(|| line.strip_prefix("pub(crate) trait "))
                .or_else(|| line.strip_prefix("trait "));
            if let Some(rest) = declared {
                traits.push(rest.split([':', ' ', '<', '{']).next().unwrap_or("").to_owned());
            }
        }
    }
    for name in &traits {
        assert!(
            ["Clock", "DecisionPoint", "KeySource", "TokenSource"].contains(&name.as_str()),
            "a fifth trait: `{name}`"
        );
    }
}
