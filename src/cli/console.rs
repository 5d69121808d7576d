//! The only printer. Data goes to standard output, talk to standard error.

use crate::config::Colour;
use clap::ValueEnum;
use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};

/// How a command prints its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs: one JSON document, or one a line.
    Json,
}

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok,
    /// Problems were found, or the request would be denied.
    Found,
    /// The command line or the configuration is wrong.
    Usage,
    /// It could not start or run.
    Failed,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Found => 1,
            Exit::Usage => 2,
            Exit::Failed => 3,
        })
    }
}

/// Prints data. A reader that has gone is not our fault and ends nothing.
///
/// Logs, tokens and documents of others are shown: what a terminal would take for a command is not.
pub(super) fn data(text: &str) {
    let _ = io::stdout().lock().write_all(harmless(text).as_bytes());
}

/// The text without control characters, but for the ends of lines and tabs.
fn harmless(text: &str) -> Cow<'_, str> {
    let harms = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    if text.contains(harms) { text.replace(harms, "\u{fffd}").into() } else { text.into() }
}

/// Prints talk.
pub(super) fn talk(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn complain(fault: &dyn std::fmt::Display) {
    talk(&harmless(&format!("error: {fault}\n")));
}

/// Prints why a command could not start or run.
pub(super) fn failed(fault: &dyn std::fmt::Display) -> Exit {
    complain(fault);
    Exit::Failed
}

/// Prints what was refused.
pub(super) fn found(fault: &dyn std::fmt::Display) -> Exit {
    complain(fault);
    Exit::Found
}

/// Prints what is wrong with the command line.
pub(super) fn misused(fault: &dyn std::fmt::Display) -> Exit {
    complain(fault);
    Exit::Usage
}

/// Whether talk is coloured: only where a person reads it.
pub(super) fn talk_colour() -> Colour {
    if io::stderr().is_terminal() { Colour::Ansi } else { Colour::Plain }
}
