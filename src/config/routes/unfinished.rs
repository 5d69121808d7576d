//! What a person has still to choose in rules that were proposed: `TODO` in place of a value.

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::openapi::TO_CHOOSE;
use crate::config::tree::{Node, Value};

/// Reports each, and takes it out, so that nothing else is said of it.
pub(super) fn refuse(root: &mut Node, diagnostics: &mut Diagnostics) {
    walk(root, "", diagnostics);
}

fn walk(node: &mut Node, key: &str, diagnostics: &mut Diagnostics) {
    match &mut node.value {
        Value::Scalar(scalar) if scalar.text() == TO_CHOOSE => {
            let message = format!("`{key}` is still to be chosen");
            let found = Diagnostic::error("unfinished-rule", message).at(&node.origin);
            diagnostics.push(found.help(help(key)));
            node.value = Value::Refused;
        }
        Value::List(items) => items.iter_mut().for_each(|item| walk(item, key, diagnostics)),
        Value::Table(entries) => {
            for entry in entries {
                walk(&mut entry.node, &entry.key, diagnostics);
            }
        }
        Value::Scalar(_) | Value::Refused => {}
    }
}

fn help(key: &str) -> &'static str {
    match key {
        "resource" | "allow" => "write the id that the resource has in Altinn's resource registry",
        "scopes" => {
            "write the scopes that a token needs, as in `[\"skatteetaten:mva\"]`, or `none`"
        }
        "party" => "write where the request says on whose behalf it is, as in `path:orgnr`",
        "protection" => "write `required`, `token`, `public` or `closed`",
        "action" => "write the action as the resource's policy names it, such as `read`",
        _ => "write the value",
    }
}
