//! Reading a tree into settings, with every problem collected instead of the first one thrown.
//!
//! A [`Table`] hands out each key once as a [`Field`]; what nobody took is reported as unknown
//! when the table ends. So: take every key first, and use `?` on what was taken only afterwards.
//!
//! Invariant: `None` where a value was written means that an error has been reported.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use secrecy::SecretString;

use super::diagnostic::{Diagnostic, Diagnostics, Origin};
use super::field::{self, Field};
use super::secret::read_secret;
use super::tree::{Entry, Node, Value};
use crate::domain::nearest;

/// The table that a whole document or the merged settings are. An empty document is an empty
/// table. What was not taken from it by `read` is reported.
pub fn read_table<T>(
    root: &Node,
    diagnostics: &mut Diagnostics,
    read: impl FnOnce(&mut Table<'_>) -> Option<T>,
) -> Option<T> {
    Field::new("", root, &root.origin, diagnostics).table(read)
}

/// A table being read. Keys are taken from it by name, each at most once.
#[derive(Debug)]
pub struct Table<'a> {
    /// With dots between levels; empty for the root.
    path: &'a str,
    entries: &'a [Entry],
    origin: &'a Origin,
    /// Values of platform names for keys that nobody set; they need not be used.
    fallbacks: BTreeMap<&'static str, Node>,
    /// In the order they were taken, some more than once: there are few, and sorting them costs more than looking.
    taken: Vec<Cow<'static, str>>,
    diagnostics: &'a mut Diagnostics,
}

impl<'a> Table<'a> {
    pub(super) fn new(
        path: &'a str,
        entries: &'a [Entry],
        origin: &'a Origin,
        diagnostics: &'a mut Diagnostics,
    ) -> Self {
        let (fallbacks, taken) = (BTreeMap::new(), Vec::new());
        Self { path, entries, origin, fallbacks, taken, diagnostics }
    }

    /// The value of `key`, read by `read`. Its absence is an error.
    pub fn required<T>(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        read: impl FnOnce(Field<'_>) -> Option<T>,
    ) -> Option<T> {
        let key = key.into();
        if !self.has(&key) {
            self.missing(&key);
        }
        self.optional(key, read)
    }

    /// The value of `key`, read by `read`, if it is there.
    pub fn optional<T>(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        read: impl FnOnce(Field<'_>) -> Option<T>,
    ) -> Option<T> {
        let key = key.into();
        let found = find(&key, self.entries, &self.fallbacks);
        // Of the keys that are known most are absent.
        let path = found.is_some().then(|| self.path_of(&key));
        self.taken.push(key);
        let ((node, key_origin), path) = (found?, path?);
        read(Field::new(&path, node, key_origin, self.diagnostics))
    }

    /// The value of `key`, read by `read`; `default` if it is absent or wrong.
    pub fn or<T>(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        default: T,
        read: impl FnOnce(Field<'_>) -> Option<T>,
    ) -> T {
        self.optional(key, read).unwrap_or(default)
    }

    /// The value of `key` if it is there: `None` where one was written that is wrong, which is for
    /// those who must not take a wrong value for an absent one.
    pub fn stated<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Field<'_>) -> Option<T>,
    ) -> Option<Option<T>> {
        let there = self.has(key);
        let value = self.optional(key, read);
        (value.is_some() || !there).then_some(value)
    }

    /// The table of `key`, read by `read` as an empty one where nobody wrote it: what is required in
    /// it is then missing, and what has a fallback has it.
    pub fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Table<'_>) -> Option<T>,
    ) -> Option<T> {
        if self.has(key) {
            return self.optional(key, |field| field.table(read));
        }
        self.taken.push(key.into());
        let path = self.path_of(key);
        let mut table = Table::new(&path, &[], self.origin, self.diagnostics);
        let value = read(&mut table);
        table.finish();
        value
    }

    /// Refuses each of `keys`, which are of a later version: a setting that nothing heeds would be
    /// believed.
    pub fn not_supported(&mut self, keys: &[&'static str]) {
        for key in keys.iter().copied() {
            if !self.has(key) {
                continue;
            }
            self.taken.push(key.into());
            let message = format!("`{}` is not supported yet", self.path_of(key));
            let found = Diagnostic::error("not-supported-yet", message).at(&self.origin_of(key));
            self.push(found.help("remove it"));
        }
    }

    /// Which of `keys` is there. None or several are an error. Takes none of them.
    pub fn exactly_one(&mut self, keys: &[&'static str]) -> Option<&'static str> {
        let found = self.at_most_one(keys);
        if !keys.iter().any(|key| self.has(key)) {
            let message = match self.path {
                "" => format!("one of {} is missing", list(keys.iter().copied())),
                path => format!("`{path}` needs one of {}", list(keys.iter().copied())),
            };
            self.mark(keys);
            self.push(Diagnostic::error("missing-key", message).at(self.origin));
        }
        found
    }

    /// Which of `keys` is there, if any. Several are an error. Takes none of them.
    pub fn at_most_one(&mut self, keys: &[&'static str]) -> Option<&'static str> {
        let mut present = keys.iter().copied().filter(|key| self.has(key));
        let first = present.next()?;
        let Some(second) = present.next() else { return Some(first) };
        let (first_path, second_path) = (self.path_of(first), self.path_of(second));
        let found = Diagnostic::error(
            "conflicting-keys",
            format!("`{first_path}` and `{second_path}` exclude each other"),
        )
        .at(&self.origin_of(second))
        .related(&self.origin_of(first), "the other")
        .help(format!("keep one of {}", list(keys.iter().copied())));
        self.mark(keys);
        self.push(found);
        None
    }

    /// A secret given by value as `name` or by file as `name` with `_file`. Both are an error.
    pub fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        let file = format!("{name}_file");
        if self.has(name) && self.has(&file) {
            let found = Diagnostic::error(
                "conflicting-keys",
                format!(
                    "`{}` and `{}` exclude each other",
                    self.path_of(name),
                    self.path_of(&file)
                ),
            )
            .at(&self.origin_of(&file))
            .related(&self.origin_of(name), "the other")
            .help("keep the file");
            self.push(found);
        }
        let by_value = self.optional(name, field::secret);
        let by_file = self.optional(file, |mut field| {
            let path = field.resolve_path()?;
            match read_secret(&path) {
                Ok(secret) => Some(secret),
                Err(error) => {
                    let message = format!("`{}`: {error}", path.display());
                    let help = "mount it there, or check the rest by `check --without-secrets`";
                    field.fail_with_help("unreadable-secret", &message, help)
                }
            }
        });
        by_value.or(by_file)
    }

    /// [`Self::secret`], whose absence is an error.
    pub fn required_secret(&mut self, name: &'static str) -> Option<SecretString> {
        if !self.has(name) && !self.has(&format!("{name}_file")) {
            let message = format!("`{}` is missing", self.path_of(name));
            let help = format!("name the file that holds it: `{name}_file: /run/secrets/…`");
            self.push(Diagnostic::error("missing-key", message).at(self.origin).help(help));
        }
        self.secret(name)
    }

    /// Whether `key` is there, be it by fallback. Does not take it.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key) || self.fallbacks.contains_key(key)
    }

    /// Whether `key` has the very text that `node` has. Does not take it.
    pub fn is_same(&self, key: &str, node: Option<&Node>) -> bool {
        let text = |node: &Node| match &node.value {
            Value::Scalar(scalar) => Some(scalar.text().to_owned()),
            Value::List(_) | Value::Table(_) | Value::Refused => None,
        };
        let written = self.entries.iter().find(|entry| entry.key == key);
        let written = written.and_then(|entry| text(&entry.node));
        written.is_some() && written == node.and_then(text)
    }

    /// Whether `key` is a list of nothing. Does not take it.
    pub fn is_empty_list(&self, key: &str) -> bool {
        let found = self.entries.iter().find(|entry| entry.key == key);
        found.is_some_and(
            |entry| matches!(&entry.node.value, Value::List(items) if items.is_empty()),
        )
    }

    /// Where `key` stands, or the table if it does not.
    pub fn origin_of(&self, key: &str) -> Origin {
        match self.entries.iter().find(|entry| entry.key == key) {
            Some(entry) => entry.key_origin.clone(),
            None => self.fallbacks.get(key).map_or(self.origin, |node| &node.origin).clone(),
        }
    }

    /// Where the value of `key` stands, or the table if there is none.
    pub fn value_origin(&self, key: &str) -> Origin {
        let entry = self.entries.iter().find(|entry| entry.key == key);
        entry.map_or(self.origin, |entry| &entry.node.origin).clone()
    }

    /// The value that `key` has if neither it nor its `_file` variant is set. Never unused.
    pub fn fallback(&mut self, key: &'static str, node: Option<Node>) {
        if let Some(node) = node
            && !self.has(key)
            && !self.has(&format!("{key}_file"))
        {
            self.fallbacks.insert(key, node);
        }
    }

    /// Takes `key`, which has no effect here; that it is there is an error, with the reason why.
    pub fn unused(&mut self, key: &'static str, reason: &str) {
        if self.entries.iter().any(|entry| entry.key == key) {
            let message = format!("`{}` has no effect: {reason}", self.path_of(key));
            let found =
                Diagnostic::error("unused-key", message).at(&self.origin_of(key)).help("remove it");
            self.push(found);
        }
        self.taken.push(key.into());
    }

    /// The name of `key` with those of the tables around it.
    pub fn path_of(&self, key: &str) -> String {
        match self.path {
            "" => key.to_owned(),
            path => [path, ".", key].concat(),
        }
    }

    /// Where this table stands.
    pub fn origin(&self) -> &Origin {
        self.origin
    }

    /// Reports what only someone who knows more than one key can see.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// The keys that were taken, for people; empty if none was.
    #[cold]
    pub(super) fn known(&self) -> String {
        list(self.taken.iter().map(AsRef::as_ref).collect::<BTreeSet<&str>>())
    }

    /// Reports what was not taken.
    pub(super) fn finish(self) {
        let is_taken = |key: &str| self.taken.iter().any(|taken| taken == key);
        for entry in self.entries.iter().filter(|entry| !is_taken(&entry.key)) {
            let path = self.path_of(&entry.key);
            let help = match nearest(&entry.key, self.taken.iter().map(AsRef::as_ref)) {
                Some(meant) => format!("did you mean `{meant}`? known here: {}", self.known()),
                None if self.taken.is_empty() => "no keys are known here".to_owned(),
                None => format!("known here: {}", self.known()),
            };
            self.diagnostics.push(
                Diagnostic::error("unknown-key", format!("unknown key `{path}`"))
                    .at(&entry.key_origin)
                    .help(help),
            );
        }
    }

    #[cold]
    fn missing(&mut self, key: &str) {
        let message = format!("`{}` is missing", self.path_of(key));
        let help = match self.path {
            "" => format!("add `{key}:`"),
            path => format!("add `{key}:` below `{path}`"),
        };
        self.push(Diagnostic::error("missing-key", message).at(self.origin).help(help));
    }

    /// Counts `keys` as known: what is wrong with them has been said.
    fn mark(&mut self, keys: &[&'static str]) {
        self.taken.extend(keys.iter().map(|key| Cow::Borrowed(*key)));
    }
}

/// The value of a key, and where its key stands. In the program once, where who reads is there for every key.
#[inline(never)]
fn find<'n>(
    key: &str,
    entries: &'n [Entry],
    fallbacks: &'n BTreeMap<&'static str, Node>,
) -> Option<(&'n Node, &'n Origin)> {
    match entries.iter().find(|entry| entry.key == key) {
        Some(entry) => Some((&entry.node, &entry.key_origin)),
        None => fallbacks.get(key).map(|node| (node, &node.origin)),
    }
}

/// `` `a`, `b`, `c` ``.
pub(super) fn list(words: impl IntoIterator<Item = impl Display>) -> String {
    let quoted: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

impl Node {
    /// Entries, if this can be read as a table: nothing is an empty one.
    pub(super) fn as_table(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Table(entries) => Some(entries),
            Value::Scalar(scalar) if scalar.is_nothing() => Some(&[]),
            Value::Scalar(_) | Value::List(_) | Value::Refused => None,
        }
    }
}

#[cfg(test)]
mod tests;
