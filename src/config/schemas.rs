//! The JSON Schemas (draft 2020-12) of the files that people write, for editors that complete and check
//! while one types. They say what one file may hold; what files mean together is judged by those who read
//! them.
//!
//! Invariant: no schema refuses what its reader takes. The tests hold each against its reader: keys, words,
//! defaults, limits and examples.

/// Of the files that `--config` names.
pub const CONFIG: &str = include_str!("../../config/schemas/config.schema.json");
/// Of `policies/routes/*.yaml`.
pub const ROUTES: &str = include_str!("../../config/schemas/routes.schema.json");
/// Of `policies/tests/*.yaml`.
pub const TESTS: &str = include_str!("../../config/schemas/tests.schema.json");
/// Of the directory of the embedded PDP.
pub const DIRECTORY: &str = include_str!("../../config/schemas/directory.schema.json");

#[cfg(test)]
pub(super) mod tests;
