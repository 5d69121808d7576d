use super::super::xml::{MAX_XML_DEPTH, XmlFault, XmlFound, XmlValue, scan};
use super::super::xml_path::XmlPath;
use proptest::prelude::*;

fn one(body: &str, path: &str) -> Result<XmlFound, XmlFault> {
    let namespaces = [("p".to_owned(), "urn:p".to_owned())];
    let places = [XmlPath::parse(path).unwrap().expand(&namespaces)];
    scan(body.as_bytes(), &places, 3).map(|mut found| found.remove(0))
}

fn found(values: &[&str]) -> XmlFound {
    let value = |text: &&str| match *text {
        "!" => XmlValue::Container,
        text => XmlValue::Text(text.to_owned()),
    };
    XmlFound { values: values.iter().map(value).collect(), has_gap: false }
}

#[test]
fn values_are_found_at_their_paths() {
    for (body, path, values) in [
        ("<a>x</a>", "/a", &["x"][..]),
        (
            "\u{FEFF}<?xml version='1.0' encoding=\"Utf-8\" standalone='no' ?>\n<!-- c --><a>x</a>\n",
            "/a",
            &["x"],
        ),
        ("<a><b>x</b><c>y</c></a>", "/a/b", &["x"]),
        ("<a>\n <b>x</b>\n</a>", "/a/b", &["x"]),
        ("<a><b> x </b></a>", "/a/b", &[" x "]),
        ("<a><b/></a>", "/a/b", &[""]),
        ("<a><b></b></a>", "/a/b", &[""]),
        ("<a><b>&lt;&#x41;&#66;&amp;</b></a>", "/a/b", &["<AB&"]),
        ("<a><b>x</b><b>y</b></a>", "/a/b", &["x", "y"]),
        ("<a><b>1</b><b>2</b><b>3</b><b>4</b></a>", "/a/b", &["1", "2", "3"]),
        ("<a><b><c>x</c></b></a>", "/a/b", &["!"]),
        ("<a><b>x<c/></b></a>", "/a/b", &["!"]),
        ("<a><c><b>x</b></c></a>", "/a/b", &[]),
        ("<b>x</b>", "/a", &[]),
        ("<a b='x'/>", "/a/@b", &["x"]),
        ("<a b='&#120;&quot;'></a>", "/a/@b", &["x\""]),
        ("<a p:b='x' xmlns:p='urn:p'/>", "/a/@p:b", &["x"]),
        ("<q:a xmlns:q='urn:p'><b xmlns=''>x</b></q:a>", "/p:a/b", &["x"]),
        ("<a xmlns='urn:p'><b>x</b></a>", "/p:a/p:b", &["x"]),
        ("<p:a xmlns:p='urn:p'><p:b xmlns:p='urn:q'/><c>x</c></p:a>", "/p:a/c", &["x"]),
        ("<a><![CDATA[ <b>y</b> ]]><b>x</b><!-- <b>y</b> --></a>", "/a/b", &["x"]),
    ] {
        let outcome = one(body, path).map(|found| XmlFound { has_gap: false, ..found });
        assert_eq!(outcome, Ok(found(values)), "{body} {path}");
    }
}

#[test]
fn an_element_on_the_way_that_lacks_the_next_step_is_a_gap() {
    for (body, path, has_gap) in [
        ("<a><b><c>x</c></b><b><c>y</c></b></a>", "/a/b/c", false),
        ("<a><b><c>x</c></b><b><d/></b></a>", "/a/b/c", true),
        ("<a><b><c>x</c></b><b/></a>", "/a/b/c", true),
        ("<a><b c='x'/><b/></a>", "/a/b/@c", true),
        ("<a><b c='x'/><b c='y'/></a>", "/a/b/@c", false),
        ("<a/>", "/a/b", true),
        ("<b/>", "/a/b", false),
    ] {
        assert_eq!(one(body, path).unwrap().has_gap, has_gap, "{body}");
    }
}

#[test]
fn a_second_reading_of_the_way_is_ambiguous_and_elsewhere_it_is_not_ours() {
    for (body, path, ambiguous) in [
        ("<a><b>x</b><B>y</B></a>", "/a/b", true),
        ("<A><b>x</b></A>", "/a/b", true),
        ("<a><b>x</b><b xmlns='urn:q'>y</b></a>", "/a/b", true),
        ("<a xmlns='urn:q'><b>x</b></a>", "/p:a/p:b", true),
        ("<a><b>x<!-- -->y</b></a>", "/a/b", true),
        ("<a><b><![CDATA[x]]></b></a>", "/a/b", true),
        ("<a b='x' B='y'/>", "/a/@b", true),
        ("<a b='x' p:b='y' xmlns:p='urn:p'/>", "/a/@b", true),
        ("<a><c B='y'/><d><B/></d><b>x</b></a>", "/a/b", false),
        ("<a B='y'><b>x</b></a>", "/a/b", false),
    ] {
        let outcome = one(body, path);
        assert_eq!(outcome == Err(XmlFault::Ambiguous(0)), ambiguous, "{body}: {outcome:?}");
        assert!(ambiguous || outcome == Ok(found(&["x"])), "{body}: {outcome:?}");
    }
}

#[test]
fn what_is_not_one_plain_document_is_unreadable_wherever_it_stands() {
    for body in [
        "",
        " ",
        "x",
        "<a>",
        "<a></b>",
        "<a/><a/>",
        "<a/>x",
        "<a/>&#65;",
        "x<a/>",
        "<![CDATA[x]]><a/>",
        "<a/><![CDATA[x]]>",
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        "<a>&x;</a>",
        "<a>&#0;</a>",
        "<a>&#xFFFF;</a>",
        "<a>&#55296;</a>",
        "<a>& b</a>",
        "<a b='&x;'/>",
        "<a><?php x?></a>",
        "<?xml-stylesheet href='x'?><a/>",
        " <?xml version='1.0'?><a/>",
        "<?xml version='1.1'?><a/>",
        "<?xml version='1.0' encoding='utf-16'?><a/>",
        "<?xml version='1.0' encoding='iso-8859-1'?><a/>",
        "<?xml version='1.0' encoding='utf-8' encoding='utf-7'?><a/>",
        "<?xml encoding='utf-7' version='1.0'?><a/>",
        "<?xml version='1.0'?><?xml version='1.0'?><a/>",
        "<a xmlns:i='http://www.w3.org/2001/XInclude'><i:include href='x'/></a>",
        "<include xmlns='http://www.w3.org/2001/XInclude'/>",
        "<p:a/>",
        "<a p:b='x'/>",
        "<a b='x' b='y'/>",
        "<a p:b='x' q:b='y' xmlns:p='urn:x' xmlns:q='urn:x'/>",
        "<r xmlns:p='urn:x'><a p:b='x' q:b='y' xmlns:q='urn:x'/></r>",
        "<a xml:b='x' x:b='y' xmlns:x='http://www.w3.org/XML/1998/namespace'/>",
        "<a p:b='x' p:b='y' xmlns:p='urn:x'/>",
        "<a b='x' c='y' b='z'/>",
        "<a xmlns='urn:x' xmlns='urn:x'/>",
        "<a xmlns='urn:x' b='' xmlns='urn:y'/>",
        "<a xmlns:p='urn:x' xmlns:p='urn:x'/>",
        "<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
        "<a b='&#1;'/>",
        "<a b=x/>",
        "<a b/>",
        "<a b='<'/>",
        "<a b='\u{1}'/>",
        "<a>\u{0}</a>",
        "<a>]]></a>",
        "<a><!-- -- --></a>",
        "<a><!-- </a>",
        "<1a/>",
        "<a:b:c xmlns:a='urn:x'/>",
        "<:a/>",
        "<a xmlns:p=''/>",
        "<a xmlns:xml='urn:x'/>",
        "<a xmlns:xmlns='urn:x'/>",
        "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<a><p:b xmlns:p='urn:x'/><p:c/></a>",
        "< a/>",
        "<a",
        "</a>",
    ] {
        let outcome = one(body, "/a");
        assert!(matches!(outcome, Err(XmlFault::Unreadable(_))), "{body:?}: {outcome:?}");
    }
    for body in [&b"<a>\xff</a>"[..], b"\xfe\xff\0<\0a\0/\0>", b"\xff\xfe<\0a\0/\0>\0"] {
        assert!(matches!(scan(body, &[], 1), Err(XmlFault::Unreadable(_))), "{body:?}");
    }
}

#[test]
fn the_largest_allowed_documents_pass_and_one_step_more_does_not() {
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    let attributes = |count: usize| {
        let all: Vec<_> = (0..count).map(|index| format!(" b{index}=''")).collect();
        format!("<a{}/>", all.concat())
    };
    let declarations = |count: usize| {
        let all: Vec<_> = (0..count).map(|index| format!(" xmlns:b{index}='urn:x'")).collect();
        format!("<a{}/>", all.concat())
    };
    let tag = |bytes: usize| format!("<a b='{}'/>", "x".repeat(bytes - 9));
    let namespace = |bytes: usize| format!("<a xmlns='{}'/>", "x".repeat(bytes));
    for (largest, more) in [
        (nested(MAX_XML_DEPTH), nested(MAX_XML_DEPTH + 1)),
        (attributes(64), attributes(65)),
        (declarations(64), declarations(65)),
        (tag(16 * 1024), tag(16 * 1024 + 1)),
        (namespace(2 * 1024), namespace(2 * 1024 + 1)),
    ] {
        assert!(one(&largest, "/z").is_ok());
        assert!(matches!(one(&more, "/z"), Err(XmlFault::Unreadable(_))));
    }
    // Declarations end with their element.
    let many: String = (0..200).map(|_| "<b xmlns='urn:x'/>").collect();
    assert!(one(&format!("<a>{many}</a>"), "/z").is_ok());
}

#[test]
fn names_are_told_apart_by_their_whole_namespace() {
    let long = "u".repeat(2000);
    for (body, same) in [
        (format!("<a p:b='' q:b='' xmlns:p='{long}1' xmlns:q='{long}2'/>"), false),
        (format!("<a p:b='' q:b='' xmlns:p='{long}1' xmlns:q='{long}1'/>"), true),
        (format!("<a p:b='' q:b='' xmlns:p='{long}&#49;' xmlns:q='{long}1'/>"), true),
        // Declared anew inside, with what it meant outside or with something else.
        ("<a xmlns:p='urn:1'><c xmlns:p='urn:2' xmlns:q='urn:1' p:b='' q:b=''/></a>".into(), false),
        ("<a xmlns:p='urn:1'><c xmlns:p='urn:1' xmlns:q='urn:1' p:b='' q:b=''/></a>".into(), true),
        ("<a xmlns='urn:1' xmlns:p='urn:1' b='' p:b=''/>".into(), false),
        // Declared once each, in elements that follow one another.
        ("<a><c xmlns:p='urn:1' p:b=''/><c xmlns:p='urn:2' p:b=''/></a>".into(), false),
    ] {
        let outcome = one(&body, "/z");
        assert_eq!(
            outcome == Err(XmlFault::Unreadable("an attribute occurs twice")),
            same,
            "{body}"
        );
        assert!(same || outcome.is_ok(), "{body}: {outcome:?}");
    }
}

#[test]
fn a_flood_on_one_tag_costs_no_more_than_reading_it() {
    for (part, count) in [(" a{}=''", 80_000), (" xmlns:p{}='urn:x'", 100_000)] {
        let all: String = (0..count).map(|index| part.replace("{}", &index.to_string())).collect();
        assert!(matches!(one(&format!("<a{all}/>"), "/a"), Err(XmlFault::Unreadable(_))));
    }
    let deep = "<a>".repeat(300_000);
    assert!(matches!(one(&deep, "/a"), Err(XmlFault::Unreadable(_))));
}

proptest! {
    #[test]
    fn no_text_panics_and_a_value_stands_in_the_document(
        body in "(<a>|<b>|</a>|</b>|<b/>|x|&amp;|&#65;|<!-- -->| xmlns='urn:p'|<!\\[CDATA\\[|\\]\\]>|<|>|'|=){0,12}"
    ) {
        if let Ok(found) = one(&format!("<a>{body}</a>"), "/a/b") {
            for value in found.values {
                if let XmlValue::Text(text) = value {
                    prop_assert!(text.is_empty() || body.contains(text.chars().next().unwrap())
                        || text.contains(['A', '&']));
                }
            }
        }
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = scan(&body, &[XmlPath::parse("/a/@b").unwrap().expand(&[])], 2);
    }

    #[test]
    fn escaped_text_comes_back(text in "[ -~æøå\u{1F600}]{0,20}") {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
            .replace('\'', "&#39;");
        prop_assert_eq!(one(&format!("<a><b>{escaped}</b></a>"), "/a/b").unwrap().values,
            vec![XmlValue::Text(text.clone())]);
        let attribute = one(&format!("<a b='{escaped}'/>"), "/a/@b").unwrap();
        prop_assert_eq!(attribute.values, vec![XmlValue::Text(text)]);
    }

    #[test]
    fn cutting_a_document_short_never_makes_another(cut in 1usize..40) {
        let body = "<a xmlns:p='urn:p'><b c='x'>&amp;y</b></a>";
        prop_assert!(one(body.get(..cut).unwrap(), "/a/b").is_err());
    }
}
