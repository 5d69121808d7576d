//! Single mistakes in a good configuration, its rules and their tests: each is found by `check` or by `test`, or what is
//! compiled from it is the same.
//!
//! Left out are addresses, which are right or wrong only where the proxy runs (`doctor` and the self-check look at them), and
//! the names of APIs, which are labels.

use portvakt::config::rule_tests::read_rule_tests;
use portvakt::config::{self, Compiled, Diagnostics, Files, Inputs, Overrides, Runtime};
use portvakt::dev::{Mint, TestPoint, run_rule_test};
use portvakt::domain::SystemClock;
use portvakt::tasks::Tasks;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// How many mistakes are made.
const MISTAKES: usize = 200;
const SEED: u64 = 20_261_123;
const CONFIG: &str = "config/local.yaml";

/// Every file, by its path in the project.
type Tree = Vec<(String, String)>;

/// What became of a mistake.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Checked,
    Tested,
    Same,
    Survived,
}

/// One mistake: a file, a line, and what stands there now; `None` for a line that is gone.
struct Mistake {
    file: usize,
    line: usize,
    now: Option<String>,
}

/// Numbers that look random, and are the same each time (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }
}

fn tree() -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tree = vec![(CONFIG.to_owned(), String::new())];
    for folder in ["policies/routes", "policies/tests", "policies/resources"] {
        let mut names: Vec<_> = fs::read_dir(root.join(folder)).unwrap().collect();
        names.sort_by_key(|entry| entry.as_ref().unwrap().file_name());
        for entry in names {
            let name = entry.unwrap().file_name().into_string().unwrap();
            tree.push((format!("{folder}/{name}"), String::new()));
        }
    }
    tree.push(("policies/directory.yaml".to_owned(), String::new()));
    for (path, text) in &mut tree {
        *text = fs::read_to_string(root.join(path)).unwrap();
    }
    tree
}

/// Whether mistakes are made in this file, and in this line of it.
fn is_mistaken(path: &str, line: &str) -> bool {
    let not_ours = ["listen:", "http://", "log:", "api:"];
    let is_rule = path.starts_with("policies/routes/") || path.starts_with("policies/tests/");
    (is_rule || path == CONFIG)
        && !line.trim_start().starts_with('#')
        && !line.trim().is_empty()
        && !not_ours.iter().any(|word| line.contains(word))
}

/// The line with one letter, digit or mark of it changed, gone, doubled or moved; or gone as a whole.
fn mistaken(line: &str, chance: &mut Chance) -> Option<String> {
    let line: Vec<char> = line.split(" # ").next().unwrap().trim_end().chars().collect();
    let at = loop {
        let at = chance.below(line.len());
        if line[at] != ' ' {
            break at;
        }
    };
    let mut now = line.clone();
    match chance.below(7) {
        0 => return None,
        1 => {
            now.remove(at);
        }
        2 => now.insert(at, line[at]),
        3 if at > 0 => now.swap(at, at - 1),
        4 => {
            now.splice(0..0, "  ".chars());
        }
        5 if line[at].is_ascii_alphabetic() => {
            let other = if line[at].is_lowercase() {
                line[at].to_ascii_uppercase()
            } else {
                line[at].to_ascii_lowercase()
            };
            now[at] = other;
        }
        _ => {
            now[at] = match line[at] {
                'z' => 'a',
                'Z' => 'A',
                '9' => '0',
                letter if letter.is_ascii_alphanumeric() => {
                    char::from(u8::try_from(letter).unwrap() + 1)
                }
                '"' => '\'',
                '{' => '[',
                _ => '-',
            }
        }
    }
    Some(now.into_iter().collect())
}

fn with(tree: &Tree, mistake: &Mistake) -> Files {
    Files::memory(tree.iter().enumerate().map(|(place, (path, text))| {
        if place != mistake.file {
            return (path.clone(), text.clone());
        }
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        match &mistake.now {
            Some(now) => lines[mistake.line].clone_from(now),
            None => drop(lines.remove(mistake.line)),
        }
        (path.clone(), lines.join("\n") + "\n")
    }))
}

/// What `check` and `test` make of files.
struct Judged {
    findings: BTreeSet<String>,
    compiled: Option<Compiled>,
    /// Tests that fail, and rules without one that passes.
    failing: Vec<String>,
}

fn compiled(files: &Files, overrides: Overrides, tasks: &Tasks) -> (Option<Compiled>, Diagnostics) {
    let inputs = Inputs {
        config: vec![CONFIG.into()],
        files: files.clone(),
        overrides,
        ..Inputs::default()
    };
    let runtime = Runtime { tasks: tasks.clone(), clock: Arc::new(SystemClock) };
    let outcome = config::compile(&inputs, None, &runtime);
    (outcome.compiled, outcome.diagnostics)
}

async fn judged(files: &Files, mint: &Mint, tasks: &Tasks) -> Judged {
    let (plain, mut diagnostics) = compiled(files, Overrides::default(), tasks);
    let tests = read_rule_tests(files, Path::new("policies/tests"), &mut diagnostics);
    let findings = diagnostics.iter().map(|found| format!("{} {}", found.code, found.message));
    let findings = findings.collect();
    let mut failing = Vec::new();
    if let Some(plain) = plain.as_ref().filter(|_| !diagnostics.has_errors()) {
        let point = Arc::new(TestPoint::new(plain.embedded.clone()));
        let overrides = Overrides {
            point: Some(Arc::clone(&point) as _),
            issuers: Some(mint.issuers()),
            without_secrets: true,
        };
        let made = compiled(files, overrides, tasks).0.unwrap();
        let mut shown = BTreeSet::new();
        for test in &tests {
            let outcome = run_rule_test(test, &made.snapshot, &point, mint).await;
            if outcome.faults.is_empty() {
                shown.extend(outcome.rule.map(|rule| (rule, outcome.refused)));
            } else {
                failing.push(test.name.clone());
            }
        }
        for rule in made.snapshot.routes.rules() {
            let is_shown = |refused| shown.contains(&(rule.id().to_string(), refused));
            if !is_shown(true) && !is_shown(false) {
                failing.push(rule.id().to_string());
            }
        }
    }
    Judged { findings, compiled: plain, failing }
}

/// All that rules, tokens and decisions come to.
fn meaning(compiled: &Compiled) -> String {
    let snapshot = &compiled.snapshot;
    format!(
        "{:?} {:?} {:?} {:?} {:?} {}",
        snapshot.routes,
        snapshot.judging,
        snapshot.tokens.settings(),
        snapshot.hosts,
        compiled.fixed(),
        snapshot.decisions.identity(),
    )
}

#[tokio::test]
async fn each_single_mistake_is_found_or_changes_nothing() {
    let tree = tree();
    let tasks = Tasks::new();
    let whole = Files::memory(tree.clone());
    let (plain, _) = compiled(&whole, Overrides::default(), &tasks);
    let mint = Mint::new(&plain.unwrap().snapshot.tokens.settings().issuers).unwrap();
    let good = judged(&whole, &mint, &tasks).await;
    assert_eq!(good.failing, Vec::<String>::new());
    let good_meaning = meaning(good.compiled.as_ref().unwrap());
    let places: Vec<(usize, usize, &str)> = tree
        .iter()
        .enumerate()
        .flat_map(|(file, (path, text))| {
            let lines = text.lines().enumerate().filter(|(_, line)| is_mistaken(path, line));
            lines.map(move |(number, line)| (file, number, line))
        })
        .collect();
    let mut chance = Chance(SEED);
    let mut fates = Vec::new();
    let mut survivors = Vec::new();
    while fates.len() < MISTAKES {
        let (file, line, text) = places[chance.below(places.len())];
        let now = mistaken(text, &mut chance);
        if now.as_deref() == Some(text) {
            continue;
        }
        let mistake = Mistake { file, line, now };
        let judged = judged(&with(&tree, &mistake), &mint, &tasks).await;
        let fate = if judged.findings.difference(&good.findings).next().is_some() {
            Fate::Checked
        } else if !judged.failing.is_empty() {
            Fate::Tested
        } else if judged.compiled.as_ref().is_some_and(|it| meaning(it) == good_meaning) {
            Fate::Same
        } else {
            Fate::Survived
        };
        if fate == Fate::Survived {
            let (path, line) = (&tree[file].0, line + 1);
            survivors.push(format!("{path}:{line}: {text}, now {:?}", mistake.now));
        }
        fates.push(fate);
    }
    let count = |fate| fates.iter().filter(|one| **one == fate).count();
    let [checked, tested, same] = [Fate::Checked, Fate::Tested, Fate::Same].map(count);
    assert_eq!(survivors, Vec::<String>::new());
    // The mistakes are mistakes.
    let are = checked > MISTAKES / 4 && tested > MISTAKES / 10 && same < MISTAKES / 4;
    assert!(are, "{checked} found by check, {tested} by test, {same} change nothing");
}
