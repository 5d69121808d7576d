//! The commands of the README, run in order in an empty folder, and the output that it shows, found.
//!
//! In `cargo test` the program is the one just built and the ports are free ones; with
//! `PORTVAKT_README=literal`, as `.ci/run` has it, every command is run as it stands, from the clone on.

use crate::support::Walk;
use std::fs;
use std::path::Path;

#[test]
#[expect(clippy::disallowed_methods, reason = "a test is told so how to run")]
fn the_readme_works_from_clone_to_calls_permitted_and_refused() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let is_literal = match std::env::var("PORTVAKT_README") {
        Ok(word) if word == "literal" => true,
        Ok(word) => panic!("PORTVAKT_README is `literal` or nothing, not `{word}`"),
        Err(_) => false,
    };
    let mut walk = Walk::begin("readme", is_literal);
    assert_eq!(
        walk.follow(&readme.unwrap()),
        3,
        "a permitted and a refused call, and one over HTTP/2"
    );
}
