//! From the bytes of a YAML file to a [`Node`] that knows the place of everything in it.
//!
//! It goes by the parser's events and not through `serde`: events keep the text of a scalar, its
//! quotes and the place of each key, and what this file refuses need not be undone. Refused are
//! the parts of YAML that make one text mean another: anchors and aliases (with them every bomb),
//! merge keys, tags, directives, a second document, keys that are not text, and repeated keys.
//!
//! Invariant: any bytes give a tree, findings, or both, within the limits below.

use std::collections::HashMap;
use std::path::Path;

use serde_saphyr::granit_parser::{
    Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle,
};

use super::diagnostic::{Diagnostic, Diagnostics, Origin};
use super::files::Files;
use super::source::Source;
use super::tree::{Entry, Node, Scalar, Style, Value};

/// Bytes of one file. Bounds what a mistaken path (a log, a dump) can cost at start.
pub const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;
/// Tables and lists within each other in a file that people write. Bounds the stack; ours need eight.
pub const MAX_DEPTH: usize = 32;
/// Values in one file. Bounds memory: `[,,,` costs a byte each in the file and a hundred here.
pub const MAX_NODES: usize = 200_000;

/// A table of fewer keys is searched for a repeated one from its first key.
const FEW_KEYS: usize = 16;

/// How large a file may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes; at most 4 GiB.
    pub bytes: usize,
    /// Values, keys among them.
    pub values: usize,
    /// Tables and lists within each other. Bounds the stack.
    pub depth: usize,
    /// What to do about a file that is larger.
    pub help: &'static str,
}

impl Bounds {
    /// Of files that people write.
    pub const WRITTEN: Self = Self {
        bytes: MAX_DOCUMENT_BYTES,
        values: MAX_NODES,
        depth: MAX_DEPTH,
        help: "split it, or check that this is the file you meant",
    };
}

/// Reads and parses the file at `path`. `None` if there is no whole tree; why is reported.
pub fn read(files: &Files, path: &Path, diagnostics: &mut Diagnostics) -> Option<Node> {
    read_within(files, path, Bounds::WRITTEN, diagnostics)
}

/// [`read`], of a file that may be as large as `bounds` say.
pub fn read_within(
    files: &Files,
    path: &Path,
    bounds: Bounds,
    diagnostics: &mut Diagnostics,
) -> Option<Node> {
    match files.read(path, bounds.bytes) {
        Ok(bytes) => parse_within(path, &bytes, bounds, diagnostics),
        Err(error) => {
            diagnostics.push(
                Diagnostic::error("unreadable-file", format!("the file cannot be read: {error}"))
                    .at(&Origin::WholeFile(path.into())),
            );
            None
        }
    }
}

/// Parses `bytes` as the file at `path`. `None` if there is no whole tree; why is reported. With
/// a tree there may still be errors in `diagnostics`: what was refused is then left out of it.
pub fn parse(path: &Path, bytes: &[u8], diagnostics: &mut Diagnostics) -> Option<Node> {
    parse_within(path, bytes, Bounds::WRITTEN, diagnostics)
}

fn parse_within(
    path: &Path,
    bytes: &[u8],
    bounds: Bounds,
    diagnostics: &mut Diagnostics,
) -> Option<Node> {
    let whole = Origin::WholeFile(path.into());
    if bytes.len() > bounds.bytes {
        let message = format!("the file is larger than {} bytes", bounds.bytes);
        let found = Diagnostic::error("file-too-large", message).at(&whole);
        diagnostics.push(found.help(bounds.help));
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        // The mark would shift every place in the first line.
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let source = Source::new(path, String::from_utf8_lossy(valid).into_owned());
            let place = source.place(valid.len(), valid.len());
            diagnostics.push(
                Diagnostic::error("not-utf8", "the file is not UTF-8 from here on")
                    .at(&Origin::File(place)),
            );
            return None;
        }
    };
    let source = Source::new(path, text.to_owned());
    let mut options = Options::default();
    options.disallow_directives = true;
    options.emit_unresolved_aliases = true;
    options.emit_anchor_events = true;
    options.flow_nesting_limit = bounds.depth.saturating_mul(2);
    options.block_nesting_limit = bounds.depth.saturating_mul(2);
    options.set_emit_comments(false);
    let events = Parser::new_from_str_with_options(text, options);
    Builder { events, source: &source, whole, diagnostics, bounds, nodes: 0 }.document()
}

struct Builder<'a> {
    events: Parser<'a, StrInput<'a>>,
    source: &'a std::sync::Arc<Source>,
    whole: Origin,
    diagnostics: &'a mut Diagnostics,
    bounds: Bounds,
    nodes: usize,
}

/// In every function here, `None` means that reading ended early, and that why is reported.
impl<'a> Builder<'a> {
    fn document(mut self) -> Option<Node> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::DocumentStart(..) if root.is_some() => {
                    let help = "give each document a file of its own";
                    let message = "a second document begins here";
                    self.report("multiple-documents", message, span, help);
                    return None;
                }
                Event::DocumentStart(..) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span, 0)?);
                }
                Event::StreamEnd => {
                    let value = root.map_or(Value::Table(Vec::new()), |root| root.value);
                    return Some(Node { value, origin: self.whole });
                }
                Event::StreamStart | Event::DocumentEnd => {}
                event @ (Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..)
                | Event::MappingEnd
                | Event::Anchor(..)
                | Event::Alias(_)
                | Event::UnresolvedAlias(_)
                | _) => return self.unexpected(&event, span),
            }
        }
    }

    /// The node that begins with `event`.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Option<Node> {
        let nests = matches!(event, Event::SequenceStart(..) | Event::MappingStart(..));
        self.count(span, if nests { depth } else { 0 })?;
        let mut origin = self.origin(span);
        if let Some(tag) = event.tag() {
            let message = format!("the tag `{}` is not supported", tag.original());
            let help = "remove it; put text that looks like something else in quotes";
            self.report("yaml-tag", message, span.tag_span().unwrap_or(span), help);
        }
        let value = match event {
            Event::Scalar(text, style, ..) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted
                    | ScalarStyle::DoubleQuoted
                    | ScalarStyle::Literal
                    | ScalarStyle::Folded => Style::Quoted,
                };
                // The parser writes `~` where a file has nothing.
                let nothing = style == Style::Plain && span.is_empty();
                Value::Scalar(Scalar::new(if nothing { "".into() } else { text }, style))
            }
            Event::SequenceStart(..) => Value::List(self.items(depth)?),
            Event::MappingStart(style, ..) => {
                let entries = self.entries(depth)?;
                // A table without braces begins at nothing; its first key is something to see.
                if let (StructureStyle::Block, Some(first)) = (style, entries.first()) {
                    origin = first.key_origin.clone();
                }
                Value::Table(entries)
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let help = "write the value out; if it is text that begins with `*`, quote it";
                self.report("yaml-alias", "aliases are not supported", span, help);
                Value::Refused
            }
            event @ (Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd
            | Event::Anchor(..)
            | _) => return self.unexpected(&event, span),
        };
        Some(Node { value, origin })
    }

    fn items(&mut self, depth: usize) -> Option<Vec<Node>> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => {
                    items.shrink_to_fit();
                    return Some(items);
                }
                (event, span) => items.push(self.node(event, span, depth.saturating_add(1))?),
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Option<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        // Where each key stands among the entries; not needed while a look at each of them is faster.
        let mut places: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                entries.shrink_to_fit();
                return Some(entries);
            }
            let key = self.node(event, span, depth.saturating_add(1))?;
            let (event, span) = self.next()?;
            let mut node = self.node(event, span, depth.saturating_add(1))?;
            if matches!(node.value, Value::List(_) | Value::Table(_)) {
                node.origin = key.origin.clone();
            }
            let Some(name) = self.key_name(&key) else { continue };
            let first = if entries.len() < FEW_KEYS {
                entries.iter().find(|entry| entry.key == name)
            } else {
                if places.is_empty() {
                    let keys = entries.iter().enumerate();
                    places.extend(keys.map(|(index, entry)| (entry.key.clone(), index)));
                }
                places.get(&name).and_then(|index| entries.get(*index))
            };
            if let Some(first) = first {
                self.diagnostics.push(
                    Diagnostic::error("duplicate-key", format!("the key `{name}` is given twice"))
                        .at(&key.origin)
                        .related(&first.key_origin, "first given here")
                        .help("remove one of them"),
                );
                continue;
            }
            if !places.is_empty() {
                places.insert(name.clone(), entries.len());
            }
            entries.push(Entry { key: name, key_origin: key.origin, node });
        }
    }

    /// The text of a key, or `None` if it is not one we take.
    fn key_name(&mut self, key: &Node) -> Option<String> {
        let (code, message, help) = match &key.value {
            Value::Scalar(scalar) if scalar.text() == "<<" && scalar.style() == Style::Plain => {
                ("yaml-merge", "merge keys are not supported", "write the keys out")
            }
            Value::Scalar(scalar) if scalar.text().is_empty() => {
                ("key-not-text", "a key is missing before this `:`", "write a key")
            }
            Value::Scalar(scalar) => return Some(scalar.text().to_owned()),
            Value::List(_) | Value::Table(_) => {
                ("key-not-text", "a key must be text", "if it is a value, remove the `?`")
            }
            // Reported where it stands.
            Value::Refused => return None,
        };
        self.diagnostics.push(Diagnostic::error(code, message).at(&key.origin).help(help));
        None
    }

    /// The next event that is part of the tree.
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        loop {
            match self.events.next_event() {
                Some(Ok((Event::Anchor(_, name), span))) => {
                    let message = format!("the anchor `&{name}` is not supported");
                    let help = "write the value out; if it is text that begins with `&`, quote it";
                    self.report("yaml-anchor", message, span, help);
                }
                Some(Ok(next)) => return Some(next),
                Some(Err(error)) => return self.syntax(&error),
                // Only after the end of the stream, where nobody asks any more.
                None => return None,
            }
        }
    }

    /// Stops where a file is too deep or too rich.
    fn count(&mut self, span: Span, depth: usize) -> Option<()> {
        self.nodes = self.nodes.saturating_add(1);
        if depth >= self.bounds.depth {
            let depth = self.bounds.depth;
            let message = format!("more than {depth} tables and lists within each other");
            self.report("too-deep", message, span, "check the brackets and the indentation");
            return None;
        }
        if self.nodes > self.bounds.values {
            let message = format!("more than {} values in one file", self.bounds.values);
            self.report("too-many-values", message, span, self.bounds.help);
            return None;
        }
        Some(())
    }

    fn syntax<T>(&mut self, error: &ScanError) -> Option<T> {
        let at = error.marker().byte_offset().unwrap_or(usize::MAX);
        let place = self.source.place(at, at.saturating_add(1));
        // The library's sentence may quote the file.
        self.diagnostics.push(
            Diagnostic::error("yaml-syntax", format!("this is not YAML: {}", error.kind()))
                .at(&Origin::File(place))
                .help(
                    "write text that holds `{`, `[`, `,` or `: ` in quotes, and indent with spaces",
                ),
        );
        None
    }

    /// An event that the parser's grammar does not give here.
    fn unexpected<T>(&mut self, event: &Event<'_>, span: Span) -> Option<T> {
        let message = format!("this is not YAML: unexpected {event:?}");
        self.report("yaml-syntax", message, span, "check the brackets and the indentation");
        None
    }

    fn report(&mut self, code: &'static str, message: impl Into<String>, at: Span, help: &str) {
        let origin = self.origin(at);
        self.diagnostics.push(Diagnostic::error(code, message).at(&origin).help(help));
    }

    fn origin(&self, span: Span) -> Origin {
        match (span.start.byte_offset(), span.end.byte_offset()) {
            (Some(start), Some(end)) => Origin::File(self.source.place(start, end)),
            (Some(_), None) | (None, _) => self.whole.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn parsed(bytes: &[u8]) -> (Option<Node>, Diagnostics) {
        let mut diagnostics = Diagnostics::new();
        let node = parse(Path::new("a.yaml"), bytes, &mut diagnostics);
        (node, diagnostics)
    }

    /// `code line:column+length`, for each finding.
    fn findings(text: &str) -> Vec<String> {
        let (_, diagnostics) = parsed(text.as_bytes());
        diagnostics.iter().map(|found| format!("{} {}", found.code, at(&found.origin))).collect()
    }

    fn at(origin: &Origin) -> String {
        match origin {
            Origin::File(place) => {
                format!("{}:{}+{}", place.line(), place.column(), place.length())
            }
            Origin::WholeFile(_) => "whole".to_owned(),
            Origin::Variable(_) | Origin::Flag(_) | Origin::Nowhere => "outside".to_owned(),
        }
    }

    /// Each value with its path and place.
    fn list(node: &Node, path: &str, into: &mut String) {
        let place = at(&node.origin);
        match &node.value {
            Value::Scalar(scalar) => {
                writeln!(into, "{path} {:?} {:?} {place}", scalar.text(), scalar.style()).unwrap();
            }
            Value::Refused => writeln!(into, "{path} refused {place}").unwrap(),
            Value::List(items) => {
                writeln!(into, "{path} list {place}").unwrap();
                for (index, item) in items.iter().enumerate() {
                    list(item, &format!("{path}[{index}]"), into);
                }
            }
            Value::Table(entries) => {
                writeln!(into, "{path} table {place}").unwrap();
                for entry in entries {
                    list(&entry.node, &format!("{path}.{}", entry.key), into);
                }
            }
        }
    }

    fn listed(text: &str) -> String {
        let (node, diagnostics) = parsed(text.as_bytes());
        assert!(diagnostics.is_empty(), "{}", diagnostics.to_json_lines());
        let mut into = String::new();
        list(&node.unwrap(), "", &mut into);
        into
    }

    #[test]
    fn every_value_knows_its_text_its_quotes_and_its_place() {
        let text = "\u{feff}# første\nserver:\n  listen: [0.0.0.0:7080, 'unix:/a']  # x\n  workers: auto\n\
            tokens:\n  issuers:\n    - kind: maskinporten\n      audience: \"é\\n\"\n    - {}\n\
            empty:\nlast: |\n  one\n  two\n";
        insta::assert_snapshot!(listed(text), @r#"
         table whole
        .server table 2:1+6
        .server.listen list 3:3+6
        .server.listen[0] "0.0.0.0:7080" Plain 3:12+12
        .server.listen[1] "unix:/a" Quoted 3:26+9
        .server.workers "auto" Plain 4:12+4
        .tokens table 5:1+6
        .tokens.issuers list 6:3+7
        .tokens.issuers[0] table 7:7+4
        .tokens.issuers[0].kind "maskinporten" Plain 7:13+12
        .tokens.issuers[0].audience "é\n" Quoted 8:17+5
        .tokens.issuers[1] table 9:7+1
        .empty "" Plain 10:6+0
        .last "one\ntwo\n" Quoted 12:3+3
        "#);
    }

    #[test]
    fn the_traps_of_yaml_stay_text() {
        for text in ["NO", "0192:312714051", "1e3", "012", "0o14", "1_000", "12:30:45", "=", "yes"]
        {
            let (node, diagnostics) = parsed(format!("value: {text}\n").as_bytes());
            assert!(diagnostics.is_empty());
            let node = node.unwrap();
            let Value::Scalar(scalar) = &node.get("value").unwrap().value else { panic!("{text}") };
            assert_eq!((scalar.text(), scalar.style()), (text, Style::Plain));
        }
    }

    #[test]
    fn carriage_returns_move_no_line() {
        assert_eq!(findings("a: 1\r\nb: 1\r\na: 2\r\n"), ["duplicate-key 3:1+1"]);
    }

    #[test]
    fn what_makes_one_text_mean_another_is_refused_at_its_place() {
        for (text, found) in [
            ("a: 1\nb: 2\na: 3\n", &["duplicate-key 3:1+1"][..]),
            ("a: 1\n\"a\": 3\n'a': 4\n", &["duplicate-key 2:1+3", "duplicate-key 3:1+3"]),
            ("{ a: 1, b: { c: 1, c: 2 } }", &["duplicate-key 1:20+1"]),
            ("a: &x 1\nb: *x\n", &["yaml-anchor 1:4+2", "yaml-alias 2:4+2"]),
            ("a: *missing\n", &["yaml-alias 1:4+8"]),
            ("a: !!str 1\nb: !own x\n", &["yaml-tag 1:4+5", "yaml-tag 2:4+4"]),
            ("a: !!binary aGVp\n", &["yaml-tag 1:4+8"]),
            (
                "a: &x { b: 1 }\nc:\n  <<: *x\n",
                &["yaml-anchor 1:4+2", "yaml-alias 3:7+2", "yaml-merge 3:3+2"],
            ),
            ("'<<': 1\n", &[]),
            ("a: 1\n---\nb: 1\n", &["multiple-documents 2:1+3"]),
            ("---\na: 1\n...\n", &[]),
            ("%YAML 1.1\n---\na: 1\n", &["yaml-syntax 1:1+1"]),
            ("? [a]\n: 1\n", &["key-not-text 1:3+1"]),
            ("? {a: 1}\n: 1\n", &["key-not-text 1:3+1"]),
            (": 1\n", &["key-not-text 1:1+0"]),
            ("a: [1, 2\nb: 3\n", &["yaml-syntax 2:2+1"]),
            ("a: 'x\n", &["yaml-syntax 2:1+0"]),
            ("a: b: c\n", &["yaml-syntax 1:5+1"]),
            ("a:\n\tb: 1\n", &["yaml-syntax 2:2+1"]),
            ("a: @x\n", &["yaml-syntax 1:4+1"]),
            ("", &[]),
            ("# nothing\n", &[]),
        ] {
            assert_eq!(findings(text), found, "{text}");
        }
    }

    #[test]
    fn a_repeated_key_names_both_places_and_keeps_the_first() {
        let (node, diagnostics) = parsed(b"mode: enforce\nmode: shadow\n");
        let found = diagnostics.iter().next().unwrap();
        assert_eq!(at(&found.related[0].0), "1:1+4");
        let Value::Table(entries) = node.unwrap().value else { panic!("a table") };
        assert_eq!(entries.len(), 1);
    }

    #[test]
    fn bytes_that_are_not_text_are_refused_where_they_begin() {
        let (node, diagnostics) = parsed(b"a: 1\nb: \xff\n");
        assert!(node.is_none());
        assert_eq!(at(&diagnostics.iter().next().unwrap().origin), "2:4+0");
    }

    #[test]
    fn the_largest_file_passes_and_one_byte_more_does_not() {
        let mut text = b"a: 1\n#".to_vec();
        text.resize(MAX_DOCUMENT_BYTES, b'x');
        let (node, diagnostics) = parsed(&text);
        assert!(node.is_some() && diagnostics.is_empty());
        text.push(b'x');
        let (node, diagnostics) = parsed(&text);
        assert!(node.is_none());
        assert_eq!(diagnostics.iter().next().unwrap().code, "file-too-large");
    }

    #[test]
    fn the_deepest_tree_passes_and_one_level_more_does_not() {
        for (open, close) in [("[", "]"), ("{a: ", "}")] {
            let text = |depth: usize| format!("{}{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(findings(&text(MAX_DEPTH)), [""; 0]);
            let column = MAX_DEPTH * open.len() + 1;
            assert_eq!(findings(&text(MAX_DEPTH + 2)), [format!("too-deep 1:{column}+1")]);
            assert_eq!(findings(&open.repeat(400_000 / open.len())).len(), 1);
        }
        assert_eq!(findings(&"- ".repeat(400_000)).len(), 1);
    }

    #[test]
    fn more_values_than_the_limit_are_refused() {
        assert_eq!(findings(&format!("[{}]", "a,".repeat(MAX_NODES - 1))), [""; 0]);
        let found = findings(&format!("[{}]", "a,".repeat(MAX_NODES)));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("too-many-values"));
    }

    #[test]
    fn a_bomb_of_aliases_never_grows() {
        let mut text = "a: &a [x, x]\n".to_owned();
        for (one, next) in "abcdefghijk".chars().zip("bcdefghijkl".chars()) {
            writeln!(text, "{next}: &{next} [*{one}, *{one}, *{one}, *{one}]").unwrap();
        }
        let (node, diagnostics) = parsed(text.as_bytes());
        assert!(diagnostics.has_errors());
        let mut all = String::new();
        list(&node.unwrap(), "", &mut all);
        assert!(all.lines().count() < 100);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn any_bytes_give_a_tree_or_findings(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (node, diagnostics) = parsed(&bytes);
            prop_assert!(node.is_some() || diagnostics.has_errors());
            diagnostics.to_human(super::super::diagnostic::Colour::Plain);
        }

        #[test]
        fn any_yaml_like_text_gives_a_tree_or_findings(
            text in "([a-c]|: |- |\n|  |\\[|\\]|\\{|\\}|, |\"|'|#|&a|\\*a|!t|\\||>|\\? |<<|---|%|æ|\r|\t|\u{85}){0,40}",
        ) {
            let (node, diagnostics) = parsed(text.as_bytes());
            prop_assert!(node.is_some() || diagnostics.has_errors());
            diagnostics.to_human(super::super::diagnostic::Colour::Plain);
            diagnostics.to_json_lines();
        }
    }
}
