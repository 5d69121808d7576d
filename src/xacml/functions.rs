//! The functions a policy may call, by identifier, with their static types. Types are checked when
//! a policy is loaded, so that a call that can only fail is told before it is evaluated.

use super::values::DataType;

const VERSION_1: &str = "urn:oasis:names:tc:xacml:1.0:function:";
const ANY_URI_MATCHES: &str = "urn:oasis:names:tc:xacml:2.0:function:anyURI-regexp-match";
const EQUAL_IGNORE_CASE: &str = "urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case";

/// A function of XACML 3.0 §A.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// `type-equal`.
    Equal(DataType),
    /// `string-equal-ignore-case`.
    EqualIgnoreCase,
    /// `type-regexp-match`: whether a pattern is found in a value.
    Matches(DataType),
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
        if urn == ANY_URI_MATCHES {
            return Some(Self::Matches(DataType::AnyUri));
        }
        let name = urn.strip_prefix(VERSION_1)?;
        match name {
            "string-regexp-match" => return Some(Self::Matches(DataType::String)),
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

    /// The types of the literal and of the attribute that a `Match` with this function compares, or
    /// `None` when it is not one a `Match` can name (XACML 3.0 §7.6).
    pub(super) fn compares(self) -> Option<(DataType, DataType)> {
        match self {
            Self::Equal(data_type) => Some((data_type, data_type)),
            Self::EqualIgnoreCase => Some((DataType::String, DataType::String)),
            Self::Matches(data_type) => Some((DataType::String, data_type)),
            Self::OneAndOnly(_)
            | Self::BagSize(_)
            | Self::IsIn(_)
            | Self::And
            | Self::Or
            | Self::Not => None,
        }
    }

    /// The type of the result, which does not hang on the arguments.
    pub(super) fn result(self) -> ValueType {
        match self {
            Self::OneAndOnly(data_type) => ValueType::One(data_type),
            Self::BagSize(_) => ValueType::One(DataType::Integer),
            Self::Equal(_)
            | Self::EqualIgnoreCase
            | Self::Matches(_)
            | Self::IsIn(_)
            | Self::And
            | Self::Or
            | Self::Not => ValueType::One(DataType::Boolean),
        }
    }

    /// Whether arguments of these types may be given, or what is expected instead.
    pub(super) fn takes(self, arguments: &[ValueType]) -> Result<(), String> {
        use ValueType::{Bag, One};
        let boolean = One(DataType::Boolean);
        let expected = match self {
            Self::Equal(data_type) => vec![One(data_type); 2],
            Self::EqualIgnoreCase => vec![One(DataType::String); 2],
            Self::Matches(data_type) => vec![One(DataType::String), One(data_type)],
            Self::OneAndOnly(data_type) | Self::BagSize(data_type) => vec![Bag(data_type)],
            Self::IsIn(data_type) => vec![One(data_type), Bag(data_type)],
            Self::And | Self::Or => vec![boolean; arguments.len()],
            Self::Not => vec![boolean],
        };
        if expected == arguments {
            return Ok(());
        }
        Err(match self {
            Self::And | Self::Or => "any number of booleans".to_owned(),
            Self::Equal(_)
            | Self::EqualIgnoreCase
            | Self::Matches(_)
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
            (
                "urn:oasis:names:tc:xacml:1.0:function:string-regexp-match",
                Some(Function::Matches(DataType::String)),
            ),
            (ANY_URI_MATCHES, Some(Function::Matches(DataType::AnyUri))),
            ("urn:oasis:names:tc:xacml:1.0:function:anyURI-regexp-match", None),
            ("urn:oasis:names:tc:xacml:2.0:function:string-regexp-match", None),
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
        let uri = DataType::AnyUri;
        assert_eq!(Function::Equal(text).takes(&[One(text), One(text)]), Ok(()));
        assert_eq!(Function::Matches(uri).takes(&[One(text), One(uri)]), Ok(()));
        assert_eq!(Function::And.takes(&[]), Ok(()));
        for (function, arguments) in [
            (Function::Equal(text), vec![One(text), Bag(text)]),
            (Function::Equal(text), vec![One(text)]),
            (Function::Equal(text), vec![One(text), One(DataType::AnyUri)]),
            (Function::OneAndOnly(text), vec![One(text)]),
            (Function::IsIn(text), vec![Bag(text), One(text)]),
            (Function::Or, vec![boolean, One(text)]),
            (Function::Not, vec![boolean, boolean]),
            (Function::Matches(uri), vec![One(uri), One(uri)]),
        ] {
            assert!(function.takes(&arguments).is_err(), "{function:?} {arguments:?}");
        }
    }
}
