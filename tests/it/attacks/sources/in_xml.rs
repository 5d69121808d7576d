//! Case 37: what is read as XML.

use super::{DENIED_ACCESS, GOOD, INVALID, MISSING, UNREADABLE, UNSUPPORTED, posted, typed};
use crate::attacks::{AMBIGUOUS_PARAMETER, Ground, case};

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[tokio::test]
async fn an_element_of_xml_stands_there_once() {
    let rules = r#"
  - id: xml
    match: { method: POST, path: /v1/xml }
    resource: r-read
    action: read
    party: xml:/m:Report/m:Orgnr
    namespaces: { m: "urn:m" }
    scopes: ["it:read"]
"#;
    let sent = |body: &str| typed("/v1/xml", "application/xml").body(body.as_bytes()).bytes();
    let arrives = |body: &str| posted("xml", "/v1/xml", "application/xml", body);
    let mut cases = Vec::new();
    for body in [
        r#"<m:Report xmlns:m="urn:m"><m:Orgnr>312714051</m:Orgnr></m:Report>"#,
        r#"<Report xmlns="urn:m"><Orgnr>312714051</Orgnr></Report>"#,
        r#"<x:Report xmlns:x="urn:m"><y:Orgnr xmlns:y="urn:m">312714051</y:Orgnr></x:Report>"#,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Report xmlns='urn:m'>\n <Orgnr >&#51;12714051</Orgnr>\n</Report>\n",
        r#"<Report xmlns="urn:m"><Orgnr>312714051</Orgnr><Other><Orgnr>315556155</Orgnr></Other></Report>"#,
    ] {
        cases.push(case(37, format!("`{body}`"), sent(body), arrives(body)));
    }
    let inside = |inner: &str| format!(r#"<Report xmlns="urn:m">{inner}</Report>"#);
    let many = |attribute: fn(usize) -> String, count: usize| {
        let all: Vec<String> = (0..count).map(attribute).collect();
        inside(&format!("<Orgnr>312714051</Orgnr><a {}/>", all.join(" ")))
    };
    for (body, want) in [
        (inside("<Orgnr>312714051</Orgnr><Orgnr>315556155</Orgnr>"), AMBIGUOUS_PARAMETER),
        (inside("<Orgnr>312714051</Orgnr><Orgnr>312714051</Orgnr>"), AMBIGUOUS_PARAMETER),
        (
            inside("<Orgnr>312714051</Orgnr><x:Orgnr xmlns:x='urn:m'>315556155</x:Orgnr>"),
            AMBIGUOUS_PARAMETER,
        ),
        (inside("<Orgnr>312714051</Orgnr><ORGNR>315556155</ORGNR>"), AMBIGUOUS_PARAMETER),
        (
            inside("<Orgnr>312714051</Orgnr><Orgnr xmlns='urn:other'>315556155</Orgnr>"),
            AMBIGUOUS_PARAMETER,
        ),
        (inside("<Orgnr>312714051<!-- x --></Orgnr>"), AMBIGUOUS_PARAMETER),
        (inside("<Orgnr>3127<!-- x -->14051</Orgnr>"), AMBIGUOUS_PARAMETER),
        (inside("<Orgnr><![CDATA[312714051]]></Orgnr>"), AMBIGUOUS_PARAMETER),
        (inside("<Orgnr>312714051<![CDATA[]]></Orgnr>"), AMBIGUOUS_PARAMETER),
        (inside("<Orgnr/>"), MISSING),
        (inside("<Orgnr></Orgnr>"), MISSING),
        (inside(""), MISSING),
        (inside("<Orgnr><x>312714051</x></Orgnr>"), INVALID),
        (inside("<Orgnr>312714051<x/></Orgnr>"), INVALID),
        (inside("<Orgnr>315556155</Orgnr>"), DENIED_ACCESS),
        ("<Report><Orgnr>312714051</Orgnr></Report>".to_owned(), AMBIGUOUS_PARAMETER),
        (
            r#"<m:Report xmlns:m="urn:other"><m:Orgnr>312714051</m:Orgnr></m:Report>"#.to_owned(),
            AMBIGUOUS_PARAMETER,
        ),
        ("<m:Report><m:Orgnr>312714051</m:Orgnr></m:Report>".to_owned(), UNREADABLE),
        (r#"<Other xmlns="urn:m"><Orgnr>312714051</Orgnr></Other>"#.to_owned(), MISSING),
        (format!("<!DOCTYPE Report>{}", inside("<Orgnr>312714051</Orgnr>")), UNREADABLE),
        (
            format!(
                "<!DOCTYPE Report [<!ENTITY a \"312714051\">]>{}",
                inside("<Orgnr>&a;</Orgnr>")
            ),
            UNREADABLE,
        ),
        (
            format!(
                "<!DOCTYPE r SYSTEM \"file:///etc/passwd\">{}",
                inside("<Orgnr>312714051</Orgnr>")
            ),
            UNREADABLE,
        ),
        (format!("<!doctype Report>{}", inside("<Orgnr>312714051</Orgnr>")), UNREADABLE),
        (inside("<Orgnr>&a;</Orgnr>"), UNREADABLE),
        (inside("<Orgnr>312714051</Orgnr>&a;"), UNREADABLE),
        (
            inside(
                "<Orgnr>312714051</Orgnr><xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='x'/>",
            ),
            UNREADABLE,
        ),
        (
            format!("<?xml-stylesheet href=\"x\"?>{}", inside("<Orgnr>312714051</Orgnr>")),
            UNREADABLE,
        ),
        (format!("<?xml version=\"1.1\"?>{}", inside("<Orgnr>312714051</Orgnr>")), UNREADABLE),
        (
            format!(
                "<?xml version=\"1.0\" encoding=\"utf-7\"?>{}",
                inside("<Orgnr>312714051</Orgnr>")
            ),
            UNREADABLE,
        ),
        (format!(" <?xml version=\"1.0\"?>{}", inside("<Orgnr>312714051</Orgnr>")), UNREADABLE),
        (inside("<Orgnr>312714051</Orgnr>").repeat(2), UNREADABLE),
        (inside("<Orgnr>312714051</Orgnr>") + "x", UNREADABLE),
        (inside("<Orgnr>312714051</ORGNR>"), UNREADABLE),
        (inside("<Orgnr>312714051"), UNREADABLE),
        (inside("<Orgnr a='1' a='2'>312714051</Orgnr>"), UNREADABLE),
        (inside("<Orgnr>312714051</Orgnr><a>]]></a>"), UNREADABLE),
        (inside("<Orgnr>312714051\0</Orgnr>"), UNREADABLE),
        (inside("<Orgnr>312714051</Orgnr>&#0;"), UNREADABLE),
        (
            inside(&format!(
                "<Orgnr>312714051</Orgnr>{}{}",
                "<a>".repeat(1000),
                "</a>".repeat(1000)
            )),
            UNREADABLE,
        ),
        (many(|at| format!("a{at}='1'"), 80_000), UNREADABLE),
        (many(|at| format!("xmlns:a{at}='urn:{at}'"), 40_000), UNREADABLE),
        (String::new(), UNREADABLE),
        (GOOD.to_owned(), UNREADABLE),
    ] {
        let name: String = body.chars().take(160).collect();
        cases.push(case(37, format!("`{name}`"), sent(&body), want));
    }
    let wide: Vec<u8> =
        inside("<Orgnr>312714051</Orgnr>").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let typed_as = |media_type: &str| {
        typed("/v1/xml", media_type).body(inside("<Orgnr>312714051</Orgnr>").as_bytes()).bytes()
    };
    cases.extend([
        case(37, "UTF-16", typed("/v1/xml", "application/xml").body(&wide).bytes(), UNREADABLE),
        case(33, "JSON where XML is read", typed_as("application/json"), UNSUPPORTED),
        case(33, "XML in UTF-16", typed_as("application/xml; charset=utf-16"), UNSUPPORTED),
    ]);
    Ground::new(rules, "").await.play(cases).await;
}
