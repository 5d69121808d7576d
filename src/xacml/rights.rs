//! Single rights read back out of a policy that was built of them, so that one can be added or taken
//! away. A policy of any other form is not taken apart.

use super::model::{AllOf, AttributeIs, Match, Policy, Right, Rule};

impl Policy {
    /// The rights this policy permits, if it is as [`Policy::of_rights`] makes it, and nothing more.
    pub fn as_rights(&self) -> Option<Vec<Right>> {
        let rights: Vec<_> = self.rules.iter().map(right).collect::<Option<_>>()?;
        // What was read is everything there is: built anew, it is the same policy in every part.
        let again = Self::of_rights(self.id.as_str(), rights.clone());
        (format!("{again:?}") == format!("{self:?}")).then_some(rights)
    }
}

fn right(rule: &Rule) -> Option<Right> {
    let blocks: Vec<_> = rule.target.any_ofs.iter().map(|block| block.all_ofs.as_slice()).collect();
    let [[subject], [resource], [action]] = blocks.as_slice() else { return None };
    let only = |block: &AllOf| match block.matches.as_slice() {
        [one] => Some(named(one)),
        [] | [_, _, ..] => None,
    };
    Some(Right {
        subject: only(subject)?,
        resource: resource.matches.iter().map(named).collect(),
        action: only(action)?.value,
    })
}

fn named(one: &Match) -> AttributeIs {
    AttributeIs { id: one.designator.id.clone(), value: one.literal.text.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights() -> [Right; 2] {
        let is = |id: &str, value: &str| AttributeIs { id: id.into(), value: value.into() };
        ["write", "read"].map(|action| Right {
            subject: is("urn:altinn:systemuser:uuid", "u"),
            resource: vec![is("urn:altinn:org", "o"), is("urn:altinn:app", "a")],
            action: action.into(),
        })
    }

    #[test]
    fn rights_come_back_as_they_were_put_in() {
        let policy = Policy::of_rights("p", rights());
        assert_eq!(policy.as_rights().unwrap(), rights());
        assert_eq!(Policy::of_rights("p", []).as_rights(), Some(vec![]));
    }

    #[test]
    fn a_policy_that_says_more_is_not_taken_for_rights() {
        let mut other = Policy::of_rights("p", rights());
        other.rules[0].effect = super::super::Effect::Deny;
        assert_eq!(other.as_rights(), None);
        let mut other = Policy::of_rights("p", rights());
        other.rules[0].target.any_ofs.pop();
        assert_eq!(other.as_rights(), None);
        let mut other = Policy::of_rights("p", rights());
        let again = other.rules[0].target.any_ofs[0].all_ofs[0].clone();
        other.rules[0].target.any_ofs[0].all_ofs.push(again);
        assert_eq!(other.as_rights(), None);
        let text = include_str!("../../policies/resources/ske-mva-melding.xml");
        assert_eq!(Policy::parse(text.as_bytes()).unwrap().as_rights(), None);
    }
}
