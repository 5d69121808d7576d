//! `portvakt shadow report`: what `mode: shadow` has shown, from the decision records.

use super::FormatArgs;
use super::console::{self, Exit, Format};
use crate::record::{OwnAnswer, Recorded, Records, Verdict};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

/// What `mode: shadow` has shown.
#[derive(Debug, Subcommand)]
pub(super) enum Shadow {
    /// Set what rules and Altinn would have said beside what the API itself answered, for each rule.
    ///
    /// Reads decision records, and leaves other lines and those of enforced requests. Exits with 1 if requests would be
    /// refused that the API accepts: the ones that `mode: enforce` would break.
    Report(Report),
}

#[derive(Debug, Args)]
pub(super) struct Report {
    /// Files with decision records, such as the log of the container; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
}

/// Requests named for each reason. Bounds what is printed; the records hold all of them.
const MAX_NAMED: usize = 3;
/// Rules that are told apart. Bounds memory where a file is no log of one proxy.
const MAX_RULES: usize = 100_000;

/// What became of the requests under one rule.
#[derive(Debug, Default)]
struct OfRule {
    /// How many, by verdict and own answer.
    counts: [[u64; OwnAnswer::ALL.len()]; Verdict::ALL.len()],
    /// Of those that would be refused though the API accepts them: how many by code, and some of them by name.
    newly: BTreeMap<String, (u64, Vec<String>)>,
}

impl Shadow {
    pub(super) fn run(self) -> Exit {
        match self {
            Self::Report(report) => report.run(),
        }
    }
}

impl Report {
    fn run(self) -> Exit {
        let mut rules = BTreeMap::new();
        for path in &self.files {
            let input: io::Result<Box<dyn BufRead>> = if path.as_os_str() == "-" {
                Ok(Box::new(io::stdin().lock()))
            } else {
                File::open(path).map(|file| Box::new(BufReader::new(file)) as _)
            };
            if let Err(fault) = input.and_then(|input| tally(input, &mut rules)) {
                return console::failed(&format!("cannot read `{}`: {fault}", path.display()));
            }
        }
        if rules.is_empty() {
            return console::failed(&"there is no record of a request in shadow");
        }
        console::data(&match self.format.format {
            Format::Human => for_people(&rules),
            Format::Json => for_programs(&rules),
        });
        if rules.values().all(|rule| rule.newly.is_empty()) { Exit::Ok } else { Exit::Found }
    }
}

fn tally(input: impl BufRead, rules: &mut BTreeMap<String, OfRule>) -> io::Result<()> {
    let mut records = Records::new(input);
    while let Some(record) = records.read()? {
        if !record.is_shadow() {
            continue;
        }
        let rule = record.rule.clone().unwrap_or_else(|| "none".to_owned());
        if rules.len() >= MAX_RULES && !rules.contains_key(&rule) {
            return Err(io::Error::other("more rules than one proxy has"));
        }
        rules.entry(rule).or_default().add(&record);
    }
    Ok(())
}

impl OfRule {
    fn add(&mut self, record: &Recorded) {
        let answered = record.status.filter(|_| record.outcome != "refused");
        let own = OwnAnswer::of(answered);
        let verdict = match (record.denial(), &record.code) {
            (Some(code), _) => Verdict::of(Some(code.actor())),
            // A code of a later version: whatever it says, it was not permitted.
            (None, Some(_)) => Verdict::Refuse,
            (None, None) => Verdict::Permit,
        };
        let cell = self.counts.get_mut(verdict as usize).and_then(|row| row.get_mut(own as usize));
        if let Some(count) = cell {
            *count = count.saturating_add(1);
        }
        if (verdict, own) == (Verdict::Refuse, OwnAnswer::Accept) {
            let code = record.code.clone().unwrap_or_default();
            let (count, named) = self.newly.entry(code).or_default();
            *count = count.saturating_add(1);
            if named.len() < MAX_NAMED {
                named.push(record.request_id.clone());
            }
        }
    }

    fn rows(&self) -> impl Iterator<Item = (Verdict, &[u64; OwnAnswer::ALL.len()])> {
        Verdict::ALL.into_iter().zip(&self.counts).filter(|(_, row)| row.iter().any(|it| *it > 0))
    }
}

fn for_people(rules: &BTreeMap<String, OfRule>) -> String {
    let width = rules.keys().map(String::len).max().unwrap_or_default().max(4);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{:width$}  verdict  API accepts  API refuses  other answer  no answer",
        "rule"
    );
    for (id, rule) in rules {
        let mut name = id.as_str();
        for (verdict, [accept, refuse, other, absent]) in rule.rows() {
            let verdict = verdict.as_str();
            let _ = writeln!(
                text,
                "{name:width$}  {verdict:7}  {accept:11}  {refuse:11}  {other:12}  {absent:9}"
            );
            name = "";
        }
    }
    let newly: Vec<_> = rules.iter().filter(|(_, rule)| !rule.newly.is_empty()).collect();
    if newly.is_empty() {
        text.push_str("\nno request that the API accepts would be refused\n");
        return text;
    }
    text.push_str("\nthe API accepts, and `mode: enforce` would refuse:\n");
    for (id, rule) in newly {
        for (code, (count, named)) in &rule.newly {
            let _ = writeln!(text, "  {id}: {count} by {code}, such as {}", named.join(", "));
        }
    }
    text.push_str("portvakt explain, with the token's claims, says why\n");
    text
}

fn for_programs(rules: &BTreeMap<String, OfRule>) -> String {
    let rules: Vec<Value> = rules
        .iter()
        .map(|(id, rule)| {
            let words = OwnAnswer::ALL.map(OwnAnswer::as_str);
            let counts = rule.rows().map(|(verdict, row)| {
                let row = words.into_iter().zip(row).map(|(word, count)| (word.to_owned(), json!(count)));
                (verdict.as_str().to_owned(), Value::Object(row.collect()))
            });
            let newly: Vec<_> = rule
                .newly
                .iter()
                .map(|(code, (count, named))| json!({ "code": code, "count": count, "requests": named }))
                .collect();
            json!({ "rule": id, "counts": Value::Object(counts.collect()), "newlyRefused": newly })
        })
        .collect();
    format!("{}\n", json!({ "rules": rules }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(rule: &str, code: Option<&str>, status: u16, mode: &str, id: usize) -> String {
        let code = code.map(|code| format!(r#""code":"{code}","#)).unwrap_or_default();
        format!(
            r#"{{"schema":"portvakt.decision/1","requestId":"r{id}","method":"GET","rule":"{rule}",{code}"outcome":"forwarded","mode":"{mode}","status":{status}}}"#
        )
    }

    fn tallied(lines: &[String]) -> BTreeMap<String, OfRule> {
        let mut rules = BTreeMap::new();
        tally(lines.join("\n").as_bytes(), &mut rules).unwrap();
        rules
    }

    #[test]
    fn verdicts_stand_beside_the_api_s_own_answers() {
        let mut lines = vec![
            record("read", None, 200, "shadow", 0),
            record("read", None, 403, "shadow", 1),
            record("read", Some("pdp-timeout"), 204, "shadow", 2),
            record("read", Some("scope-missing"), 404, "shadow", 3),
            record("write", Some("access-denied"), 401, "shadow", 4),
            record("write", Some("access-denied"), 200, "enforce", 5),
        ];
        assert!(
            for_people(&tallied(&lines))
                .ends_with("\nno request that the API accepts would be refused\n")
        );
        lines.extend((10..15).map(|id| record("write", Some("access-denied"), 200, "shadow", id)));
        lines.push(record("write", Some("not-known-here"), 200, "shadow", 20));
        insta::assert_snapshot!(for_people(&tallied(&lines)), @r"
        rule   verdict  API accepts  API refuses  other answer  no answer
        read   permit             1            1             0          0
               refuse             0            0             1          0
               fail               1            0             0          0
        write  refuse             6            1             0          0

        the API accepts, and `mode: enforce` would refuse:
          write: 5 by access-denied, such as r10, r11, r12
          write: 1 by not-known-here, such as r20
        portvakt explain, with the token's claims, says why
        ");
        let written: Value = serde_json::from_str(&for_programs(&tallied(&lines))).unwrap();
        assert_eq!(written["rules"][1]["counts"]["refuse"]["accept"], 6);
        assert_eq!(
            written["rules"][1]["newlyRefused"][0]["requests"],
            json!(["r10", "r11", "r12"])
        );
    }
}
