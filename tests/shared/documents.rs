//! XML documents as plain trees, for the requests and answers of the conformance tests. Policies are read
//! by Portvakt itself.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// An element; names are without prefix.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    text: String,
}

impl Element {
    pub(crate) fn parse(text: &str) -> Self {
        let mut reader = Reader::from_str(text);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().unwrap() {
                Event::Start(tag) => open.push(Self::of(&tag)),
                Event::Empty(tag) => open.last_mut().unwrap().children.push(Self::of(&tag)),
                Event::End(_) => {
                    let ended = open.pop().unwrap();
                    open.last_mut().unwrap().children.push(ended);
                }
                Event::Text(content) => {
                    open.last_mut().unwrap().text.push_str(&content.xml10_content());
                }
                Event::CData(content) => {
                    open.last_mut().unwrap().text.push_str(&content.xml10_content());
                }
                Event::GeneralRef(reference) => {
                    let char = match &*reference {
                        "lt" => '<',
                        "gt" => '>',
                        "amp" => '&',
                        "apos" => '\'',
                        "quot" => '"',
                        _ => reference.resolve_char_ref().unwrap().unwrap(),
                    };
                    open.last_mut().unwrap().text.push(char);
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
                Event::Eof => return open.pop().unwrap().children.pop().unwrap(),
            }
        }
    }

    fn of(tag: &BytesStart<'_>) -> Self {
        let attributes = tag.attributes().map(|attribute| {
            let attribute = attribute.unwrap();
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap().into_owned();
            (local(attribute.key.into_inner()), value)
        });
        Self {
            name: local(tag.name().into_inner()),
            attributes: attributes.collect(),
            ..Self::default()
        }
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn all<'e>(&'e self, name: &str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    pub(crate) fn one(&self, name: &str) -> Option<&Self> {
        self.all(name).next()
    }

    pub(crate) fn text(&self) -> &str {
        self.text.trim()
    }
}

fn local(name: &str) -> String {
    name.rsplit_once(':').map_or(name, |(_, local)| local).to_owned()
}
