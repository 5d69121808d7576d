//! The functions a policy may call, by identifier, with their static types. Types are checked when
//! a policy is loaded, so that evaluation meets no value of a type it does not expect.

use super::values::DataType;

const VERSION_1: &str = "urn:oasis:names:tc:xacml:1.0:function:";
const EQUAL_IGNORE_CASE: &str = "urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case";

/// A function of XACML 3.0 §A.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// `type-equal`.
    Equal(DataType),
    /// `string-equal-ignore-case`.
    EqualIgnoreCase,
    /// `type-one-and-only`: the only value of a bag; an error for any other size.
    OneAndOnly(DataType),
    /// `type-bag-size`.
    BagSize(DataType),
    /// `type-is-in`: whether a bag holds a value.
    IsIn(DataType),
    And,
    Or,
    Not,
}

/// What an expression evaluates to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueType {
    One(DataType),
    Bag(DataType),
}

impl Function {
    pub(super) fn from_urn(urn: &str) -> Option<Self> {
        if urn == EQUAL_IGNORE_CASE {
            return Some(Self::EqualIgnoreCase);
        }
        let name = urn.strip_prefix(VERSION_1)?;
        match name {
            "and" => return Some(Self::And),
            "or" => return Some(Self::Or),
            "not" => return Some(Self::Not),
            _ => {}
        }
        DataType::ALL.into_iter().find_map(|data_type| {
            match name.strip_prefix(data_type.name())?.strip_prefix('-')? {
                "equal" => Some(Self::Equal(data_type)),
                "one-and-only" => Some(Self::OneAndOnly(data_type)),
                "bag-size" => Some(Self::BagSize(data_type)),
                "is-in" => Some(Self::IsIn(data_type)),
                _ => None,
            }
        })
    }

    /// The type of values a `Match` with this function compares, or `None` when it is not one a
    /// `Match` can name (XACML 3.0 §7.6).
    pub(super) fn compares(self) -> Option<DataType> {
        match self {
            Self::Equal(data_type) => Some(data_type),
            Self::EqualIgnoreCase => Some(DataType::String),
            Self::OneAndOnly(_)
            | Self::BagSize(_)
            | Self::IsIn(_)
            | Self::And
            | Self::Or
            | Self::Not => None,
        }
    }

    /// The type of the result for arguments of these types, or what is expected instead.
    pub(super) fn result(self, arguments: &[ValueType]) -> Result<ValueType, String> {
        use ValueType::{Bag, One};
        let boolean = One(DataType::Boolean);
        let (expected, result) = match self {
            Self::Equal(data_type) => (vec![One(data_type); 2], boolean),
            Self::EqualIgnoreCase => (vec![One(DataType::String); 2], boolean),
            Self::OneAndOnly(data_type) => (vec![Bag(data_type)], One(data_type)),
            Self::BagSize(data_type) => (vec![Bag(data_type)], One(DataType::Integer)),
            Self::IsIn(data_type) => (vec![One(data_type), Bag(data_type)], boolean),
            Self::And | Self::Or => (vec![boolean; arguments.len()], boolean),
            Self::Not => (vec![boolean], boolean),
        };
        if expected == arguments {
            return Ok(result);
        }
        Err(match self {
            Self::And | Self::Or => "any number of booleans".to_owned(),
            Self::Equal(_)
            | Self::EqualIgnoreCase
            | Self::OneAndOnly(_)
            | Self::BagSize(_)
            | Self::IsIn(_)
            | Self::Not => expected.iter().map(|one| one.describe()).collect::<Vec<_>>().join(", "),
        })
    }
}

impl ValueType {
    pub(super) fn describe(self) -> String {
        match self {
            Self::One(data_type) => format!("one {}", data_type.name()),
            Self::Bag(data_type) => format!("a bag of {}", data_type.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_by_their_whole_identifier() {
        for (urn, expected) in [
            (
                "urn:oasis:names:tc:xacml:1.0:function:string-equal",
                Some(Function::Equal(DataType::String)),
            ),
            (
                "urn:oasis:names:tc:xacml:1.0:function:dateTime-equal",
                Some(Function::Equal(DataType::DateTime)),
            ),
            (
                "urn:oasis:names:tc:xacml:1.0:function:date-bag-size",
                Some(Function::BagSize(DataType::Date)),
            ),
            (
                "urn:oasis:names:tc:xacml:1.0:function:anyURI-is-in",
                Some(Function::IsIn(DataType::AnyUri)),
            ),
            ("urn:oasis:names:tc:xacml:1.0:function:and", Some(Function::And)),
            (EQUAL_IGNORE_CASE, Some(Function::EqualIgnoreCase)),
            ("urn:oasis:names:tc:xacml:1.0:function:string-equal-ignore-case", None),
            ("urn:oasis:names:tc:xacml:3.0:function:string-equal", None),
            ("urn:oasis:names:tc:xacml:1.0:function:string-regexp-match", None),
            ("string-equal", None),
            ("", None),
        ] {
            assert_eq!(Function::from_urn(urn), expected, "{urn}");
        }
    }

    #[test]
    fn arguments_of_the_wrong_type_or_number_are_refused() {
        use ValueType::{Bag, One};
        let text = DataType::String;
        let boolean = One(DataType::Boolean);
        assert_eq!(Function::Equal(text).result(&[One(text), One(text)]), Ok(boolean));
        assert_eq!(Function::And.result(&[]), Ok(boolean));
        for (function, arguments) in [
            (Function::Equal(text), vec![One(text), Bag(text)]),
            (Function::Equal(text), vec![One(text)]),
            (Function::Equal(text), vec![One(text), One(DataType::AnyUri)]),
            (Function::OneAndOnly(text), vec![One(text)]),
            (Function::IsIn(text), vec![Bag(text), One(text)]),
            (Function::Or, vec![boolean, One(text)]),
            (Function::Not, vec![boolean, boolean]),
        ] {
            assert!(function.result(&arguments).is_err(), "{function:?} {arguments:?}");
        }
    }
}
