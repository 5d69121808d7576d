//! The folder of reference material. What is missing there fails the test that needs it, by name.

use serde_json::Value;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "PORTVAKT_SHARED";

#[expect(
    clippy::disallowed_methods,
    reason = "the settings of Portvakt are not concerned: only these tests look at the variable"
)]
pub(crate) fn root() -> PathBuf {
    let Some(root) = std::env::var_os(VARIABLE).map(PathBuf::from) else {
        panic!("set {VARIABLE} to the folder that holds `altinn` and `vectors`");
    };
    assert!(root.is_dir(), "{VARIABLE} names `{}`, which is not a folder", root.display());
    root
}

pub(crate) fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = root().join(path);
    match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(fault) => panic!("the reference material lacks `{}`: {fault}", path.display()),
    }
}

/// A text in UTF-8 or UTF-16, with or without a byte order mark.
pub(crate) fn text(path: impl AsRef<Path>) -> String {
    let bytes = read(path.as_ref());
    let units = |unit: fn([u8; 2]) -> u16, bytes: &[u8]| -> String {
        let pairs = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(pairs).map(Result::unwrap).collect()
    };
    match bytes.as_slice() {
        [0xFF, 0xFE, rest @ ..] => units(u16::from_le_bytes, rest),
        [0xFE, 0xFF, rest @ ..] => units(u16::from_be_bytes, rest),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8(rest.to_vec()).unwrap(),
        _ => String::from_utf8(bytes).unwrap(),
    }
}

pub(crate) fn json(path: impl AsRef<Path>) -> Value {
    let path = path.as_ref();
    match serde_json::from_str(&text(path)) {
        Ok(value) => value,
        Err(fault) => panic!("`{}` is not JSON: {fault}", path.display()),
    }
}

/// One JSON object a line.
pub(crate) fn manifest(path: impl AsRef<Path>) -> Vec<Value> {
    let text = text(path);
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The names of the files in a folder that end so, in order; at least one.
pub(crate) fn list(folder: impl AsRef<Path>, ending: &str) -> Vec<String> {
    let folder = root().join(folder);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(fault) => panic!("the reference material lacks `{}`: {fault}", folder.display()),
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(ending))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "`{}` has no file that ends in `{ending}`", folder.display());
    names
}

/// A member that is a text.
pub(crate) fn word<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_else(|| panic!("no text `{member}` in {value}"))
}

/// A member that is a list of texts.
pub(crate) fn words<'v>(value: &'v Value, member: &str) -> Vec<&'v str> {
    let list = value[member].as_array().unwrap_or_else(|| panic!("no list `{member}` in {value}"));
    list.iter().map(|one| one.as_str().unwrap()).collect()
}

/// The same with all member names in lower case: published answers mix their spellings.
pub(crate) fn lower_case(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), lower_case(value)))
                .collect(),
        ),
        Value::Array(list) => Value::Array(list.into_iter().map(lower_case).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}
