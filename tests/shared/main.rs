//! Portvakt against published reference material that is kept outside the project: XACML conformance
//! tests, policies and answers of Altinn's PDP, example tokens, signature vectors, hostile paths.
//!
//! One suite follows a page of the documentation that begins with such material.
//!
//! `cargo test --test shared` runs it, with the folder named by `PORTVAKT_SHARED`; it fails without. Every suite
//! pins how much of the material it passes, and names each case it does not with the reason.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod conformance;
mod documents;
mod facts;
mod fifteen;
mod folder;
mod framing;
mod openapi;
mod paths;
mod pdp_cases;
mod policies;
mod signatures;
mod tally;
mod tokens;
#[path = "../it/support/walk.rs"]
mod walk;
mod wire;
