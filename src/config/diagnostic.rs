//! What is wrong with what was configured, and where. Holds the finding and its collector; how
//! it looks is `render`. Nothing prints here.
//!
//! Invariant: no message, help or label holds a secret; the source line is masked when shown.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::render;
use super::source::Place;

/// Findings kept; further ones are counted only. Bounds the memory and the log lines that one
/// broken generator of configuration can cost.
pub const MAX_DIAGNOSTICS: usize = 200;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing starts, and nothing reloads, with this.
    Error,
    /// It works, and is probably not what was meant.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A place in a file.
    File(Place),
    /// A file as a whole: unreadable, empty, too large.
    WholeFile(Arc<Path>),
    /// An environment variable.
    Variable(Arc<str>),
    /// A command line flag.
    Flag(Arc<str>),
    /// No single place: a setting that nobody gave.
    Nowhere,
}

impl Origin {
    /// The file it lies in, if any.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(place) => Some(place.path()),
            Self::WholeFile(path) => Some(path),
            Self::Variable(_) | Self::Flag(_) | Self::Nowhere => None,
        }
    }

    /// Files first, in their order and from the top, then what came from outside of them.
    fn order(&self) -> (u8, Option<&Path>, Option<usize>, &str) {
        match self {
            Self::WholeFile(path) => (0, Some(path), None, ""),
            Self::File(place) => (0, Some(place.path()), Some(place.bytes().0), ""),
            Self::Variable(name) => (1, None, None, name),
            Self::Flag(name) => (2, None, None, name),
            Self::Nowhere => (3, None, None, ""),
        }
    }
}

/// For a sentence: `portvakt.yaml:3:5`, ``environment variable `PORTVAKT_MODE` ``.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(place) => {
                write!(f, "{}:{}:{}", place.path().display(), place.line(), place.column())
            }
            Self::WholeFile(path) => path.display().fmt(f),
            Self::Variable(name) => write!(f, "environment variable `{name}`"),
            Self::Flag(name) => write!(f, "flag `{name}`"),
            Self::Nowhere => f.write_str("nowhere"),
        }
    }
}

/// One finding: what, where, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Errors keep the configuration from being used.
    pub severity: Severity,
    /// Stable, in kebab-case: for tests, searches and documentation.
    pub code: &'static str,
    /// Lower case, no full stop, input in backticks.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where.
    pub origin: Origin,
    /// Other places that belong to it, each with what it is.
    pub related: Vec<(Origin, String)>,
}

impl Diagnostic {
    /// An error, so far nowhere.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// A warning, so far nowhere.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    /// A note, so far nowhere.
    #[must_use]
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, message.into())
    }

    /// The same, at `origin`.
    #[must_use]
    pub fn at(mut self, origin: &Origin) -> Self {
        self.origin = origin.clone();
        self
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, with another place that belongs to it.
    #[must_use]
    pub fn related(mut self, origin: &Origin, label: impl Into<String>) -> Self {
        self.related.push((origin.clone(), label.into()));
        self
    }

    // What leads here is kept short: of a file that is right nothing does.
    #[cold]
    fn new(severity: Severity, code: &'static str, message: String) -> Self {
        Self { severity, code, message, help: None, origin: Origin::Nowhere, related: Vec::new() }
    }
}

/// All findings of one reading, in the order they were made.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    kept: Vec<Diagnostic>,
    errors: usize,
    omitted: usize,
}

/// Whether rendered text may carry terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// For a terminal.
    Ansi,
    /// For anything else.
    Plain,
}

impl Diagnostics {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding. An error counts even when there are too many to keep.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if diagnostic.severity == Severity::Error {
            self.errors = self.errors.saturating_add(1);
        }
        if self.kept.len() < MAX_DIAGNOSTICS {
            self.kept.push(diagnostic);
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
    }

    /// Adds what another reading found.
    pub fn append(&mut self, other: Self) {
        self.omitted = self.omitted.saturating_add(other.omitted);
        let kept_errors = count_errors(&other.kept);
        self.errors = self.errors.saturating_add(other.errors.saturating_sub(kept_errors));
        other.kept.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// Whether anything forbids use.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// How many forbid use, kept or not.
    pub fn error_count(&self) -> usize {
        self.errors
    }

    /// How many were counted and not kept.
    pub fn omitted_count(&self) -> usize {
        self.omitted
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// As they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.kept.iter()
    }

    /// By file from the top, then variables, flags and the rest.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut sorted: Vec<_> = self.kept.iter().collect();
        sorted.sort_by(|one, other| one.origin.order().cmp(&other.origin.order()));
        sorted
    }

    /// For people: each finding with its source line and a caret under what it is about.
    pub fn to_human(&self, colour: Colour) -> String {
        render::human(self, colour)
    }

    /// For programs: one JSON object a line.
    pub fn to_json_lines(&self) -> String {
        render::json_lines(self)
    }
}

fn count_errors(diagnostics: &[Diagnostic]) -> usize {
    diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Source;

    #[test]
    fn errors_count_even_when_there_are_too_many_to_keep() {
        let mut diagnostics = Diagnostics::new();
        for _ in 0..MAX_DIAGNOSTICS {
            diagnostics.push(Diagnostic::warning("a", "a"));
        }
        assert!(!diagnostics.has_errors());
        diagnostics.push(Diagnostic::error("b", "b"));
        assert!(diagnostics.has_errors());
        assert_eq!(diagnostics.omitted_count(), 1);

        let mut all = Diagnostics::new();
        all.append(diagnostics);
        assert_eq!((all.error_count(), all.omitted_count()), (1, 1));
    }

    #[test]
    fn findings_are_sorted_by_place_and_then_by_kind_of_origin() {
        let source = Source::new("b.yaml", "one\ntwo\n".to_owned());
        let other = Source::new("a.yaml", "one\n".to_owned());
        let mut diagnostics = Diagnostics::new();
        for (code, origin) in [
            ("nowhere", Origin::Nowhere),
            ("flag", Origin::Flag("--mode".into())),
            ("variable", Origin::Variable("PORTVAKT_MODE".into())),
            ("b-2", Origin::File(source.place(4, 7))),
            ("b-1", Origin::File(source.place(0, 3))),
            ("b", Origin::WholeFile(Path::new("b.yaml").into())),
            ("a-1", Origin::File(other.place(0, 3))),
        ] {
            diagnostics.push(Diagnostic::error(code, "x").at(&origin));
        }
        let codes: Vec<_> = diagnostics.sorted().iter().map(|found| found.code).collect();
        assert_eq!(codes, ["a-1", "b", "b-1", "b-2", "variable", "flag", "nowhere"]);
    }
}
