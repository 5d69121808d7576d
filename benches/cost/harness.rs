//! Times an operation: batches of about a millisecond, the median over all batches and the spread.

use portvakt::domain::{Clock as _, SystemClock};
use std::hint::black_box;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const WARM_UP: Duration = Duration::from_millis(200);
const BATCH: Duration = Duration::from_millis(1);
const BATCHES: usize = 400;

/// Runs the benchmarks that were asked for and prints a line for each.
pub(crate) struct Report {
    words: Vec<String>,
    /// What was asked for as `name=number`.
    numbers: Vec<(String, u32)>,
    runtime: Runtime,
}

pub(crate) fn now() -> Instant {
    SystemClock.monotonic()
}

impl Report {
    pub(crate) fn new(mut words: Vec<String>) -> Self {
        let number = |word: &String| {
            let (name, number) = word.split_once('=')?;
            Some((name.to_owned(), number.parse().unwrap()))
        };
        let numbers = words.iter().filter_map(number).collect();
        words.retain(|word| !word.contains('='));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { words, numbers, runtime }
    }

    /// What was asked for as `name=number`.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.numbers.iter().find(|(found, _)| found == name).map(|(_, number)| *number)
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| name.starts_with(word.as_str()))
    }

    /// Whether any benchmark whose name begins so was asked for.
    pub(crate) fn heading(&self, text: &str, beginning: &str) -> bool {
        let wanted =
            self.wants(beginning) || self.words.iter().any(|word| word.starts_with(beginning));
        if wanted {
            println!("\n{text}");
        }
        wanted
    }

    /// What needs a runtime to be set up.
    pub(crate) fn prepare<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn time<T>(&self, name: &str, mut operation: impl FnMut() -> T) {
        self.measure(name, |count| {
            let started = now();
            for _ in 0..count {
                black_box(operation());
            }
            started.elapsed()
        });
    }

    /// The same for a future that is ready without waiting, or nearly.
    pub(crate) fn time_async<T>(&self, name: &str, mut operation: impl AsyncFnMut() -> T) {
        self.measure(name, |count| {
            self.runtime.block_on(async {
                let started = now();
                for _ in 0..count {
                    black_box(operation().await);
                }
                started.elapsed()
            })
        });
    }

    fn measure(&self, name: &str, mut batch: impl FnMut(u32) -> Duration) {
        if !self.wants(name) {
            return;
        }
        // Run it so often and time nothing, for a tool that counts from outside.
        if let Some(times) = self.number("times") {
            counted(&mut batch, times);
            println!("{name}");
            return;
        }
        let started = now();
        let mut count: u32 = 1;
        while started.elapsed() < WARM_UP {
            if batch(count) < BATCH {
                count = count.saturating_mul(2);
            }
        }
        let mut each: Vec<f64> =
            (0..BATCHES).map(|_| batch(count).as_secs_f64() * 1e9 / f64::from(count)).collect();
        each.sort_by(f64::total_cmp);
        println!(
            "{name:<44} {:>10.0} ns   (p10 {:.0}, p90 {:.0})",
            quantile(&each, 0.5),
            quantile(&each, 0.1),
            quantile(&each, 0.9)
        );
    }
}

/// What is run in here is what a tool counts from outside; it finds the function by its name.
#[inline(never)]
fn counted(batch: &mut dyn FnMut(u32) -> Duration, times: u32) {
    black_box(batch(times));
}

/// Of sorted values.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an index within the list, computed from a fraction of its length"
)]
pub(crate) fn quantile(sorted: &[f64], fraction: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * fraction).round() as usize).copied().unwrap_or(f64::NAN)
}
