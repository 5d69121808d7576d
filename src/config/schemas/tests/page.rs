//! `docs/reference/configuration.md`, made of the schema.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::walk::target;
use super::*;

const HEAD: &str = "# Configuration

Made of [`config/schemas/config.schema.json`](../../config/schemas/config.schema.json), which the program's tests hold against what it reads, and
against this page. How files and variables go together: [OPERATIONS](../OPERATIONS.md#start).

A duration is whole numbers with units, the longest first: `500ms`, `10s`, `1h30m`, `1d`. A size is whole bytes, or a number with `KiB`,
`MiB` or `GiB`. Each single value can be given as a variable: `server.limits.max_headers` is `PORTVAKT_SERVER__LIMITS__MAX_HEADERS`.
";

/// Tables of keys, each before those within it.
fn page() -> String {
    let schema = KINDS[0].schema();
    let mut page = HEAD.to_owned();
    section(&schema, &schema, "", &mut page);
    page
}

fn section(root: &Json, table: &Json, path: &str, page: &mut String) {
    if path.is_empty() {
        page.push_str("\n## The file\n");
    } else {
        write!(page, "\n## `{path}`\n\n{}\n", table["description"].as_str().unwrap()).unwrap();
    }
    page.push_str("\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
    let properties = table["properties"].as_object().unwrap();
    for (key, at) in properties {
        let default = at.get("default").map(shown).unwrap_or_default();
        let said = at["description"].as_str().unwrap();
        let meaning = match below(at) {
            Some((_, suffix)) => {
                let below = format!("{path}.{key}{suffix}");
                let below = below.trim_start_matches('.');
                let first = said.split_once(". ").map_or(said, |(first, _)| first);
                let first = first.trim_end_matches('.');
                format!("{first}. See [`{below}`](#{}).", anchor(below))
            }
            None => said.to_owned(),
        };
        let cells = [format!("`{key}`"), value(root, at), default, meaning];
        let row = cells.map(|cell| cell.replace('|', "\\|")).join(" | ").replace("|  |", "| |");
        writeln!(page, "| {row} |").unwrap();
    }
    for (key, at) in properties {
        if let Some((table, suffix)) = below(at) {
            let path = format!("{path}.{key}{suffix}");
            section(root, table, path.trim_start_matches('.'), page);
        }
    }
}

fn anchor(heading: &str) -> String {
    heading.replace(['`', '.', '[', ']'], "")
}

/// The table that is the value, or an item of it, and what its path ends in.
fn below(at: &Json) -> Option<(&Json, &'static str)> {
    let places = [(at, ""), (&at["items"], "[]")];
    places.into_iter().find(|(table, _)| table.get("properties").is_some())
}

fn value(root: &Json, at: &Json) -> String {
    if let Some(target) = target(root, at) {
        return target["title"].as_str().unwrap().to_owned();
    }
    if let Some(words) = at["enum"].as_array() {
        let mut seen = BTreeSet::new();
        let words = words.iter().map(shown).filter(|word| seen.insert(word.clone()));
        return words.collect::<Vec<_>>().join(", ");
    }
    if let Some(word) = at.get("const") {
        return shown(word);
    }
    if let Some(one) = at["anyOf"].get(0) {
        return format!("{}, or a list", value(root, one));
    }
    match (at.get("items"), below(at), at["title"].as_str()) {
        (Some(_), Some(_), _) => "list of tables".to_owned(),
        (Some(item), None, _) => format!("list of {}", value(root, item)),
        (None, Some(_), _) => "table".to_owned(),
        (None, None, Some(title)) => title.to_owned(),
        (None, None, None) if at["type"] == "integer" => "whole number".to_owned(),
        (None, None, None) => "text".to_owned(),
    }
}

fn shown(value: &Json) -> String {
    let plain = |value: &Json| value.as_str().map_or(value.to_string(), str::to_owned);
    let text = match value.as_array() {
        Some(values) => format!("[{}]", values.iter().map(plain).collect::<Vec<_>>().join(", ")),
        None => plain(value),
    };
    format!("`{text}`")
}

#[test]
fn the_page_of_the_configuration_says_what_there_is() {
    let page = page();
    let written = include_str!("../../../../docs/reference/configuration.md");
    assert!(page == written, "docs/reference/configuration.md should say:\n{page}");
    let tables = walk::tables(&KINDS[0].schema(), KINDS[0].beside);
    let keys: usize = tables.iter().map(|table| table.keys.len()).sum();
    assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), keys);
    let headings: BTreeSet<String> =
        page.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
    for link in page.split("](#").skip(1).map(|link| link.split(')').next().unwrap()) {
        assert!(headings.contains(link), "{link}");
    }
}
