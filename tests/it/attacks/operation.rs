//! Cases 94 to 100, 103 to 106 and 108 to 110: what surrounds a decision, from the first start to the last
//! byte.

use super::{Arrival, Case, Ground, case};
use crate::support::{
    Client, DENIED, PERMITTED, READ, Script, Server, Sidecar, Step, answer, ask, eventually,
    exchange, ok, soon,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

fn read() -> Arrival {
    Arrival::of("r1", &format!("GET {READ} HTTP/1.1"))
}

/// Case 95: a configuration that is wrong starts nothing, and names the place.
#[test]
fn nothing_starts_with_a_broken_file() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("attack-95.yaml");
    for (text, line, column) in [
        ("environment: tt02\npdp:\n  timeout: soon\n", 3, 12),
        ("environment: tt02\nfail_open: true\n", 2, 1),
        ("environment: tt02\nx: [\n", 2, 4),
    ] {
        std::fs::write(&path, text).unwrap();
        let serve = Command::new(env!("CARGO_BIN_EXE_portvakt"))
            .args(["serve", "--config"])
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8(serve.stderr).unwrap();
        assert_eq!(serve.status.code(), Some(2), "{said}");
        let place = format!("attack-95.yaml:{line}:{column}");
        assert!(said.contains(&place), "no `{place}` in\n{said}");
    }
    std::fs::remove_file(&path).unwrap();
}

/// Case 98: an upload under way when the end begins is completed, and meanwhile the newcomers are served.
#[tokio::test]
async fn an_upload_under_way_is_completed_within_the_grace() {
    let upstream = Server::start(ok());
    let settings = "shutdown: { wait: 3s, grace: 60s }\n";
    let sidecar = Sidecar::before(&upstream).settings(settings).open().await;
    let (traffic, admin) = (sidecar.traffic, sidecar.admin);
    let mut uploading = Client::connect(traffic).await;
    let upload = ask("POST", "/public/upload").header("Content-Length", "8");
    uploading.send([upload.head(), b"half".to_vec()].concat()).await;
    eventually("the first half", || upstream.body_bytes() == 4).await;
    let seeing = async {
        let unready =
            async { while exchange(admin, ask("GET", "/readyz").bytes()).await.status == 200 {} };
        unready.await;
        let newcomer = exchange(traffic, ask("GET", READ).bearer().bytes()).await;
        assert_eq!(newcomer.status, 200, "not served during the wait");
        // Beyond the wait: nobody listens any more.
        while tokio::net::TcpStream::connect(traffic).await.is_ok() {
            tokio::task::yield_now().await;
        }
        uploading.send("half").await;
        assert_eq!(uploading.reply().await.status, 200);
        assert_eq!(uploading.rest().await, "");
    };
    let (ended, ()) = soon("the end", async { tokio::join!(sidecar.close(), seeing) }).await;
    assert!(ended, "it was cut off");
    let uploads = upstream.seen().into_iter().filter(|seen| seen.head.start.starts_with("POST"));
    let bodies: Vec<Vec<u8>> = uploads.map(|seen| seen.body.unwrap().bytes).collect();
    assert_eq!(bodies, [b"halfhalf".to_vec()]);
}

/// Case 100: what a caller writes is not written back, and no browser is led to read an answer as a page.
#[tokio::test]
async fn a_refusal_repeats_no_text_of_the_caller_and_is_no_page() {
    const PLANTED: &str = "<script>alert(1)</script>";
    const ENCODED: &str = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let rows = [
        ask("GET", &format!("/v1/orgs/{ENCODED}/reports")).bearer(),
        ask("GET", "/v1/orgs/%3Cscript%3E/reports").bearer(),
        ask("GET", &format!("/v1/query?orgnr={ENCODED}")).bearer(),
        ask("GET", &format!("/v1/query?orgnr={PERMITTED}&orgnr[{ENCODED}]=1")).bearer(),
        ask("GET", "/v1/header").bearer().header("X-Party", PLANTED),
        ask("POST", "/v1/reports").bearer().json(&format!(r#"{{"orgnr":"{PLANTED}"}}"#)),
        ask("POST", "/v1/reports").bearer().json(&format!(r#"{{"orgnr":{PLANTED}"#)),
        ask("POST", "/v1/reports").bearer().header("Content-Type", PLANTED).body(b"x"),
        ask("GET", &format!("/{ENCODED}")),
        ask("GET", READ).token(PLANTED),
        ask("GET", READ).header("Accept-Language", PLANTED).header("Accept", PLANTED),
        ask("GET", READ).header("X-Request-Id", PLANTED).header("traceparent", PLANTED),
        ask("GET", READ).bearer().header("Expect", PLANTED),
        ask("GET", READ).bearer().header("Connection", "authorization").header("Origin", PLANTED),
        ask("script", READ),
    ];
    for asked in rows {
        let line = String::from_utf8(asked.head()).unwrap();
        let reply = exchange(sidecar.traffic, asked.bytes()).await;
        assert!((400..500).contains(&reply.status), "{line}: {}", reply.status);
        assert!(!reply.code().is_empty(), "{line}");
        assert_eq!(reply.head.get("content-type"), Some("application/problem+json"), "{line}");
        assert_eq!(reply.head.get("x-content-type-options"), Some("nosniff"), "{line}");
        assert_eq!(reply.head.get("cache-control"), Some("no-store"), "{line}");
        let told = format!("{:?} {}", reply.head.lines, reply.text());
        assert!(!told.contains("script"), "{line}: {told}");
    }
    assert_eq!(upstream.accepted(), 0);
}

/// Names of ours that a client may try, in every spelling.
const PRETENDED: [&str; 7] = [
    "Portvakt-Party",
    "PORTVAKT-PARTY",
    "portvakt_party",
    "Portvakt.Party",
    "Portvakt-Resource",
    "portvakt-System_user",
    "portvakt-mode",
];

/// Cases 103, 104, 109: the headers that we set are ours, whatever the client says of them.
#[tokio::test]
async fn headers_that_we_set_are_neither_taken_over_nor_taken_away() {
    let public = || Arrival::public("public", "GET /public/x HTTP/1.1");
    let mut cases: Vec<Case> = Vec::new();
    for name in PRETENDED {
        let sent = ask("GET", "/public/x").header(name, "urn:altinn:forged").bytes();
        cases.push(case(103, format!("{name} where there is no value of ours"), sent, public()));
        let sent = ask("GET", READ).bearer().header(name, "urn:altinn:forged").bytes();
        cases.push(case(103, format!("{name} where there is one"), sent, read()));
    }
    for line in [
        "portvakt-party",
        "Portvakt-Party",
        "PORTVAKT-PARTY",
        "pOrTvAkT-pArTy, portvakt-rule",
        "close-not, portvakt-party ,portvakt-request-id",
        "x-forwarded-for, x-forwarded-proto",
        ",,portvakt-system-user,",
    ] {
        let sent = ask("GET", READ).bearer().header("Connection", line).bytes();
        cases.push(case(104, line, sent, read()));
        let sent = ask("GET", READ)
            .bearer()
            .header("Connection", "keep-alive")
            .header("connection", line)
            .header("Portvakt-Party", "forged")
            .bytes();
        cases.push(case(104, format!("{line} in a second line"), sent, read()));
    }
    for lines in [
        &[("X-Forwarded-Proto", "https")][..],
        &[("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "443")],
        &[("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "https")],
        &[("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Ssl", "on")],
        &[("Forwarded", "for=127.0.0.1;proto=https;host=evil.example")],
        &[("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Prefix", "/evil")],
        &[("X_Forwarded_Proto", "https"), ("X.Forwarded.Host", "evil.example")],
    ] {
        let sent = lines
            .iter()
            .fold(ask("GET", READ).bearer(), |asked, (name, value)| asked.header(name, value));
        cases.push(case(109, format!("{lines:?}"), sent.bytes(), read()));
    }
    Ground::plain().await.play(cases).await;
}

/// Case 105: there is no key in the sources, and none in the files that come with them.
#[test]
fn no_key_is_built_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut looked = 0;
    for file in ["src", "config", "policies", "docs"].iter().flat_map(|dir| files(&root.join(dir)))
    {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        looked += 1;
        let is_of_a_key = |c: char| c.is_ascii_alphanumeric() || "+/_-=".contains(c);
        // A key of 1024 bits has 171 such characters in its modulus; nothing else is as long.
        let long = |word: &str| word.len() >= 120 && word.chars().any(|c| c.is_ascii_digit());
        let runs = text.split(|c: char| !is_of_a_key(c)).filter(|word| long(word));
        found.extend(runs.map(|word| format!("{}: {word}", file.display())));
    }
    assert!(looked > 100, "the files are not where this test looks for them");
    assert!(found.is_empty(), "{found:#?}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Answers with the request line; where the target says so, before the body is read.
fn echo() -> Script {
    Arc::new(|asked| {
        let line = Step::Send(answer("200 OK", "text/plain", &asked.head.start));
        if asked.head.start.contains("early") {
            vec![line, Step::Hold]
        } else {
            vec![Step::ReadBody, line]
        }
    })
}

/// Case 106: early answers and clients that leave midway, among others: each gets its own answer.
#[tokio::test]
async fn among_clients_that_leave_and_early_answers_each_gets_its_own() {
    const ROUNDS: usize = 50;
    let upstream = Server::start(echo());
    let sidecar = Sidecar::before(&upstream).open().await;
    let line = |method: &str, target: &str| format!("{method} {target} HTTP/1.1");
    let leaves = async |client: usize| {
        for round in 0..ROUNDS {
            let mut connection = Client::connect(sidecar.traffic).await;
            let asked = ask("POST", &format!("/public/leaves/{client}/{round}"));
            let head = asked.header("Content-Length", "1000").head();
            connection
                .send([head, b"GET /admin HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()].concat())
                .await;
        }
    };
    let hurried = async |client: usize| {
        for round in 0..ROUNDS {
            let mut connection = Client::connect(sidecar.traffic).await;
            let target = format!("/public/early/{client}/{round}");
            let head = ask("POST", &target).header("Content-Length", "1000").head();
            connection.send(head).await;
            assert_eq!(connection.reply().await.text(), line("POST", &target));
        }
    };
    let patient = async |client: usize| {
        let mut connection = Client::connect(sidecar.traffic).await;
        for round in 0..2 * ROUNDS {
            let target = format!("/public/patient/{client}/{round}");
            let reply = connection.ask(&ask("POST", &target).body(target.as_bytes())).await;
            assert_eq!(reply.text(), line("POST", &target));
        }
    };
    let all = async {
        tokio::join!(
            futures_util::future::join_all((0..2).map(leaves)),
            futures_util::future::join_all((0..2).map(hurried)),
            futures_util::future::join_all((0..4).map(patient)),
        )
    };
    soon("the end of all", all).await;
    let seen = upstream.seen();
    assert!(!seen.iter().any(|seen| seen.head.start.contains("/admin")), "a body was a request");
    for seen in seen.iter().filter(|seen| seen.head.start.contains("patient")) {
        let target = seen.head.start.split(' ').nth(1).unwrap();
        let body = seen.body.as_ref().unwrap();
        assert_eq!((body.bytes.as_slice(), body.complete), (target.as_bytes(), true));
    }
}

/// Case 110: whoever is refused learns nothing of what the API has: it is not asked, and the refusals are
/// alike.
#[tokio::test]
async fn a_refusal_is_the_same_whether_the_object_exists_or_not() {
    let upstream = Server::start(Arc::new(|asked| {
        let status = if asked.head.start.contains("=1") { "200 OK" } else { "404 Not Found" };
        vec![Step::ReadBody, Step::Send(answer(status, "text/plain", "x"))]
    }));
    let sidecar = Sidecar::before(&upstream).open().await;
    let denied =
        |object: &str| ask("GET", &format!("/v1/orgs/{DENIED}/reports?report={object}")).bearer();
    let closed = |object: &str| ask("GET", &format!("/v1/shut?report={object}")).bearer();
    let anonymous = |object: &str| ask("GET", &format!("{READ}?report={object}"));
    for [one, other] in
        [[denied("1"), denied("2")], [closed("1"), closed("2")], [anonymous("1"), anonymous("2")]]
    {
        let told = async |asked: crate::support::Ask| {
            let reply = exchange(sidecar.traffic, asked.bytes()).await;
            let mut problem = reply.problem();
            problem.as_object_mut().unwrap().remove("instance").unwrap();
            let names = reply.head.names(|name| name != "date");
            (reply.verdict(), names, problem)
        };
        assert_eq!(told(one).await, told(other).await);
    }
    assert_eq!(upstream.accepted(), 0);
}
