//! Values, attribute designators and conditions. Static types are checked here, so that evaluation
//! never meets an argument of a type its function does not take.

use super::Parser;
use crate::xacml::altinn;
use crate::xacml::functions::{Function, ValueType};
use crate::xacml::model::{
    AttributeDesignator, Category, Condition, Effect, Expression, Literal, Types,
};
use crate::xacml::values::DataType;
use crate::xacml::xml::{Element, PolicyFault, quoted};

impl Parser<'_> {
    pub(super) fn literal(&self, element: &Element) -> Result<Literal, PolicyFault> {
        self.expect(element, "AttributeValue")?;
        self.known_attributes(element, &["DataType"])?;
        if let Some(child) = element.children.first() {
            return Err(self.unknown_element(child, &[]));
        }
        let data_type = self.data_type(element)?;
        Literal::read(data_type, element.text.clone()).map_err(|_| {
            self.fault(
                element,
                format!("{} is not a value of type {}", quoted(&element.text), data_type.name()),
                "correct the value, or its `DataType`",
            )
        })
    }

    pub(super) fn designator(&self, element: &Element) -> Result<AttributeDesignator, PolicyFault> {
        self.expect(element, "AttributeDesignator")?;
        self.no_text(element)?;
        self.known_attributes(
            element,
            &["AttributeId", "Category", "DataType", "Issuer", "MustBePresent"],
        )?;
        if let Some(child) = element.children.first() {
            return Err(self.unknown_element(child, &[]));
        }
        let must_be_present = match element.attribute("MustBePresent") {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(other) => {
                return Err(self.fault(
                    element,
                    format!("`MustBePresent` is {}", quoted(other)),
                    "write `true` or `false`",
                ));
            }
        };
        Ok(AttributeDesignator {
            category: Category::from_uri(self.required(element, "Category")?),
            id: self.required(element, "AttributeId")?.to_owned(),
            data_type: self.data_type(element)?,
            issuer: element.attribute("Issuer").map(str::to_owned),
            must_be_present,
        })
    }

    /// A condition that calls a function with what it does not take is loaded, and is an error
    /// whenever it is evaluated (XACML 3.0 §7.5, §7.11): under most algorithms a rule without effect.
    /// The warning says so, because under `permit-unless-deny` a rule without effect is a permit.
    pub(super) fn condition(
        &mut self,
        element: &Element,
        effect: Effect,
    ) -> Result<Condition, PolicyFault> {
        self.no_text(element)?;
        self.known_attributes(element, &[])?;
        let [inner] = element.children.as_slice() else {
            return Err(self.fault(
                element,
                "a `Condition` does not hold exactly one expression",
                "combine several with the function `and` or `or`",
            ));
        };
        self.types = Types::Correct;
        let (expression, value_type) = self.expression(inner, effect)?;
        if value_type != ValueType::One(DataType::Boolean) {
            let found = value_type.describe();
            let message = format!("the condition evaluates to {found}; it should to one boolean");
            self.wrong_types(inner, &message, effect);
        }
        let types = self.types;
        if types == Types::Correct {
            match (altinn::see(&expression), &expression) {
                (None, _) => self.warn(
                    element,
                    "Altinn does not evaluate this condition, which is not one literal compared \
                     with one attribute: where the rule's target matches it answers Indeterminate",
                ),
                (Some(_), Expression::Matches { .. }) => self.warn(
                    element,
                    "in a condition Altinn takes the attribute's value for the pattern; let the \
                     target hold the `regexp-match`",
                ),
                (
                    Some(_),
                    Expression::Apply { .. } | Expression::Literal(_) | Expression::Designator(_),
                ) => {}
            }
        }
        Ok(Condition { expression, types })
    }

    fn wrong_types(&mut self, element: &Element, what: &str, effect: Effect) {
        self.types = Types::Wrong;
        let consequence = match effect {
            Effect::Permit => "it never permits",
            Effect::Deny => "it never denies, and permit-unless-deny permits what it should deny",
        };
        self.warn(
            element,
            &format!(
                "{what}. The condition is an error whenever it is evaluated, so the rule never \
                 decides: {consequence}"
            ),
        );
    }

    /// Recursion ends with the depth of the document.
    fn expression(
        &mut self,
        element: &Element,
        effect: Effect,
    ) -> Result<(Expression, ValueType), PolicyFault> {
        match &*element.name {
            "AttributeValue" => {
                let literal = self.literal(element)?;
                let value_type = ValueType::One(literal.data_type);
                Ok((Expression::Literal(literal), value_type))
            }
            "AttributeDesignator" => {
                let designator = self.designator(element)?;
                let value_type = ValueType::Bag(designator.data_type);
                Ok((Expression::Designator(designator), value_type))
            }
            "Apply" => self.apply(element, effect),
            _ => {
                Err(self
                    .unknown_element(element, &["Apply", "AttributeDesignator", "AttributeValue"]))
            }
        }
    }

    fn apply(
        &mut self,
        element: &Element,
        effect: Effect,
    ) -> Result<(Expression, ValueType), PolicyFault> {
        self.no_text(element)?;
        self.known_attributes(element, &["FunctionId"])?;
        let urn = self.required(element, "FunctionId")?;
        let function =
            Function::from_urn(urn).ok_or_else(|| self.unknown_function(element, urn))?;
        let mut children = element.children.as_slice();
        if let Some((first, rest)) = children.split_first()
            && &*first.name == "Description"
        {
            children = rest;
        }
        let mut arguments = Vec::new();
        let mut types = Vec::new();
        for child in children {
            let (argument, value_type) = self.expression(child, effect)?;
            arguments.push(argument);
            types.push(value_type);
        }
        if let Err(expected) = function.takes(&types) {
            let found: Vec<_> = types.into_iter().map(ValueType::describe).collect();
            let found = found.join(", ");
            let message = format!("{} is applied to ({found}); it takes ({expected})", quoted(urn));
            self.wrong_types(element, &message, effect);
        } else if let Function::Matches(data_type) = function {
            let matches = self.matches(element, children, arguments, data_type)?;
            return Ok((matches, function.result()));
        }
        Ok((Expression::Apply { function, arguments }, function.result()))
    }

    /// A pattern that came with the request would be the caller's program in our engine.
    fn matches(
        &mut self,
        element: &Element,
        children: &[Element],
        arguments: Vec<Expression>,
        data_type: DataType,
    ) -> Result<Expression, PolicyFault> {
        let mut arguments = arguments.into_iter();
        match (arguments.next(), arguments.next(), children.first()) {
            (Some(Expression::Literal(literal)), Some(argument), Some(written)) => {
                let pattern = self.pattern(written, &literal)?;
                Ok(Expression::Matches { pattern, data_type, argument: Box::new(argument) })
            }
            _ => Err(self.fault(
                element,
                "the pattern of a `regexp-match` is not written in the policy",
                "write it as an `AttributeValue`",
            )),
        }
    }

    fn data_type(&self, element: &Element) -> Result<DataType, PolicyFault> {
        let uri = self.required(element, "DataType")?;
        DataType::from_uri(uri).ok_or_else(|| {
            let known: Vec<_> = DataType::ALL.into_iter().map(DataType::name).collect();
            self.fault(
                element,
                format!("the data type {} is not supported", quoted(uri)),
                format!("use `http://www.w3.org/2001/XMLSchema#` with one of {}", known.join(", ")),
            )
        })
    }
}
