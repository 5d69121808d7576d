//! The looks of a finding: the rustc look for people, one JSON object for programs.
//!
//! Invariant: text of a file is shown through its mask only, and only the lines pointed at and
//! those between them.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use annotate_snippets::{
    AnnotationKind, Element, Group, Level, Origin as Header, Renderer, Snippet,
    normalize_untrusted_str as visible,
};
use serde::Serialize;

use super::diagnostic::{Colour, Diagnostic, Diagnostics, Origin, Severity};
use super::source::{Place, Source};

/// Bytes of a file shown with one finding. Bounds the time of rendering, to which all lines from
/// the first place to the last contribute: a file may be one line, or its places far apart.
const MAX_SNIPPET_BYTES: usize = 8 * 1024;

pub(super) fn human(diagnostics: &Diagnostics, colour: Colour) -> String {
    let renderer = match colour {
        Colour::Ansi => Renderer::styled(),
        Colour::Plain => Renderer::plain(),
    };
    let mut text = String::new();
    for diagnostic in diagnostics.sorted() {
        text.push_str(&renderer.render(&[report(diagnostic)]));
        text.push_str("\n\n");
    }
    if diagnostics.omitted_count() > 0 {
        let more = format!("{} more are not shown", diagnostics.omitted_count());
        text.push_str(&renderer.render(&[Group::with_title(Level::NOTE.primary_title(more))]));
        text.push('\n');
    }
    text
}

pub(super) fn json_lines(diagnostics: &Diagnostics) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics.sorted() {
        // Strings and numbers only: there is nothing in it that JSON could not write.
        if let Ok(line) = serde_json::to_string(&JsonDiagnostic::of(diagnostic)) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

fn report(diagnostic: &Diagnostic) -> Group<'_> {
    let title = level(diagnostic.severity).primary_title(diagnostic.message.as_str());
    let mut elements = Vec::new();
    let mut elsewhere: Vec<(&Origin, &str)> = Vec::new();
    match &diagnostic.origin {
        Origin::File(place) => {
            let mut here = Vec::new();
            for (origin, label) in &diagnostic.related {
                match origin {
                    Origin::File(other) if can_share_snippet(place, other) => {
                        here.push((other, label.as_str()));
                    }
                    Origin::File(_)
                    | Origin::WholeFile(_)
                    | Origin::Variable(_)
                    | Origin::Flag(_)
                    | Origin::Nowhere => elsewhere.push((origin, label)),
                }
            }
            elements.push(if can_share_snippet(place, place) {
                Element::from(snippet(place, &here))
            } else {
                Element::from(Header::path(visible(&diagnostic.origin.to_string())))
            });
        }
        Origin::WholeFile(_) | Origin::Variable(_) | Origin::Flag(_) => {
            elements.push(Element::from(Header::path(visible(&diagnostic.origin.to_string()))));
            elsewhere.extend(diagnostic.related.iter().map(|(at, label)| (at, label.as_str())));
        }
        Origin::Nowhere => {
            elsewhere.extend(diagnostic.related.iter().map(|(at, label)| (at, label.as_str())));
        }
    }
    for (origin, label) in elsewhere {
        elements.push(Element::from(Level::NOTE.message(visible(&format!("{label}: {origin}")))));
    }
    if let Some(help) = &diagnostic.help {
        elements.push(Element::from(Level::HELP.message(visible(help))));
    }
    title.id(diagnostic.code).elements(elements)
}

/// Whether the lines from one place to another may be shown together.
fn can_share_snippet(place: &Place, other: &Place) -> bool {
    let (one, two) = (place.line(), other.line());
    Arc::ptr_eq(place.source(), other.source())
        && place.source().masked_lines(one.min(two), one.max(two)).1.len() <= MAX_SNIPPET_BYTES
}

/// The lines around a place and those it is related to, in the same file.
fn snippet<'a>(
    place: &'a Place,
    related: &[(&'a Place, &'a str)],
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let lines = || related.iter().map(|(other, _)| other.line()).chain([place.line()]);
    let first = lines().min().unwrap_or(1);
    let last = lines().max().unwrap_or(first);
    let source: &Source = place.source();
    let (offset, text) = source.masked_lines(first, last);
    let text = match related {
        [] => up_to_key(text, within(place, offset).end),
        [_, ..] => text.into(),
    };
    Snippet::source(text)
        .line_start(first)
        .path(visible(&source.path().to_string_lossy()))
        .annotation(AnnotationKind::Primary.span(within(place, offset)))
        .annotations(related.iter().map(|(other, label)| {
            AnnotationKind::Context.span(within(other, offset)).label(visible(label))
        }))
}

/// Cuts a line after a key that is pointed at. The key may be misspelt, and what follows a secret
/// that the mask could not know by its name.
fn up_to_key(text: &str, end: usize) -> Cow<'_, str> {
    match text.split_at_checked(end) {
        Some((key, rest)) => match rest.strip_prefix(':').map(str::trim) {
            Some(value) if !value.is_empty() => format!("{key}: …").into(),
            Some(_) | None => text.into(),
        },
        None => text.into(),
    }
}

fn within(place: &Place, offset: usize) -> Range<usize> {
    let (start, end) = place.bytes();
    start.saturating_sub(offset)..end.saturating_sub(offset)
}

const fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

/// The fields and their names are a contract with those who read them by program.
#[derive(Serialize)]
struct JsonDiagnostic<'a> {
    severity: &'static str,
    code: &'static str,
    message: &'a str,
    help: Option<&'a str>,
    #[serde(flatten)]
    at: JsonOrigin<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<JsonRelated<'a>>,
}

impl<'a> JsonDiagnostic<'a> {
    fn of(diagnostic: &'a Diagnostic) -> Self {
        Self {
            severity: diagnostic.severity.as_str(),
            code: diagnostic.code,
            message: &diagnostic.message,
            help: diagnostic.help.as_deref(),
            at: JsonOrigin::of(&diagnostic.origin),
            related: diagnostic
                .related
                .iter()
                .map(|(origin, label)| JsonRelated { label, at: JsonOrigin::of(origin) })
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct JsonRelated<'a> {
    label: &'a str,
    #[serde(flatten)]
    at: JsonOrigin<'a>,
}

#[derive(Default, Serialize)]
struct JsonOrigin<'a> {
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    variable: Option<&'a str>,
    flag: Option<&'a str>,
}

impl<'a> JsonOrigin<'a> {
    fn of(origin: &'a Origin) -> Self {
        let file = |path: &Path| Some(path.to_string_lossy().into_owned());
        match origin {
            Origin::File(place) => Self {
                file: file(place.path()),
                line: Some(place.line()),
                column: Some(place.column()),
                ..Self::default()
            },
            Origin::WholeFile(path) => Self { file: file(path), ..Self::default() },
            Origin::Variable(name) => Self { variable: Some(name), ..Self::default() },
            Origin::Flag(name) => Self { flag: Some(name), ..Self::default() },
            Origin::Nowhere => Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(diagnostic: Diagnostic) -> String {
        let mut diagnostics = Diagnostics::new();
        diagnostics.push(diagnostic);
        diagnostics.to_human(Colour::Plain)
    }

    fn place(source: &Arc<Source>, text: &str) -> Origin {
        let start = source.text().find(text).unwrap();
        Origin::File(source.place(start, start + text.len()))
    }

    #[test]
    fn a_place_in_a_file_is_shown_with_its_line_and_a_caret() {
        let source =
            Source::new("config/tt02.yaml", "pdp:\n  url: http://x\n  tiemout: 5s\n".to_owned());
        let found = Diagnostic::error("unknown-key", "unknown key `pdp.tiemout`")
            .at(&place(&source, "tiemout"))
            .help("did you mean `timeout`?");
        insta::assert_snapshot!(render(found), @"
        error[unknown-key]: unknown key `pdp.tiemout`
         --> config/tt02.yaml:3:3
          |
        3 |   tiemout: …
          |   ^^^^^^^
          |
          = help: did you mean `timeout`?
        ");
    }

    #[test]
    fn two_places_in_one_file_share_a_snippet() {
        let text = "mode: enforce\na: 1\nb: 1\nc: 1\nd: 1\nsubscription_key: abc\nMode: shadow\n";
        let source = Source::new("a.yaml", text.to_owned());
        let found = Diagnostic::error("duplicate-key", "`mode` is given twice")
            .at(&place(&source, "Mode"))
            .related(&place(&source, "mode"), "first given here");
        insta::assert_snapshot!(render(found), @"
        error[duplicate-key]: `mode` is given twice
         --> a.yaml:7:1
          |
        1 | mode: enforce
          | ---- first given here
        ...
        7 | Mode: shadow
          | ^^^^
        ");
    }

    #[test]
    fn secrets_beside_a_place_are_hidden() {
        let text = "pdp: { subscription_kye: a, subscription_key: hemmelig, tiemout: 5 }\n";
        let source = Source::new("a.yaml", text.to_owned());
        let found = Diagnostic::error("unknown-key", "x").at(&place(&source, "tiemout"));
        assert!(!render(found).contains("hemmelig"));
    }

    #[test]
    fn variables_flags_and_related_files_are_named() {
        let source = Source::new("a.yaml", "mode: enforce\n".to_owned());
        let found = Diagnostic::warning("invalid-value", "`mode`: no such mode `x`")
            .at(&Origin::Variable("PORTVAKT_MODE".into()))
            .related(&place(&source, "enforce"), "overrides")
            .help("one of `enforce`, `shadow`");
        insta::assert_snapshot!(render(found), @"
        warning[invalid-value]: `mode`: no such mode `x`
        --> environment variable `PORTVAKT_MODE`
         = note: overrides: a.yaml:1:7
         = help: one of `enforce`, `shadow`
        ");
        let nowhere = Diagnostic::note("missing-key", "`upstream.url` is missing");
        insta::assert_snapshot!(render(nowhere), @"
        note[missing-key]: `upstream.url` is missing
        ");
    }

    #[test]
    fn control_characters_of_a_message_do_not_reach_the_terminal() {
        let found = Diagnostic::error("unknown-key", "unknown key `\u{1b}[2J`")
            .help("\u{1b}[2J")
            .related(&Origin::Variable("\u{1b}[2J".into()), "\u{1b}[2J");
        assert!(!render(found).contains('\u{1b}'));
    }

    #[test]
    fn json_has_one_object_a_line_with_fixed_fields() {
        let source = Source::new("a.yaml", "mode: x\n".to_owned());
        let mut diagnostics = Diagnostics::new();
        diagnostics.push(
            Diagnostic::error("invalid-value", "`mode`: no such mode")
                .at(&Origin::Flag("--mode".into()))
                .related(&place(&source, "x"), "overrides"),
        );
        diagnostics.push(
            Diagnostic::error("invalid-value", "`mode`: \"").at(&place(&source, "x")).help("h"),
        );
        insta::assert_snapshot!(diagnostics.to_json_lines(), @r#"
        {"severity":"error","code":"invalid-value","message":"`mode`: \"","help":"h","file":"a.yaml","line":1,"column":7,"variable":null,"flag":null}
        {"severity":"error","code":"invalid-value","message":"`mode`: no such mode","help":null,"file":null,"line":null,"column":null,"variable":null,"flag":"--mode","related":[{"label":"overrides","file":"a.yaml","line":1,"column":7,"variable":null,"flag":null}]}
        "#);
    }

    #[test]
    fn places_far_apart_and_lines_too_long_are_named_only() {
        let text = format!("mode: a\n#{}\nmode: b\n", "x".repeat(MAX_SNIPPET_BYTES));
        let source = Source::new("a.yaml", text);
        let found = Diagnostic::error("duplicate-key", "twice")
            .at(&place(&source, "mode: b"))
            .related(&place(&source, "mode: a"), "first given here");
        insta::assert_snapshot!(render(found), @"
        error[duplicate-key]: twice
         --> a.yaml:3:1
          |
        3 | mode: b
          | ^^^^^^^
          |
          = note: first given here: a.yaml:1:1
        ");
        let found = Diagnostic::error("x", "y").at(&place(&source, "xx"));
        insta::assert_snapshot!(render(found), @"
        error[x]: y
        --> a.yaml:2:2
        ");
    }

    #[test]
    fn what_was_omitted_is_counted() {
        let mut diagnostics = Diagnostics::new();
        for _ in 0..=super::super::diagnostic::MAX_DIAGNOSTICS {
            diagnostics.push(Diagnostic::error("a", "a"));
        }
        assert!(diagnostics.to_human(Colour::Plain).ends_with("note: 1 more are not shown\n"));
    }
}
