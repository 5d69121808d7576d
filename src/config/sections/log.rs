//! `log`: what is written, how, and where to.

use std::path::PathBuf;

use tracing::Level;

use crate::config::field::Field;
use crate::config::reader::Table;
use crate::record::Rotation;

/// What is written, how, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// From which level on.
    pub level: Level,
    /// Where decision records go.
    pub decisions: DecisionLog,
    /// What they look like there.
    pub record_schema: RecordSchema,
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
    /// A path: appended to, and put aside when it is full if there is a rotation.
    File(PathBuf, Option<Rotation>),
    /// `off`
    Off,
}

/// What decision records look like where they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordSchema {
    /// `portvakt`: each as its own schema says.
    Portvakt,
    /// `ecs`: as documents of the Elastic Common Schema, each with the whole record in it.
    Ecs,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Json,
            level: Level::INFO,
            decisions: DecisionLog::Stdout,
            record_schema: RecordSchema::Portvakt,
        }
    }
}

/// Of one file, unless the settings say otherwise: some hundred thousand records.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Files beside the present one.
const KEEP: u32 = 4;

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
    const SCHEMAS: [(&str, RecordSchema); 2] =
        [("portvakt", RecordSchema::Portvakt), ("ecs", RecordSchema::Ecs)];
    let default = LogSettings::default();
    root.section("log", |table| {
        let mut decisions = table.or("decisions", DecisionLog::Stdout, decisions);
        match &mut decisions {
            DecisionLog::File(_, rotation) => {
                *rotation = table
                    .stated("rotate", |field| field.table(|table| Some(rotate(table))))
                    .flatten();
            }
            DecisionLog::Stdout | DecisionLog::Off => {
                table.unused("rotate", "only a file is put aside: write its path as `decisions`");
            }
        }
        Some(LogSettings {
            format: table.or("format", LogFormat::Json, |field| field.choice(&FORMATS)),
            level: table.or("level", Level::INFO, |field| field.choice(&LEVELS)),
            decisions,
            record_schema: table
                .or("record_schema", RecordSchema::Portvakt, |field| field.choice(&SCHEMAS)),
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
        field.resolve_path().map(|path| DecisionLog::File(path, None))
    }
}

fn rotate(table: &mut Table<'_>) -> Rotation {
    let max_bytes = table.or("max_bytes", MAX_BYTES, |field| {
        field.bytes(64 * 1024..=1 << 40, "a file smaller than that is full within a second")
    });
    let keep = table.or("keep", KEEP, |field| {
        field.number(1..=1000, "with 0 records would be gone as soon as a file is full")
    });
    Rotation { max_bytes, keep }
}
