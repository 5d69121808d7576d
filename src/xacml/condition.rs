//! Evaluation of expressions. Types were checked when the policy was loaded; what can still go
//! wrong is the request: a missing attribute, a bag of the wrong size, a value that does not read.

use super::altinn;
use super::evaluate::{Mode, StatusCode};
use super::functions::Function;
use super::model::{AttributeDesignator, Expression, Literal, Test};
use super::request::Request;
use super::values::{DataType, Value, equal_ignoring_case};

/// Whether a condition holds as the standard has it, or why that cannot be said.
pub(super) fn holds(condition: &Expression, request: &Request<'_>) -> Result<bool, StatusCode> {
    truth(condition, request)
}

/// Whether one value of a request compares to a literal.
pub(super) fn compare(
    test: &Test,
    literal: &Literal,
    text: &str,
    mode: Mode,
) -> Result<bool, StatusCode> {
    let function = match test {
        Test::IllTyped => return Err(StatusCode::ProcessingError),
        Test::Pattern(data_type, pattern) => {
            known(Function::Matches(*data_type), mode)?;
            return pattern.is_found_in(text).map_err(|_| StatusCode::ProcessingError);
        }
        Test::Function(function) => *function,
    };
    known(function, mode)?;
    let wanted = literal.value().map_err(|_| StatusCode::ProcessingError)?;
    match (literal.data_type.read(text), mode) {
        (Ok(found), Mode::Altinn | Mode::Strict) => Ok(equal(function, &wanted, &found)),
        // To Altinn's engine what is no integer is no equal one; of other types it is an error.
        (Err(_), Mode::Altinn) if literal.data_type == DataType::Integer => Ok(false),
        (Err(_), Mode::Altinn | Mode::Strict) => Err(StatusCode::SyntaxError),
    }
}

/// Altinn's engine throws at a function it does not know, which its PDP answers as a syntax error.
fn known(function: Function, mode: Mode) -> Result<(), StatusCode> {
    match mode {
        Mode::Altinn if !altinn::knows(function) => Err(StatusCode::SyntaxError),
        Mode::Altinn | Mode::Strict => Ok(()),
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
        Expression::Literal(literal) => {
            literal.value().map(Computed::One).map_err(|_| StatusCode::ProcessingError)
        }
        Expression::Designator(designator) => bag(designator, request).map(Computed::Bag),
        Expression::Apply { function, arguments } => apply(*function, arguments, request),
        Expression::Matches { pattern, argument, .. } => {
            let Value::Text(text) = compute(argument, request)?.one()? else {
                return Err(StatusCode::ProcessingError);
            };
            let found = pattern.is_found_in(&text).map_err(|_| StatusCode::ProcessingError)?;
            Ok(Computed::One(Value::Boolean(found)))
        }
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
        // Read as `Expression::Matches`, with its pattern compiled.
        Function::Matches(_) => return Err(StatusCode::ProcessingError),
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
