//! Layers of settings: files in the order given, then the environment, then flags. Tables are
//! merged key by key, everything else is replaced; defaults are what `reader` falls back to.
//!
//! The merge is our own and not figment's: a figment value carries a tag of its provider and no
//! place, and its scalars have forgotten their text, so both would have had to be looked up in a
//! second tree beside it. Merging that second tree itself is the one function [`merge`].
//!
//! Invariant: every value of the merged tree knows the file and line, the variable or the flag
//! that gave it. This is the only file that reads the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Diagnostics, Origin};
use super::files::Files;
use super::positions::{self, MAX_DEPTH};
use super::scalars::parse_socket_address;
use super::tree::{Entry, Node, Value};

/// What the names of our own variables begin with.
pub const PREFIX: &str = "PORTVAKT_";

/// Names that platforms already set, taken where no layer says otherwise, beside all `OTEL_*`.
const PLATFORM_NAMES: [&str; 9] = [
    "MASKINPORTEN_CLIENT_ID",
    "MASKINPORTEN_CLIENT_JWK",
    "MASKINPORTEN_WELL_KNOWN_URL",
    "ALTINN_SUBSCRIPTION_KEY",
    "ALTINN_ENVIRONMENT",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// The variables we look at, apart from all others. Values may be secret and are not shown.
#[derive(Clone, Default)]
pub struct Environment {
    settings: BTreeMap<String, OsString>,
    platform: BTreeMap<String, OsString>,
}

impl Environment {
    /// That of this process, as it was at its start.
    #[must_use]
    pub fn of_process() -> Self {
        Self::new(std::env::vars_os())
    }

    /// The variables among `variables` that are ours.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            // A name that is not text is none of ours.
            let Ok(name) = name.into_string() else { continue };
            if PLATFORM_NAMES.contains(&name.as_str()) || name.starts_with("OTEL_") {
                environment.platform.insert(name, value);
            } else if name.strip_prefix(PREFIX).is_some_and(|rest| !is_of_service(rest)) {
                environment.settings.insert(name, value);
            }
        }
        environment
    }

    /// The value of a platform name or of an `OTEL_*` variable, if it is set to anything.
    pub fn platform(&self, name: &str) -> Option<Node> {
        let value = self.platform.get(name)?.to_str()?;
        (!value.is_empty()).then(|| Node::outside(value, Origin::Variable(name.into())))
    }

    /// The settings in our own variables, as a tree.
    fn tree(&self, diagnostics: &mut Diagnostics) -> Node {
        let mut root = Node::empty_table(Origin::Nowhere);
        for (name, value) in &self.settings {
            let origin = Origin::Variable(name.as_str().into());
            let keys = name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase();
            let keys: Vec<&str> = keys.split("__").collect();
            let malformed = |key: &&str| key.is_empty() || key.starts_with('_');
            if keys.iter().any(malformed) || keys.len() > MAX_DEPTH {
                let help = "separate levels by two underscores, as in `PORTVAKT_PDP__URL`";
                let message = format!("`{name}` names no setting");
                diagnostics
                    .push(Diagnostic::error("malformed-variable", message).at(&origin).help(help));
                continue;
            }
            let Some(value) = value.to_str() else {
                let message = format!("the value of `{name}` is not UTF-8");
                diagnostics.push(Diagnostic::error("not-utf8", message).at(&origin));
                continue;
            };
            put(&mut root, &keys, &Node::outside(value, origin), diagnostics);
        }
        root
    }
}

impl<Name: Into<OsString>, Content: Into<OsString>> FromIterator<(Name, Content)> for Environment {
    fn from_iter<I: IntoIterator<Item = (Name, Content)>>(variables: I) -> Self {
        Self::new(variables.into_iter().map(|(name, value)| (name.into(), value.into())))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.settings.keys()).entries(self.platform.keys()).finish()
    }
}

/// `admin.listen` as a variable states it, for those that only look for the proxy. What it cannot be read as counts as
/// not stated.
#[must_use]
pub fn listen_of_admin(environment: &Environment) -> Option<SocketAddr> {
    let stated = environment.settings.get("PORTVAKT_ADMIN__LISTEN")?;
    parse_socket_address(stated.to_str()?).ok()
}

/// A setting given by a flag.
#[derive(Clone, Debug)]
pub struct Flag {
    /// As typed: `--mode`.
    pub name: &'static str,
    /// The key it sets, with dots between levels: `server.workers`.
    pub key: &'static str,
    /// What it was set to.
    pub value: String,
}

/// All layers as one tree, whose root is a table. `None` if a file could not be read whole: to
/// judge the rest would only report as missing what stands in that file.
pub fn load(
    files: &Files,
    paths: &[PathBuf],
    environment: &Environment,
    flags: &[Flag],
    diagnostics: &mut Diagnostics,
) -> Option<Node> {
    let mut root = Node::empty_table(Origin::Nowhere);
    let mut whole = true;
    for path in paths {
        let Some(node) = positions::read(files, path, diagnostics) else {
            whole = false;
            continue;
        };
        match &node.value {
            Value::Table(_) => merge(&mut root, node),
            // An empty file says nothing, which is allowed.
            Value::Scalar(scalar) if scalar.is_nothing() => {}
            Value::Scalar(_) | Value::List(_) | Value::Refused => {
                let message = format!("expected a table of keys, found {}", node.value.describe());
                diagnostics.push(Diagnostic::error("wrong-shape", message).at(&node.origin));
                whole = false;
            }
        }
    }
    merge(&mut root, environment.tree(diagnostics));
    let mut given = Node::empty_table(Origin::Nowhere);
    for flag in flags {
        let keys: Vec<&str> = flag.key.split('.').collect();
        let node = Node::outside(flag.value.as_str(), Origin::Flag(Arc::from(flag.name)));
        put(&mut given, &keys, &node, diagnostics);
    }
    merge(&mut root, given);
    whole.then_some(root)
}

/// Lays `over` upon `base`: tables key by key, everything else is replaced. Where one layer gives
/// a secret by value and the other by file, the upper one counts.
pub fn merge(base: &mut Node, over: Node) {
    match (&mut base.value, over.value) {
        (Value::Table(lower), Value::Table(upper)) => {
            // A table is where it was first written.
            if base.origin == Origin::Nowhere {
                base.origin = over.origin;
            }
            merge_entries(lower, upper);
        }
        // `limits:` with everything below it commented out takes nothing away.
        (Value::Table(_), Value::Scalar(scalar)) if scalar.is_nothing() => {}
        (_, value) => *base = Node { value, origin: over.origin },
    }
}

fn merge_entries(lower: &mut Vec<Entry>, upper: Vec<Entry>) {
    let named: BTreeSet<String> = upper.iter().map(|entry| entry.key.clone()).collect();
    let displaced: BTreeSet<String> = upper.iter().map(|entry| other_variant(&entry.key)).collect();
    lower.retain(|entry| named.contains(&entry.key) || !displaced.contains(&entry.key));
    let index: BTreeMap<String, usize> =
        lower.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)).collect();
    for entry in upper {
        match index.get(&entry.key).and_then(|at| lower.get_mut(*at)) {
            Some(below) => {
                below.key_origin = entry.key_origin;
                merge(&mut below.node, entry.node);
            }
            None => lower.push(entry),
        }
    }
}

/// `key_file` for `key`, and `key` for `key_file`.
fn other_variant(key: &str) -> String {
    key.strip_suffix("_file").map_or_else(|| format!("{key}_file"), str::to_owned)
}

/// Sets the value at `keys` below `table`, unless another name has already set it.
fn put(table: &mut Node, keys: &[&str], node: &Node, diagnostics: &mut Diagnostics) {
    let Some((key, below)) = keys.split_first() else { return };
    let Value::Table(entries) = &mut table.value else {
        conflict(node, &table.origin, diagnostics);
        return;
    };
    let existing = entries.iter_mut().find(|entry| entry.key == *key);
    match (existing, below.is_empty()) {
        (Some(entry), true) => conflict(node, &entry.key_origin, diagnostics),
        (Some(entry), false) => put(&mut entry.node, below, node, diagnostics),
        (None, last) => {
            let mut entry = Entry {
                key: (*key).to_owned(),
                key_origin: node.origin.clone(),
                node: if last { node.clone() } else { Node::empty_table(node.origin.clone()) },
            };
            if !last {
                put(&mut entry.node, below, node, diagnostics);
            }
            entries.push(entry);
        }
    }
}

fn conflict(node: &Node, other: &Origin, diagnostics: &mut Diagnostics) {
    diagnostics.push(
        Diagnostic::error("conflicting-keys", "this sets what another name already sets")
            .at(&node.origin)
            .related(other, "already set by")
            .help("keep one of them"),
    );
}

/// Whether Kubernetes gives this name (without `PORTVAKT_`) to every container beside a Service
/// called `portvakt` or `portvakt-…`: `SERVICE_HOST`, `SERVICE_PORT_HTTP`, `PORT`,
/// `PORT_7080_TCP_ADDR`, `ADMIN_PORT`. A variable without `__` sets a key of the root, and no
/// such key looks like these.
fn is_of_service(rest: &str) -> bool {
    let is_port = |after: &str| {
        let (number, protocol) = after.split_once('_').unwrap_or((after, ""));
        let protocol = protocol.split('_').next().unwrap_or_default();
        after.is_empty()
            || number.bytes().all(|digit| digit.is_ascii_digit())
                && ["TCP", "UDP", "SCTP"].contains(&protocol)
    };
    let at_word = |marker: &str| {
        rest.strip_prefix(marker)
            .or_else(|| rest.split_once(&format!("_{marker}")).map(|(_, after)| after))
            .filter(|after| after.is_empty() || after.starts_with('_'))
            .map(|after| after.strip_prefix('_').unwrap_or(after))
    };
    !rest.contains("__")
        && (at_word("SERVICE_HOST").is_some_and(str::is_empty)
            || at_word("SERVICE_PORT").is_some()
            || at_word("PORT").is_some_and(is_port))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;

    fn yaml(path: &str, text: &str) -> Node {
        let mut diagnostics = Diagnostics::new();
        let node = positions::parse(Path::new(path), text.as_bytes(), &mut diagnostics).unwrap();
        assert!(diagnostics.is_empty());
        node
    }

    fn list(node: &Node, path: &str, into: &mut String) {
        match &node.value {
            Value::Scalar(scalar) => {
                writeln!(into, "{path} = {} ({})", scalar.text(), node.origin).unwrap();
            }
            Value::Refused => writeln!(into, "{path} refused").unwrap(),
            Value::List(items) => {
                for item in items {
                    list(item, &format!("{path}[]"), into);
                }
            }
            Value::Table(entries) => {
                for entry in entries {
                    list(&entry.node, &format!("{path}.{}", entry.key), into);
                }
            }
        }
    }

    fn listed(node: &Node) -> String {
        let mut into = String::new();
        list(node, "", &mut into);
        into
    }

    fn loaded(variables: &[(&str, &str)], flags: &[Flag]) -> (Node, Vec<String>) {
        let mut diagnostics = Diagnostics::new();
        let environment = variables.iter().copied().collect();
        let node = load(&Files::Disk, &[], &environment, flags, &mut diagnostics).unwrap();
        let found = diagnostics.iter().map(|found| format!("{} {}", found.code, found.origin));
        (node, found.collect())
    }

    #[test]
    fn tables_are_merged_and_all_else_is_replaced() {
        let mut base = yaml(
            "a.yaml",
            "pdp: { url: a, timeout: 5s }\nlist: [1, 2]\nx: { a: 1 }\ny: 1\nz: { a: 1 }\n",
        );
        merge(
            &mut base,
            yaml("b.yaml", "pdp:\n  url: b\nlist: [3]\nx: 1\ny: { b: 1 }\nz:\nnew: 1\n"),
        );
        insta::assert_snapshot!(listed(&base), @"
        .pdp.url = b (b.yaml:2:8)
        .pdp.timeout = 5s (a.yaml:1:25)
        .list[] = 3 (b.yaml:3:8)
        .x = 1 (b.yaml:4:4)
        .y.b = 1 (b.yaml:5:9)
        .z.a = 1 (a.yaml:5:9)
        .new = 1 (b.yaml:7:6)
        ");
    }

    #[test]
    fn a_secret_by_value_and_one_by_file_replace_each_other_across_layers_only() {
        let mut base = yaml("a.yaml", "key_file: a\nother: 1\ntoken: t\nboth: 1\nboth_file: 1\n");
        merge(&mut base, yaml("b.yaml", "key: b\ntoken_file: f\nboth: 2\nboth_file: 2\n"));
        insta::assert_snapshot!(listed(&base), @"
        .other = 1 (a.yaml:2:8)
        .both = 2 (b.yaml:3:7)
        .both_file = 2 (b.yaml:4:12)
        .key = b (b.yaml:1:6)
        .token_file = f (b.yaml:2:13)
        ");
    }

    #[test]
    fn variables_and_flags_become_keys_and_the_flag_wins() {
        let flags = [Flag { name: "--mode", key: "mode", value: "shadow".to_owned() }];
        let (node, found) = loaded(
            &[
                ("PORTVAKT_SERVER__LIMITS__MAX_HEADERS", "64"),
                ("PORTVAKT_Mode", "enforce"),
                ("PORTVAKT_PDP__URL", "http://a"),
                ("PORTVAKT_PDP__TIMEOUT", ""),
                ("portvakt_pdp__kind", "x"),
                ("PATH", "/bin"),
            ],
            &flags,
        );
        assert_eq!(found, [""; 0]);
        insta::assert_snapshot!(listed(&node), @"
        .mode = shadow (flag `--mode`)
        .pdp.timeout =  (environment variable `PORTVAKT_PDP__TIMEOUT`)
        .pdp.url = http://a (environment variable `PORTVAKT_PDP__URL`)
        .server.limits.max_headers = 64 (environment variable `PORTVAKT_SERVER__LIMITS__MAX_HEADERS`)
        ");
    }

    #[test]
    fn variables_that_name_no_setting_or_one_twice_are_errors() {
        for (variables, code) in [
            (&[("PORTVAKT_", "x")][..], "malformed-variable"),
            (&[("PORTVAKT___A", "x")], "malformed-variable"),
            (&[("PORTVAKT_A__", "x")], "malformed-variable"),
            (&[("PORTVAKT_A___B", "x")], "malformed-variable"),
            (&[("PORTVAKT_A", "x"), ("PORTVAKT_a", "x")], "conflicting-keys"),
            (&[("PORTVAKT_A", "x"), ("PORTVAKT_A__B", "x")], "conflicting-keys"),
            (&[("PORTVAKT_A__B", "x"), ("PORTVAKT_a", "x")], "conflicting-keys"),
        ] {
            let (_, found) = loaded(variables, &[]);
            assert_eq!(found.len(), 1, "{variables:?}");
            assert!(found[0].starts_with(code), "{found:?}");
        }
    }

    #[test]
    fn variables_that_kubernetes_gives_for_a_service_are_ignored() {
        for name in [
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_HTTP",
            "PORT",
            "PORT_7080_TCP",
            "PORT_7080_TCP_PROTO",
            "PORT_7080_TCP_PORT",
            "PORT_7080_TCP_ADDR",
            "PORT_53_UDP",
            "ADMIN_SERVICE_HOST",
            "ADMIN_PORT_7090_TCP",
        ] {
            let (node, found) = loaded(&[(&format!("PORTVAKT_{name}"), "tcp://10.0.0.1:80")], &[]);
            assert_eq!((listed(&node), found), (String::new(), vec![]), "{name}");
        }
        for name in ["SERVICE", "PORTS", "EXPORT", "SERVER__PORT", "PORT_X", "PORT_80_X", "MODE"] {
            let (node, _) = loaded(&[(&format!("PORTVAKT_{name}"), "x")], &[]);
            assert_ne!(listed(&node), "", "{name}");
        }
    }

    #[test]
    fn platform_names_are_kept_apart_and_never_shown() {
        let environment: Environment = [
            ("ALTINN_SUBSCRIPTION_KEY", "hemmelig"),
            ("PORTVAKT_PDP__SUBSCRIPTION_KEY", "hemmelig"),
            ("OTEL_SERVICE_NAME", "x"),
            ("HTTPS_PROXY", ""),
            ("HOME", "/"),
        ]
        .into_iter()
        .collect();
        assert!(environment.platform("OTEL_SERVICE_NAME").is_some());
        assert!(environment.platform("HTTPS_PROXY").is_none(), "empty is unset");
        assert!(environment.platform("HOME").is_none());
        assert!(!format!("{environment:?}").contains("hemmelig"));
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_text_is_an_error() {
        use std::os::unix::ffi::OsStringExt as _;

        let environment =
            Environment::new([("PORTVAKT_MODE".into(), OsString::from_vec(vec![0xff]))]);
        let mut diagnostics = Diagnostics::new();
        load(&Files::Disk, &[], &environment, &[], &mut diagnostics);
        assert_eq!(diagnostics.iter().next().unwrap().code, "not-utf8");
    }

    #[test]
    fn a_file_that_is_missing_leaves_no_tree_but_others_are_still_judged() {
        let mut diagnostics = Diagnostics::new();
        let files = ["/nowhere/a.yaml".into(), "/nowhere/b.yaml".into()];
        assert!(
            load(&Files::Disk, &files, &Environment::default(), &[], &mut diagnostics).is_none()
        );
        assert_eq!(diagnostics.error_count(), 2);
    }
}
