//! Bytes to a bounded tree of XACML elements. It knows XML and nothing of policies.
//!
//! Only what XACML needs is XML here: UTF-8, elements of the XACML 3.0 namespace, unprefixed
//! attributes, text. Document types, entities of one's own, processing instructions and foreign
//! elements (but inside the `Content` of a request) are refused; so no reference can leave the
//! document and nothing expands. Namespaces are resolved by us, because the XML library's own resolver
//! allocates for every declaration it meets.
//! Comments are passed over, and so are the attributes `xsi:*` and `xml:*` but for `xml:id`.

use std::fmt;

use quick_xml::events::{BytesDecl, BytesRef, Event};
use quick_xml::reader::Reader;

use self::tree::Tree;
use super::limits::{MAX_DOCUMENT_BYTES, MAX_QUOTED_CHARS};

/// Why a document was not accepted, and where. Lines and columns count from 1, columns in
/// characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFault {
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub help: String,
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for PolicyFault {}

/// A document, read.
#[derive(Debug)]
pub(super) struct Document<'d> {
    text: &'d str,
    pub(super) root: Element,
}

/// An element of the XACML namespace.
#[derive(Debug)]
pub(super) struct Element {
    /// Without prefix.
    pub(super) name: Box<str>,
    pub(super) attributes: Vec<Attribute>,
    /// The attribute `xml:id`.
    pub(super) xml_id: Option<Box<str>>,
    pub(super) children: Vec<Element>,
    /// All text directly inside, in one piece.
    pub(super) text: String,
    /// Byte offset of the start tag.
    pub(super) at: usize,
}

#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) name: Box<str>,
    pub(super) value: Box<str>,
}

impl Element {
    fn bare(name: Box<str>, at: usize) -> Self {
        Self {
            name,
            attributes: Vec::new(),
            xml_id: None,
            children: Vec::new(),
            text: String::new(),
            at,
        }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|one| &*one.name == name).map(|one| &*one.value)
    }
}

impl Document<'_> {
    pub(super) fn fault(
        &self,
        element: &Element,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> PolicyFault {
        fault_at(self.text, element.at, message, help)
    }

    /// Line and column of an element, from 1.
    pub(super) fn position(&self, element: &Element) -> (usize, usize) {
        position(self.text, element.at)
    }
}

/// Input as it may be repeated in a message: in backticks, on one line and cut to size.
pub(super) fn quoted(input: &str) -> String {
    let shown: String = input
        .chars()
        .take(MAX_QUOTED_CHARS)
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect();
    let cut = if input.chars().nth(MAX_QUOTED_CHARS).is_some() { "…" } else { "" };
    format!("`{shown}{cut}`")
}

mod tree;

pub(super) fn read(bytes: &[u8]) -> Result<Document<'_>, PolicyFault> {
    let text = decode(bytes)?;
    let mut tree = Tree::new(text);
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    loop {
        let at = offset(reader.buffer_position());
        let event = reader.read_event().map_err(|error| {
            let at = offset(reader.error_position());
            fault_at(text, at, format!("not well-formed XML: {error}"), "correct the XML")
        })?;
        let end = offset(reader.buffer_position());
        match event {
            Event::Start(tag) => tree.open(at, end, &tag)?,
            Event::Empty(tag) => {
                tree.open(at, end, &tag)?;
                tree.close();
            }
            Event::End(_) => tree.close(),
            Event::Text(content) => tree.text(at, &content.xml10_content())?,
            Event::CData(content) => tree.character_data(at, &content.xml10_content())?,
            Event::GeneralRef(reference) => {
                let char = resolve(text, at, &reference)?;
                tree.character_data(at, char.encode_utf8(&mut [0; 4]))?;
            }
            Event::Comment(_) => {}
            Event::Decl(declaration) => check_declaration(text, at, &declaration)?,
            Event::PI(_) => {
                return Err(fault_at(
                    text,
                    at,
                    "a processing instruction is not allowed",
                    "remove it",
                ));
            }
            Event::DocType(_) => {
                return Err(fault_at(
                    text,
                    at,
                    "a document type is not allowed",
                    "remove `<!DOCTYPE …>`; nothing in the document may refer outside it",
                ));
            }
            Event::Eof => return tree.finish(),
        }
    }
}

fn decode(bytes: &[u8]) -> Result<&str, PolicyFault> {
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(fault_at(
            "",
            0,
            format!("the document has {} bytes, more than {MAX_DOCUMENT_BYTES}", bytes.len()),
            "split the policy into several, one for each resource",
        ));
    }
    if bytes.starts_with(&[0xFE, 0xFF]) || bytes.starts_with(&[0xFF, 0xFE]) {
        return Err(fault_at("", 0, "the document is UTF-16", "save it as UTF-8"));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let valid = String::from_utf8_lossy(valid);
        fault_at(&valid, valid.len(), "the document is not UTF-8", "save it as UTF-8")
    })?;
    match text.char_indices().find(|(_, char)| !is_xml_char(*char)) {
        None => Ok(text),
        Some((at, char)) => Err(fault_at(
            text,
            at,
            format!("the character U+{:04X} is not allowed in XML", u32::from(char)),
            "remove it",
        )),
    }
}

/// XML 1.0 §2.2.
fn is_xml_char(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

fn check_declaration(
    text: &str,
    at: usize,
    declaration: &BytesDecl<'_>,
) -> Result<(), PolicyFault> {
    if at != 0 {
        return Err(fault_at(
            text,
            at,
            "the XML declaration is not at the start of the document",
            "move it to the very beginning, or remove it",
        ));
    }
    if !declaration.version().is_ok_and(|version| version == "1.0") {
        return Err(fault_at(text, at, "the XML version is not 1.0", "write `version=\"1.0\"`"));
    }
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") => Ok(()),
        Some(Ok(_) | Err(_)) => {
            Err(fault_at(text, at, "the declared encoding is not UTF-8", "save it as UTF-8"))
        }
    }
}

/// The five predefined entities and character references (XML 1.0 §4.1, §4.6).
fn resolve(text: &str, at: usize, reference: &BytesRef<'_>) -> Result<char, PolicyFault> {
    let name: &str = reference;
    let char = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => reference.resolve_char_ref().ok().flatten().filter(|char| is_xml_char(*char)),
    };
    char.ok_or_else(|| {
        fault_at(
            text,
            at,
            format!("the reference {} is not known", quoted(name)),
            "write the character itself, or one of `&lt;` `&gt;` `&amp;` `&apos;` `&quot;`",
        )
    })
}

pub(super) fn is_white_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\n')
}

fn fault_at(
    text: &str,
    at: usize,
    message: impl Into<String>,
    help: impl Into<String>,
) -> PolicyFault {
    let (line, column) = position(text, at);
    PolicyFault { line, column, message: message.into(), help: help.into() }
}

fn position(text: &str, at: usize) -> (usize, usize) {
    let mut line: usize = 1;
    let mut column: usize = 1;
    for (_, char) in text.char_indices().take_while(|(index, _)| *index < at) {
        if char == '\n' {
            line = line.saturating_add(1);
            column = 1;
        } else {
            column = column.saturating_add(1);
        }
    }
    (line, column)
}

/// A document is far smaller than any of these types; a larger offset would be its end.
fn offset(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
