//! Cases 33 to 35: of which kind and size a body may be that a rule reads.

use super::{
    DENIED_ACCESS, GOOD, RULES, TOO_LARGE, UNREADABLE, UNSUPPORTED, json, json_arrives, posted,
    typed,
};
use crate::attacks::{Ground, Want, case};
use crate::support::{WRITE, ask};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

#[tokio::test]
async fn a_body_is_of_the_kind_that_the_rule_reads() {
    let of = |media_type: &str| typed(WRITE, media_type).body(GOOD.as_bytes()).bytes();
    let mut cases = vec![case(
        33,
        "none",
        ask("POST", WRITE).bearer().body(GOOD.as_bytes()).bytes(),
        UNSUPPORTED,
    )];
    for media_type in [
        "",
        "text/plain",
        "text/html",
        "application/xml",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/mixed; boundary=x",
        "multipart/related; type=\"application/json\"; boundary=x",
        "*/*",
        "json",
        "application/jsonp",
        "application/json-patch",
        "application/x-json",
        "application/json5",
        "application/json+xml",
        "application/",
        "/json",
        "application/json/x",
        "application json",
        "application/json, text/plain",
        "text/plain, application/json",
        "application/json; charset=utf-16",
        "application/json; charset=UTF-16LE",
        "application/json; charset=utf-32",
        "application/json; charset=utf-7",
        "application/json; charset=iso-8859-1",
        "application/json; charset=\"utf-16\"",
        "application/json; charset=utf-8; charset=utf-16",
        "application/json; CharSet=utf-16",
        "application/json; charset=",
        "application/json; charset",
        "application/json; =utf-8",
        "application/json\u{a0}",
    ] {
        cases.push(case(33, format!("`{media_type}`"), of(media_type), UNSUPPORTED));
    }
    let twice = typed(WRITE, "application/json").header("content-type", "text/plain");
    cases.push(case(33, "two lines", twice.body(GOOD.as_bytes()).bytes(), UNSUPPORTED));
    for media_type in [
        "application/json",
        "APPLICATION/JSON",
        "text/json",
        "application/problem+json",
        "application/vnd.x.v1+json",
        "application/json;charset=utf-8",
        "application/json; charset=UTF-8",
        "application/json; charset=\"utf-8\"",
        "application/json ; x=y; charset=utf-8",
    ] {
        let arrives = posted("r2", WRITE, media_type, GOOD);
        cases.push(case(33, format!("`{media_type}`"), of(media_type), arrives));
    }
    for coding in [
        "gzip",
        "GZIP",
        "x-gzip",
        "deflate",
        "br",
        "zstd",
        "compress",
        "identity, gzip",
        "gzip, gzip",
        "",
        "none",
        "aes128gcm",
    ] {
        let asked = typed(WRITE, "application/json").header("Content-Encoding", coding);
        cases.push(case(
            34,
            format!("the coding `{coding}`"),
            asked.body(GOOD.as_bytes()).bytes(),
            UNSUPPORTED,
        ));
    }
    let twice = typed(WRITE, "application/json").header("Content-Encoding", "identity");
    let twice = twice.header("content-encoding", "gzip").body(GOOD.as_bytes());
    cases.push(case(34, "two codings", twice.bytes(), UNSUPPORTED));
    Ground::new(RULES, "").await.play(cases).await;
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Case 34: where the rule allows it, what is judged is decompressed, and what arrives is what was sent.
#[tokio::test]
async fn a_compressed_body_is_judged_within_its_limit_and_sent_as_it_came() {
    let rules = r#"
  - id: gzip
    match: { method: POST, path: /v1/gzip }
    resource: r-read
    action: read
    party: json:/orgnr
    scopes: ["it:read"]
    content_encoding: [gzip]
    max_decompressed: 64KiB
"#;
    let sent = |coding: &str, body: &[u8]| {
        typed("/v1/gzip", "application/json").header("Content-Encoding", coding).body(body).bytes()
    };
    let arrives = |coding: &str, body: &[u8]| {
        posted("gzip", "/v1/gzip", "application/json", body)
            .line(&format!("content-encoding: {coding}"))
    };
    let (good, other) = (gzip(GOOD.as_bytes()), gzip(br#"{"orgnr":"315556155"}"#));
    let padded = |bytes: usize| format!("{GOOD}{}", " ".repeat(bytes - GOOD.len()));
    let (largest, larger) =
        (gzip(padded(64 * 1024).as_bytes()), gzip(padded(64 * 1024 + 1).as_bytes()));
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 100 * 1024, "it must not be refused for its own size");
    let mut lying = bomb.clone();
    let at = lying.len() - 4;
    lying[at..].copy_from_slice(&100_u32.to_le_bytes());
    let mut damaged = good.clone();
    damaged[12] ^= 0x40;
    let too_large = Want::Refused(413, "body-too-large");
    let plain = typed("/v1/gzip", "application/json").body(GOOD.as_bytes());
    let cases = vec![
        case(34, "one member", sent("gzip", &good), arrives("gzip", &good)),
        case(34, "in capitals", sent("GZIP", &good), arrives("GZIP", &good)),
        case(34, "the largest", sent("gzip", &largest), arrives("gzip", &largest)),
        case(34, "plain", plain.bytes(), posted("gzip", "/v1/gzip", "application/json", GOOD)),
        case(34, "of another party", sent("gzip", &other), DENIED_ACCESS),
        case(34, "one byte more", sent("gzip", &larger), too_large.clone()),
        case(34, "a bomb", sent("gzip", &bomb), too_large),
        case(34, "a bomb that lies of its length", sent("gzip", &lying), UNREADABLE),
        case(34, "two members", sent("gzip", &[good.clone(), other.clone()].concat()), UNREADABLE),
        case(
            34,
            "two members, the first empty",
            sent("gzip", &[gzip(b""), good.clone()].concat()),
            UNREADABLE,
        ),
        case(34, "bytes behind it", sent("gzip", &[good.as_slice(), b"\0"].concat()), UNREADABLE),
        case(34, "cut short", sent("gzip", &good[..good.len() - 1]), UNREADABLE),
        case(34, "damaged", sent("gzip", &damaged), UNREADABLE),
        case(34, "compressed twice", sent("gzip", &gzip(&good)), UNREADABLE),
        case(34, "not compressed", sent("gzip", GOOD.as_bytes()), UNREADABLE),
        case(34, "empty", sent("gzip", b""), UNREADABLE),
        case(34, "twice in the list", sent("gzip, gzip", &gzip(&good)), UNSUPPORTED),
        case(34, "deflate", sent("deflate", &good), UNSUPPORTED),
        case(34, "x-gzip", sent("x-gzip", &good), UNSUPPORTED),
        case(34, "said to be plain", sent("identity", &good), UNREADABLE),
    ];
    Ground::new(rules, "").await.play(cases).await;
}

#[tokio::test]
async fn a_body_past_its_limit_never_arrives() {
    let sized = |bytes: usize| format!("{GOOD}{}", " ".repeat(bytes - GOOD.len()));
    let chunked =
        |body: &str| typed(WRITE, "application/json").chunked(body.as_bytes(), "").bytes();
    let stated =
        |length: &str| typed(WRITE, "application/json").header("Content-Length", length).head();
    let (most, more, most_more) = (sized(4096), sized(4097), sized(100_000));
    let cases = vec![
        case(35, "the largest", json(&most), json_arrives(&most)),
        case(35, "the largest in chunks", chunked(&most), json_arrives(&most)),
        case(35, "one byte more", json(&more), TOO_LARGE),
        case(35, "one byte more in chunks", chunked(&more), TOO_LARGE),
        case(35, "far more", json(&most_more), TOO_LARGE),
        case(35, "far more in chunks", chunked(&most_more), TOO_LARGE),
        // Nothing of it is ever sent.
        case(35, "one byte more, stated", stated("4097"), TOO_LARGE),
        case(35, "a terabyte, stated", stated("1099511627776"), TOO_LARGE),
        case(35, "all there is, stated", stated("9223372036854775807"), TOO_LARGE),
        case(
            35,
            "with a body that is denied",
            ask("POST", WRITE).header("Content-Length", "4097").head(),
            Want::Severed(401, "token-missing"),
        ),
    ];
    Ground::new(RULES, "").await.play(cases).await;
}
