//! Policy files: those of the resources, and those in which a directory keeps delegations. Read and
//! parsed here, with what is wrong shown in the file itself; what they are for is judged elsewhere.

use std::path::Path;

use super::super::diagnostic::{Diagnostic, Diagnostics, Origin};
use super::super::files::Files;
use super::super::source::Source;
use crate::pdp::embedded::PolicyStore;
use crate::xacml::NoteSeverity;
use crate::xacml::Policy;

/// Bytes of one policy file. Bounds what a mistaken path (a log, a dump) can cost at start; the engine
/// has limits of its own for what is in it.
const MAX_POLICY_BYTES: usize = 1024 * 1024;

/// Bytes of all delegation policies of one directory. Bounds the memory that a folder of exported
/// policies can cost: one of Altinn's has about four thousand.
const MAX_DELEGATION_POLICY_BYTES: usize = 64 * 1024 * 1024;

/// Reads every `*.xml` in `folder`. `None` after an error.
pub fn load_policies(
    files: &Files,
    folder: &Path,
    named_at: &Origin,
    diagnostics: &mut Diagnostics,
) -> Option<PolicyStore> {
    let paths = match files.list(folder, "xml") {
        Ok(paths) => paths,
        Err(error) => {
            let help = "the policies of resources are in the folder `resources` below `policies`, or where `pdp.resources` says";
            diagnostics.push(unreadable(folder, &error).at(named_at).help(help));
            return None;
        }
    };
    let mut documents = Vec::new();
    for path in &paths {
        match files.read(path, MAX_POLICY_BYTES) {
            Ok(bytes) => documents.push((path.display().to_string(), bytes)),
            Err(error) => diagnostics.push(unreadable(path, &error).at(named_at)),
        }
    }
    if documents.len() < paths.len() {
        return None;
    }
    let place_in = |file: &str, line: usize, column: usize| {
        let document = documents.iter().find(|(name, _)| name == file);
        document.map_or(Origin::WholeFile(Path::new(file).into()), |(_, bytes)| {
            place(Path::new(file), bytes, line, column)
        })
    };
    match PolicyStore::build(documents.iter().cloned()) {
        Ok(store) => {
            for (file, note) in store.notes() {
                let message = note.message.clone();
                let found = match note.severity {
                    NoteSeverity::Note => Diagnostic::note("policy-note", message),
                    NoteSeverity::Warning => Diagnostic::warning("policy-warning", message),
                };
                diagnostics.push(found.at(&place_in(file, note.line, note.column)));
            }
            Some(store)
        }
        Err(faults) => {
            for fault in faults {
                let found = Diagnostic::error("invalid-policy", fault.message);
                let origin = place_in(&fault.file, fault.line, fault.column);
                diagnostics.push(found.at(&origin).help(fault.help));
            }
            None
        }
    }
}

/// Reads the delegation policies of one directory, which share one bound.
pub(super) struct DelegationPolicies<'f> {
    files: &'f Files,
    bytes_left: usize,
}

impl<'f> DelegationPolicies<'f> {
    pub(super) fn new(files: &'f Files) -> Self {
        Self { files, bytes_left: MAX_DELEGATION_POLICY_BYTES }
    }

    /// The content of the policy at `path`, which is named at `named_at`, or what is wrong with it. Notes
    /// are left out: Altinn writes these policies, not whoever reads the notes.
    pub(super) fn read(&mut self, path: &Path, named_at: &Origin) -> Result<Vec<u8>, Diagnostic> {
        let document = match self.files.read(path, MAX_POLICY_BYTES) {
            Ok(document) => document,
            Err(error) => {
                let help = "write the path relative to the directory file";
                return Err(unreadable(path, &error).at(named_at).help(help));
            }
        };
        let Some(left) = self.bytes_left.checked_sub(document.len()) else {
            let message = format!(
                "the delegation policies of the directory have more than \
                 {MAX_DELEGATION_POLICY_BYTES} bytes"
            );
            let found = Diagnostic::error("file-too-large", message).at(named_at);
            return Err(found.help("keep only those that are needed"));
        };
        self.bytes_left = left;
        match Policy::parse(&document) {
            Ok(_) => Ok(document.into()),
            Err(fault) => {
                let found = Diagnostic::error("invalid-policy", fault.message).help(fault.help);
                let found = found.at(&place(path, &document, fault.line, fault.column));
                Err(found.related(named_at, "named here"))
            }
        }
    }
}

fn unreadable(what: &Path, error: &std::io::Error) -> Diagnostic {
    let message = format!("`{}` cannot be read: {error}", what.display());
    Diagnostic::error("unreadable-file", message)
}

/// A line and column of a document, both counted from 1. Of what is no XML at all nothing is shown: a path
/// that is mistaken may be that of a key.
fn place(path: &Path, document: &[u8], line: usize, column: usize) -> Origin {
    let begins = document.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(document).trim_ascii_start();
    if !begins.starts_with(b"<") {
        return Origin::WholeFile(path.into());
    }
    let source = Source::new(path, String::from_utf8_lossy(document).into_owned());
    let offset = source.offset(line, column);
    Origin::File(source.place(offset, offset.saturating_add(1)))
}
