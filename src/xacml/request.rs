//! One question: the attributes of subject, resource, action and whatever else is known. Values of
//! one attribute form a bag; any of them may match. Nothing here is checked against a policy.

use std::borrow::Cow;

use super::limits::MAX_VALUES;
use super::model::{AttributeDesignator, Category};
use super::values::DataType;

/// The attributes a policy is asked with. Borrows what the caller has.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    values: Vec<AttributeValue<'a>>,
    too_large: bool,
}

#[derive(Debug, Clone)]
struct AttributeValue<'a> {
    category: Category,
    id: Cow<'a, str>,
    issuer: Option<Cow<'a, str>>,
    data_type: DataType,
    text: Cow<'a, str>,
}

impl<'a> Request<'a> {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a string to the bag of the attribute `id`. A request that grows beyond the engine's
    /// limit is not cut off: every policy answers it with Indeterminate.
    pub fn add(
        &mut self,
        category: Category,
        id: impl Into<Cow<'a, str>>,
        text: impl Into<Cow<'a, str>>,
    ) {
        self.add_typed(category, id, DataType::String, text);
    }

    /// Adds a value of any data type. Text that does not read as its type makes a policy that
    /// looks at it Indeterminate, with a syntax error.
    pub fn add_typed(
        &mut self,
        category: Category,
        id: impl Into<Cow<'a, str>>,
        data_type: DataType,
        text: impl Into<Cow<'a, str>>,
    ) {
        self.push(AttributeValue {
            category,
            id: id.into(),
            issuer: None,
            data_type,
            text: text.into(),
        });
    }

    /// Adds a value that names who vouches for it.
    pub fn add_issued(
        &mut self,
        category: Category,
        id: impl Into<Cow<'a, str>>,
        issuer: impl Into<Cow<'a, str>>,
        data_type: DataType,
        text: impl Into<Cow<'a, str>>,
    ) {
        self.push(AttributeValue {
            category,
            id: id.into(),
            issuer: Some(issuer.into()),
            data_type,
            text: text.into(),
        });
    }

    fn push(&mut self, value: AttributeValue<'a>) {
        if self.values.len() < MAX_VALUES {
            self.values.push(value);
        } else {
            self.too_large = true;
        }
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.too_large
    }

    /// The bag a designator names (XACML 3.0 §7.3.5).
    pub(super) fn bag<'s>(
        &'s self,
        designator: &'s AttributeDesignator,
    ) -> impl Iterator<Item = &'s str> {
        self.named(designator)
            .filter(|value| value.data_type == designator.data_type)
            .map(|value| &*value.text)
    }

    /// The values a designator names, of whatever data type.
    pub(super) fn texts<'s>(
        &'s self,
        designator: &'s AttributeDesignator,
    ) -> impl Iterator<Item = &'s str> {
        self.named(designator).map(|value| &*value.text)
    }

    /// Whether there is any attribute of this category.
    pub(super) fn has_category(&self, category: &Category) -> bool {
        self.values.iter().any(|value| value.category == *category)
    }

    /// Whether the request has the attribute a designator names, of whatever data type.
    pub(super) fn has(&self, designator: &AttributeDesignator) -> bool {
        self.named(designator).next().is_some()
    }

    fn named<'s>(
        &'s self,
        designator: &'s AttributeDesignator,
    ) -> impl Iterator<Item = &'s AttributeValue<'a>> {
        self.values.iter().filter(|value| {
            value.id == designator.id
                && value.category == designator.category
                && (designator.issuer.is_none()
                    || value.issuer.as_deref() == designator.issuer.as_deref())
        })
    }
}
