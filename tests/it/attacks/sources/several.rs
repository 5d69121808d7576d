//! Case 38: several parties in one request.

use super::{DENIED_ACCESS, INVALID, MISSING, RULES, posted, typed};
use crate::attacks::{AMBIGUOUS_PARAMETER, Ground, Want, case};

const TOO_MANY: Want = Want::Refused(400, "too-many-parties");

#[tokio::test]
async fn several_parties_are_all_permitted_or_none() {
    let sent = |body: &str| typed("/v1/list", "application/json").body(body.as_bytes()).bytes();
    let arrives = |body: &str| posted("list", "/v1/list", "application/json", body);
    let mut cases = Vec::new();
    for body in [
        r#"{"orgs":["312714051"]}"#,
        r#"{"orgs":["312714051","312714051"]}"#,
        r#"{"orgs":["312714051","0192:312714051",312714051]}"#,
        r#"{"orgs":"312714051"}"#,
    ] {
        cases.push(case(38, format!("`{body}`"), sent(body), arrives(body)));
    }
    for (body, want) in [
        (r#"{"orgs":["312714051","315556155"]}"#, DENIED_ACCESS),
        (r#"{"orgs":["315556155","312714051"]}"#, DENIED_ACCESS),
        (r#"{"orgs":["312714051","312714051","315556155"]}"#, DENIED_ACCESS),
        (r#"{"orgs":["312714051","315556155","314242726","314330897"]}"#, TOO_MANY),
        (r#"{"orgs":["312714051","312714051","312714051","312714051"]}"#, TOO_MANY),
        (r#"{"orgs":["312714051","x"]}"#, INVALID),
        (r#"{"orgs":["312714051",null]}"#, INVALID),
        (r#"{"orgs":["312714051",["315556155"]]}"#, INVALID),
        (r#"{"orgs":["312714051",{"orgnr":"315556155"}]}"#, INVALID),
        (r#"{"orgs":["312714051","312714051,315556155"]}"#, AMBIGUOUS_PARAMETER),
        (r#"{"orgs":["312714051",""]}"#, MISSING),
        (r#"{"orgs":[]}"#, MISSING),
        ("{}", MISSING),
        (r#"{"orgs":["312714051"],"orgs":["315556155"]}"#, AMBIGUOUS_PARAMETER),
        (r#"{"orgs":["312714051"],"ORGS":["315556155"]}"#, AMBIGUOUS_PARAMETER),
    ] {
        cases.push(case(38, format!("`{body}`"), sent(body), want));
    }
    Ground::new(RULES, "").await.play(cases).await;
}

/// Case 38: of a list of objects, each has what is read.
#[tokio::test]
async fn each_of_several_objects_has_its_party() {
    let rules = r#"
  - id: items
    match: { method: POST, path: /v1/items }
    resource: r-read
    action: read
    party: { from: "json:/items/*/orgnr", many: all, max: 3 }
    scopes: ["it:read"]
"#;
    let sent = |body: &str| typed("/v1/items", "application/json").body(body.as_bytes()).bytes();
    let arrives = |body: &str| posted("items", "/v1/items", "application/json", body);
    let mut cases = Vec::new();
    for body in [
        r#"{"items":[{"orgnr":"312714051"}]}"#,
        r#"{"items":[{"orgnr":"312714051","x":[1]},{"y":{},"orgnr":312714051}]}"#,
    ] {
        cases.push(case(38, format!("`{body}`"), sent(body), arrives(body)));
    }
    for (body, want) in [
        (r#"{"items":[{"orgnr":"312714051"},{"orgnr":"315556155"}]}"#, DENIED_ACCESS),
        (r#"{"items":[{"orgnr":"312714051"},{}]}"#, MISSING),
        (r#"{"items":[{"orgnr":"312714051"},{"orgnr":""}]}"#, MISSING),
        (r#"{"items":[]}"#, MISSING),
        (r#"{"items":[{"orgnr":"312714051"},{"orgnr":["315556155"]}]}"#, INVALID),
        (r#"{"items":[{"orgnr":"312714051"},{"orgnr":null}]}"#, INVALID),
        (r#"{"items":[{"orgnr":"312714051","orgnr":"315556155"}]}"#, AMBIGUOUS_PARAMETER),
        (r#"{"items":[{"orgnr":"312714051","Orgnr":"315556155"}]}"#, AMBIGUOUS_PARAMETER),
        (r#"{"items":[{"orgnr":"312714051"}],"items":[]}"#, AMBIGUOUS_PARAMETER),
        (r#"{"items":[{"orgnr":"312714051"}],"\u0069tems":[]}"#, AMBIGUOUS_PARAMETER),
        (
            r#"{"items":[{"orgnr":"312714051"},{"orgnr":"312714051"},{"orgnr":"312714051"},{"orgnr":"315556155"}]}"#,
            TOO_MANY,
        ),
    ] {
        cases.push(case(38, format!("`{body}`"), sent(body), want));
    }
    Ground::new(rules, "").await.play(cases).await;
}
