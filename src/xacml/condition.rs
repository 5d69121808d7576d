//! Evaluation of expressions. Types were checked when the policy was loaded; what can still go
//! wrong is the request: a missing attribute, a bag of the wrong size, a value that does not read.

use super::evaluate::{Mode, StatusCode};
use super::functions::Function;
use super::model::{AttributeDesignator, Expression, Literal};
use super::request::Request;
use super::values::{Value, equal_ignoring_case};

/// Whether a condition holds, or why that cannot be said.
pub(super) fn holds(
    condition: &Expression,
    request: &Request<'_>,
    mode: Mode,
) -> Result<bool, StatusCode> {
    match mode {
        Mode::Strict => truth(condition, request),
        Mode::Altinn => {
            require_attributes(condition, request)?;
            let holds = truth(condition, request)?;
            // Altinn's engine answers Indeterminate, not "no", when a bag has another size.
            if !holds && compares_bag_size(condition) { Err(StatusCode::Ok) } else { Ok(holds) }
        }
    }
}

/// Whether one value of a request compares to a literal as `function` says.
pub(super) fn compare(
    function: Function,
    literal: &Literal,
    text: &str,
) -> Result<bool, StatusCode> {
    let wanted = literal.data_type.read(&literal.text).map_err(|_| StatusCode::ProcessingError)?;
    let found = literal.data_type.read(text).map_err(|_| StatusCode::SyntaxError)?;
    Ok(equal(function, &wanted, &found))
}

/// Altinn's engine answers Indeterminate for a condition over an attribute that the request does
/// not have at all, with a status of `ok` unless the policy calls the attribute required.
fn require_attributes(expression: &Expression, request: &Request<'_>) -> Result<(), StatusCode> {
    match expression {
        Expression::Literal(_) => Ok(()),
        Expression::Designator(designator) if request.has(designator) => Ok(()),
        Expression::Designator(designator) if designator.must_be_present => {
            Err(StatusCode::MissingAttribute)
        }
        Expression::Designator(_) => Err(StatusCode::Ok),
        Expression::Apply { arguments, .. } => {
            arguments.iter().try_for_each(|argument| require_attributes(argument, request))
        }
    }
}

fn compares_bag_size(condition: &Expression) -> bool {
    match condition {
        Expression::Literal(_) | Expression::Designator(_) => false,
        Expression::Apply { arguments, .. } => arguments.iter().any(|argument| match argument {
            Expression::Apply { function, .. } => matches!(function, Function::BagSize(_)),
            Expression::Literal(_) | Expression::Designator(_) => false,
        }),
    }
}

enum Computed<'a> {
    One(Value<'a>),
    Bag(Vec<Value<'a>>),
}

impl<'a> Computed<'a> {
    fn one(self) -> Result<Value<'a>, StatusCode> {
        match self {
            Self::One(value) => Ok(value),
            Self::Bag(_) => Err(StatusCode::ProcessingError),
        }
    }

    fn bag(self) -> Result<Vec<Value<'a>>, StatusCode> {
        match self {
            Self::Bag(values) => Ok(values),
            Self::One(_) => Err(StatusCode::ProcessingError),
        }
    }
}

fn truth(expression: &Expression, request: &Request<'_>) -> Result<bool, StatusCode> {
    match compute(expression, request)?.one()? {
        Value::Boolean(truth) => Ok(truth),
        Value::Text(_) | Value::Integer(_) | Value::Moment(_) => Err(StatusCode::ProcessingError),
    }
}

fn compute<'s>(
    expression: &'s Expression,
    request: &'s Request<'_>,
) -> Result<Computed<'s>, StatusCode> {
    match expression {
        Expression::Literal(literal) => literal
            .data_type
            .read(&literal.text)
            .map(Computed::One)
            .map_err(|_| StatusCode::ProcessingError),
        Expression::Designator(designator) => bag(designator, request).map(Computed::Bag),
        Expression::Apply { function, arguments } => apply(*function, arguments, request),
    }
}

fn bag<'s>(
    designator: &'s AttributeDesignator,
    request: &'s Request<'_>,
) -> Result<Vec<Value<'s>>, StatusCode> {
    let values = request
        .bag(designator)
        .map(|text| designator.data_type.read(text).map_err(|_| StatusCode::SyntaxError))
        .collect::<Result<Vec<_>, _>>()?;
    if values.is_empty() && designator.must_be_present {
        return Err(StatusCode::MissingAttribute);
    }
    Ok(values)
}

fn apply<'s>(
    function: Function,
    arguments: &'s [Expression],
    request: &'s Request<'_>,
) -> Result<Computed<'s>, StatusCode> {
    let argument = |index: usize| {
        let expression = arguments.get(index).ok_or(StatusCode::ProcessingError)?;
        compute(expression, request)
    };
    let value = match function {
        Function::Equal(_) | Function::EqualIgnoreCase => {
            let (one, other) = (argument(0)?.one()?, argument(1)?.one()?);
            Value::Boolean(equal(function, &one, &other))
        }
        Function::OneAndOnly(_) => {
            let mut values = argument(0)?.bag()?.into_iter();
            match (values.next(), values.next()) {
                (Some(value), None) => value,
                (_, _) => return Err(StatusCode::ProcessingError),
            }
        }
        Function::BagSize(_) => {
            let size = i64::try_from(argument(0)?.bag()?.len());
            Value::Integer(size.map_err(|_| StatusCode::ProcessingError)?)
        }
        Function::IsIn(_) => {
            let (one, values) = (argument(0)?.one()?, argument(1)?.bag()?);
            Value::Boolean(values.contains(&one))
        }
        Function::And => Value::Boolean(first_with(false, arguments, request)?),
        Function::Or => Value::Boolean(first_with(true, arguments, request)?),
        Function::Not => match argument(0)?.one()? {
            Value::Boolean(truth) => Value::Boolean(!truth),
            Value::Text(_) | Value::Integer(_) | Value::Moment(_) => {
                return Err(StatusCode::ProcessingError);
            }
        },
    };
    Ok(Computed::One(value))
}

/// `and` stops at the first false, `or` at the first true; later arguments are not evaluated
/// (XACML 3.0 §A.3.5).
fn first_with(
    deciding: bool,
    arguments: &[Expression],
    request: &Request<'_>,
) -> Result<bool, StatusCode> {
    for argument in arguments {
        if truth(argument, request)? == deciding {
            return Ok(deciding);
        }
    }
    Ok(!deciding)
}

fn equal(function: Function, one: &Value<'_>, other: &Value<'_>) -> bool {
    match (function, one, other) {
        (Function::EqualIgnoreCase, Value::Text(one), Value::Text(other)) => {
            equal_ignoring_case(one, other)
        }
        (_, one, other) => one == other,
    }
}
