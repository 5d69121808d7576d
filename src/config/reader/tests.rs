use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::*;
use crate::config::diagnostic::Colour;
use crate::config::field::{Shape, file_path, string, truth};
use crate::config::files::Files;
use crate::config::layers::{Environment, load, merge};
use crate::config::positions;

fn yaml(text: &str) -> Node {
    let mut diagnostics = Diagnostics::new();
    let node = positions::parse(Path::new("conf/a.yaml"), text.as_bytes(), &mut diagnostics);
    assert!(diagnostics.is_empty(), "{}", diagnostics.to_json_lines());
    node.unwrap()
}

/// What `read` makes of `text`, and `code place message` of each finding.
fn reading<T>(
    node: &Node,
    read: impl FnOnce(&mut Table<'_>) -> Option<T>,
) -> (Option<T>, Vec<String>) {
    let mut diagnostics = Diagnostics::new();
    let value = read_table(node, &mut diagnostics, read);
    let found = diagnostics
        .iter()
        .map(|found| format!("{} {} {}", found.code, found.origin, found.message))
        .collect();
    (value, found)
}

/// The value of `key` as `read` reads it, or the one finding.
fn one<T: std::fmt::Debug>(
    value: &str,
    read: impl FnOnce(Field<'_>) -> Option<T>,
) -> Result<T, String> {
    let (value, found) = reading(&yaml(&format!("key: {value}\n")), |t| t.required("key", read));
    match (value, found.as_slice()) {
        (Some(value), []) => Ok(value),
        (None, [found]) => Err(found.clone()),
        (value, found) => panic!("{value:?} {found:?}"),
    }
}

#[test]
fn every_problem_of_a_file_is_reported_at_once() {
    let node = yaml(
        "server:\n  lisen: [a]\n  workers: 0\n  limits: { header_timeout: 10, max_body: 1MB }\n\
         mode: enfroce\npdp:\n  urll: x\n",
    );
    let mut diagnostics = Diagnostics::new();
    let read = read_table(&node, &mut diagnostics, |t| {
        let server = t.required("server", |f| {
            f.table(|t| {
                let listen = t.required("listen", |f| f.sequence(8, string));
                let workers =
                    t.optional("workers", |f| f.number(1..=64_usize, "one for each core"));
                let limits = t.optional("limits", |f| {
                    f.table(|t| {
                        let timeout = t.optional("header_timeout", |f| {
                            f.duration(Duration::ZERO..=Duration::from_mins(1), "")
                        });
                        let body = t.optional("max_body", |f| f.bytes(0..=1024, ""));
                        timeout.zip(body)
                    })
                });
                Some((listen?, workers?, limits?))
            })
        });
        let mode = t.required("mode", |f| f.choice(&[("enforce", 1), ("shadow", 2)]));
        let url = t.required("pdp", |f| f.table(|t| t.required("url", |f| f.url(&["https"]))));
        let upstream = t.required("upstream", |f| f.table(|_| Some(())));
        Some((server?, mode?, url?, upstream?))
    });
    assert!(read.is_none());
    insta::assert_snapshot!(diagnostics.to_human(Colour::Plain), @"
    error[missing-key]: `upstream` is missing
    --> conf/a.yaml
     = help: add `upstream:`

    error[missing-key]: `server.listen` is missing
     --> conf/a.yaml:1:1
      |
    1 | server:
      | ^^^^^^
      |
      = help: add `listen:` below `server`

    error[unknown-key]: unknown key `server.lisen`
     --> conf/a.yaml:2:3
      |
    2 |   lisen: …
      |   ^^^^^
      |
      = help: did you mean `listen`? known here: `limits`, `listen`, `workers`

    error[invalid-value]: `server.workers`: must lie between 1 and 64
     --> conf/a.yaml:3:12
      |
    3 |   workers: 0
      |            ^
      |
      = help: one for each core

    error[invalid-value]: `server.limits.header_timeout`: a duration needs a unit: `ms`, `s`, `m`, `h` or `d`
     --> conf/a.yaml:4:29
      |
    4 |   limits: { header_timeout: 10, max_body: 1MB }
      |                             ^^
      |
      = help: write it like `500ms`, `10s` or `1h30m`

    error[invalid-value]: `server.limits.max_body`: not a size: write whole bytes, or a number with `KiB`, `MiB` or `GiB`
     --> conf/a.yaml:4:43
      |
    4 |   limits: { header_timeout: 10, max_body: 1MB }
      |                                           ^^^
      |
      = help: write it like `65536`, `64KiB` or `1MiB`

    error[invalid-value]: `mode`: `enfroce` is not known here
     --> conf/a.yaml:5:7
      |
    5 | mode: enfroce
      |       ^^^^^^^
      |
      = help: did you mean `enforce`? known here: `enforce`, `shadow`

    error[missing-key]: `pdp.url` is missing
     --> conf/a.yaml:6:1
      |
    6 | pdp:
      | ^^^
      |
      = help: add `url:` below `pdp`

    error[unknown-key]: unknown key `pdp.urll`
     --> conf/a.yaml:7:3
      |
    7 |   urll: …
      |   ^^^^
      |
      = help: did you mean `url`? known here: `url`
    ");
}

#[test]
fn a_value_from_a_variable_is_reported_at_its_variable() {
    let environment: Environment =
        [("PORTVAKT_PDP__TIMEOUT", "10"), ("PORTVAKT_PDP__TIEMOUT", "1s")].into_iter().collect();
    let mut diagnostics = Diagnostics::new();
    let node = load(&Files::Disk, &[], &environment, &[], &mut diagnostics).unwrap();
    read_table(&node, &mut diagnostics, |t| {
        t.required("pdp", |f| {
            f.table(|t| t.optional("timeout", |f| f.duration(Duration::ZERO..=Duration::MAX, "")))
        })
    });
    insta::assert_snapshot!(diagnostics.to_human(Colour::Plain), @"
    error[unknown-key]: unknown key `pdp.tiemout`
    --> environment variable `PORTVAKT_PDP__TIEMOUT`
     = help: did you mean `timeout`? known here: `timeout`

    error[invalid-value]: `pdp.timeout`: a duration needs a unit: `ms`, `s`, `m`, `h` or `d`
    --> environment variable `PORTVAKT_PDP__TIMEOUT`
     = help: write it like `500ms`, `10s` or `1h30m`
    ");
}

#[test]
fn truths_are_two_words_without_quotes() {
    assert_eq!(one("true", truth), Ok(true));
    assert_eq!(one("false", truth), Ok(false));
    for text in ["yes", "NO", "on", "True", "1", "\"true\"", "'false'", "[true]", "{}", "", "~"] {
        assert!(one(text, truth).is_err(), "{text}");
    }
}

#[test]
fn text_is_taken_as_it_is_written() {
    for text in ["NO", "0192:312714051", "1e3", "012", "true", "1.50"] {
        assert_eq!(one(text, string), Ok(text.to_owned()));
        assert_eq!(one(&format!("'{text}'"), string), Ok(text.to_owned()));
    }
    assert_eq!(one("'null'", string), Ok("null".to_owned()));
    assert_eq!(
        one("null", string),
        Err("no-value conf/a.yaml:1:6 `key`: expected text, found nothing".to_owned())
    );
    assert_eq!(
        one("''", string),
        Err("invalid-value conf/a.yaml:1:6 `key`: must not be empty".to_owned())
    );
    assert_eq!(
        one("[a]", string),
        Err("wrong-shape conf/a.yaml:1:1 `key`: expected text, found a list".to_owned())
    );
}

#[test]
fn who_writes_no_table_is_told_its_keys_and_nothing_else() {
    for text in ["upstream: http://127.0.0.1:80\n", "upstream: [url]\n"] {
        let mut diagnostics = Diagnostics::new();
        let value = read_table(&yaml(text), &mut diagnostics, |t| {
            t.required("upstream", |f| {
                f.table(|t| {
                    let url = t.required("url", string);
                    t.optional("timeout", string);
                    url
                })
            })
        });
        assert_eq!(value, None);
        let told: Vec<_> =
            diagnostics.iter().map(|found| (found.code, found.help.as_deref())).collect();
        assert_eq!(told, [("wrong-shape", Some("its keys are `timeout`, `url`"))]);
    }
}

#[test]
fn numbers_are_canonical_and_within_bounds() {
    let number = |text: &str| one(text, |f| f.number(1..=10_u8, ""));
    assert_eq!(number("1"), Ok(1));
    assert_eq!(number("10"), Ok(10));
    for (text, message) in [
        ("0", "must lie between 1 and 10"),
        ("11", "must lie between 1 and 10"),
        ("256", "must lie between 1 and 10"),
        ("-1", "`-1` is not a whole number"),
        ("012", "`012` is not a whole number"),
        ("+1", "`+1` is not a whole number"),
        ("1.0", "`1.0` is not a whole number"),
        ("1e0", "`1e0` is not a whole number"),
        ("'1'", "expected a whole number, found text in quotes"),
    ] {
        assert!(number(text).unwrap_err().ends_with(&format!("`key`: {message}")), "{text}");
    }
}

#[test]
fn durations_and_sizes_are_within_bounds() {
    let duration = |text: &str| {
        one(text, |f| f.duration(Duration::from_secs(1)..=Duration::from_secs(90), ""))
    };
    assert_eq!(duration("1s"), Ok(Duration::from_secs(1)));
    assert_eq!(duration("'1m30s'"), Ok(Duration::from_secs(90)));
    assert!(duration("91s").unwrap_err().ends_with("must lie between 1s and 1m30s"));
    assert!(duration("999ms").is_err());
    assert!(duration("10").unwrap_err().contains("needs a unit"));
    let bytes = |text: &str| one(text, |f| f.memory_bytes(1024..=2048, ""));
    assert_eq!(bytes("1KiB"), Ok(1024));
    assert_eq!(bytes("2048"), Ok(2048));
    assert!(bytes("2049").unwrap_err().ends_with("must lie between 1KiB and 2KiB"));
    assert!(bytes("1023").is_err());
}

#[test]
fn paths_are_relative_to_the_file_that_names_them() {
    assert_eq!(one("../policies", file_path), Ok("conf/../policies".into()));
    assert_eq!(one("/run/key", file_path), Ok("/run/key".into()));
    assert!(one("''", file_path).is_err());
    let environment: Environment = [("PORTVAKT_POLICIES", "policies")].into_iter().collect();
    let mut diagnostics = Diagnostics::new();
    let node = load(&Files::Disk, &[], &environment, &[], &mut diagnostics).unwrap();
    let (path, _) = reading(&node, |t| t.required("policies", file_path));
    assert_eq!(path, Some("policies".into()));
}

#[test]
fn a_parser_of_another_room_reports_in_its_own_words() {
    let (_, found) = reading(&yaml("party: [path:a, nowhere:b]\n"), |t| {
        t.required("party", |f| {
            f.sequence(8, |f| {
                f.text(|text| text.strip_prefix("path:").map(str::to_owned).ok_or("no such source"))
            })
        })
    });
    assert_eq!(found, ["invalid-value conf/a.yaml:1:17 `party[1]`: no such source"]);
}

#[test]
fn lists_have_a_limit_and_variables_give_lists_of_one() {
    assert_eq!(one("[]", |f| f.sequence(1, string)), Ok(vec![]));
    assert_eq!(one("[a]", |f| f.sequence(1, string)), Ok(vec!["a".to_owned()]));
    assert!(one("[a, b]", |f| f.sequence(1, string)).unwrap_err().contains("at most 1"));
    assert!(one("a", |f| f.sequence(1, string)).unwrap_err().contains("expected a list"));
    assert!(one("", |f| f.sequence(1, string)).is_err(), "nothing is no list");
    assert_eq!(one("a", |f| f.one_or_many(1, string)), Ok(vec!["a".to_owned()]));

    let mut base = yaml("listen: [a, b]\n");
    merge(&mut base, {
        let mut over = Node::empty_table(Origin::Nowhere);
        let origin = Origin::Variable("PORTVAKT_LISTEN".into());
        over.value = Value::Table(vec![Entry {
            key: "listen".to_owned(),
            key_origin: origin.clone(),
            node: Node::outside("c,d", origin),
        }]);
        over
    });
    let (listen, found) = reading(&base, |t| t.required("listen", |f| f.sequence(8, string)));
    assert_eq!((listen, found), (Some(vec!["c,d".to_owned()]), vec![]));
}

#[test]
fn shapes_can_be_told_apart_before_reading() {
    for (text, shape) in [
        ("a", Shape::Scalar),
        ("''", Shape::Scalar),
        ("[a]", Shape::List),
        ("{ a: 1 }", Shape::Table),
        ("", Shape::Table),
    ] {
        assert_eq!(one(text, |f| Some(f.shape())), Ok(shape), "{text}");
    }
}

#[test]
fn names_of_the_user_are_read_in_order() {
    let names = |text: &str| one(text, |f| f.names(2, |_, f| string(f)));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(names("{ b: 1, a: 2 }"), Ok(vec![pair("b", "1"), pair("a", "2")]));
    assert!(names("{ a: 1, b: 2, c: 3 }").unwrap_err().contains("at most 2"));
    assert!(names("{ a: [] }").unwrap_err().contains("`key.a`"));
}

#[test]
fn exactly_one_of_several_keys() {
    let which = |text: &str| {
        reading(&yaml(text), |t| {
            t.required("credential", |f| {
                f.table(|t| {
                    let which = t.exactly_one(&["maskinporten", "token_file", "none"])?;
                    t.required(which, string)
                })
            })
        })
    };
    assert_eq!(which("credential: { none: x }\n"), (Some("x".to_owned()), vec![]));
    assert_eq!(
        which("credential: {}\n").1,
        [
            "missing-key conf/a.yaml:1:1 `credential` needs one of `maskinporten`, `token_file`, `none`"
        ]
    );
    assert_eq!(
        which("credential: { none: x, token_file: y }\n").1,
        [
            "conflicting-keys conf/a.yaml:1:15 `credential.token_file` and `credential.none` exclude each other"
        ]
    );
    assert_eq!(which("credential: { nine: x }\n").1.len(), 2);
}

#[test]
fn a_key_without_effect_says_why() {
    let (_, found) = reading(&yaml("kind: embedded\nurl: x\n"), |t| {
        t.unused("url", "`kind` is `embedded`");
        t.unused("timeout", "`kind` is `embedded`");
        t.required("kind", string)
    });
    assert_eq!(found, ["unused-key conf/a.yaml:2:1 `url` has no effect: `kind` is `embedded`"]);
}

#[test]
fn a_platform_name_counts_where_nothing_else_is_set() {
    let environment: Environment = [("MASKINPORTEN_CLIENT_ID", "platform")].into_iter().collect();
    let read = |text: &str| {
        reading(&yaml(text), |t| {
            t.fallback("client_id", environment.platform("MASKINPORTEN_CLIENT_ID"));
            t.fallback("never_taken", environment.platform("MASKINPORTEN_CLIENT_ID"));
            t.required("client_id", string)
        })
    };
    assert_eq!(read(""), (Some("platform".to_owned()), vec![]));
    assert_eq!(read("client_id: own\n"), (Some("own".to_owned()), vec![]));
}

#[test]
fn secrets_come_by_value_or_by_file_and_are_never_shown() {
    let folder = std::env::temp_dir().join(format!("portvakt-reader-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        format!("key_file: {}\n", path.display())
    };
    let secret = |text: &str| {
        let mut diagnostics = Diagnostics::new();
        let secret = read_table(&yaml(text), &mut diagnostics, |t| t.required_secret("key"));
        let mut codes = String::new();
        diagnostics.iter().for_each(|found| write!(codes, "{} ", found.code).unwrap());
        let shown = format!("{diagnostics:?}{}", diagnostics.to_human(Colour::Plain));
        assert!(!shown.contains("hemmelig"), "{shown}");
        (secret.map(|secret| secret.expose_secret().to_owned()), codes.trim().to_owned())
    };
    let some = |text: &str| (Some(text.to_owned()), String::new());
    let none = |code: &str| (None::<String>, code.to_owned());

    assert_eq!(secret("key: hemmelig\n"), some("hemmelig"));
    assert_eq!(secret(&file("plain", b"hemmelig")), some("hemmelig"));
    assert_eq!(secret(&file("line", b"hemmelig\n")), some("hemmelig"));
    assert_eq!(secret(&file("windows", b"hemmelig\r\n")), some("hemmelig"));
    assert_eq!(secret(&file("two", b" hemmelig\n\n")), some(" hemmelig\n"));
    assert_eq!(secret(&file("empty", b"\n")), none("unreadable-secret"));
    assert_eq!(secret(&file("bytes", b"hemmelig\xff")), none("unreadable-secret"));
    let largest = vec![b'x'; super::super::secret::MAX_SECRET_BYTES];
    assert!(secret(&file("largest", &largest)).0.is_some());
    let larger = [largest.as_slice(), b"x"].concat();
    assert_eq!(secret(&file("larger", &larger)), none("unreadable-secret"));
    assert_eq!(secret("key_file: /nowhere/at/all\n"), none("unreadable-secret"));
    assert_eq!(secret("key: [hemmelig]\n"), none("wrong-shape"));
    assert_eq!(secret("kei: hemmelig\n").1, "missing-key unknown-key");
    let both = format!("key: hemmelig\n{}", file("both", b"hemmelig"));
    assert_eq!(secret(&both).1, "conflicting-keys");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_was_refused_in_parsing_is_not_reported_twice() {
    let mut diagnostics = Diagnostics::new();
    let node = positions::parse(Path::new("a.yaml"), b"a: *x\nb: *x\nc: *x\n", &mut diagnostics);
    let before = diagnostics.error_count();
    let read = read_table(&node.unwrap(), &mut diagnostics, |t| {
        let text = t.required("a", string);
        let items = t.required("b", |f| f.sequence(8, string));
        let table = t.required("c", |f| f.table(|_| Some(())));
        Some((text?, items?, table?))
    });
    assert!(read.is_none());
    assert_eq!(diagnostics.error_count(), before);
}

proptest! {
    /// The reader's promise: without a value there is an error, and with an error it was told.
    #[test]
    fn no_value_is_lost_in_silence(
        text in "(key: )?([a-z0-9]{0,3}|[\\[\\]{}:,'\"~*&! \n-]){0,20}\n",
        reader in 0..6_u8,
    ) {
        let mut diagnostics = Diagnostics::new();
        let Some(node) = positions::parse(Path::new("a"), text.as_bytes(), &mut diagnostics) else {
            prop_assert!(diagnostics.has_errors());
            return Ok(());
        };
        let value = read_table(&node, &mut diagnostics, |t| t.required("key", |f| match reader {
            0 => string(f).map(drop),
            1 => truth(f).map(drop),
            2 => f.number(0..=9_u8, "").map(drop),
            3 => f.sequence(2, string).map(drop),
            4 => f.names(2, |_, f| string(f)).map(drop),
            _ => f.table(|t| t.required("a", string)).map(drop),
        }));
        prop_assert!(value.is_some() || diagnostics.has_errors());
    }
}
