//! Hostile and odd paths and URLs: refused, or one thing to every reader.

use crate::folder;
use percent_encoding::percent_decode_str;
use portvakt::domain::{RequestPath, RequestTarget};

const MAX_TARGET_BYTES: usize = 8192;

/// Whatever is accepted means one thing however often it is decoded, and has no part that a server might
/// resolve.
fn judge(path: &str) -> bool {
    let Ok(accepted) = RequestPath::parse(path) else { return false };
    assert_eq!(accepted.as_str(), path);
    for segment in accepted.segments() {
        let decoded = &*segment.decoded;
        assert_eq!(decoded.contains('/'), segment.encoded_slash, "{path}");
        for part in segment.raw.split('/').chain(decoded.split('/')) {
            assert!(!matches!(part, "" | "." | ".."), "{path}");
        }
        assert!(!decoded.contains(['\\', ';']) && !decoded.chars().any(char::is_control), "{path}");
        let again = percent_decode_str(decoded).decode_utf8().unwrap();
        assert_eq!(again, decoded, "{path} is encoded twice");
    }
    let target = RequestTarget::parse(path, usize::MAX).unwrap();
    assert_eq!((target.as_str(), target.path()), (path, &accepted));
    true
}

#[test]
#[expect(clippy::print_stdout, reason = "the numbers of a suite are its product")]
fn traversal_strings_are_refused_or_harmless() {
    let (mut accepted, mut refused) = (0_usize, 0_usize);
    for file in ["directory_traversal.txt", "dotdotpwn.txt"] {
        let bytes = folder::read(format!("vectors/payloads-traversal/{file}"));
        for line in bytes.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line);
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                continue;
            }
            for path in [line.to_owned(), format!("/{line}"), format!("/api/{line}/end")] {
                *if judge(&path) { &mut accepted } else { &mut refused } += 1;
            }
        }
    }
    println!("traversal strings: {refused} paths refused, {accepted} harmless");
    assert!(refused > 50_000, "only {refused} paths were refused");
    assert!(accepted < refused / 100, "{accepted} of {refused} traversal strings were accepted");
}

#[test]
#[expect(clippy::print_stdout, reason = "the numbers of a suite are its product")]
fn urls_of_browsers_are_refused_or_kept_byte_by_byte() {
    let cases = folder::json("vectors/wpt-url/urltestdata.even.json");
    let (mut accepted, mut refused) = (0_usize, 0_usize);
    for case in cases.as_array().unwrap() {
        for member in ["input", "href", "pathname"] {
            let Some(text) = case[member].as_str() else { continue };
            for target in [text.to_owned(), format!("/{text}")] {
                match RequestTarget::parse(&target, MAX_TARGET_BYTES) {
                    Err(_) => refused += 1,
                    Ok(parsed) => {
                        accepted += 1;
                        assert!(target.starts_with('/'), "{target}");
                        assert_eq!(parsed.as_str(), target);
                        let query = parsed.query().map(|query| format!("?{}", query.as_str()));
                        let whole = parsed.path().as_str().to_owned() + &query.unwrap_or_default();
                        assert_eq!(whole, target);
                        assert!(judge(parsed.path().as_str()));
                    }
                }
            }
        }
    }
    println!("URLs of browsers: {refused} targets refused, {accepted} kept");
    assert!(accepted > 50 && refused > 500, "{accepted} accepted, {refused} refused");
}
