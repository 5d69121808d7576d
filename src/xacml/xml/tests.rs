use proptest::prelude::*;

use super::*;
use crate::xacml::limits::{
    MAX_ATTRIBUTES_PER_TAG, MAX_DEPTH, MAX_ELEMENTS, MAX_NAMESPACES, MAX_TAG_BYTES, MAX_TEXT_BYTES,
};

const OPEN: &str = r#"<a xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17">"#;

fn message(document: impl AsRef<[u8]>) -> String {
    read(document.as_ref()).map(|document| document.root.name).unwrap_err().message
}

#[test]
fn elements_attributes_and_text_are_read() {
    let document = read(
        "\u{FEFF}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c -->\n<x:a xmlns:x=\"urn:oasis:names:tc:xacml:3.0:core:schema:wd-17\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"u v\" xml:id=\"i\" b='&lt;&#x41; c'>\
         <x:d>t&amp;<![CDATA[<u>]]>&#65;<!-- v -->w</x:d></x:a>\n"
            .as_bytes(),
    )
    .unwrap();
    let root = &document.root;
    assert_eq!((&*root.name, document.position(root)), ("a", (3, 1)));
    assert_eq!(root.attributes.len(), 1);
    assert_eq!((&*root.attributes[0].name, &*root.attributes[0].value), ("b", "<A c"));
    assert_eq!(root.children[0].text, "t&<u>Aw");
}

#[test]
fn what_xacml_does_not_need_is_refused() {
    for (document, expected) in [
        (format!("<!DOCTYPE a>{OPEN}</a>"), "document type"),
        (format!("<!DOCTYPE a [<!ENTITY e 'x'>]>{OPEN}&e;</a>"), "document type"),
        (format!("{OPEN}&e;</a>"), "reference `e`"),
        (format!("{OPEN}&#0;</a>"), "reference `#0`"),
        (format!("{OPEN}&#x1F;</a>"), "reference `#x1F`"),
        (format!("{OPEN}&#xD800;</a>"), "reference"),
        (format!("<?xml-stylesheet href='x'?>{OPEN}</a>"), "processing instruction"),
        (format!("{OPEN}<?xml version='1.0'?></a>"), "not at the start"),
        (format!("<?xml version='1.1'?>{OPEN}</a>"), "version"),
        (format!("<?xml version='1.0' encoding='latin1'?>{OPEN}</a>"), "encoding"),
        (format!("{OPEN}</a>{OPEN}</a>"), "more after"),
        (format!("{OPEN}</a>text"), "outside"),
        (format!("text{OPEN}</a>"), "not XML"),
        ("{}".to_owned(), "not XML"),
        (OPEN.to_owned(), "not closed"),
        (format!("{OPEN}</b>"), "well-formed"),
        (format!("{OPEN}<b c='1' c='2'/></a>"), "well-formed"),
        (format!("{OPEN}<b c='<'/></a>"), "well-formed"),
        (format!("{OPEN}<b c='&#1;'/></a>"), "character reference"),
        (format!("{OPEN}<b c='&e;'/></a>"), "well-formed"),
        (format!("{OPEN}<b x:c='1'/></a>"), "attribute `x:c`"),
        (format!("{OPEN}<b xmlns=''/></a>"), "element `b`"),
        (format!("{OPEN}<b xmlns:xml='urn:x'/></a>"), "namespace"),
        (format!("{OPEN}<x:b xmlns:x=''/></a>"), "namespace"),
        (format!("{OPEN}<x:b/></a>"), "element `x:b`"),
        (
            format!(
                "{OPEN}<b xmlns:x='urn:oasis:names:tc:xacml:3.0:core:schema:wd-17'/><x:b/></a>"
            ),
            "element `x:b`",
        ),
        ("<a/>".to_owned(), "element `a`"),
        ("<a xmlns='urn:oasis:names:tc:xacml:2.0:policy:schema:os'/>".to_owned(), "element `a`"),
        (String::new(), "no element"),
        ("  <!-- a -->".to_owned(), "no element"),
        (format!("{OPEN}\u{0001}</a>"), "U+0001"),
    ] {
        let found = message(&document);
        assert!(found.contains(expected), "{document}: {found}");
    }
}

#[test]
fn encodings_other_than_utf_8_are_refused() {
    assert!(message([0xFF, 0xFE, b'<', 0]).contains("UTF-16"));
    assert!(message([0xFE, 0xFF, 0, b'<']).contains("UTF-16"));
    let fault = read(b"<a\n  \xFF").unwrap_err();
    assert_eq!((fault.line, fault.column), (2, 3));
}

#[test]
fn every_limit_holds_at_its_edge() {
    let nested =
        |depth: usize| format!("{OPEN}{}{}</a>", "<b>".repeat(depth - 1), "</b>".repeat(depth - 1));
    let numbered = |from: usize, to: usize, name: &str, value: &str| {
        let all = (from..to).map(|index| format!(" {name}{index}='{value}'"));
        all.collect::<Vec<_>>().concat()
    };
    let attributes = |count: usize| format!("{OPEN}<b{}/></a>", numbered(0, count, "c", ""));
    let tag =
        |bytes: usize| format!("{OPEN}<b c='{}'/></a>", "x".repeat(bytes - "<b c=''/>".len()));
    let text = |bytes: usize| format!("{OPEN}{}</a>", "x".repeat(bytes));
    let elements = |count: usize| format!("{OPEN}{}</a>", "<b/>".repeat(count - 1));
    // The default namespace is the first; the others are spread over two tags.
    let namespaces = |count: usize| {
        let outer = numbered(1, count / 2, "xmlns:p", "urn:x");
        let inner = numbered(count / 2, count, "xmlns:p", "urn:x");
        format!("{OPEN}<b{outer}><b{inner}/></b></a>")
    };
    let document = |bytes: usize| format!("{OPEN}</a>{}", " ".repeat(bytes - OPEN.len() - 4));
    for (name, edge, last, first) in [
        ("depth", MAX_DEPTH, nested(MAX_DEPTH), nested(MAX_DEPTH + 1)),
        (
            "attributes",
            MAX_ATTRIBUTES_PER_TAG,
            attributes(MAX_ATTRIBUTES_PER_TAG),
            attributes(MAX_ATTRIBUTES_PER_TAG + 1),
        ),
        ("tag", MAX_TAG_BYTES, tag(MAX_TAG_BYTES), tag(MAX_TAG_BYTES + 1)),
        ("text", MAX_TEXT_BYTES, text(MAX_TEXT_BYTES), text(MAX_TEXT_BYTES + 1)),
        ("elements", MAX_ELEMENTS, elements(MAX_ELEMENTS), elements(MAX_ELEMENTS + 1)),
        ("namespaces", MAX_NAMESPACES, namespaces(MAX_NAMESPACES), namespaces(MAX_NAMESPACES + 1)),
        (
            "document",
            MAX_DOCUMENT_BYTES,
            document(MAX_DOCUMENT_BYTES),
            document(MAX_DOCUMENT_BYTES + 1),
        ),
    ] {
        assert!(read(last.as_bytes()).is_ok(), "{name}: {edge} is allowed");
        let fault = read(first.as_bytes()).unwrap_err();
        assert!(fault.message.contains(&edge.to_string()), "{name}: {fault}");
    }
}

#[test]
fn text_across_comments_and_references_counts_together() {
    let half = "x".repeat(MAX_TEXT_BYTES / 2);
    assert!(read(format!("{OPEN}{half}<!-- -->{half}</a>").as_bytes()).is_ok());
    assert!(message(format!("{OPEN}{half}<!-- -->{half}&amp;</a>")).contains("longer"));
}

#[test]
fn what_is_repeated_in_a_message_is_short_and_on_one_line() {
    let shown = quoted(&format!("a\n{}", "b".repeat(1000)));
    assert!(shown.chars().count() <= MAX_QUOTED_CHARS + 3 && !shown.contains('\n'), "{shown}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_markup_makes_the_reader_panic(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "<", ">", "/", "</", "/>", "a", "b", ":", "=", "'", "\"", "&", ";", "#x", "!--", "-->", "--",
                "<![CDATA[", "]]>", "<?xml", "?>", "<!DOCTYPE", "[", "]", " ", "\n", "xmlns", "xml", "ø", "\u{FEFF}",
                OPEN, "</a>",
            ]),
            0..40,
        ),
    ) {
        let _ = read(parts.concat().as_bytes());
    }
}
