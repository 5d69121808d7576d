//! The reasons as lines for people, and as one line.

use std::fmt;

use super::{
    AccessLists, Asked, Holdings, Kind, Missing, Need, PolicyName, Reached, Reasons, Settled, Way,
    Who,
};

impl fmt::Display for Reasons {
    /// Lines for people; the first says what settled it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.settled)?;
        write!(f, "\nasked: {}", self.asked)?;
        if let Some(lists) = &self.access_lists {
            write!(f, "\naccess lists: {lists}")?;
        }
        if let Some(holds) = &self.holds {
            write!(f, "\nholds for this party: {holds}")?;
        }
        self.write_missing(f)
    }
}

impl Reasons {
    /// The same on one line: what settled it, and the easiest way to a permit.
    pub fn in_short(&self) -> String {
        let first = self.missing.first().filter(|one| one.way != Way::None);
        match first {
            None => self.settled.to_string(),
            Some(one) => format!("{}; missing: {}", self.settled, needs(one)),
        }
    }

    fn write_missing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (possible, not): (Vec<_>, Vec<_>) =
            self.missing.iter().partition(|one| one.way != Way::None);
        for (title, ways) in [
            ("any one of these would be enough", possible),
            ("what else a permit could rest on, and cannot here", not),
        ] {
            if !ways.is_empty() {
                write!(f, "\n{title}:")?;
            }
            for alike in ways.chunk_by(|one, next| one.hints == next.hints) {
                write!(f, "\n- {}", alternatives(alike))?;
                for hint in alike.first().iter().flat_map(|one| &one.hints) {
                    write!(f, "\n    {hint}")?;
                }
            }
        }
        if self.more_missing {
            f.write_str("\n- and more")?;
        }
        Ok(())
    }
}

impl fmt::Display for Settled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { policy, rule, effect } => {
                let verb = if *effect == "Permit" { "permitted" } else { "denied" };
                write!(f, "{verb} by ")?;
                match rule.number {
                    Some(number) => write!(f, "rule {number} of {policy} (`{}`)", rule.id),
                    None => write!(f, "the rule `{}` of {policy}", rule.id),
                }
            }
            Self::Algorithm { policy } => {
                write!(f, "no rule decides so: the combining algorithm of {policy} does by itself")
            }
            Self::NoRule { policy, reached: Reached::Subject { rules } } => {
                let places = rules.iter().map(|rule| match rule.number {
                    Some(number) => number.to_string(),
                    None => format!("`{}`", rule.id),
                });
                let (rules, are) = match rules.as_slice() {
                    [_] => ("rule", "is about this, and asks"),
                    _ => ("rules", "are about this, and ask"),
                };
                let places = places.collect::<Vec<_>>().join(", ");
                write!(f, "{rules} {places} of {policy} {are} for what the subject does not have")
            }
            Self::NoRule { policy, reached: Reached::NoAction { actions } } => write!(
                f,
                "no rule of {policy} is about this action; its actions are {}",
                quoted(actions)
            ),
            Self::NoRule { policy, reached: Reached::Other } => write!(
                f,
                "{policy} has rules about the action, but they ask for another resource attribute, \
                 or a condition does not hold"
            ),
            Self::Delegation { at, from, to, resource, policy: _ } => write!(
                f,
                "permitted by a single right to `{resource}`, given by {from} to {to} \
                 (directory: {at})"
            ),
            Self::AccessLists { otherwise } => {
                write!(f, "denied by the access lists of the resource, though {otherwise}")
            }
            Self::NoPolicy { near } => {
                f.write_str("the resource has no policy")?;
                match near {
                    Some(near) => write!(f, "; did you mean `{near}`?"),
                    None => Ok(()),
                }
            }
            Self::NoResource => f.write_str("the question names no resource"),
            Self::Unreadable { why } => write!(f, "the question cannot be read: {why}"),
            Self::Error { policy, why } => write!(f, "{policy} could not be evaluated: {why}"),
        }
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever reads the lines knows the folder.
        let name = self.file.rsplit('/').next().unwrap_or_default();
        write!(f, "`{name}`")
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.actions.as_slice() {
            [] => f.write_str("no action")?,
            actions => f.write_str(&quoted(actions))?,
        }
        match &self.resource {
            Some(resource) => write!(f, " on `{resource}`")?,
            None => f.write_str(" on no resource")?,
        }
        if let Some(instance) = &self.instance {
            write!(f, ", instance `{instance}`,")?;
        }
        match &self.party {
            Some(party) => write!(f, " for {party}")?,
            None => f.write_str(" for no party")?,
        }
        match &self.subject {
            Some(subject) => write!(f, ", by {subject}"),
            None => f.write_str(", by nobody"),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Person => write!(f, "person {}", self.id)?,
            Kind::SystemUser | Kind::Agent => write!(f, "system user {}", self.id)?,
            Kind::Organization | Kind::Subunit | Kind::Other => f.write_str(&self.id)?,
        }
        if !self.known {
            return f.write_str(" (not in the directory)");
        }
        let name = self.under_name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let under = format!("{}{name}", self.under.as_deref().unwrap_or_default());
        let more = match self.kind {
            Kind::Subunit => format!("subunit of {under}"),
            Kind::SystemUser => format!("acts for its owner {under}"),
            Kind::Agent => format!("agent of {under}"),
            Kind::Organization | Kind::Person | Kind::Other => String::new(),
        };
        let notes: Vec<&str> = self.name.as_deref().into_iter().chain([&*more]).collect();
        let notes: Vec<&str> = notes.into_iter().filter(|note| !note.is_empty()).collect();
        if notes.is_empty() { Ok(()) } else { write!(f, " ({})", notes.join(", ")) }
    }
}

impl fmt::Display for AccessLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { lists } => write!(f, "the party is on {}", quoted(lists)),
            Self::NotOnAList { lists } if lists.is_empty() => {
                f.write_str("the resource demands one and has none: nobody passes")
            }
            Self::NotOnAList { lists } => {
                write!(f, "the party is not on {}", quoted(lists))
            }
            Self::NotForTheAction { lists } => {
                write!(f, "the party is on {}, which is not for this action", quoted(lists))
            }
            Self::NotAnOrganization => {
                f.write_str("only organizations of the directory can be on one")
            }
        }
    }
}

impl fmt::Display for Holdings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packages =
            self.packages.iter().map(|one| format!("package `{}` ({})", one.package, one.from));
        let mut all: Vec<String> =
            packages.chain(self.roles.iter().map(|role| format!("role `{role}`"))).collect();
        if self.more > 0 {
            all.push(format!("{} more", self.more));
        }
        if all.is_empty() { f.write_str("no package") } else { f.write_str(&all.join(", ")) }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package { package, party } => write!(f, "package `{package}` for {party}"),
            Self::Role { role, party } => write!(f, "role `{role}` at {party}"),
            Self::SingleRight { action, resource } => {
                write!(f, "a single right to `{action}` on `{resource}`")
            }
            Self::Attribute { id, value } => write!(f, "`{id}` = `{value}`"),
        }
    }
}

fn needs(one: &Missing) -> String {
    one.needs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" together with ")
}

/// Any one of several needs; what differs only by its code stands together.
fn alternatives(ways: &[&Missing]) -> String {
    let same_place = |one: &&Missing, next: &&Missing| match (&*one.needs, &*next.needs) {
        ([Need::Package { party, .. }], [Need::Package { party: other, .. }])
        | ([Need::Role { party, .. }], [Need::Role { party: other, .. }]) => party == other,
        _ => false,
    };
    let groups = ways.chunk_by(same_place).map(|group| {
        let codes: Vec<String> = group
            .iter()
            .filter_map(|one| match &*one.needs {
                [Need::Package { package: code, .. } | Need::Role { role: code, .. }] => {
                    Some(format!("`{code}`"))
                }
                _ => None,
            })
            .collect();
        match group.first().map(|one| &*one.needs) {
            Some([Need::Package { party, .. }]) => format!("package {} for {party}", any(&codes)),
            Some([Need::Role { party, .. }]) => format!("role {} at {party}", any(&codes)),
            Some(_) => group.iter().map(|one| needs(one)).collect::<Vec<_>>().join(", or "),
            None => String::new(),
        }
    });
    groups.collect::<Vec<_>>().join(", or ")
}

fn any(codes: &[String]) -> String {
    match codes {
        [before @ .., last] if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        _ => codes.concat(),
    }
}

fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
