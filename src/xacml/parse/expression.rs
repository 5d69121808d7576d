//! Values, attribute designators and conditions. Static types are checked here, so that evaluation
//! never meets an argument of a type its function does not take.

use super::{Parser, attribute};
use crate::xacml::functions::{Function, ValueType};
use crate::xacml::model::{AttributeDesignator, Category, Expression, Literal};
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
        if data_type.read(&element.text).is_err() {
            return Err(self.fault(
                element,
                format!("{} is not a value of type {}", quoted(&element.text), data_type.name()),
                "correct the value, or its `DataType`",
            ));
        }
        Ok(Literal { data_type, text: element.text.clone() })
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
        let must_be_present = match attribute(element, "MustBePresent") {
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
            issuer: attribute(element, "Issuer").map(str::to_owned),
            must_be_present,
        })
    }

    pub(super) fn condition(&self, element: &Element) -> Result<Expression, PolicyFault> {
        self.no_text(element)?;
        self.known_attributes(element, &[])?;
        let [inner] = element.children.as_slice() else {
            return Err(self.fault(
                element,
                "a `Condition` does not hold exactly one expression",
                "combine several with the function `and` or `or`",
            ));
        };
        let (expression, value_type) = self.expression(inner)?;
        if value_type != ValueType::One(DataType::Boolean) {
            return Err(self.fault(
                inner,
                format!("the condition evaluates to {}", value_type.describe()),
                "a condition evaluates to one boolean",
            ));
        }
        Ok(expression)
    }

    /// Recursion ends with the depth of the document.
    fn expression(&self, element: &Element) -> Result<(Expression, ValueType), PolicyFault> {
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
            "Apply" => self.apply(element),
            _ => {
                Err(self
                    .unknown_element(element, &["Apply", "AttributeDesignator", "AttributeValue"]))
            }
        }
    }

    fn apply(&self, element: &Element) -> Result<(Expression, ValueType), PolicyFault> {
        self.no_text(element)?;
        self.known_attributes(element, &["FunctionId"])?;
        let urn = self.required(element, "FunctionId")?;
        let function =
            Function::from_urn(urn).ok_or_else(|| self.unknown_function(element, urn))?;
        let mut arguments = Vec::new();
        let mut types = Vec::new();
        for (index, child) in element.children.iter().enumerate() {
            if index == 0 && &*child.name == "Description" {
                continue;
            }
            let (argument, value_type) = self.expression(child)?;
            arguments.push(argument);
            types.push(value_type);
        }
        match function.result(&types) {
            Ok(result) => Ok((Expression::Apply { function, arguments }, result)),
            Err(expected) => {
                let found: Vec<_> = types.into_iter().map(ValueType::describe).collect();
                Err(self.fault(
                    element,
                    format!("{} is applied to ({})", quoted(urn), found.join(", ")),
                    format!("it takes ({expected})"),
                ))
            }
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
