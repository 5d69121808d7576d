//! A small, pure, bounded XACML 3.0 policy engine with Altinn's behaviour.
//!
//! A policy is read once ([`Policy::parse`]), or built in code ([`Policy::of_rights`]), and asked
//! many times ([`evaluate()`]). The engine does no I/O, knows no clock and keeps no state: the same
//! policy, request and mode always give the same decision.
//!
//! | file | holds |
//! |---|---|
//! | `limits` | every bound of the room, and what it is for |
//! | `xml` | bytes to a bounded tree of XACML elements: no DTD, no entities, no foreign content |
//! | `parse` | the tree to a [`Policy`]; everything unknown is a [`PolicyFault`] with its place |
//! | `model` | the policy, as it is evaluated |
//! | `values` | data types and how two values of one type compare |
//! | `pattern` | the regular expressions of `regexp-match` |
//! | `functions` | the functions a policy may call, and their static types |
//! | `request` | the attributes of one question |
//! | `context` | a `Request` document, for whoever asks in XML |
//! | `condition` | evaluation of expressions |
//! | `altinn` | conditions as Altinn's engine evaluates them |
//! | `matching` | targets against requests |
//! | `combining` | the rule-combining tables of XACML 3.0, appendix C |
//! | `evaluate` | one policy and one request to an [`Evaluation`] |
//! | `trace` | which rule decided, or which subject attributes were missing |
//!
//! # Two modes
//!
//! [`Mode::Strict`] is XACML 3.0. [`Mode::Altinn`] follows the engine of Altinn Authorization where
//! the two differ:
//!
//! * a rule's target is matched per attribute category: two `AnyOf` blocks of one category are
//!   alternatives, and an `AllOf` that mixes categories is split;
//! * the target of the policy itself, and obligations of a rule, are not evaluated
//!   ([`Policy::notes`] names them);
//! * a required attribute that is missing from resource or action makes the whole policy
//!   Indeterminate;
//! * a policy none of whose rules is about the resource and action is not applicable, whatever its
//!   combining algorithm; an algorithm named by its identifier of XACML 1 is unknown;
//! * a condition is one comparison of a literal with an attribute (`altinn`): an attribute the
//!   request does not have is Indeterminate, also when it is not required, and so is a bag of the
//!   wrong size; a condition of any other form spoils the whole policy;
//! * an integer of the request that does not read as one is no equal one;
//! * obligations follow a Permit only.
//!
//! In four places the engine is deliberately narrower than Altinn's: categories other than subject,
//! resource and action are matched too (Altinn passes over them), an `Issuer` that the policy asks for
//! must be the attribute's, a function called with what it does not take is an error (Altinn checks no
//! types), and two `anyURI` are equal when their texts are.
//!
//! # Invariants
//!
//! * What cannot be evaluated is not loaded: unknown elements, attributes, functions, data types
//!   and combining algorithms are faults of the policy, never silently skipped. What can only fail
//!   (a function called with the wrong types) is loaded with a warning, and fails.
//! * No input makes the room panic, recurse without bound or allocate beyond `limits`.
//! * The room imports nothing from the rest of Portvakt.

mod altinn;
mod combining;
mod condition;
mod context;
mod evaluate;
#[cfg(test)]
mod examples;
mod functions;
mod limits;
mod matching;
mod model;
mod parse;
mod pattern;
mod request;
mod trace;
mod values;
mod xml;

pub use combining::CombiningAlgorithm;
pub use context::{
    ContextAttribute, ContextAttributes, ContextFault, ContextRequest, ContextValue,
};
pub use evaluate::{Decision, Evaluation, Mode, StatusCode, evaluate, evaluate_traced};
pub use model::{
    ACTION_ID, Assignment, AttributeIs, Category, Effect, NoteSeverity, Obligation, Policy,
    PolicyNote, Right,
};
pub use request::Request;
pub use trace::{DecidingRule, NearMiss, Requirement, Trace, WantedAttribute};
pub use values::DataType;
pub use xml::PolicyFault;
