//! One value being read, with its name, its place and somewhere to report to.
//!
//! Invariant: a reading method returns `None` only after reporting why, or where the value was
//! refused and reported when its file was parsed.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::diagnostic::{Diagnostic, Diagnostics, Origin};
use super::reader::{Table, list};
use super::scalars::{self, format_bytes, format_duration};
use super::tree::{Node, Scalar, Style, Value};

/// What is expected, where a slip of YAML is likely enough to say how to write it.
const TEXT: &str = "text";
const LIST: &str = "a list";
/// Words of one choice that are all told to whoever misspells one.
const MANY_WORDS: usize = 12;

/// A value that is read at most once.
#[derive(Debug)]
pub struct Field<'a> {
    path: &'a str,
    node: &'a Node,
    /// Where its key stands; for an item of a list, the item.
    key_origin: &'a Origin,
    diagnostics: &'a mut Diagnostics,
}

/// A value and where it stands, for judging it together with others later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// What it is.
    pub value: T,
    /// The name of its key.
    pub path: String,
    /// Where it stands.
    pub origin: Origin,
}

/// What kind of value was written, for settings that take more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Text, a number, a truth.
    Scalar,
    /// Values in order.
    List,
    /// Keys with values.
    Table,
}

/// Text that is not empty.
pub fn string(field: Field<'_>) -> Option<String> {
    field.text(|text| match text {
        "" => Err("must not be empty"),
        text => Ok(text.to_owned()),
    })
}

/// `true` or `false`, without quotes.
pub fn truth(mut field: Field<'_>) -> Option<bool> {
    let scalar = field.scalar("`true` or `false`")?;
    match (scalar.text(), scalar.style()) {
        ("true", Style::Plain | Style::Outside) => Some(true),
        ("false", Style::Plain | Style::Outside) => Some(false),
        (text, Style::Plain | Style::Outside) => {
            let message = format!("`{text}` is neither `true` nor `false`");
            field.fail("invalid-value", &message)
        }
        (_, Style::Quoted) => field.quoted("`true` or `false`"),
    }
}

/// A path to a file or folder, relative to the file that names it.
pub fn file_path(mut field: Field<'_>) -> Option<PathBuf> {
    field.resolve_path()
}

/// A secret by value. It is not shown, whatever is wrong with it.
pub fn secret(mut field: Field<'_>) -> Option<SecretString> {
    let scalar = field.scalar(TEXT)?;
    match scalar.text() {
        "" => field.fail("invalid-value", "must not be empty"),
        text => Some(SecretString::from(text)),
    }
}

impl<'a> Field<'a> {
    pub(super) fn new(
        path: &'a str,
        node: &'a Node,
        key_origin: &'a Origin,
        diagnostics: &'a mut Diagnostics,
    ) -> Self {
        Self { path, node, key_origin, diagnostics }
    }

    /// What kind of value it is; nothing counts as a table.
    pub fn shape(&self) -> Shape {
        match &self.node.value {
            Value::Scalar(scalar) if scalar.is_nothing() => Shape::Table,
            Value::Scalar(_) | Value::Refused => Shape::Scalar,
            Value::List(_) => Shape::List,
            Value::Table(_) => Shape::Table,
        }
    }

    /// What was written, for those who read it themselves.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// Where it stands.
    pub fn origin(&self) -> &'a Origin {
        &self.node.origin
    }

    /// Its name with those of the tables around it.
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// Text as it was written, read by `parse`. The error of `parse` is shown after the name.
    pub fn text<T, E: Display>(mut self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let scalar = self.scalar(TEXT)?;
        parse(scalar.text())
            .map_or_else(|error| self.fail("invalid-value", &error.to_string()), Some)
    }

    /// [`Field::text`], for a `parse` whose errors know what to write instead.
    pub fn text_or_help<T, E: Display>(
        mut self,
        parse: impl FnOnce(&str) -> Result<T, E>,
        help: impl FnOnce(&E) -> &'static str,
    ) -> Option<T> {
        let scalar = self.scalar(TEXT)?;
        parse(scalar.text()).map_or_else(
            |error| self.fail_with_help("invalid-value", &error.to_string(), help(&error)),
            Some,
        )
    }

    /// A whole number within `bounds`, without quotes. `why` tells who is outside why they are these.
    pub fn number<T>(mut self, bounds: RangeInclusive<T>, why: &str) -> Option<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        let scalar = self.scalar("a whole number")?;
        if scalar.style() == Style::Quoted {
            return self.quoted("a whole number");
        }
        let text = scalar.text();
        // `+1` and `012` would be read by the parser of the standard library.
        let canonical = text == "0" || text.starts_with(|c: char| matches!(c, '1'..='9'));
        match text.parse::<T>().ok().filter(|_| canonical) {
            Some(number) if bounds.contains(&number) => Some(number),
            Some(_) => self.out_of_bounds(bounds.start(), bounds.end(), why),
            None if canonical && text.bytes().all(|digit| digit.is_ascii_digit()) => {
                self.out_of_bounds(bounds.start(), bounds.end(), why)
            }
            None => self.fail("invalid-value", &format!("`{text}` is not a whole number")),
        }
    }

    /// A duration with its unit, within `bounds`. `why` as for [`Field::number`].
    pub fn duration(mut self, bounds: RangeInclusive<Duration>, why: &str) -> Option<Duration> {
        let scalar = self.scalar("a duration")?;
        match scalars::parse_duration(scalar.text()) {
            Ok(duration) if bounds.contains(&duration) => Some(duration),
            Ok(_) => {
                let (least, most) =
                    (format_duration(*bounds.start()), format_duration(*bounds.end()));
                self.out_of_bounds(least, most, why)
            }
            Err(error) => self.fail_with_help(
                "invalid-value",
                &error.to_string(),
                "write it like `500ms`, `10s` or `1h30m`",
            ),
        }
    }

    /// A size in bytes within `bounds`. `why` as for [`Field::number`].
    pub fn bytes(mut self, bounds: RangeInclusive<u64>, why: &str) -> Option<u64> {
        let scalar = self.scalar("a size")?;
        match scalars::parse_bytes(scalar.text()) {
            Ok(bytes) if bounds.contains(&bytes) => Some(bytes),
            Ok(_) => {
                let (least, most) = (format_bytes(*bounds.start()), format_bytes(*bounds.end()));
                self.out_of_bounds(least, most, why)
            }
            Err(error) => self.fail_with_help(
                "invalid-value",
                &error.to_string(),
                "write it like `65536`, `64KiB` or `1MiB`",
            ),
        }
    }

    /// A size in bytes within `bounds`, of something that lies in memory.
    pub fn memory_bytes(self, bounds: RangeInclusive<usize>, why: &str) -> Option<usize> {
        let wide = |bytes: &usize| u64::try_from(*bytes).unwrap_or(u64::MAX);
        let bytes = self.bytes(wide(bounds.start())..=wide(bounds.end()), why)?;
        // Within bounds that are themselves of this width.
        usize::try_from(bytes).ok()
    }

    /// A URL with one of `schemes`.
    pub fn url(mut self, schemes: &[&str]) -> Option<Url> {
        let scalar = self.scalar("a URL")?;
        match scalars::parse_url(scalar.text(), schemes) {
            Ok(url) => Some(url),
            Err(error) => {
                let help = format!("write a whole URL, with scheme {} and a host", list(schemes));
                self.fail_with_help("invalid-value", &error.to_string(), &help)
            }
        }
    }

    /// One of `words`.
    pub fn choice<T: Clone>(mut self, words: &[(&str, T)]) -> Option<T> {
        let scalar = self.scalar("a word")?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == scalar.text()) {
            return Some(meaning.clone());
        }
        let known = || words.iter().map(|(word, _)| *word);
        let meant = crate::domain::nearest(scalar.text(), known());
        let help = match meant {
            // Of many words those that were hardly meant are left out.
            Some(word) if words.len() > MANY_WORDS => format!("did you mean `{word}`?"),
            Some(word) => format!("did you mean `{word}`? known here: {}", list(known())),
            None => format!("known here: {}", list(known())),
        };
        let message = format!("`{}` is not known here", scalar.text());
        self.fail_with_help("invalid-value", &message, &help)
    }

    /// A table, read by `read`. What `read` does not take is reported.
    pub fn table<T>(mut self, read: impl FnOnce(&mut Table<'_>) -> Option<T>) -> Option<T> {
        let entries = self.node.as_table();
        // What is no table is read as an empty one, for nothing but the keys that it could have.
        let mut unheard = Diagnostics::new();
        let diagnostics = if entries.is_some() { &mut *self.diagnostics } else { &mut unheard };
        let found = entries.unwrap_or_default();
        let mut table = Table::new(self.path, found, self.key_origin, diagnostics);
        let value = read(&mut table);
        if entries.is_some() {
            table.finish();
            return value;
        }
        let keys = format!("its keys are {}", table.known());
        self.report_shape("a table of keys", Some(&keys));
        None
    }

    /// A table whose keys are names of the user's own, at most `max`, each read by `read`.
    pub fn names<T>(
        mut self,
        max: usize,
        mut read: impl FnMut(&str, Field<'_>) -> Option<T>,
    ) -> Option<Vec<(String, T)>> {
        let Some(entries) = self.node.as_table() else {
            return self.wrong_shape("a table of keys");
        };
        if entries.len() > max {
            let message =
                format!("at most {max} keys are allowed, and these are {}", entries.len());
            return self.fail_with_help("too-many-values", &message, "leave some out");
        }
        let mut values = Vec::with_capacity(entries.len());
        for entry in entries {
            let path = [self.path, ".", &entry.key].concat();
            let field = Field::new(&path, &entry.node, &entry.key_origin, self.diagnostics);
            values.push(read(&entry.key, field).map(|value| (entry.key.clone(), value)));
        }
        values.into_iter().collect()
    }

    /// A list of at most `max` values, each read by `read`. A variable or flag gives a list of
    /// one.
    pub fn sequence<T>(
        mut self,
        max: usize,
        mut read: impl FnMut(Field<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        match &self.node.value {
            Value::List(items) if items.len() > max => {
                let message =
                    format!("at most {max} values are allowed, and these are {}", items.len());
                self.fail_with_help("too-many-values", &message, "leave some out")
            }
            Value::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{}[{index}]", self.path);
                    values.push(read(Field::new(&path, item, &item.origin, self.diagnostics)));
                }
                values.into_iter().collect()
            }
            Value::Scalar(scalar) if scalar.style() == Style::Outside && max > 0 => {
                read(self).map(|value| vec![value])
            }
            Value::Scalar(_) | Value::Table(_) | Value::Refused => self.wrong_shape(LIST),
        }
    }

    /// A list, or a single value that stands for a list of one.
    pub fn one_or_many<T>(
        self,
        max: usize,
        mut read: impl FnMut(Field<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        match &self.node.value {
            Value::List(_) => self.sequence(max, read),
            Value::Scalar(_) | Value::Table(_) | Value::Refused => {
                read(self).map(|value| vec![value])
            }
        }
    }

    /// What `read` reads, with its name and place.
    pub fn located<T>(self, read: impl FnOnce(Self) -> Option<T>) -> Option<Located<T>> {
        let (path, origin) = (self.path.to_owned(), self.node.origin.clone());
        read(self).map(|value| Located { value, path, origin })
    }

    /// Reports an error here. Returns what a failed reading returns.
    pub fn fail<T>(mut self, code: &'static str, message: &str) -> Option<T> {
        self.report(code, message, None);
        None
    }

    /// Reports an error here, with what to do about it.
    pub fn fail_with_help<T>(mut self, code: &'static str, message: &str, help: &str) -> Option<T> {
        self.report(code, message, Some(help));
        None
    }

    /// Whether it is text that `holds` is true of. Reports nothing.
    pub fn is_text(&self, holds: impl FnOnce(&str) -> bool) -> bool {
        matches!(&self.node.value, Value::Scalar(scalar) if holds(scalar.text()))
    }

    /// The text, if it is one. Reports nothing.
    pub fn peek_text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar.text()),
            Value::List(_) | Value::Table(_) | Value::Refused => None,
        }
    }

    /// What [`Field::url`] would read. Reports nothing.
    pub fn peek_url(&self, schemes: &[&str]) -> Option<Url> {
        match &self.node.value {
            Value::Scalar(scalar) => scalars::parse_url(scalar.text(), schemes).ok(),
            Value::List(_) | Value::Table(_) | Value::Refused => None,
        }
    }

    /// Reports here what works and is probably not what was meant.
    pub fn warn(&mut self, code: &'static str, message: &str, help: &str) {
        let found = Diagnostic::warning(code, format!("`{}`: {message}", self.path));
        self.diagnostics.push(found.at(&self.node.origin).help(help));
    }

    /// [`file_path`], with the field kept to report what is wrong with the file.
    pub(super) fn resolve_path(&mut self) -> Option<PathBuf> {
        let scalar = self.scalar("a path")?;
        if scalar.text().is_empty() {
            self.report("invalid-value", "must not be empty", None);
            return None;
        }
        let folder = self.node.origin.path().and_then(Path::parent);
        Some(folder.map_or_else(|| scalar.text().into(), |folder| folder.join(scalar.text())))
    }

    /// The scalar that this is. `expected` says what it should have been.
    fn scalar(&mut self, expected: &str) -> Option<&'a Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) if scalar.is_nothing() => {
                let help = "remove the key, or write a value; write text like `null` in quotes";
                let message = format!("expected {expected}, found nothing");
                self.report("no-value", &message, Some(help));
                None
            }
            Value::Scalar(scalar) => Some(scalar),
            Value::List(_) | Value::Table(_) | Value::Refused => self.wrong_shape(expected),
        }
    }

    fn wrong_shape<T>(&mut self, expected: &str) -> Option<T> {
        self.report_shape(expected, None);
        None
    }

    #[cold]
    fn report_shape(&mut self, expected: &str, keys: Option<&str>) {
        match &self.node.value {
            // Reported where it was refused.
            Value::Refused => {}
            value @ (Value::Scalar(_) | Value::List(_) | Value::Table(_)) => {
                let message = format!("expected {expected}, found {}", value.describe());
                let help = match value {
                    Value::Scalar(scalar) if expected == LIST && scalar.is_nothing() => {
                        Some("remove the key, or write `[]`")
                    }
                    Value::Scalar(_) if expected == LIST => Some("put it in brackets: `[VALUE]`"),
                    Value::Table(_) if expected == LIST => {
                        Some("begin each entry with `- `, or put all of them in brackets")
                    }
                    Value::List(_) if !expected.contains("table") => {
                        Some("write one value, without brackets")
                    }
                    Value::Table(_) if expected == TEXT => {
                        Some("`: ` makes a table of keys: write such text in quotes")
                    }
                    Value::Scalar(_) | Value::List(_) | Value::Table(_) | Value::Refused => keys,
                };
                self.report("wrong-shape", &message, help);
            }
        }
    }

    fn quoted<T>(&mut self, expected: &str) -> Option<T> {
        let message = format!("expected {expected}, found text in quotes");
        self.report("wrong-shape", &message, Some("remove the quotes"));
        None
    }

    fn out_of_bounds<T>(
        &mut self,
        least: impl Display,
        most: impl Display,
        why: &str,
    ) -> Option<T> {
        let message = format!("must lie between {least} and {most}");
        self.report("invalid-value", &message, Some(why));
        None
    }

    // Of many readings one goes wrong: what leads here is kept short.
    #[cold]
    fn report(&mut self, code: &'static str, message: &str, help: Option<&str>) {
        let message = match self.path {
            "" => message.to_owned(),
            path => format!("`{path}`: {message}"),
        };
        let mut found = Diagnostic::error(code, message).at(&self.node.origin);
        found.help = help.map(str::to_owned);
        self.diagnostics.push(found);
    }
}
