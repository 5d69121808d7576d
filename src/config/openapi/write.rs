//! Proposed rules as a file, for people to read and go on with.

use std::fmt::Write as _;

use super::TO_CHOOSE;
use super::candidates::Candidate;
use super::propose::{Proposal, Proposed, ProposedGuard, ProposedParty, Scopes, USUAL_MAX};
use crate::domain::{DenialCode, PartyKind};
use crate::route::Template;

/// The longest comment. Bounds what a document can fill a file with.
const MAX_COMMENT_CHARS: usize = 150;

impl Proposal {
    /// The file. What a person must choose stands as `TODO`, and the file is refused until it is chosen.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut text = String::from(
            "# Proposed from an OpenAPI document: read each rule before it is used. `TODO` is what only you can say.\n",
        );
        // Writing to a String cannot fail.
        let _ = writeln!(text, "api: {}", quoted(&self.api));
        let mut defaults = Vec::new();
        if let Some(resource) = &self.resource {
            defaults.push(format!("resource: {}", quoted(resource)));
        }
        if let Some(scopes) = &self.scopes {
            defaults.push(format!("scopes: {}", scopes.to_yaml()));
        }
        if !defaults.is_empty() {
            let _ = writeln!(text, "defaults: {{ {} }}", defaults.join(", "));
        }
        text.push_str("rules:\n");
        for (place, rule) in self.rules.iter().enumerate() {
            if place > 0 {
                text.push('\n');
            }
            rule.write(&mut text);
        }
        text
    }

    /// A file of rule tests: whoever sends no token is refused, but where the document asks for none.
    #[must_use]
    pub fn tests_to_yaml(&self) -> String {
        let mut text = String::from(
            "# Proposed beside the rules: strangers are refused. What callers may do, and what not, is for you to add.\ntests:\n",
        );
        for rule in &self.rules {
            let Ok(template) = Template::parse(&rule.path) else { continue };
            let outcome = match rule.guard {
                ProposedGuard::Decided { .. } | ProposedGuard::Token { .. } => {
                    DenialCode::TokenMissing.as_str()
                }
                ProposedGuard::ToChoose => "forward",
            };
            let (id, request) = (&rule.id, format!("{} {}", rule.method, template.sample()));
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  - name: {}", quoted(&format!("{id} without a token")));
            let _ = writeln!(text, "    request: {}", quoted(&request));
            let _ = writeln!(text, "    claims: none");
            let _ = writeln!(text, "    expect: {{ rule: {}, outcome: {outcome} }}\n", quoted(id));
        }
        text.truncate(text.trim_end().len().saturating_add(1));
        text
    }

    /// How often a person must choose.
    #[must_use]
    pub fn to_choose(&self) -> usize {
        let values = self.to_yaml();
        let is_value = |line: &&str| !line.trim_start().starts_with('#');
        values.lines().filter(is_value).map(|line| line.matches(TO_CHOOSE).count()).sum()
    }
}

impl Proposed {
    fn write(&self, text: &mut String) {
        for comment in &self.comments {
            let comment: String = comment
                .chars()
                .map(|letter| if letter.is_control() { ' ' } else { letter })
                .take(MAX_COMMENT_CHARS)
                .collect();
            let _ = writeln!(text, "  # {}", comment.trim());
        }
        let mut line = |key: &str, value: &str| {
            let _ = writeln!(text, "    {key}: {value}");
        };
        let matching = format!("{{ method: {}, path: {} }}", self.method, quoted(&self.path));
        match &self.guard {
            ProposedGuard::Decided { resource, action, party, leaves_object } => {
                line("match", &matching);
                if let Some(resource) = resource {
                    let from = quoted(&resource.source);
                    line("resource", &format!("{{ from: {from}, allow: [{TO_CHOOSE}] }}"));
                }
                line("action", action);
                match party {
                    ProposedParty::One(party) => {
                        line("party", &party.to_yaml());
                        match party.kind {
                            PartyKind::Organization => {}
                            kind @ (PartyKind::Person | PartyKind::Uuid | PartyKind::Id) => {
                                line("party_kinds", kind.as_str());
                            }
                        }
                    }
                    ProposedParty::ToChoose => line("party", TO_CHOOSE),
                }
                if *leaves_object {
                    line("object", "upstream");
                }
            }
            ProposedGuard::Token { leaves_object } => {
                line("match", &matching);
                line("protection", "token");
                if *leaves_object {
                    line("object", "upstream");
                }
            }
            ProposedGuard::ToChoose => {
                line("match", &matching);
                line("protection", TO_CHOOSE);
            }
        }
        if let Some(scopes) = &self.scopes {
            line("scopes", &scopes.to_yaml());
        }
        // The first key opens the item of the list.
        let opened = format!("  - id: {}\n    match: ", quoted(&self.id));
        if let Some(at) = text.rfind("    match: ") {
            text.replace_range(at..at.saturating_add("    match: ".len()), &opened);
        }
    }
}

impl Candidate {
    fn to_yaml(&self) -> String {
        let source = quoted(&self.source);
        if self.is_list {
            let max =
                self.max_items.unwrap_or(USUAL_MAX).clamp(1, crate::route::RouteRule::MAX_PARTIES);
            format!("{{ from: {source}, many: all, max: {max} }}")
        } else {
            source
        }
    }
}

impl Scopes {
    fn to_yaml(&self) -> String {
        let list = |scopes: &[String]| {
            // Always in quotes: they have colons.
            let scopes: Vec<_> = scopes.iter().map(|scope| in_quotes(scope)).collect();
            format!("[{}]", scopes.join(", "))
        };
        match self {
            Self::All(scopes) => list(scopes),
            Self::Any(scopes) => format!("{{ any: {} }}", list(scopes)),
            Self::ToChoose => TO_CHOOSE.to_owned(),
        }
    }
}

/// As YAML reads it back, in quotes where a bare word might be read as something else.
fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    let begins = text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '/');
    let is_word = !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .contains(&text.to_ascii_lowercase().as_str());
    // `path:orgnr` is a bare word: only `: ` ends a key.
    let is_source = text.split_once(':').is_some_and(|(kind, name)| {
        kind.chars().all(|letter| letter.is_ascii_lowercase())
            && !name.is_empty()
            && name.chars().all(is_plain)
    });
    if begins && is_word && (text.chars().all(is_plain) || is_source) {
        return text.to_owned();
    }
    in_quotes(text)
}

fn in_quotes(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(letter);
            }
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
