//! A tree of XACML elements to a [`Policy`]. Whatever the engine would not evaluate faithfully is a
//! fault with its place, so that no policy is loaded that means less, or more, than it says.

use std::sync::Arc;

use super::altinn;
use super::combining::CombiningAlgorithm;
use super::functions::Function;
use super::limits::{MAX_MATCHES, MAX_NOTES, MAX_OBLIGATIONS, MAX_PATTERNS, MAX_RULES};
use super::model::{
    AllOf, AnyOf, Assignment, Effect, Literal, Match, NoteSeverity, Obligation, Policy, PolicyNote,
    PolicyParts, Rule, Target, Test, Types,
};
use super::pattern::{Pattern, PatternFault};
use super::xml::{self, Document, Element, PolicyFault, is_white_space, quoted};

mod expression;

pub(super) fn policy(bytes: &[u8]) -> Result<Policy, PolicyFault> {
    let document = xml::read(bytes)?;
    let mut parser = Parser {
        document: &document,
        match_count: 0,
        pattern_count: 0,
        types: Types::Correct,
        notes: Vec::new(),
    };
    let parts = parser.policy(&document.root)?;
    Ok(Policy::new(PolicyParts { notes: parser.notes, ..parts }))
}

struct Parser<'d> {
    document: &'d Document<'d>,
    match_count: usize,
    pattern_count: usize,
    /// Of the condition being read.
    types: Types,
    notes: Vec<PolicyNote>,
}

impl<'d> Parser<'d> {
    fn policy(&mut self, root: &Element) -> Result<PolicyParts, PolicyFault> {
        if &*root.name != "Policy" {
            return Err(self.fault(
                root,
                format!("expected a `Policy`, found {}", quoted(&root.name)),
                "keep one `Policy` in a file; policy sets are not supported",
            ));
        }
        self.no_text(root)?;
        self.known_attributes(root, &["PolicyId", "Version", "RuleCombiningAlgId"])?;
        let urn = self.required(root, "RuleCombiningAlgId")?;
        let algorithm = CombiningAlgorithm::from_urn(urn).ok_or_else(|| {
            self.fault(
                root,
                format!("the combining algorithm {} is not supported", quoted(urn)),
                "use deny-overrides, permit-overrides, their ordered variants, first-applicable, \
                 deny-unless-permit or permit-unless-deny",
            )
        })?;
        let altinn_knows_algorithm = CombiningAlgorithm::is_known_to_altinn(urn);
        if !altinn_knows_algorithm {
            self.warn(
                root,
                "Altinn knows the combining algorithm by its name in XACML 3.0 only; by this one it \
                 answers Indeterminate",
            );
        }
        let id = self.required(root, "PolicyId")?.to_owned();
        let mut children = self.children(root, &["Target", "Rule", "ObligationExpressions"])?;
        let target = match children.take_one("Target")? {
            Some(element) => self.target(element)?,
            None => {
                return Err(self.fault(
                    root,
                    "the policy has no `Target`",
                    "write an empty `<Target/>` for a policy whose rules say all",
                ));
            }
        };
        if !target.any_ofs.is_empty() {
            self.note(root, "the target of the policy is not evaluated in Altinn's mode");
        }
        let elements = children.take_all("Rule");
        if elements.len() > MAX_RULES {
            return Err(self.fault(
                root,
                format!("the policy has more than {MAX_RULES} rules"),
                "split the policy into several, one for each resource",
            ));
        }
        let rules = elements.iter().map(|one| self.rule(one)).collect::<Result<Vec<_>, _>>()?;
        let obligations = match children.take_one("ObligationExpressions")? {
            Some(element) => self.obligations(element)?,
            None => Vec::new(),
        };
        children.end()?;
        let rule_obligations = rules.iter().map(|rule| rule.obligations.len());
        if rule_obligations.fold(obligations.len(), usize::saturating_add) > MAX_OBLIGATIONS {
            return Err(self.fault(
                root,
                format!("the policy has more than {MAX_OBLIGATIONS} obligations"),
                "remove those that are not needed",
            ));
        }
        Ok(PolicyParts {
            id,
            algorithm,
            altinn_knows_algorithm,
            target,
            rules,
            obligations,
            notes: Vec::new(),
        })
    }

    fn rule(&mut self, element: &Element) -> Result<Rule, PolicyFault> {
        self.no_text(element)?;
        self.known_attributes(element, &["RuleId", "Effect"])?;
        let id = self.required(element, "RuleId")?.to_owned();
        let effect = self.effect(element, "Effect")?;
        let mut children =
            self.children(element, &["Target", "Condition", "ObligationExpressions"])?;
        let target = match children.take_one("Target")? {
            Some(element) => self.target(element)?,
            None => Target::default(),
        };
        let condition = match children.take_one("Condition")? {
            Some(element) => Some(self.condition(element, effect)?),
            None => None,
        };
        let obligations = match children.take_one("ObligationExpressions")? {
            Some(obligations) => {
                self.note(element, "obligations of a rule are not evaluated in Altinn's mode");
                self.obligations(obligations)?
            }
            None => Vec::new(),
        };
        children.end()?;
        Ok(Rule { id, effect, target, condition, obligations })
    }

    fn target(&mut self, element: &Element) -> Result<Target, PolicyFault> {
        self.known_attributes(element, &[])?;
        let any_ofs = self.only(element, "AnyOf")?.iter();
        let any_ofs = any_ofs.map(|one| self.any_of(one)).collect::<Result<_, _>>()?;
        Ok(Target { any_ofs })
    }

    fn any_of(&mut self, element: &Element) -> Result<AnyOf, PolicyFault> {
        self.known_attributes(element, &[])?;
        self.not_empty(element, "AllOf")?;
        let all_ofs = self.only(element, "AllOf")?.iter();
        let all_ofs = all_ofs.map(|one| self.all_of(one)).collect::<Result<_, _>>()?;
        Ok(AnyOf { all_ofs })
    }

    fn all_of(&mut self, element: &Element) -> Result<AllOf, PolicyFault> {
        self.known_attributes(element, &[])?;
        self.not_empty(element, "Match")?;
        let matches = self.only(element, "Match")?.iter();
        let matches = matches.map(|one| self.one_match(one)).collect::<Result<_, _>>()?;
        Ok(AllOf { matches })
    }

    fn one_match(&mut self, element: &Element) -> Result<Match, PolicyFault> {
        self.match_count = self.match_count.saturating_add(1);
        if self.match_count > MAX_MATCHES {
            return Err(self.fault(
                element,
                format!("the policy has more than {MAX_MATCHES} matches"),
                "split the policy into several, one for each resource",
            ));
        }
        self.no_text(element)?;
        self.known_attributes(element, &["MatchId"])?;
        let urn = self.required(element, "MatchId")?;
        let found = Function::from_urn(urn)
            .and_then(|function| function.compares().map(|data_types| (function, data_types)));
        let Some((function, (of_literal, of_attribute))) = found else {
            return Err(self.unknown_function(element, urn));
        };
        let [value, named] = element.children.as_slice() else {
            return Err(self.fault(
                element,
                "a `Match` does not hold exactly two elements",
                "write one `AttributeValue`, then one `AttributeDesignator`",
            ));
        };
        let literal = self.literal(value)?;
        let designator = self.designator(named)?;
        if (literal.data_type, designator.data_type) != (of_literal, of_attribute) {
            self.warn(
                element,
                &format!(
                    "{} compares {} with {}, not {} with {}: this is an error whenever it is \
                     evaluated, so its `AllOf` never matches, and no rule decides by it",
                    quoted(urn),
                    of_literal.name(),
                    of_attribute.name(),
                    literal.data_type.name(),
                    designator.data_type.name(),
                ),
            );
            return Ok(Match { test: Test::IllTyped, literal, designator });
        }
        if !altinn::knows(function) {
            self.warn(
                element,
                &format!("Altinn does not know {}: it answers Indeterminate", quoted(urn)),
            );
        }
        let test = match function {
            Function::Matches(data_type) => {
                Test::Pattern(data_type, self.pattern(value, &literal)?)
            }
            Function::Equal(_)
            | Function::EqualIgnoreCase
            | Function::OneAndOnly(_)
            | Function::BagSize(_)
            | Function::IsIn(_)
            | Function::And
            | Function::Or
            | Function::Not => Test::Function(function),
        };
        Ok(Match { test, literal, designator })
    }

    fn pattern(&mut self, element: &Element, literal: &Literal) -> Result<Pattern, PolicyFault> {
        self.pattern_count = self.pattern_count.saturating_add(1);
        if self.pattern_count > MAX_PATTERNS {
            return Err(self.fault(
                element,
                format!("the policy has more than {MAX_PATTERNS} patterns"),
                "compare with `string-equal` where there is nothing but alternatives",
            ));
        }
        Pattern::read(&literal.text)
            .map_err(|PatternFault { message, help }| self.fault(element, message, help))
    }

    fn obligations(&self, element: &Element) -> Result<Vec<Arc<Obligation>>, PolicyFault> {
        self.known_attributes(element, &[])?;
        let all = self.only(element, "ObligationExpression")?.iter();
        all.map(|one| self.obligation(one).map(Arc::new)).collect()
    }

    fn obligation(&self, element: &Element) -> Result<Obligation, PolicyFault> {
        self.known_attributes(element, &["ObligationId", "FulfillOn"])?;
        let assignments = self.only(element, "AttributeAssignmentExpression")?.iter();
        Ok(Obligation {
            id: self.required(element, "ObligationId")?.to_owned(),
            fulfill_on: self.effect(element, "FulfillOn")?,
            assignments: assignments.map(|one| self.assignment(one)).collect::<Result<_, _>>()?,
        })
    }

    fn assignment(&self, element: &Element) -> Result<Assignment, PolicyFault> {
        self.no_text(element)?;
        self.known_attributes(element, &["AttributeId", "Category"])?;
        let [value] = element.children.as_slice() else {
            return Err(self.fault(
                element,
                "an obligation does not hold exactly one value",
                "write one `AttributeValue`; other expressions are not supported here",
            ));
        };
        let literal = self.literal(value)?;
        Ok(Assignment {
            attribute_id: self.required(element, "AttributeId")?.to_owned(),
            category: element.attribute("Category").map(str::to_owned),
            value: literal.text,
            data_type: literal.data_type,
        })
    }

    fn effect(&self, element: &Element, name: &str) -> Result<Effect, PolicyFault> {
        match self.required(element, name)? {
            "Permit" => Ok(Effect::Permit),
            "Deny" => Ok(Effect::Deny),
            other => Err(self.fault(
                element,
                format!("`{name}` is {}", quoted(other)),
                "write `Permit` or `Deny`",
            )),
        }
    }

    fn required<'e>(&self, element: &'e Element, name: &str) -> Result<&'e str, PolicyFault> {
        match element.attribute(name) {
            Some(value) if !value.is_empty() => Ok(value),
            Some(_) | None => Err(self.fault(
                element,
                format!("`{}` has no `{name}`", element.name),
                format!("write `{name}=\"…\"`"),
            )),
        }
    }

    fn known_attributes(&self, element: &Element, known: &[&str]) -> Result<(), PolicyFault> {
        match element.attributes.iter().find(|one| !known.contains(&&*one.name)) {
            None => Ok(()),
            Some(unknown) => {
                let name = quoted(&unknown.name);
                let message = format!("`{}` has the unknown attribute {name}", element.name);
                Err(self.fault(element, message, expected_one_of("attributes", known)))
            }
        }
    }

    /// The children of an element that may hold nothing but elements of this name.
    fn only<'e>(&self, element: &'e Element, name: &str) -> Result<&'e [Element], PolicyFault> {
        self.no_text(element)?;
        element.children.iter().try_for_each(|child| self.expect(child, name))?;
        Ok(&element.children)
    }

    /// An empty `AnyOf` or `AllOf` is not XACML, and would match nothing or everything.
    fn not_empty(&self, element: &Element, name: &str) -> Result<(), PolicyFault> {
        if element.children.is_empty() {
            let message = format!("`{}` is empty", element.name);
            return Err(self.fault(element, message, format!("write at least one `{name}`")));
        }
        Ok(())
    }

    fn expect(&self, element: &Element, name: &str) -> Result<(), PolicyFault> {
        if &*element.name == name { Ok(()) } else { Err(self.unknown_element(element, &[name])) }
    }

    fn no_text(&self, element: &Element) -> Result<(), PolicyFault> {
        if element.text.chars().all(is_white_space) {
            return Ok(());
        }
        Err(self.fault(
            element,
            format!("`{}` holds the text {}", element.name, quoted(element.text.trim())),
            "remove it, or make it a comment",
        ))
    }

    /// The children of an element, which must be of these names and stand in this order, after an
    /// optional `Description`.
    fn children<'e>(
        &self,
        element: &'e Element,
        names: &'e [&'e str],
    ) -> Result<Children<'e, 'd>, PolicyFault> {
        let mut rest = element.children.as_slice();
        if let Some((first, others)) = rest.split_first()
            && &*first.name == "Description"
        {
            rest = others;
        }
        match rest.iter().find(|child| !names.contains(&&*child.name)) {
            Some(unknown) => Err(self.unknown_element(unknown, names)),
            None => Ok(Children { document: self.document, rest }),
        }
    }

    fn unknown_element(&self, element: &Element, known: &[&str]) -> PolicyFault {
        let message = format!("the element {} is not supported here", quoted(&element.name));
        self.fault(element, message, expected_one_of("elements", known))
    }

    fn unknown_function(&self, element: &Element, urn: &str) -> PolicyFault {
        self.fault(
            element,
            format!("the function {} is not supported here", quoted(urn)),
            "use string-equal, string-equal-ignore-case, another type's equal or \
             string-regexp-match; conditions may also use one-and-only, bag-size, is-in, and, or, not",
        )
    }

    fn note(&mut self, element: &Element, message: &str) {
        self.say(NoteSeverity::Note, element, message);
    }

    fn warn(&mut self, element: &Element, message: &str) {
        self.say(NoteSeverity::Warning, element, message);
    }

    fn say(&mut self, severity: NoteSeverity, element: &Element, message: &str) {
        // Each note counts the lines up to its place.
        if self.notes.len() < MAX_NOTES {
            let (line, column) = self.document.position(element);
            self.notes.push(PolicyNote { severity, line, column, message: message.to_owned() });
        }
    }

    fn fault(
        &self,
        element: &Element,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> PolicyFault {
        self.document.fault(element, message, help)
    }
}

/// Children not yet taken. Names are taken in the order of the schema; what is left at the end
/// stood in the wrong place.
struct Children<'e, 'd> {
    document: &'d Document<'d>,
    rest: &'e [Element],
}

impl<'e> Children<'e, '_> {
    fn take_all(&mut self, name: &str) -> &'e [Element] {
        let other = self.rest.iter().position(|child| &*child.name != name);
        let (taken, rest) = self.rest.split_at(other.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn take_one(&mut self, name: &str) -> Result<Option<&'e Element>, PolicyFault> {
        match self.take_all(name) {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            [_, second, ..] => Err(self.document.fault(
                second,
                format!("there is a second `{name}`"),
                "keep one of them",
            )),
        }
    }

    fn end(&self) -> Result<(), PolicyFault> {
        match self.rest.first() {
            None => Ok(()),
            Some(element) => Err(self.document.fault(
                element,
                format!("`{}` stands in the wrong place", element.name),
                "the order is Description, Target, then Rule or Condition, \
                 then ObligationExpressions",
            )),
        }
    }
}

fn expected_one_of(what: &str, known: &[&str]) -> String {
    if known.is_empty() {
        format!("no {what} are known here")
    } else {
        format!("known {what} here: {}", known.join(", "))
    }
}

#[cfg(test)]
mod tests;
