//! A policy as it is evaluated: everything resolved and type-checked, nothing left to look up by
//! name. Policies come from XML (`parse`) or are built in code from single rights; both go through
//! the same engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::combining::CombiningAlgorithm;
use super::functions::Function;
use super::pattern::Pattern;
use super::values::{DataType, UnreadableValue, Value};
use super::xml::PolicyFault;

/// The attribute that names what the subject wants to do.
pub const ACTION_ID: &str = "urn:oasis:names:tc:xacml:1.0:action:action-id";

/// One policy: rules, how their outcomes combine, and the obligations of the result.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(super) id: String,
    pub(super) algorithm: CombiningAlgorithm,
    /// By the identifier the policy names it by.
    pub(super) altinn_knows_algorithm: bool,
    pub(super) target: Target,
    pub(super) rules: Vec<Rule>,
    pub(super) obligations: Vec<Arc<Obligation>>,
    pub(super) notes: Vec<PolicyNote>,
    // Invariant: every attribute id named by a target or condition of this policy.
    attribute_ids: BTreeSet<String>,
}

impl Policy {
    /// Reads a policy document. What the engine cannot evaluate is a fault, with its place.
    pub fn parse(document: &[u8]) -> Result<Self, PolicyFault> {
        super::parse::policy(document)
    }

    /// A policy that permits exactly these rights, as Altinn keeps delegations. A right that names
    /// no resource would be one to every resource; it gives nothing.
    pub fn of_rights(id: impl Into<String>, rights: impl IntoIterator<Item = Right>) -> Self {
        let named = rights.into_iter().filter(|right| !right.resource.is_empty());
        let rules = named.enumerate().map(|(index, right)| right.into_rule(index));
        Self::new(PolicyParts {
            id: id.into(),
            algorithm: CombiningAlgorithm::DenyOverrides,
            altinn_knows_algorithm: true,
            target: Target::default(),
            rules: rules.collect(),
            obligations: Vec::new(),
            notes: Vec::new(),
        })
    }

    pub(super) fn new(parts: PolicyParts) -> Self {
        let PolicyParts {
            id,
            algorithm,
            altinn_knows_algorithm,
            target,
            rules,
            obligations,
            notes,
        } = parts;
        let mut attribute_ids = BTreeSet::new();
        collect_target(&target, &mut attribute_ids);
        for rule in &rules {
            collect_target(&rule.target, &mut attribute_ids);
            if let Some(condition) = &rule.condition {
                collect_expression(&condition.expression, &mut attribute_ids);
            }
        }
        Self {
            id,
            algorithm,
            altinn_knows_algorithm,
            target,
            rules,
            obligations,
            notes,
            attribute_ids,
        }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// The place of a rule in the policy, from 1; of several with one id, the first.
    pub fn rule_number(&self, rule_id: &str) -> Option<usize> {
        let index = self.rules.iter().position(|rule| rule.id == rule_id)?;
        index.checked_add(1)
    }

    /// Whether a target or condition of the policy refers to this attribute, in any category. A
    /// policy that does not mention an attribute decides the same with and without it.
    pub fn mentions(&self, attribute_id: &str) -> bool {
        self.attribute_ids.contains(attribute_id)
    }

    /// The texts that targets of the policy's rules compare an attribute with. For the attributes
    /// that name a resource: which resources the policy is for.
    pub fn compared_with(&self, category: &Category, attribute_id: &str) -> BTreeSet<&str> {
        self.compared_by_rule(category, attribute_id).flat_map(|(_, texts)| texts).collect()
    }

    /// The same for each rule by itself, with the rule's id, in their order.
    pub fn compared_by_rule(
        &self,
        category: &Category,
        attribute_id: &str,
    ) -> impl Iterator<Item = (&str, BTreeSet<&str>)> {
        self.rules.iter().map(move |rule| {
            let all_ofs = rule.target.any_ofs.iter().flat_map(|any_of| &any_of.all_ofs);
            let named = all_ofs.flat_map(|all_of| &all_of.matches).filter(|one| {
                one.designator.category == *category && one.designator.id == attribute_id
            });
            (rule.id.as_str(), named.map(|one| one.literal.text.as_str()).collect())
        })
    }

    /// The policy-level obligations to fulfil when the decision is `effect`.
    pub fn obligations(&self, effect: Effect) -> impl Iterator<Item = &Arc<Obligation>> {
        self.obligations.iter().filter(move |obligation| obligation.fulfill_on == effect)
    }

    /// What the policy's author should know of it: type errors, and what
    /// [`Mode::Altinn`](super::Mode::Altinn) passes over or cannot evaluate.
    pub fn notes(&self) -> &[PolicyNote] {
        &self.notes
    }
}

/// What [`Policy::new`] makes a policy of.
pub(super) struct PolicyParts {
    pub(super) id: String,
    pub(super) algorithm: CombiningAlgorithm,
    pub(super) altinn_knows_algorithm: bool,
    pub(super) target: Target,
    pub(super) rules: Vec<Rule>,
    pub(super) obligations: Vec<Arc<Obligation>>,
    pub(super) notes: Vec<PolicyNote>,
}

/// Something the author of a policy should know about it, though it can be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyNote {
    pub severity: NoteSeverity,
    pub line: usize,
    pub column: usize,
    pub message: String,
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoteSeverity {
    /// The policy decides as it says, though not by every part of it.
    Note,
    /// The policy, or a rule of it, does not decide as it says.
    Warning,
}

/// A single right: whoever has `subject` may do `action` on what has all of `resource`. All values
/// are strings, compared exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    pub subject: AttributeIs,
    pub resource: Vec<AttributeIs>,
    pub action: String,
}

impl Right {
    fn into_rule(self, index: usize) -> Rule {
        let resource =
            self.resource.into_iter().map(|is| is.into_match(Category::Resource)).collect();
        let action = AttributeIs { id: ACTION_ID.to_owned(), value: self.action };
        let blocks = [
            vec![self.subject.into_match(Category::AccessSubject)],
            resource,
            vec![action.into_match(Category::Action)],
        ];
        Rule {
            id: format!("right-{}", index.saturating_add(1)),
            effect: Effect::Permit,
            target: Target {
                any_ofs: blocks
                    .map(|matches| AnyOf { all_ofs: vec![AllOf { matches }] })
                    .into_iter()
                    .collect(),
            },
            condition: None,
            obligations: Vec::new(),
        }
    }
}

/// An attribute and the value it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeIs {
    pub id: String,
    pub value: String,
}

impl AttributeIs {
    fn into_match(self, category: Category) -> Match {
        Match {
            test: Test::Function(Function::Equal(DataType::String)),
            literal: Literal::string(self.value),
            designator: AttributeDesignator {
                category,
                id: self.id,
                data_type: DataType::String,
                issuer: None,
                must_be_present: false,
            },
        }
    }
}

/// What a rule, or a policy, decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    Permit,
    Deny,
}

/// What an attribute describes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Category {
    AccessSubject,
    Resource,
    Action,
    Environment,
    /// Any other category, by its identifier.
    Named(String),
}

impl Category {
    pub fn from_uri(uri: &str) -> Self {
        [Self::AccessSubject, Self::Resource, Self::Action, Self::Environment]
            .into_iter()
            .find(|category| category.uri() == uri)
            .unwrap_or_else(|| Self::Named(uri.to_owned()))
    }

    pub fn uri(&self) -> &str {
        match self {
            Self::AccessSubject => "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject",
            Self::Resource => "urn:oasis:names:tc:xacml:3.0:attribute-category:resource",
            Self::Action => "urn:oasis:names:tc:xacml:3.0:attribute-category:action",
            Self::Environment => "urn:oasis:names:tc:xacml:3.0:attribute-category:environment",
            Self::Named(uri) => uri,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) effect: Effect,
    pub(super) target: Target,
    pub(super) condition: Option<Condition>,
    pub(super) obligations: Vec<Arc<Obligation>>,
}

/// Conjunction of [`AnyOf`]; an empty target matches every request.
#[derive(Debug, Clone, Default)]
pub(super) struct Target {
    pub(super) any_ofs: Vec<AnyOf>,
}

/// Alternatives.
#[derive(Debug, Clone)]
pub(super) struct AnyOf {
    pub(super) all_ofs: Vec<AllOf>,
}

/// Matches that must all hold.
#[derive(Debug, Clone)]
pub(super) struct AllOf {
    pub(super) matches: Vec<Match>,
}

/// Whether any value of an attribute compares to a literal.
#[derive(Debug, Clone)]
pub(super) struct Match {
    pub(super) test: Test,
    pub(super) literal: Literal,
    pub(super) designator: AttributeDesignator,
}

/// How a `Match` compares.
#[derive(Debug, Clone)]
pub(super) enum Test {
    /// Literal and designator have the types it expects.
    Function(Function),
    /// The literal, compiled.
    Pattern(DataType, Pattern),
    /// Types the function does not take: an error whenever it is asked.
    IllTyped,
}

/// A value written in the policy, read once.
#[derive(Debug, Clone)]
pub(super) struct Literal {
    pub(super) data_type: DataType,
    pub(super) text: String,
    // Invariant: `text`, read as `data_type`. Texts are read by borrowing, which costs nothing.
    value: Option<Value<'static>>,
}

impl Literal {
    pub(super) fn read(data_type: DataType, text: String) -> Result<Self, UnreadableValue> {
        let value = match data_type.read(&text)? {
            Value::Text(_) => None,
            Value::Boolean(truth) => Some(Value::Boolean(truth)),
            Value::Integer(number) => Some(Value::Integer(number)),
            Value::Moment(moment) => Some(Value::Moment(moment)),
        };
        Ok(Self { data_type, text, value })
    }

    fn string(text: String) -> Self {
        Self { data_type: DataType::String, text, value: None }
    }

    /// An error is a fault of ours, never of the policy: it was read when the policy was.
    pub(super) fn value(&self) -> Result<Value<'_>, UnreadableValue> {
        match &self.value {
            Some(value) => Ok(value.clone()),
            None => self.data_type.read(&self.text),
        }
    }
}

/// Names the bag of values of one attribute of the request.
#[derive(Debug, Clone)]
pub(super) struct AttributeDesignator {
    pub(super) category: Category,
    pub(super) id: String,
    pub(super) data_type: DataType,
    pub(super) issuer: Option<String>,
    pub(super) must_be_present: bool,
}

/// When a rule applies, beyond its target.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) expression: Expression,
    pub(super) types: Types,
}

/// Whether every function of a condition is called with what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Types {
    Correct,
    /// The condition is an error as a whole, also where evaluation would not reach the mistake.
    Wrong,
}

/// A part of a condition.
#[derive(Debug, Clone)]
pub(super) enum Expression {
    Literal(Literal),
    Designator(AttributeDesignator),
    Apply {
        function: Function,
        arguments: Vec<Expression>,
    },
    /// `regexp-match`, with its first argument compiled.
    Matches {
        pattern: Pattern,
        data_type: DataType,
        argument: Box<Expression>,
    },
}

/// What must be done with a decision, by whoever enforces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligation {
    pub id: String,
    pub fulfill_on: Effect,
    pub assignments: Vec<Assignment>,
}

/// One value of an obligation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub attribute_id: String,
    pub category: Option<String>,
    pub value: String,
    pub data_type: DataType,
}

fn collect_target(target: &Target, ids: &mut BTreeSet<String>) {
    let all_ofs = target.any_ofs.iter().flat_map(|any_of| &any_of.all_ofs);
    for one in all_ofs.flat_map(|all_of| &all_of.matches) {
        if !ids.contains(&one.designator.id) {
            ids.insert(one.designator.id.clone());
        }
    }
}

fn collect_expression(expression: &Expression, ids: &mut BTreeSet<String>) {
    match expression {
        Expression::Literal(_) => {}
        Expression::Designator(designator) => {
            ids.insert(designator.id.clone());
        }
        Expression::Apply { arguments, .. } => {
            for argument in arguments {
                collect_expression(argument, ids);
            }
        }
        Expression::Matches { argument, .. } => collect_expression(argument, ids),
    }
}
