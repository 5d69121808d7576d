//! `portvakt test`: the rule tests beside the rules.

use super::console::{self, Exit};
use super::test_report::{Ran, Tally};
use super::{ConfigArgs, runtime};
use crate::config::rule_tests::{RuleTest, read_rule_tests};
use crate::config::{self, Compiled, Diagnostics, Environment, Files, Inputs, Overrides, Runtime};
use crate::dev::{Mint, TestPoint, run_rule_test};
use crate::domain::{CheckDigits, SystemClock};
use crate::pdp::embedded::EmbeddedPdp;
use crate::tasks::Tasks;
use crate::xacml::Mode;
use clap::{Args, ValueEnum};
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
    /// Only tests that expect this rule; may be given several times.
    #[arg(long, value_name = "ID")]
    rule: Vec<String>,
    /// Fail where a rule has no test that passes.
    #[arg(long, conflicts_with_all = ["filter", "rule"])]
    require_coverage: bool,
    /// How to print data.
    #[arg(long, value_enum, default_value_t)]
    format: TestFormat,
}

/// How the results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum TestFormat {
    /// For people.
    #[default]
    Human,
    /// For programs: one JSON document a line.
    Json,
    /// For build servers: one `JUnit` document.
    Junit,
}

impl Test {
    pub(super) fn run(self) -> Exit {
        runtime::block_on(self.test())
    }

    async fn test(self) -> Exit {
        let tasks = Tasks::new();
        let configured = match self
            .compile(&tasks, Overrides { without_secrets: true, ..Overrides::default() })
        {
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
        let overrides = Overrides {
            point: Some(Arc::clone(&point) as _),
            issuers: Some(mint.issuers()),
            without_secrets: true,
        };
        let compiled = match self.compile(&tasks, overrides) {
            Ok(compiled) => compiled,
            Err(exit) => return exit,
        };
        let wanted = |test: &&RuleTest| {
            let expected = test.expect.rule.as_ref();
            self.filter.as_ref().is_none_or(|text| test.name.contains(text))
                && (self.rule.is_empty() || expected.is_some_and(|rule| self.rule.contains(rule)))
        };
        let mut tally = Tally::new(&compiled.snapshot);
        for test in tests.iter().filter(wanted) {
            let began = compiled.snapshot.clock.monotonic();
            let outcome = run_rule_test(test, &compiled.snapshot, &point, &mint).await;
            let took = compiled.snapshot.clock.monotonic().saturating_duration_since(began);
            tally.add(test, outcome, took);
            if let Some(line) = tally.latest().and_then(|ran| self.line(ran)) {
                console::data(&line);
            }
        }
        self.finish(&tally)
    }

    /// A test as soon as it has run.
    fn line(&self, ran: &Ran) -> Option<String> {
        match self.format {
            TestFormat::Human => Some(ran.to_human()),
            TestFormat::Json => Some(format!("{}\n", ran.to_json())),
            TestFormat::Junit => None,
        }
    }

    fn finish(&self, tally: &Tally) -> Exit {
        let is_whole = self.filter.is_none() && self.rule.is_empty();
        let coverage = is_whole.then(|| tally.coverage());
        match self.format {
            TestFormat::Human => {
                console::data(&tally.verdict());
                if let Some(coverage) = &coverage {
                    console::data(&coverage.to_human());
                }
            }
            TestFormat::Json => {
                if let Some(coverage) = &coverage {
                    console::data(&format!("{}\n", coverage.to_json()));
                }
            }
            TestFormat::Junit => console::data(&tally.to_junit()),
        }
        if tally.is_empty() {
            console::talk("error: no test was run\n");
            return Exit::Found;
        }
        let uncovered = coverage.is_some_and(|coverage| !coverage.untested.is_empty());
        if uncovered && self.require_coverage {
            console::talk("error: some rules have no test that passes\n");
            return Exit::Found;
        }
        if tally.has_passed() { Exit::Ok } else { Exit::Found }
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
