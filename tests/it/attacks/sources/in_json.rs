//! Cases 31, 32 and 36: what is read as JSON, and what is sent of it.

use super::{
    GOOD, INVALID, MISSING, RULES, TOO_LARGE, UNREADABLE, json, json_arrives, posted, typed,
};
use crate::attacks::{AMBIGUOUS_PARAMETER, Case, Ground, Want, case};
use crate::support::WRITE;

/// A refusal, in which the body may have been left unread.
fn rows<'a>(number: u8, want: &Want, bodies: impl IntoIterator<Item = &'a str>) -> Vec<Case> {
    let row = |body| case(number, format!("`{body}`"), json(body), want.clone());
    bodies.into_iter().map(row).collect()
}

#[tokio::test]
async fn a_member_of_json_stands_there_once() {
    let mut cases = rows(
        31,
        &AMBIGUOUS_PARAMETER,
        [
            r#"{"orgnr":"312714051","orgnr":"315556155"}"#,
            r#"{"orgnr":"315556155","orgnr":"312714051"}"#,
            r#"{"orgnr":"312714051","orgnr":"312714051"}"#,
            r#"{"orgnr":"312714051","orgnr":null}"#,
            r#"{"orgnr":"312714051","\u006frgnr":"315556155"}"#,
            r#"{"\u006frgnr":"315556155","orgnr":"312714051"}"#,
            r#"{"\u006Frgnr":"312714051","orgn\u0072":"315556155"}"#,
            r#"{"orgnr":"312714051","ORGNR":"315556155"}"#,
            r#"{"Orgnr":"315556155","orgnr":"312714051"}"#,
            r#"{"ORGNR":"312714051"}"#,
            r#"{"orgnr":"312714051","\u004frgnr":"315556155"}"#,
        ],
    );
    let deep = |body: &str| typed("/v1/deep", "application/json").body(body.as_bytes()).bytes();
    for body in [
        r#"{"a":{"b/c":{"orgnr":"312714051"}},"a":{}}"#,
        r#"{"a":{},"a":{"b/c":{"orgnr":"312714051"}}}"#,
        r#"{"a":{"b/c":{"orgnr":"312714051"}},"A":{"b/c":{"orgnr":"315556155"}}}"#,
        r#"{"a":{"b/c":{"orgnr":"312714051"},"b/c":{"orgnr":"315556155"}}}"#,
        r#"{"a":{"b/c":{"orgnr":"312714051"},"b\/c":{"orgnr":"315556155"}}}"#,
        r#"{"a":{"b/c":{"orgnr":"312714051"},"\u0062/c":1}}"#,
        r#"{"a":{"b/c":{"orgnr":"312714051","OrgNr":"315556155"}}}"#,
    ] {
        cases.push(case(31, format!("`{body}`"), deep(body), AMBIGUOUS_PARAMETER));
    }
    let sound =
        r#"{"a":{"b/c":{"orgnr":"312714051"}},"b/c":{"orgnr":"x"},"orgnr":1,"x":{"a":1,"a":2}}"#;
    cases.push(case(
        31,
        "elsewhere",
        deep(sound),
        posted("deep", "/v1/deep", "application/json", sound),
    ));
    for body in [
        GOOD,
        r#"{"x":{"orgnr":"315556155"},"orgnr":"312714051"}"#,
        r#"{"orgnr\u0000":"315556155","orgnr":"312714051"}"#,
        r#"{"orgnr ":"315556155","orgnr":"312714051"}"#,
        r#"{"\u006frgnr":"312714051"}"#,
        r#"{"orgnr":"\u0033\u0031\u0032714051"}"#,
        r#"{"x":1,"x":2,"orgnr":"312714051"}"#,
    ] {
        cases.push(case(31, format!("`{body}`"), json(body), json_arrives(body)));
    }
    Ground::new(RULES, "").await.play(cases).await;
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[tokio::test]
async fn json_that_two_readers_read_differently_is_refused() {
    let deep =
        format!(r#"{{"orgnr":"312714051","x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let shallow =
        format!(r#"{{"orgnr":"312714051","x":{}{}}}"#, "[".repeat(1500), "]".repeat(1500));
    let mut cases = rows(
        32,
        &UNREADABLE,
        [
            "",
            " ",
            "orgnr=312714051",
            r#"{"orgnr":"312714051"}{"orgnr":"315556155"}"#,
            r#"{"orgnr":"312714051"} x"#,
            r#"{"orgnr":"312714051"},"#,
            r#"{"orgnr":"312714051"}//"#,
            r#"/* */{"orgnr":"312714051"}"#,
            r#"{"orgnr":"312714051"/*,"orgnr":"315556155"*/}"#,
            "{\"orgnr\":\"312714051\" # x\n}",
            r#"{"orgnr":"312714051",}"#,
            r#"{,"orgnr":"312714051"}"#,
            r#"{orgnr:"312714051"}"#,
            "{'orgnr':'312714051'}",
            r#"{"orgnr":"312714051""#,
            r#"{"orgnr":"312714051","x":NaN}"#,
            r#"{"orgnr":"312714051","x":Infinity}"#,
            r#"{"orgnr":"312714051","x":01}"#,
            r#"{"orgnr":"312714051","x":+1}"#,
            r#"{"orgnr":"312714051","x":1.}"#,
            r#"{"orgnr":"312714051","x":.5}"#,
            r#"{"orgnr":"312714051","x":0x1}"#,
            r#"{"orgnr":0312714051}"#,
            r#"{"orgnr":"312714051","x":True}"#,
            r#"{"orgnr":"312714051","x":undefined}"#,
            r#"{"orgnr":"312714051","x":"\x41"}"#,
            r#"{"orgnr":"312714051","x":"\u12"}"#,
            r#"{"orgnr":"312714051","x":"\ud800"}"#,
            "{\"orgnr\":\"312714051\",\"x\":\"\u{1}\"}",
            "{\"orgnr\":\"312714051\",\"x\":\"a\nb\"}",
            "{\"orgnr\":\"312714051\"}\0",
            "\u{feff}{\"orgnr\":\"312714051\"}",
            "{\u{a0}\"orgnr\":\"312714051\"}",
            "{\u{b}\"orgnr\":\"312714051\"}",
            "\u{1e}{\"orgnr\":\"312714051\"}",
            ")]}',\n{\"orgnr\":\"312714051\"}",
            shallow.as_str(),
        ],
    );
    cases.push(case(32, "ten thousand deep", json(deep), TOO_LARGE));
    let wide =
        |encode: fn(u16) -> [u8; 2]| GOOD.encode_utf16().flat_map(encode).collect::<Vec<_>>();
    cases.extend([
        case(32, "UTF-16, low end first", json(wide(u16::to_le_bytes)), UNREADABLE),
        case(32, "UTF-16, high end first", json(wide(u16::to_be_bytes)), UNREADABLE),
        case(32, "Latin-1", json(b"{\"orgnr\":\"312714051\",\"x\":\"\xe6\"}"), UNREADABLE),
        case(
            32,
            "overlong UTF-8",
            json(b"{\"orgnr\":\"312714051\",\"x\":\"\xc0\xaf\"}"),
            UNREADABLE,
        ),
        case(
            32,
            "a surrogate in UTF-8",
            json(b"{\"orgnr\":\"312714051\",\"x\":\"\xed\xa0\x80\"}"),
            UNREADABLE,
        ),
    ]);
    cases.extend(rows(
        32,
        &INVALID,
        [
            r#"{"orgnr":["312714051"]}"#,
            r#"{"orgnr":[]}"#,
            r#"{"orgnr":{"orgnr":"312714051"}}"#,
            r#"{"orgnr":null}"#,
            r#"{"orgnr":true}"#,
            r#"{"orgnr":312714051.0}"#,
            r#"{"orgnr":3.12714051e8}"#,
            r#"{"orgnr":312714051e0}"#,
            r#"{"orgnr":-312714051}"#,
            r#"{"orgnr":"312714051\u0000"}"#,
            r#"{"orgnr":" 312714051"}"#,
            r#"{"orgnr":"312714051\n"}"#,
        ],
    ));
    cases.extend(rows(
        32,
        &MISSING,
        [
            "{}",
            "[]",
            r#""312714051""#,
            "312714051",
            "null",
            r#"{"orgnr":""}"#,
            r#"[{"orgnr":"312714051"}]"#,
            r#"{"x":{"orgnr":"312714051"}}"#,
        ],
    ));
    for body in [
        r#"{"orgnr":312714051}"#,
        "\r\n\t {  \"x\" : 1.0e0, \"orgnr\":\t\"312714051\" , \"\\u0061\":[ ] } \r\n\t ",
        "{\"orgnr\":\"0192:312714051\",\"\u{e6}\":\"\\ud83d\\ude00 \u{1f600}\"}\n\n",
    ] {
        cases.push(case(36, format!("`{body}`"), json(body), json_arrives(body)));
        let chunked = typed(WRITE, "application/json").chunked(body.as_bytes(), "");
        cases.push(case(36, format!("`{body}` in chunks"), chunked.bytes(), json_arrives(body)));
    }
    Ground::new(RULES, "").await.play(cases).await;
}
