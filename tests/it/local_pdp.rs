//! The commands of `docs/PDP.md`, run in order with a policy of the reader's own, and the output that it
//! shows, found.

use crate::support::Walk;
use std::fs;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_page_of_the_local_pdp_works_from_the_first_command_to_the_last() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/PDP.md")).unwrap();
    let mut walk = Walk::begin("pdp", false);
    // The page begins in the repository.
    std::os::unix::fs::symlink(Path::new(ROOT).join("policies"), walk.folder().join("policies"))
        .unwrap();
    assert_eq!(walk.follow(&page), 4, "a no, its reason, a permit, a fault");
}
