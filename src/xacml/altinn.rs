//! Conditions as Altinn's engine evaluates them: not expressions, but one comparison of a literal with
//! an attribute. What it makes of anything else is an exception, or a value compared with a count.
//! Such conditions are evaluated in strict mode only; in Altinn's they fail, and the policy with them.
//!
//! What it answers is answered here too, but for three things: a condition whose
//! types are wrong fails here, an `Issuer` asked for must be the attribute's, and the pattern of a
//! `regexp-match` is the policy's (there, in a condition, pattern and value are exchanged).

use super::condition::compare;
use super::evaluate::{Mode, StatusCode};
use super::functions::Function;
use super::model::{AttributeDesignator, Expression, Literal, Test};
use super::request::Request;
use super::values::{DataType, Value};

/// A condition that Altinn's engine evaluates.
pub(super) enum Seen<'p> {
    /// Holds when any value of the attribute compares to the literal.
    Comparison { test: SeenTest<'p>, designator: &'p AttributeDesignator, count: Count },
    /// Holds when the attribute has so many values.
    Size { wanted: &'p Literal, designator: &'p AttributeDesignator },
}

pub(super) enum SeenTest<'p> {
    Literal(Function, &'p Literal),
    Pattern(&'p super::pattern::Pattern),
}

/// How many values of the attribute there may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Any,
    /// More are an error. None is not: it is an attribute that is missing.
    AtMostOne,
}

/// What an error in a condition spoils.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Rule(StatusCode),
    /// An exception there: the whole answer is Indeterminate.
    Policy(StatusCode),
}

/// The functions that Altinn's engine compares a value with a literal by.
pub(super) fn knows(function: Function) -> bool {
    match function {
        Function::Equal(data_type) => match data_type {
            DataType::String
            | DataType::AnyUri
            | DataType::Integer
            | DataType::Date
            | DataType::Time
            | DataType::DateTime => true,
            DataType::Boolean => false,
        },
        Function::IsIn(data_type) | Function::Matches(data_type) => data_type == DataType::String,
        Function::EqualIgnoreCase => true,
        Function::OneAndOnly(_)
        | Function::BagSize(_)
        | Function::And
        | Function::Or
        | Function::Not => false,
    }
}

/// What Altinn's engine sees of a condition; `None` when it cannot evaluate it.
pub(super) fn see(condition: &Expression) -> Option<Seen<'_>> {
    match condition {
        Expression::Literal(_) | Expression::Designator(_) => None,
        Expression::Matches { pattern, data_type, argument } => {
            let Inner::Sole(designator, count) = inner(argument)? else { return None };
            let test = SeenTest::Pattern(pattern);
            knows(Function::Matches(*data_type)).then_some(Seen::Comparison {
                test,
                designator,
                count,
            })
        }
        Expression::Apply { function, arguments } => {
            let ([Expression::Literal(literal), other] | [other, Expression::Literal(literal)]) =
                arguments.as_slice()
            else {
                return None;
            };
            if !knows(*function) {
                return None;
            }
            match inner(other)? {
                Inner::Sole(designator, count) => Some(Seen::Comparison {
                    test: SeenTest::Literal(*function, literal),
                    designator,
                    count,
                }),
                Inner::Size(designator) => Some(Seen::Size { wanted: literal, designator }),
            }
        }
    }
}

enum Inner<'p> {
    Sole(&'p AttributeDesignator, Count),
    Size(&'p AttributeDesignator),
}

/// The attribute that a literal is compared with, bare or inside one function.
fn inner(expression: &Expression) -> Option<Inner<'_>> {
    let (function, arguments) = match expression {
        Expression::Designator(designator) => return Some(Inner::Sole(designator, Count::Any)),
        Expression::Literal(_) | Expression::Matches { .. } => return None,
        Expression::Apply { function, arguments } => (*function, arguments),
    };
    let [Expression::Designator(designator)] = arguments.as_slice() else { return None };
    match function {
        // Of the others Altinn's engine does not count the values: any may compare.
        Function::OneAndOnly(DataType::Integer | DataType::Date | DataType::DateTime) => {
            Some(Inner::Sole(designator, Count::AtMostOne))
        }
        Function::OneAndOnly(_) => Some(Inner::Sole(designator, Count::Any)),
        Function::BagSize(DataType::Time | DataType::Date | DataType::DateTime) => {
            Some(Inner::Size(designator))
        }
        Function::BagSize(_)
        | Function::Equal(_)
        | Function::EqualIgnoreCase
        | Function::Matches(_)
        | Function::IsIn(_)
        | Function::And
        | Function::Or
        | Function::Not => None,
    }
}

/// Whether a condition holds, or what its error spoils.
pub(super) fn holds(condition: &Expression, request: &Request<'_>) -> Result<bool, Failure> {
    match see(condition) {
        None => Err(Failure::Policy(StatusCode::SyntaxError)),
        Some(Seen::Size { wanted, designator }) => {
            if !request.has_category(&designator.category) {
                return Err(Failure::Rule(missing(designator)));
            }
            let size = i64::try_from(request.bag(designator).count()).unwrap_or(i64::MAX);
            // Another size is Indeterminate there, not "no".
            match wanted.value() {
                Ok(Value::Integer(wanted)) if wanted == size => Ok(true),
                Ok(_) | Err(_) => Err(Failure::Rule(StatusCode::Ok)),
            }
        }
        Some(Seen::Comparison { test, designator, count }) => {
            if count == Count::AtMostOne && request.bag(designator).nth(1).is_some() {
                return Err(Failure::Rule(StatusCode::ProcessingError));
            }
            any_compares(&test, designator, request)
        }
    }
}

/// Values of every data type are compared, as texts of the literal's.
fn any_compares(
    test: &SeenTest<'_>,
    designator: &AttributeDesignator,
    request: &Request<'_>,
) -> Result<bool, Failure> {
    let mut present = false;
    for text in request.texts(designator) {
        present = true;
        let found = match test {
            SeenTest::Literal(function, literal) => {
                compare(&Test::Function(*function), literal, text, Mode::Altinn)
            }
            SeenTest::Pattern(pattern) => {
                pattern.is_found_in(text).map_err(|_| StatusCode::ProcessingError)
            }
        };
        if found.map_err(Failure::Policy)? {
            return Ok(true);
        }
    }
    if present { Ok(false) } else { Err(Failure::Rule(missing(designator))) }
}

/// An attribute that is not there is an error, also when it is not required.
fn missing(designator: &AttributeDesignator) -> StatusCode {
    if designator.must_be_present { StatusCode::MissingAttribute } else { StatusCode::Ok }
}
