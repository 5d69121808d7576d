//! What the embedded PDP decides by: the folder of resource policies and the directory file.
//!
//! Shapes are read here; what the entries mean together is judged by the PDP's own room, whose findings
//! get their places here.

mod actions;
mod keys;
mod packages;
mod policies;

use std::path::Path;

use super::diagnostic::{Diagnostic, Diagnostics, Origin};
use super::files::Files;
use super::positions::{self, Bounds};
use super::reader::read_table;
use super::tree::{Node, Value};
use crate::domain::CheckDigits;
use crate::pdp::embedded::{Directory, DirectoryFault, PolicyStore};

pub use policies::load_policies;

/// A directory file is often generated: a hundred thousand delegations have about ten megabytes and a
/// million values. Bounds what a mistaken path or a runaway generator can cost at start and at each
/// reload: some hundred bytes of memory a value.
const BOUNDS: Bounds = Bounds {
    bytes: 32 * 1024 * 1024,
    values: 4_000_000,
    depth: Bounds::WRITTEN.depth,
    help: "keep only the entries that are needed, or check that this is the file you meant",
};

/// Reads the directory file at `path`. `None` after an error. Resources that none of `policies` covers,
/// packages that none asks for, and actions that the policy of a right is not about, are warnings.
pub fn load_directory(
    files: &Files,
    path: &Path,
    check_digits: CheckDigits,
    policies: Option<&PolicyStore>,
    diagnostics: &mut Diagnostics,
) -> Option<Directory> {
    let before = diagnostics.error_count();
    let root = positions::read_within(files, path, BOUNDS, diagnostics)?;
    let parts =
        read_table(&root, diagnostics, |table| Some(keys::parts(table, check_digits, files)))?;
    if diagnostics.error_count() > before {
        return None;
    }
    let place = |path: &str| find(&root, path).unwrap_or_else(|| root.origin.clone());
    let unknown_packages = policies.map(|store| packages::unknown(&parts, store));
    let unknown_actions = policies.map(|store| actions::unknown(&parts, store));
    match Directory::build(parts) {
        Ok(directory) => {
            for note in directory.notes() {
                let found = Diagnostic::note("directory-note", note.message.clone());
                diagnostics.push(found.at(&place(&note.path)));
            }
            let unknown_resources = policies.map(|store| directory.unknown_resources(store));
            for (code, faults) in [
                ("unknown-resource", unknown_resources),
                ("unknown-package", unknown_packages),
                ("unknown-action", unknown_actions),
            ] {
                for DirectoryFault { path, message, help } in faults.into_iter().flatten() {
                    let found = Diagnostic::warning(code, message);
                    diagnostics.push(found.at(&place(&path)).help(help));
                }
            }
            Some(directory)
        }
        Err(faults) => {
            for DirectoryFault { path, message, help } in faults {
                let found = Diagnostic::error("invalid-directory", message);
                diagnostics.push(found.at(&place(&path)).help(help));
            }
            None
        }
    }
}

/// Where `system_users[2].owner` is written; or as much of it as is.
fn find(root: &Node, path: &str) -> Option<Origin> {
    let mut found = None;
    let mut node = root;
    for part in path.split(['.', '[']) {
        let next = match (&node.value, part.strip_suffix(']')) {
            (Value::List(items), Some(index)) => index
                .parse()
                .ok()
                .and_then(|index: usize| items.get(index))
                .map(|item| (item, &item.origin)),
            (Value::Table(entries), None) => entries
                .iter()
                .find(|entry| entry.key == part)
                .map(|entry| (&entry.node, &entry.key_origin)),
            (Value::Table(_) | Value::List(_) | Value::Scalar(_) | Value::Refused, _) => None,
        };
        let Some((below, origin)) = next else { break };
        (node, found) = (below, Some(origin.clone()));
    }
    found
}

#[cfg(test)]
mod tests;
