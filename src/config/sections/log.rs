//! `log`: what is written, how, and where to.

use std::path::PathBuf;

use tracing::Level;

use crate::config::field::Field;
use crate::config::reader::Table;

/// What is written, how, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// From which level on.
    pub level: Level,
    /// Where decision records go.
    pub decisions: DecisionLog,
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `json`: one object a line.
    Json,
    /// `human`
    Human,
}

/// Where decision records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecisionLog {
    /// `stdout`
    Stdout,
    /// A path: appended to.
    File(PathBuf),
    /// `off`
    Off,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: Level::INFO, decisions: DecisionLog::Stdout }
    }
}

pub(super) fn read(root: &mut Table<'_>) -> LogSettings {
    const FORMATS: [(&str, LogFormat); 2] =
        [("json", LogFormat::Json), ("human", LogFormat::Human)];
    const LEVELS: [(&str, Level); 5] = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    let default = LogSettings::default();
    root.section("log", |table| {
        table.not_supported(&["rotate"]);
        Some(LogSettings {
            format: table.or("format", LogFormat::Json, |field| field.choice(&FORMATS)),
            level: table.or("level", Level::INFO, |field| field.choice(&LEVELS)),
            decisions: table.or("decisions", DecisionLog::Stdout, decisions),
        })
    })
    .unwrap_or(default)
}

fn decisions(mut field: Field<'_>) -> Option<DecisionLog> {
    if field.is_text(|text| text == "stdout") {
        Some(DecisionLog::Stdout)
    } else if field.is_text(|text| text == "off") {
        Some(DecisionLog::Off)
    } else {
        field.resolve_path().map(DecisionLog::File)
    }
}
