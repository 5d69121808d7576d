//! A strict scan of XML 1.0 that finds values at paths and builds no tree.
//!
//! The whole document must be well-formed, in UTF-8, with every prefix declared. What two readers could take for
//! different documents, or what reaches outside this one, is a fault: document types, entities of one's
//! own, processing instructions, inclusions; and at the places a rule reads, comments and CDATA sections inside
//! a value (some readers stop at them), and neighbours with the same name in other letters or another
//! namespace. What the values mean is not judged.

use super::alike::is_alike;
use super::place_set::PlaceSet;
use super::xml_namespaces::{Name, Namespaces, Unprefixed};
use super::xml_path::{ExpandedName, XmlPlace};
use quick_xml::XmlVersion;
use quick_xml::events::attributes::Attribute as SourceAttribute;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;
use std::borrow::Cow;

/// Elements inside each other. Bounds what is kept of those that are open.
pub const MAX_XML_DEPTH: usize = 64;
/// Bytes of one start tag. Bounds the work on a tag that is nothing but attributes.
const MAX_TAG_BYTES: usize = 16 * 1024;
/// Attributes of one tag, declarations included. Bounds the search for duplicates, which compares each with
/// every earlier one.
const MAX_ATTRIBUTES: usize = 64;
const XINCLUDE: &str = "http://www.w3.org/2001/XInclude";

/// What stands at a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct XmlFound {
    /// In the document's order; no more are kept than were asked for.
    pub(super) values: Vec<XmlValue>,
    /// Whether an element on the way lacks the next step.
    pub(super) has_gap: bool,
}

/// One occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum XmlValue {
    /// Text, with references resolved and nothing trimmed.
    Text(String),
    /// An element that has elements in it.
    Container,
}

/// Why a body yields nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum XmlFault {
    /// Not a document that has one reading.
    Unreadable(&'static str),
    /// A place (by its position in the list) has two readings.
    Ambiguous(usize),
}

/// Reads the document and reports, for each place, what stands there. At most
/// [`RouteRule::MAX_BODY_SOURCES`](super::RouteRule::MAX_BODY_SOURCES) places.
pub(super) fn scan(
    body: &[u8],
    places: &[XmlPlace],
    max_values: usize,
) -> Result<Vec<XmlFound>, XmlFault> {
    let text = decode(body)?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut scanner = Scanner::new(places, max_values);
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|_| unreadable("not well-formed"))?;
        let length = reader.buffer_position().saturating_sub(at);
        match event {
            Event::Start(tag) => scanner.open(length, &tag)?,
            Event::Empty(tag) => {
                scanner.open(length, &tag)?;
                scanner.close();
            }
            Event::End(_) => scanner.close(),
            Event::Text(content) => {
                if content.contains("]]>") {
                    return Err(unreadable("the end of a CDATA section stands alone"));
                }
                scanner.text(&content.xml10_content())?;
            }
            Event::GeneralRef(reference) => {
                scanner.reference(resolve(&reference)?.encode_utf8(&mut [0; 4]))?;
            }
            Event::CData(_) => scanner.cut("a CDATA section stands outside the document")?,
            Event::Comment(_) => scanner.comment()?,
            Event::Decl(declaration) => {
                if at != 0 || !is_sound_declaration(&declaration) {
                    return Err(unreadable("the declaration is not of XML 1.0 in UTF-8"));
                }
            }
            Event::PI(_) => return Err(unreadable("it has a processing instruction")),
            Event::DocType(_) => return Err(unreadable("it has a document type")),
            Event::Eof => return scanner.finish(),
        }
    }
}

struct Scanner<'p> {
    places: &'p [XmlPlace],
    max_values: usize,
    found: Vec<XmlFound>,
    open: Vec<Open>,
    namespaces: Namespaces,
    /// Whether the outermost element has been closed.
    ended: bool,
}

/// An element that is not closed yet.
struct Open {
    /// The places whose way leads to or through it.
    live: PlaceSet,
    /// Those of which it is the value.
    here: PlaceSet,
    /// Those whose way led on through one of its children, or ended in one of its attributes.
    followed: PlaceSet,
    text: String,
    is_container: bool,
}

struct Attribute<'t> {
    name: Name<'t>,
    value: Cow<'t, str>,
}

impl<'p> Scanner<'p> {
    fn new(places: &'p [XmlPlace], max_values: usize) -> Self {
        Self {
            places,
            max_values,
            found: places.iter().map(|_| XmlFound::default()).collect(),
            open: Vec::new(),
            namespaces: Namespaces::new(),
            ended: false,
        }
    }

    fn open(&mut self, length: u64, tag: &BytesStart<'_>) -> Result<(), XmlFault> {
        let depth = self.open.len();
        if self.ended {
            return Err(unreadable("something follows the document"));
        }
        if depth >= MAX_XML_DEPTH {
            return Err(unreadable("the document is nested too deeply"));
        }
        if usize::try_from(length).map_or(true, |length| length > MAX_TAG_BYTES) {
            return Err(unreadable("a tag is too long"));
        }
        let attributes = self.read_attributes(tag)?;
        let name = self.namespaces.expand(tag.name().into_inner(), Unprefixed::Default);
        let name = name.map_err(unreadable)?;
        if name.namespace.as_str() == XINCLUDE {
            return Err(unreadable("it includes another document"));
        }
        let candidates = match self.open.last() {
            Some(parent) => parent.live,
            None => PlaceSet::all(self.places.len()),
        };
        let live = self.follow(candidates, depth, &name)?;
        let (here, with_attribute) = self.follow_attributes(live, depth, &attributes)?;
        if let Some(parent) = self.open.last_mut() {
            parent.followed = parent.followed.and(live);
            parent.is_container = true;
        }
        self.open.push(Open {
            live,
            here,
            followed: with_attribute,
            text: String::new(),
            is_container: false,
        });
        Ok(())
    }

    /// The attributes but for declarations, which are put in force.
    fn read_attributes<'t>(
        &mut self,
        tag: &'t BytesStart<'_>,
    ) -> Result<Vec<Attribute<'t>>, XmlFault> {
        let mut stated: Vec<(&str, Cow<'_, str>)> = Vec::new();
        // The library's own search for duplicates hashes every name. All that it would find is found here:
        // what is declared twice by `declare`, any other name below.
        for (index, attribute) in tag.attributes().with_checks(false).enumerate() {
            if index == MAX_ATTRIBUTES {
                return Err(unreadable("a tag has too many attributes"));
            }
            let attribute = attribute.map_err(|_| unreadable("an attribute is not well-formed"))?;
            let value = read_value(&attribute)?;
            let name = attribute.key.into_inner();
            match name.split_once(':') {
                None if name == "xmlns" => self.declare("", &value)?,
                Some(("xmlns", "")) => return Err(unreadable("a prefix without a name")),
                Some(("xmlns", prefix)) => self.declare(prefix, &value)?,
                None | Some(_) => stated.push((name, value)),
            }
        }
        // Only now are all prefixes known that this tag declares.
        let mut attributes: Vec<Attribute<'_>> = Vec::with_capacity(stated.len());
        for (name, value) in stated {
            let name = self.namespaces.expand(name, Unprefixed::NoNamespace).map_err(unreadable)?;
            if attributes.iter().any(|earlier| earlier.name == name) {
                return Err(unreadable("an attribute occurs twice"));
            }
            attributes.push(Attribute { name, value });
        }
        Ok(attributes)
    }

    fn declare(&mut self, prefix: &str, uri: &str) -> Result<(), XmlFault> {
        self.namespaces.declare(prefix, uri, self.open.len()).map_err(unreadable)
    }

    /// Which of the candidates lead to or through an element of this name.
    fn follow(
        &self,
        candidates: PlaceSet,
        depth: usize,
        name: &Name<'_>,
    ) -> Result<PlaceSet, XmlFault> {
        let mut live = PlaceSet::NONE;
        if candidates.is_empty() {
            return Ok(live);
        }
        for (index, place) in self.places.iter().enumerate() {
            let Some(step) = place.elements.get(depth).filter(|_| candidates.contains(index))
            else {
                continue;
            };
            if is_match(name, step, index)? {
                live = live.with(index);
            }
        }
        Ok(live)
    }

    /// The places of which the element itself is the value, and those of which one of its attributes is.
    fn follow_attributes(
        &mut self,
        live: PlaceSet,
        depth: usize,
        attributes: &[Attribute<'_>],
    ) -> Result<(PlaceSet, PlaceSet), XmlFault> {
        let (mut here, mut followed) = (PlaceSet::NONE, PlaceSet::NONE);
        if live.is_empty() {
            return Ok((here, followed));
        }
        for (index, place) in self.places.iter().enumerate() {
            if !live.contains(index) || place.elements.len() != depth.saturating_add(1) {
                continue;
            }
            let Some(wanted) = &place.attribute else {
                here = here.with(index);
                continue;
            };
            for attribute in attributes {
                if is_match(&attribute.name, wanted, index)? {
                    followed = followed.with(index);
                    let value = XmlValue::Text(attribute.value.as_ref().to_owned());
                    keep(self.found.get_mut(index), value, self.max_values);
                }
            }
        }
        Ok((here, followed))
    }

    fn close(&mut self) {
        let Some(element) = self.open.pop() else { return };
        let depth = self.open.len();
        self.namespaces.leave(depth);
        self.ended = depth == 0;
        if element.live.is_empty() {
            return;
        }
        let Open { live, here, followed, text, is_container } = element;
        for (index, found) in self.found.iter_mut().enumerate() {
            if here.contains(index) {
                let value =
                    if is_container { XmlValue::Container } else { XmlValue::Text(text.clone()) };
                keep(Some(found), value, self.max_values);
            } else if live.without(followed).contains(index) {
                found.has_gap = true;
            }
        }
    }

    /// Text between tags; outside the outermost element only white space may stand.
    fn text(&mut self, content: &str) -> Result<(), XmlFault> {
        if self.open.is_empty() && content.chars().all(is_white_space) {
            return Ok(());
        }
        self.reference(content)
    }

    fn reference(&mut self, content: &str) -> Result<(), XmlFault> {
        let element =
            self.open.last_mut().ok_or(unreadable("there is text outside the document"))?;
        if !element.here.is_empty() {
            element.text.push_str(content);
        }
        Ok(())
    }

    /// Something that cuts a text in two for some readers.
    fn cut(&mut self, outside: &'static str) -> Result<(), XmlFault> {
        match self.open.last() {
            None => Err(unreadable(outside)),
            Some(element) => element.here.first().map_or(Ok(()), |at| Err(XmlFault::Ambiguous(at))),
        }
    }

    fn comment(&mut self) -> Result<(), XmlFault> {
        if self.open.is_empty() { Ok(()) } else { self.cut("") }
    }

    fn finish(self) -> Result<Vec<XmlFound>, XmlFault> {
        if self.ended { Ok(self.found) } else { Err(unreadable("the document ends too early")) }
    }
}

/// Whether a name is the wanted one. One that is alike counts as an occurrence for readers who ignore
/// case or namespaces, and so makes the place ambiguous.
fn is_match(name: &Name<'_>, wanted: &ExpandedName, index: usize) -> Result<bool, XmlFault> {
    if !is_alike(name.local, &wanted.local) {
        Ok(false)
    } else if name.local == &*wanted.local && name.namespace.as_str() == &*wanted.namespace {
        Ok(true)
    } else {
        Err(XmlFault::Ambiguous(index))
    }
}

/// The value of an attribute, with references resolved.
fn read_value<'t>(attribute: &SourceAttribute<'t>) -> Result<Cow<'t, str>, XmlFault> {
    if attribute.value.contains('<') {
        return Err(unreadable("an attribute has a character that it may not have"));
    }
    let value = attribute
        .normalized_value(XmlVersion::Explicit1_0)
        .map_err(|_| unreadable("an attribute has a reference that is not known"))?;
    // What stands in the document as it is was looked at with the rest of it.
    let is_sound = match &value {
        Cow::Borrowed(_) => true,
        Cow::Owned(value) => value.chars().all(is_xml_char),
    };
    if is_sound {
        Ok(value)
    } else {
        Err(unreadable("an attribute has a character that it may not have"))
    }
}

fn keep(found: Option<&mut XmlFound>, value: XmlValue, max_values: usize) {
    if let Some(found) = found.filter(|found| found.values.len() < max_values) {
        found.values.push(value);
    }
}

fn decode(body: &[u8]) -> Result<&str, XmlFault> {
    // A byte order mark says UTF-8 once more (XML 1.0 §4.3.3); every reader passes over it.
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|_| unreadable("not valid UTF-8"))?;
    if text.chars().all(is_xml_char) {
        Ok(text)
    } else {
        Err(unreadable("it has a character that XML does not allow"))
    }
}

/// XML 1.0 §2.2.
fn is_xml_char(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

fn is_white_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\n')
}

/// XML 1.0 §2.8, of what stands between `<?` and `?>`: version 1.0, encoding absent or UTF-8, in order, nothing else.
fn is_sound_declaration(text: &str) -> bool {
    let Some(mut rest) = text.strip_prefix("xml") else { return false };
    let version = pseudo_attribute(&mut rest, "version");
    let encoding = pseudo_attribute(&mut rest, "encoding");
    let standalone = pseudo_attribute(&mut rest, "standalone");
    version == Some("1.0")
        && encoding.is_none_or(|name| name.eq_ignore_ascii_case("utf-8"))
        && standalone.is_none_or(|word| matches!(word, "yes" | "no"))
        && rest.trim_matches(is_white_space).is_empty()
}

fn pseudo_attribute<'t>(rest: &mut &'t str, name: &str) -> Option<&'t str> {
    let after = rest.strip_prefix(is_white_space)?.trim_start_matches(is_white_space);
    let after = after.strip_prefix(name)?.trim_start_matches(is_white_space);
    let after = after.strip_prefix('=')?.trim_start_matches(is_white_space);
    let (value, after) = match after.strip_prefix('"') {
        Some(inner) => inner.split_once('"')?,
        None => after.strip_prefix('\'')?.split_once('\'')?,
    };
    *rest = after;
    Some(value)
}

/// The five predefined entities and character references (XML 1.0 §4.1, §4.6).
fn resolve(reference: &BytesRef<'_>) -> Result<char, XmlFault> {
    let name: &str = reference;
    let char = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => reference.resolve_char_ref().ok().flatten().filter(|char| is_xml_char(*char)),
    };
    char.ok_or(unreadable("it has a reference that is not known"))
}

fn unreadable(cause: &'static str) -> XmlFault {
    XmlFault::Unreadable(cause)
}
