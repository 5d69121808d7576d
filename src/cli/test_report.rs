//! What rule tests came to: for people, for programs, for build servers; and which rules no test has shown to be right.

use crate::config::rule_tests::RuleTest;
use crate::dev::TestOutcome;
use crate::route::Protection;
use crate::snapshot::Snapshot;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

/// Rules of a kind that people are told by name; programs are told all of them.
const MAX_NAMED: usize = 20;

/// A test that has run.
#[derive(Debug)]
pub(super) struct Ran {
    name: String,
    /// File, line and column.
    at: String,
    file: String,
    faults: Vec<String>,
    took: Duration,
}

/// Every test that has run, and what they show of the rules.
#[derive(Debug)]
pub(super) struct Tally {
    ran: Vec<Ran>,
    rules: Vec<(String, Protection)>,
    /// Rules with a passing test that forwards, and with one that refuses.
    forwarded: BTreeSet<String>,
    refused: BTreeSet<String>,
}

/// Which rules the tests have shown to be right.
#[derive(Debug)]
pub(super) struct Coverage {
    rules: usize,
    /// Rules without a test that passes.
    pub(super) untested: Vec<String>,
    /// Of the others those that let something through, of which no test shows that they do.
    never_forwarded: Vec<String>,
    /// And those that demand something, of which no test shows that they do.
    never_refused: Vec<String>,
}

impl Ran {
    fn passed(&self) -> bool {
        self.faults.is_empty()
    }

    pub(super) fn to_human(&self) -> String {
        let mut text =
            format!("test {} ... {}\n", self.name, if self.passed() { "ok" } else { "FAILED" });
        if !self.passed() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  at {}", self.at);
            for fault in &self.faults {
                let _ = writeln!(text, "  {fault}");
            }
        }
        text
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "test": self.name, "at": self.at, "passed": self.passed(), "faults": self.faults })
    }
}

impl Tally {
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let rules = snapshot.routes.rules().iter();
        Self {
            ran: Vec::new(),
            rules: rules.map(|rule| (rule.id().to_string(), rule.protection())).collect(),
            forwarded: BTreeSet::new(),
            refused: BTreeSet::new(),
        }
    }

    pub(super) fn add(&mut self, test: &RuleTest, outcome: TestOutcome, took: Duration) {
        let TestOutcome { faults, rule, refused } = outcome;
        if let (true, Some(rule)) = (faults.is_empty(), rule) {
            if refused { &mut self.refused } else { &mut self.forwarded }.insert(rule);
        }
        let file = test.origin.path().map(|path| path.display().to_string()).unwrap_or_default();
        let (name, at) = (test.name.clone(), test.origin.to_string());
        self.ran.push(Ran { name, at, file, faults, took });
    }

    /// The one that ran last.
    pub(super) fn latest(&self) -> Option<&Ran> {
        self.ran.last()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ran.is_empty()
    }

    pub(super) fn has_passed(&self) -> bool {
        self.ran.iter().all(Ran::passed)
    }

    /// As `cargo test` has it.
    pub(super) fn verdict(&self) -> String {
        let failed = self.ran.iter().filter(|ran| !ran.passed()).count();
        let (verdict, passed) =
            (if failed == 0 { "ok" } else { "FAILED" }, self.ran.len().saturating_sub(failed));
        format!("\ntest result: {verdict}. {passed} passed; {failed} failed\n")
    }

    pub(super) fn coverage(&self) -> Coverage {
        let (forwarded, refused) =
            (|id: &str| self.forwarded.contains(id), |id: &str| self.refused.contains(id));
        let those = |is_one: &dyn Fn(&str, Protection) -> bool| {
            let rules = self.rules.iter().filter(|(id, kind)| is_one(id, *kind));
            rules.map(|(id, _)| id.clone()).collect()
        };
        Coverage {
            rules: self.rules.len(),
            untested: those(&|id, _| !forwarded(id) && !refused(id)),
            never_forwarded: those(&|id, kind| {
                refused(id) && !forwarded(id) && kind != Protection::Closed
            }),
            never_refused: those(&|id, kind| {
                let demands = matches!(kind, Protection::Required | Protection::Token);
                forwarded(id) && !refused(id) && demands
            }),
        }
    }

    /// One suite for each file.
    pub(super) fn to_junit(&self) -> String {
        let mut files = BTreeMap::<&str, Vec<&Ran>>::new();
        for ran in &self.ran {
            files.entry(&ran.file).or_default().push(ran);
        }
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let all: Vec<_> = self.ran.iter().collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "<testsuites name=\"portvakt test\"{}>", totals(&all));
        for (file, tests) in files {
            let _ = writeln!(text, "  <testsuite name=\"{}\"{}>", escaped(file), totals(&tests));
            for ran in tests {
                let (name, took) = (escaped(&ran.name), ran.took.as_secs_f64());
                let _ = write!(
                    text,
                    "    <testcase classname=\"{}\" name=\"{name}\" time=\"{took:.6}\"",
                    escaped(file)
                );
                let Some(first) = ran.faults.first() else {
                    text.push_str("/>\n");
                    continue;
                };
                let whole = escaped(&format!("{}\n{}", ran.at, ran.faults.join("\n")));
                let _ = writeln!(
                    text,
                    ">\n      <failure message=\"{}\">{whole}</failure>\n    </testcase>",
                    escaped(first)
                );
            }
            text.push_str("  </testsuite>\n");
        }
        text.push_str("</testsuites>\n");
        text
    }
}

impl Coverage {
    pub(super) fn to_human(&self) -> String {
        let tested = self.rules.saturating_sub(self.untested.len());
        let mut text = format!("rules: {tested} of {} have a test that passes", self.rules);
        for (what, rules) in [
            ("without", &self.untested),
            ("never forwarded", &self.never_forwarded),
            ("never refused", &self.never_refused),
        ] {
            if rules.is_empty() {
                continue;
            }
            let named = rules.get(..MAX_NAMED).unwrap_or(rules).join(", ");
            // Writing to a String cannot fail.
            let _ = write!(text, "; {what}: {named}");
            if let Some(more) = rules.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
                let _ = write!(text, " and {more} more");
            }
        }
        text.push('\n');
        text
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "rules": self.rules, "untested": self.untested, "neverForwarded": self.never_forwarded,
            "neverRefused": self.never_refused,
        })
    }
}

fn totals(tests: &[&Ran]) -> String {
    let failed = tests.iter().filter(|ran| !ran.passed()).count();
    let took: Duration = tests.iter().map(|ran| ran.took).sum();
    format!(
        " tests=\"{}\" failures=\"{failed}\" errors=\"0\" time=\"{:.6}\"",
        tests.len(),
        took.as_secs_f64()
    )
}

/// As XML 1.0 has it, in text and in attributes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push(letter),
            letter if letter.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(name: &str, faults: &[&str]) -> Ran {
        Ran {
            name: name.to_owned(),
            at: "t.yaml:3:5".to_owned(),
            file: "t.yaml".to_owned(),
            faults: faults.iter().map(|fault| (*fault).to_owned()).collect(),
            took: Duration::from_millis(2),
        }
    }

    #[test]
    fn a_build_server_reads_every_test_whatever_its_name() {
        let tally = Tally {
            ran: vec![
                ran("en <god> \"test\" & \u{1}", &[]),
                ran("feil", &["expected 200", "and more"]),
            ],
            rules: Vec::new(),
            forwarded: BTreeSet::new(),
            refused: BTreeSet::new(),
        };
        insta::assert_snapshot!(tally.to_junit());
    }

    #[test]
    fn rules_that_no_test_has_shown_are_named() {
        let rule = |id: &str, protection| (id.to_owned(), protection);
        let tally = Tally {
            ran: Vec::new(),
            rules: vec![
                rule("a", Protection::Required),
                rule("b", Protection::Token),
                rule("c", Protection::Public),
                rule("d", Protection::Required),
                rule("e", Protection::Closed),
            ],
            forwarded: BTreeSet::from(["a".to_owned()]),
            refused: BTreeSet::from(["d".to_owned(), "e".to_owned()]),
        };
        let coverage = tally.coverage();
        let text = "rules: 3 of 5 have a test that passes; without: b, c; never forwarded: d; never refused: a\n";
        assert_eq!(coverage.to_human(), text);
        assert_eq!(coverage.untested, ["b", "c"]);
    }
}
