//! What became of the cases of a suite, held against what is known.

use std::collections::BTreeMap;

/// Counts cases as they are run.
pub(crate) struct Tally {
    suite: &'static str,
    passed: usize,
    /// What went wrong, by case.
    failed: BTreeMap<String, String>,
    surprises: Vec<String>,
    exceptions: BTreeMap<&'static str, &'static str>,
}

impl Tally {
    /// `exceptions` are the cases that do not pass, each with the reason.
    pub(crate) fn new(suite: &'static str, exceptions: &[(&'static str, &'static str)]) -> Self {
        Self {
            suite,
            passed: 0,
            failed: BTreeMap::new(),
            surprises: Vec::new(),
            exceptions: exceptions.iter().copied().collect(),
        }
    }

    pub(crate) fn case(&mut self, id: &str, outcome: Result<(), String>) {
        match (outcome, self.exceptions.contains_key(id)) {
            (Ok(()), false) => self.passed += 1,
            (Ok(()), true) => {
                self.surprises.push(format!("{id} passes: take it off the exceptions"));
            }
            (Err(fault), known) => {
                if !known {
                    self.surprises.push(format!("{id}: {fault}"));
                }
                self.failed.insert(id.to_owned(), fault);
            }
        }
    }

    /// Prints the outcome, and fails on whatever is not as expected. The number is pinned so that cases
    /// cannot get lost.
    #[expect(clippy::print_stdout, reason = "the numbers of a suite are its product")]
    pub(crate) fn end(self, passed: usize) {
        println!("{}: {} passed, {} known exceptions", self.suite, self.passed, self.failed.len());
        for (id, fault) in &self.failed {
            let reason = self.exceptions.get(id.as_str()).copied().unwrap_or("UNEXPECTED");
            println!("  {id}: {reason} ({fault})");
        }
        let unseen: Vec<_> =
            self.exceptions.keys().filter(|id| !self.failed.contains_key(**id)).collect();
        assert!(self.surprises.is_empty(), "{}: {:#?}", self.suite, self.surprises);
        assert!(unseen.is_empty(), "{}: exceptions that were not run: {unseen:?}", self.suite);
        assert_eq!(self.passed, passed, "{}: another number of cases passes", self.suite);
    }
}
