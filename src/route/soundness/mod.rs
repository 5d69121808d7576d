//! What one rule alone can show to be wrong with it.
//!
//! Each check reads the stated parts and says what is wrong, where, and what to write instead. What only
//! shows between rules is `table`'s.

mod body;
mod matching;
mod question;

use super::parts::{Methods, ObjectTie, Protection, RuleParts};
use super::rule::{Reads, RouteRule, RuleFault, ScopeDemand, Surroundings};
use crate::domain::{Enforcement, ScopeRequirement, SubjectKind};
use body::{judge_body, judge_coding};
use http::Method;
use matching::{judge_matching, judge_sources};
use question::{judge_instance, judge_object, judge_party, judge_resource};

/// Every fault of a rule; none means it can be followed.
pub(super) fn judge(
    stated: &RuleParts,
    reads: &Reads,
    surroundings: Surroundings,
) -> Vec<RuleFault> {
    let mut faults = Faults(Vec::new());
    judge_names(stated, &mut faults);
    judge_matching(stated, &mut faults);
    judge_sources(stated, reads, &mut faults);
    judge_body(stated, reads, &mut faults);
    judge_protection(stated, &mut faults);
    judge_upgrade(stated, reads, &mut faults);
    judge_mode(stated, &mut faults);
    match stated.protection {
        Protection::Required => {
            judge_resource(stated, &mut faults);
            judge_party(stated, surroundings, &mut faults);
            judge_instance(stated, &mut faults);
            judge_object(stated, reads, &mut faults);
            judge_coding(stated, reads, &mut faults);
        }
        Protection::Token => judge_object_of_token_rule(stated, &mut faults),
        Protection::Public | Protection::Closed => {}
    }
    if matches!(stated.protection, Protection::Required | Protection::Token) {
        judge_caller(stated, surroundings.scopes, &mut faults);
    }
    faults.0
}

/// Of what is open to all, or to none, nothing can be overlooked.
fn judge_mode(stated: &RuleParts, faults: &mut Faults) {
    let protection = match stated.protection {
        Protection::Public | Protection::Closed => stated.protection.as_str(),
        Protection::Required | Protection::Token => return,
    };
    if stated.mode == Some(Enforcement::Shadow) {
        let message = format!("a `{protection}` rule is the same in `mode: shadow`");
        faults.add("mode", message, "remove it");
    }
}

/// Captures that no source reads.
pub(super) fn unused_captures<'p>(
    stated: &'p RuleParts,
    reads: &'p Reads,
) -> impl Iterator<Item = &'p str> {
    let names = stated.matching.template.capture_names();
    names.filter(|name| !reads.path.iter().any(|read| read.as_ref() == *name))
}

struct Faults(Vec<RuleFault>);

impl Faults {
    fn add(&mut self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.0.push(RuleFault { key: key.to_owned(), message: message.into(), help: help.into() });
    }
}

fn judge_names(stated: &RuleParts, faults: &mut Faults) {
    for (key, name) in [("id", &stated.id), ("api", &stated.api)] {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let sound = (1..=RouteRule::MAX_ID_BYTES).contains(&name.len()) && name.bytes().all(legal);
        if !sound {
            faults.add(
                key,
                format!("`{}` is not a name", name.escape_debug()),
                "write 1 to 100 letters, digits, `-`, `_` and `.`",
            );
        }
    }
    let web = |url: &String| {
        (url.starts_with("https://") || url.starts_with("http://"))
            && url.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if stated.help_url.as_ref().is_some_and(|url| !web(url)) {
        faults.add("help_url", "the help address is not a web address", "write an https address");
    }
}

/// What a rule may not state because nothing would heed it.
fn judge_protection(stated: &RuleParts, faults: &mut Faults) {
    let question = [
        ("resource", stated.resource.is_some()),
        ("action", stated.action.is_some()),
        ("party", stated.party.is_some()),
        ("party_kinds", stated.party_kinds.is_some()),
        ("instance", stated.instance.is_some()),
        ("attributes", !stated.attributes.is_empty()),
        ("content_encoding", stated.content_encodings.is_some()),
        ("max_decompressed", stated.max_decompressed_bytes.is_some()),
        ("namespaces", !stated.namespaces.is_empty()),
        ("cache", stated.cache.is_some()),
    ];
    let caller = [
        ("scopes", stated.scopes.is_some()),
        ("subject", stated.subjects.is_some()),
        ("systems", stated.systems.is_some()),
        ("vendors", stated.vendors.is_some()),
        ("min_authentication_level", stated.min_authentication_level.is_some()),
        ("object", stated.object.is_some()),
    ];
    let (unheeded, why): (Vec<_>, _) = match stated.protection {
        Protection::Required => return,
        Protection::Token => (question.to_vec(), "asks the PDP nothing"),
        Protection::Public => ([&question[..], &caller[..]].concat(), "asks for no token"),
        Protection::Closed => {
            let upgrade = ("upgrade", stated.web_socket.is_some());
            ([&question[..], &caller[..], &[upgrade]].concat(), "lets nothing through")
        }
    };
    for (key, _) in unheeded.into_iter().filter(|(_, is_stated)| *is_stated) {
        let word = stated.protection.as_str();
        faults.add(
            key,
            format!("`protection: {word}` {why}, so `{key}` would go unheeded"),
            format!("remove `{key}`, or choose another protection"),
        );
    }
}

/// A WebSocket is opened by a `GET` without a body.
fn judge_upgrade(stated: &RuleParts, reads: &Reads, faults: &mut Faults) {
    if stated.web_socket.is_none() {
        return;
    }
    let takes_get = match &stated.matching.methods {
        Methods::One(method) => *method == Method::GET,
        Methods::List(methods) => methods.contains(&Method::GET),
        Methods::Any => true,
    };
    if !takes_get {
        faults.add(
            "upgrade",
            "a WebSocket is opened by `GET`, which the rule does not take",
            "add `GET` to `match.method`, or remove `upgrade`",
        );
    }
    if reads.body_kinds().next().is_some() {
        faults.add(
            "upgrade",
            "the rule reads the body, and the request that opens a WebSocket has none",
            "read the values from the path, the query or a header, or write a rule of its own",
        );
    }
}

fn judge_object_of_token_rule(stated: &RuleParts, faults: &mut Faults) {
    let reads_only = |method: &Method| matches!(*method, Method::GET | Method::HEAD);
    let harmless = match &stated.matching.methods {
        Methods::One(method) => reads_only(method),
        Methods::List(methods) => methods.iter().all(reads_only),
        Methods::Any => false,
    };
    let captures = stated.matching.template.capture_names().next().is_some();
    if (captures || !harmless) && stated.object != Some(ObjectTie::Upstream) {
        faults.add(
            "object",
            "the PDP is not asked, and nothing says who ties the object to the caller",
            "write `object: upstream` if the API itself does, or ask the PDP",
        );
    }
}

fn judge_caller(stated: &RuleParts, demand: ScopeDemand, faults: &mut Faults) {
    match (&stated.scopes, demand) {
        (None, ScopeDemand::MustBeStated) => faults.add(
            "scopes",
            "the rule names no scope, so a token made for any other API would do",
            "write `scopes: [SCOPE]`, or `scopes: none` to do without",
        ),
        (Some(ScopeRequirement::All(scopes) | ScopeRequirement::Any(scopes)), _)
            if scopes.is_empty() =>
        {
            faults.add(
                "scopes",
                "the list of scopes is empty",
                "name a scope, or write `scopes: none`",
            );
        }
        (None | Some(_), _) => {}
    }
    let subjects = stated.subjects.as_deref().unwrap_or(&[RouteRule::DEFAULT_SUBJECT]);
    if subjects.is_empty() {
        faults.add("subject", "the list of subjects is empty", "name one, or remove the key");
    }
    let lists = [
        ("systems", stated.systems.as_ref().map(Vec::is_empty)),
        ("vendors", stated.vendors.as_ref().map(Vec::is_empty)),
    ];
    for (key, empty) in lists {
        match empty {
            Some(true) => faults.add(
                key,
                format!("`{key}` is empty and would accept nobody"),
                "name one, remove the key, or write `protection: closed`",
            ),
            Some(false) if key == "systems" && !subjects.contains(&SubjectKind::SystemUser) => {
                faults.add(
                    key,
                    "only system users belong to a system, and the rule accepts none",
                    "remove it, or add `system-user` to `subject`",
                );
            }
            Some(false) | None => {}
        }
    }
}
