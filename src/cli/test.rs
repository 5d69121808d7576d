//! `portvakt test`: the rule tests beside the rules.

use super::console::{self, Exit, Format};
use super::{ConfigArgs, FormatArgs, runtime};
use crate::config::rule_tests::{RuleTest, read_rule_tests};
use crate::config::{self, Compiled, Diagnostics, Environment, Files, Inputs, Overrides, Runtime};
use crate::dev::{Mint, TestPoint, run_rule_test};
use crate::domain::{CheckDigits, SystemClock};
use crate::pdp::embedded::EmbeddedPdp;
use crate::tasks::Tasks;
use crate::xacml::Mode;
use clap::Args;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Runs every test through the function that the proxy calls, and exits with 1 if one fails. A test fails
/// also for a wrong reason: another rule, another question, another code.
#[derive(Debug, Args)]
pub(super) struct Test {
    #[command(flatten)]
    config: ConfigArgs,
    /// The folder of the tests, where that is not `tests` below `policies`.
    folder: Option<PathBuf>,
    /// Only tests whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
}

impl Test {
    pub(super) fn run(self) -> Exit {
        runtime::block_on(self.test())
    }

    async fn test(self) -> Exit {
        let tasks = Tasks::new();
        let configured = match self.compile(&tasks, Overrides::default()) {
            Ok(compiled) => compiled,
            Err(exit) => return exit,
        };
        let mint = match Mint::new(&configured.snapshot.tokens.settings().issuers) {
            Ok(mint) => mint,
            Err(fault) => return console::failed(&fault),
        };
        let folder = self.folder.clone().unwrap_or_else(|| configured.policies.join("tests"));
        let mut diagnostics = Diagnostics::new();
        let tests = read_rule_tests(&Files::Disk, &folder, &mut diagnostics);
        let embedded = embedded(&configured, &tests, &mut diagnostics);
        if !diagnostics.is_empty() {
            console::talk(&diagnostics.to_human(console::talk_colour()));
        }
        if diagnostics.has_errors() {
            return Exit::Usage;
        }
        let point = Arc::new(TestPoint::new(embedded));
        let overrides =
            Overrides { point: Some(Arc::clone(&point) as _), issuers: Some(mint.issuers()) };
        let compiled = match self.compile(&tasks, overrides) {
            Ok(compiled) => compiled,
            Err(exit) => return exit,
        };
        let wanted =
            |test: &&RuleTest| self.filter.as_ref().is_none_or(|text| test.name.contains(text));
        let mut tally = Tally::new(self.format.format);
        for test in tests.iter().filter(wanted) {
            let outcome = run_rule_test(test, &compiled.snapshot, &point, &mint).await;
            tally.add(test, &outcome.faults);
        }
        tally.finish()
    }

    fn compile(&self, tasks: &Tasks, overrides: Overrides) -> Result<Compiled, Exit> {
        let inputs = Inputs {
            config: self.config.config.clone(),
            files: Files::Disk,
            environment: Environment::of_process(),
            flags: Vec::new(),
            overrides,
        };
        let runtime = Runtime { tasks: tasks.clone(), clock: Arc::new(SystemClock) };
        let outcome = config::compile(&inputs, None, &runtime);
        outcome.compiled.ok_or_else(|| {
            console::talk(&outcome.diagnostics.to_human(console::talk_colour()));
            Exit::Usage
        })
    }
}

/// The embedded PDP: the configured one, or, where Altinn's is configured, one made from the policies and
/// the directory beside the rules, if a test wants it.
fn embedded(
    compiled: &Compiled,
    tests: &[RuleTest],
    diagnostics: &mut Diagnostics,
) -> Option<Arc<EmbeddedPdp>> {
    if let Some(embedded) = &compiled.embedded {
        return Some(Arc::clone(embedded));
    }
    if !tests.iter().any(|test| test.pdp == Some(config::rule_tests::TestPdp::Embedded)) {
        return None;
    }
    let (resources, directory) =
        (compiled.policies.join("resources"), compiled.policies.join("directory.yaml"));
    let nowhere = config::diagnostic::Origin::Nowhere;
    let store = config::load_policies(&Files::Disk, &resources, &nowhere, diagnostics);
    let check = CheckDigits::Lenient;
    let directory =
        config::load_directory(&Files::Disk, &directory, check, store.as_ref(), diagnostics);
    Some(Arc::new(EmbeddedPdp::new(store?, directory?, Mode::Altinn)))
}

/// Prints as it counts, like `cargo test`.
struct Tally {
    format: Format,
    passed: usize,
    failed: usize,
}

impl Tally {
    fn new(format: Format) -> Self {
        Self { format, passed: 0, failed: 0 }
    }

    fn add(&mut self, test: &RuleTest, faults: &[String]) {
        let passed = faults.is_empty();
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = match self.format {
            Format::Human => {
                writeln!(text, "test {} ... {}", test.name, if passed { "ok" } else { "FAILED" })
            }
            Format::Json => {
                let line = serde_json::json!({
                    "test": test.name, "at": test.origin.to_string(), "passed": passed, "faults": faults,
                });
                writeln!(text, "{line}")
            }
        };
        if !passed && self.format == Format::Human {
            let _ = writeln!(text, "  at {}", test.origin);
            for fault in faults {
                let _ = writeln!(text, "  {fault}");
            }
        }
        console::data(&text);
    }

    fn finish(self) -> Exit {
        let Self { passed, failed, format } = self;
        if format == Format::Human {
            let verdict = if failed == 0 { "ok" } else { "FAILED" };
            console::data(&format!("\ntest result: {verdict}. {passed} passed; {failed} failed\n"));
        }
        if passed + failed == 0 {
            console::talk("error: no test was run\n");
            return Exit::Found;
        }
        if failed == 0 { Exit::Ok } else { Exit::Found }
    }
}
