use super::super::json::{Found, JsonFault, MAX_JSON_DEPTH, Scalar, scan};
use super::super::pointer::Pointer;
use proptest::prelude::*;

fn one<'b>(body: &'b str, pointer: &str) -> Result<Option<Found<'b>>, JsonFault> {
    let pointers = [Pointer::parse(pointer).unwrap()];
    scan(body.as_bytes(), &pointers, 3).map(|mut found| found.remove(0))
}

fn text(value: &str) -> Found<'_> {
    Found::Value(Scalar::Text(value.into()))
}

const AMBIGUOUS: JsonFault = JsonFault::Ambiguous(0);

#[test]
fn values_are_found_at_their_pointers() {
    for (body, pointer, expected) in [
        (r#"{"a":"x"}"#, "/a", Some(text("x"))),
        (" {\n\"a\" :\t\"x\" } \r\n", "/a", Some(text("x"))),
        (r#"{"a":{"b":["y",{"c":"z"}]}}"#, "/a/b/1/c", Some(text("z"))),
        (r#"{"a":["x"]}"#, "/a/00", None),
        (r#"{"a":["x"]}"#, "/a/+0", None),
        (r#"{"a":{"0":"x"}}"#, "/a/0", Some(text("x"))),
        (r#"{"a/b":{"~":"x"}}"#, "/a~1b/~0", Some(text("x"))),
        (r#"{"":"x"}"#, "/", Some(text("x"))),
        (r#"{"\u0061":"\ud83d\ude00\n\/\u00e6"}"#, "/a", Some(text("😀\n/æ"))),
        (r#"{"b":1}"#, "/a", None),
        (r#"["x"]"#, "/a", None),
        (r#""x""#, "/a", None),
        (r#"{"a":910459880}"#, "/a", Some(Found::Value(Scalar::Integer("910459880")))),
        (r#"{"a":-0}"#, "/a", Some(Found::Value(Scalar::Unfit))),
        (r#"{"a":-7}"#, "/a", Some(Found::Value(Scalar::Integer("-7")))),
        (
            r#"{"a":9007199254740991}"#,
            "/a",
            Some(Found::Value(Scalar::Integer("9007199254740991"))),
        ),
        (r#"{"a":9007199254740992}"#, "/a", Some(Found::Value(Scalar::Unfit))),
        (r#"{"a":99999999999999999999999}"#, "/a", Some(Found::Value(Scalar::Unfit))),
        (r#"{"a":9.0}"#, "/a", Some(Found::Value(Scalar::Unfit))),
        (r#"{"a":9e8}"#, "/a", Some(Found::Value(Scalar::Unfit))),
        (r#"{"a":null}"#, "/a", Some(Found::Value(Scalar::Unfit))),
        (r#"{"a":true}"#, "/a", Some(Found::Value(Scalar::Unfit))),
        (r#"{"a":{"b":1}}"#, "/a", Some(Found::Value(Scalar::Unfit))),
        (
            r#"{"a":[1,"x",[],2]}"#,
            "/a",
            Some(Found::Array(vec![Scalar::Integer("1"), Scalar::Text("x".into()), Scalar::Unfit])),
        ),
    ] {
        assert_eq!(one(body, pointer), Ok(expected), "{body} {pointer}");
    }
}

#[test]
fn a_second_reading_of_the_way_is_ambiguous_and_elsewhere_it_is_not_ours() {
    for (body, pointer, ambiguous) in [
        (r#"{"a":"x","a":"x"}"#, "/a", true),
        (r#"{"a":"x","\u0061":"y"}"#, "/a", true),
        (r#"{"a":"x","A":"y"}"#, "/a", true),
        (r#"{"A":"y"}"#, "/a", true),
        (r#"{"p":{"a":1},"p":{"b":1}}"#, "/p/a", true),
        (r#"{"p":{"a":1},"P":{}}"#, "/p/a", true),
        (r#"{"p":{"b":1,"b":2,"a":"x"},"q":1,"q":2}"#, "/p/a", false),
        (r#"{"p":[{"a":1,"a":2},{"a":"x"}]}"#, "/p/1/a", false),
        (r#"{"q":{"a":1,"A":2},"a":"x"}"#, "/a", false),
    ] {
        assert_eq!(one(body, pointer) == Err(AMBIGUOUS), ambiguous, "{body} {pointer}");
        assert!(ambiguous || one(body, pointer).unwrap().is_some(), "{body} {pointer}");
    }
}

#[test]
fn a_star_finds_what_every_element_has_and_what_one_lacks() {
    let each = |elements: &[&'static str]| {
        let scalar = |text: &&'static str| match *text {
            "!" => Scalar::Unfit,
            "?" => Scalar::Missing,
            text => Scalar::Text(text.into()),
        };
        Some(Found::Each(elements.iter().map(scalar).collect()))
    };
    for (body, pointer, expected) in [
        (r#"{"a":["x","y"]}"#, "/a/*", each(&["x", "y"])),
        (r#"["x","y"]"#, "/*", each(&["x", "y"])),
        (r#"{"a":[{"b":"x"},{"c":1,"b":"y"}]}"#, "/a/*/b", each(&["x", "y"])),
        (r#"{"a":[{"b":"x"},{"c":1}]}"#, "/a/*/b", each(&["x", "?"])),
        (r#"{"a":[{"b":"x"},"y",[],null,7]}"#, "/a/*/b", each(&["x", "?", "?"])),
        (r#"{"a":["x",null,{},[]]}"#, "/a/*", each(&["x", "!", "!"])),
        (r#"{"a":[]}"#, "/a/*/b", each(&["?"])),
        (r#"{"a":{}}"#, "/a/*/b", each(&["!"])),
        (r#"{"a":{"0":{"b":"x"},"*":{"b":"x"}}}"#, "/a/*/b", each(&["!"])),
        (r#"{"a":null}"#, "/a/*", each(&["!"])),
        (r#"{"a":"x"}"#, "/a/*", each(&["!"])),
        (r#"{"b":1}"#, "/a/*", None),
        (
            r#"{"a":[{"b":[{"c":"x"},{"c":"y"}]},{"b":[{"c":"z"}]}]}"#,
            "/a/*/b/*/c",
            each(&["x", "y", "z"]),
        ),
        (r#"{"a":[{"b":[{"c":"x"}]},{"b":[]}]}"#, "/a/*/b/*/c", each(&["x", "?"])),
        (r#"{"a":[{"b":[{"c":"x"}]},{}]}"#, "/a/*/b/*/c", each(&["x", "?"])),
        (r#"{"a":[["x"],["y","w"],["z"]]}"#, "/a/*/*", each(&["x", "y", "w"])),
        (r#"{"a":[["x","y"],["z"]]}"#, "/a/*/1", each(&["y", "?"])),
        (r#"{"a":["1","2","3","4","5"]}"#, "/a/*", each(&["1", "2", "3"])),
    ] {
        assert_eq!(one(body, pointer), Ok(expected), "{body} {pointer}");
    }
    for body in [
        r#"{"a":[{"b":"x"},{"b":"y","b":"z"}]}"#,
        r#"{"a":[{"b":"x"},{"b":"y","B":"z"}]}"#,
        r#"{"a":[{"B":"x"}]}"#,
        r#"{"a":[{"b":"x"}],"\u0061":[]}"#,
    ] {
        assert_eq!(one(body, "/a/*/b"), Err(AMBIGUOUS), "{body}");
    }
}

#[test]
fn what_is_not_json_is_unreadable_wherever_it_stands() {
    for body in [
        "",
        " ",
        "{",
        "{}{}",
        "{} x",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "// c\n{}",
        "{}/**/",
        "NaN",
        "{\"a\":Infinity}",
        "\u{FEFF}{}",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "tru",
        "truex",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"a\nb\"",
        "\"a",
        "[1 2]",
        "{\"a\" 1}",
        "{\"a\":}",
        "\u{b}{}",
        "[",
        "]",
        "nul",
    ] {
        assert!(matches!(one(body, "/a"), Err(JsonFault::Unreadable(_))), "{body:?}");
    }
    assert!(matches!(scan(b"{\"a\":\"\xff\"}", &[], 1), Err(JsonFault::Unreadable(_))));
    assert!(matches!(scan(b"{\0}", &[], 1), Err(JsonFault::Unreadable(_))));
}

#[test]
fn the_deepest_allowed_document_passes_and_one_level_more_does_not() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(scan(nested(MAX_JSON_DEPTH).as_bytes(), &[], 1).is_ok());
    assert!(scan(nested(MAX_JSON_DEPTH + 1).as_bytes(), &[], 1).is_err());
    assert!(scan("[".repeat(100_000).as_bytes(), &[], 1).is_err());
}

#[test]
fn several_pointers_are_found_in_one_pass() {
    let pointers = ["/a", "/b/0", "/b", "/c"].map(|text| Pointer::parse(text).unwrap());
    let found = scan(br#"{"b":["x"],"a":1}"#, &pointers, 9).unwrap();
    assert_eq!(found[0], Some(Found::Value(Scalar::Integer("1"))));
    assert_eq!(found[1], Some(Found::Value(Scalar::Text("x".into()))));
    assert_eq!(found[2], Some(Found::Array(vec![Scalar::Text("x".into())])));
    assert_eq!(found[3], None);
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn every_document_serde_json_writes_is_read_and_its_strings_agree(value in json()) {
        let body = serde_json::to_string(&value).unwrap();
        let found = one(&body, "/a").unwrap();
        match value.pointer("/a") {
            Some(serde_json::Value::String(text)) => prop_assert_eq!(
                found, Some(Found::Value(Scalar::Text(text.as_str().into())))),
            other => prop_assert_eq!(found.is_some(), other.is_some()),
        }
    }

    #[test]
    fn validity_is_judged_as_serde_json_judges_it(
        body in r#"[\[\]{}:,"\\ abu0-9.eE+-]{0,24}|(\{"a":|\[|"|-?[0-9.e]{1,6}|true|\}|\]|,|\\u[0-9a-d]{4}){0,10}"#
    ) {
        let ours = scan(body.as_bytes(), &[], 1);
        match serde_json::from_str::<serde_json::Value>(&body) {
            Ok(_) => prop_assert!(ours.is_ok(), "{body}"),
            // It cannot hold every number that JSON can write.
            Err(fault) if fault.to_string().contains("out of range") => {}
            Err(_) => prop_assert!(ours.is_err(), "{body}"),
        }
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = scan(&body, &[Pointer::parse("/a").unwrap()], 2);
    }

    #[test]
    fn cutting_a_document_short_never_makes_another(value in json(), cut in any::<prop::sample::Index>()) {
        let body = serde_json::to_vec(&serde_json::json!([value])).unwrap();
        let cut = cut.index(body.len());
        prop_assert!(scan(&body[..cut], &[], 1).is_err());
    }
}
