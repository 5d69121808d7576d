//! The table that the tour ends with.

use serde::Serialize;
use std::fmt::Write as _;

/// One call and its outcome.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The scenario it belongs to.
    pub scenario: &'static str,
    /// What was done.
    pub call: String,
    /// With which token.
    pub token: String,
    /// What should come.
    pub expected: String,
    /// What came.
    pub got: String,
    /// Where the decision came from.
    pub source: String,
    /// Whether all was as it should be, at the caller's end and at the API's.
    pub right: bool,
}

/// Every row of a tour.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TourReport {
    /// In the order played.
    pub rows: Vec<Row>,
}

impl TourReport {
    /// Whether every row is right, and there are rows.
    #[must_use]
    pub fn is_right(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.right)
    }

    /// The table for people.
    #[must_use]
    pub fn to_human(&self) -> String {
        let head = ["", "scenario", "call", "token", "expected", "got", "decided by"];
        let mut lines: Vec<[&str; 7]> = vec![head];
        lines.extend(self.rows.iter().map(|row| {
            let mark = if row.right { "ok" } else { "WRONG" };
            [mark, row.scenario, &row.call, &row.token, &row.expected, &row.got, &row.source]
        }));
        let mut widths = [0; 7];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        for line in &lines {
            let cells: Vec<String> =
                line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", cells.join("  ").trim_end());
        }
        let wrong = self.rows.iter().filter(|row| !row.right).count();
        let verdict =
            if wrong == 0 { "all as expected".to_owned() } else { format!("{wrong} WRONG") };
        let _ = writeln!(text, "\n{} rows, {verdict}", self.rows.len());
        text
    }
}
