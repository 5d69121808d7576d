//! The corpora of the fuzz targets, replayed: what was once found stays mended, on the ordinary toolchain.

#[path = "../../fuzz/connections.rs"]
mod connections;
#[path = "../../fuzz/request_targets.rs"]
mod request_targets;
#[path = "../../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The files of a folder below the project.
fn files(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(Path::new(ROOT).join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn replay(target: fn(&[u8]), corpus: &[(PathBuf, Vec<u8>)], least: usize) {
    assert!(corpus.len() >= least, "the corpus has shrunk to {} files", corpus.len());
    for (path, input) in corpus {
        let outcome = std::panic::catch_unwind(|| target(input));
        assert!(outcome.is_ok(), "{}", path.display());
        // What was cut off in the middle is what a reader meets first.
        let step = (input.len() / 32).max(1);
        for length in (0..input.len()).step_by(step) {
            let outcome = std::panic::catch_unwind(|| target(&input[..length]));
            assert!(outcome.is_ok(), "{}, cut at {length}", path.display());
        }
    }
}

#[test]
fn policies_are_read_or_refused() {
    let mut corpus = files("fuzz/corpus/policy");
    corpus.extend(files("policies/resources"));
    replay(targets::policy, &corpus, 20);
}

#[test]
fn questions_in_json_are_answered_alike_with_reasons_and_without() {
    replay(targets::question_json, &files("fuzz/corpus/question_json"), 20);
}

#[test]
fn questions_in_xml_are_answered_alike_with_reasons_and_without() {
    replay(targets::question_xml, &files("fuzz/corpus/question_xml"), 10);
}

#[test]
fn directories_are_read_or_refused() {
    let mut corpus = files("fuzz/corpus/directory");
    corpus.push((
        "policies/directory.yaml".into(),
        fs::read(Path::new(ROOT).join("policies/directory.yaml")).unwrap(),
    ));
    replay(targets::directory, &corpus, 12);
}

#[test]
fn request_targets_are_forwarded_as_they_are_or_refused() {
    replay(request_targets::path, &files("fuzz/corpus/path"), 15);
}

#[test]
fn nothing_of_a_token_is_believed_that_the_key_has_not_signed() {
    replay(request_targets::bearer, &files("fuzz/corpus/bearer"), 8);
}

#[test]
fn what_is_found_in_a_body_is_found_by_careless_readers_too() {
    replay(request_targets::json_source, &files("fuzz/corpus/json_source"), 10);
    replay(request_targets::xml_source, &files("fuzz/corpus/xml_source"), 10);
    replay(request_targets::form_source, &files("fuzz/corpus/form_source"), 8);
}

#[test]
fn what_the_guard_lets_through_is_read_by_the_library_in_the_same_way() {
    replay(connections::guard, &files("fuzz/corpus/guard"), 20);
}
