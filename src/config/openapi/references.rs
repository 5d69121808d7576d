//! References within an OpenAPI document (`$ref`), followed. What leads nowhere is told, since what stands behind it
//! would otherwise count as if it did not exist.

use std::cell::RefCell;
use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;

use super::document::{items, text};
use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::tree::{Node, Value};

/// References that lead to another before one is given up. Bounds circles.
const MAX_HOPS: usize = 16;

/// Follows references within one document.
#[derive(Clone, Copy)]
pub(super) struct Root<'n> {
    whole: &'n Node,
    lost: &'n RefCell<Lost>,
}

/// References that lead nowhere, each told once.
#[derive(Default)]
pub(super) struct Lost {
    told: BTreeSet<String>,
    findings: Diagnostics,
}

/// What is behind a reference.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// Operations, parameters or bodies: without them nothing that is said of the document is true.
    Requests,
    /// The form of a value.
    Schema,
}

impl Lost {
    /// What was told.
    pub(super) fn into_findings(self) -> Diagnostics {
        self.findings
    }
}

impl<'n> Root<'n> {
    pub(super) fn new(whole: &'n Node, lost: &'n RefCell<Lost>) -> Self {
        Self { whole, lost }
    }

    /// The schema, or the one that it refers to. What leads nowhere stays as it is, with a warning.
    pub(super) fn resolve(self, schema: &'n Node) -> &'n Node {
        self.follow(schema, Behind::Schema)
    }

    /// The path item, parameter or body, or the one that it refers to. What leads nowhere is an error.
    pub(super) fn demand(self, node: &'n Node) -> &'n Node {
        self.follow(node, Behind::Requests)
    }

    fn follow(self, node: &'n Node, behind: Behind) -> &'n Node {
        let mut at = node;
        for _ in 0..MAX_HOPS {
            let Some(reference) = at.get("$ref").and_then(text) else { return at };
            let Some(next) = self.find(reference) else {
                self.tell(at, reference, behind);
                return at;
            };
            at = next;
        }
        self.tell(node, node.get("$ref").and_then(text).unwrap_or_default(), behind);
        at
    }

    fn find(self, reference: &str) -> Option<&'n Node> {
        let pointer = reference.strip_prefix("#/")?;
        pointer.split('/').try_fold(self.whole, |node, part| {
            // A pointer in a fragment (RFC 6901 §6).
            let part = percent_decode_str(part).decode_utf8().ok()?;
            let part = part.replace("~1", "/").replace("~0", "~");
            match &node.value {
                Value::List(_) => items(node).get(part.parse::<usize>().ok()?),
                Value::Table(_) | Value::Scalar(_) | Value::Refused => node.get(&part),
            }
        })
    }

    fn tell(self, at: &Node, reference: &str, behind: Behind) {
        let mut lost = self.lost.borrow_mut();
        if !lost.told.insert(reference.to_owned()) {
            return;
        }
        let (why, help) = if reference.starts_with('#') {
            ("leads nowhere in this document", "write what it names, or correct it")
        } else {
            ("is in another file, which is not read", "make one document of all files first")
        };
        let message = format!("`{reference}` {why}");
        let found = match behind {
            Behind::Requests => Diagnostic::error("lost-reference", message),
            Behind::Schema => Diagnostic::warning("lost-reference", message),
        };
        let origin = at.get("$ref").map_or(&at.origin, |node| &node.origin);
        lost.findings.push(found.at(origin).help(help));
    }
}
