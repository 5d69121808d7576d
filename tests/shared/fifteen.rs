//! "Protect an API in fifteen minutes": every command of the page, in an empty folder that holds the document, and what the
//! page shows beside what comes.

use crate::folder;
use crate::walk::Walk;
use std::fs;
use std::path::Path;

#[test]
fn the_page_takes_a_document_to_rules_that_are_enforced() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FIFTEEN-MINUTES.md");
    let mut walk = Walk::begin("fifteen", false).in_a_terminal();
    let document = folder::read("altinn/openapi/dialogporten-enduser-v1.json");
    fs::write(walk.folder().join("dialogporten.json"), document).unwrap();
    assert_eq!(walk.follow(&fs::read_to_string(page).unwrap()), 10, "what the page shows");
}
