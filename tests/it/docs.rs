//! The pages say what the program does: every code with its status, every command. (Metrics:
//! `src/record/metrics/tests.rs`.) The page on threats names tests that are there.

use crate::attacks::is_a_test;
use clap::CommandFactory as _;
use portvakt::cli::Cli;
use portvakt::domain::DenialCode;
use std::fs;
use std::path::Path;

fn page(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn vendors_find_every_code_with_its_status() {
    let page = page("docs/VENDORS.md");
    for code in DenialCode::ALL {
        let row = format!("| `{code}` | {} |", code.status());
        assert!(page.contains(&row), "docs/VENDORS.md has no row `{row}`");
    }
}

#[test]
fn the_readme_names_every_command() {
    let page = page("README.md");
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        assert!(
            page.contains(&format!("portvakt {name}")),
            "README.md does not mention `portvakt {name}`"
        );
    }
}

/// Every command below this one that does something by itself.
fn leaves(command: &clap::Command) -> Vec<&clap::Command> {
    let below: Vec<_> = command.get_subcommands().flat_map(leaves).collect();
    if below.is_empty() { vec![command] } else { below }
}

#[test]
fn every_command_prints_for_people_and_for_programs() {
    let whole = Cli::command();
    let commands = leaves(&whole);
    assert!(commands.len() > 15, "{}", commands.len());
    for command in commands {
        let format = command.get_arguments().find(|one| one.get_id() == "format");
        let words = format.map(clap::Arg::get_possible_values).unwrap_or_default();
        let has = |word: &str| words.iter().any(|one| one.get_name() == word);
        assert!(has("human") && has("json"), "{} has no --format", command.get_name());
    }
}

#[test]
fn each_class_of_attack_is_held_by_tests_that_are_there() {
    let page = page("docs/THREATS.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| **")).collect();
    assert_eq!(rows.len(), 30, "a class came or went");
    for row in rows {
        let class = row.split("**").nth(1).unwrap();
        let tests: Vec<_> = row.split('`').filter_map(|word| word.split_once(".rs::")).collect();
        assert!(!tests.is_empty(), "no test holds: {class}");
        for (path, name) in tests {
            assert!(is_a_test(&format!("{path}.rs"), name), "{class} {path}.rs::{name}");
        }
    }
    // What is named outside the table is there as well.
    for (path, name) in page.split('`').filter_map(|word| word.split_once(".rs::")) {
        assert!(is_a_test(&format!("{path}.rs"), name), "{path}.rs::{name}");
    }
}
