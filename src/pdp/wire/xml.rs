//! The XML form of a question and its answer (XACML 3.0 §5.42 ff.), as Altinn's internal API reads and
//! writes it. For the development PDP; the proxy itself asks in JSON.

use super::results::{WireObligation, WireResult};
use super::serve::{MAX_REFERENCES, RequestFault, WireAttribute, WireCategory, WireRequest};
use crate::domain::Indeterminate;
use crate::xacml::{ContextAttribute, ContextFault, ContextRequest, ContextValue, DataType};

/// Reads a `Request` document. An attribute of several values becomes several attributes.
///
/// The data types are those the engine compares; another is refused, as it is in JSON, because an
/// attribute that is left out could be the one that a decision hangs on.
pub fn decode_request_xml(document: &[u8]) -> Result<WireRequest, RequestFault> {
    let syntax = |cause| RequestFault::Content { status: Indeterminate::SyntaxError, cause };
    let request = ContextRequest::parse(document).map_err(|fault| match fault {
        ContextFault::NotXml { line, column, message } => {
            RequestFault::Malformed(format!("{line}:{column}: {message}").into())
        }
        ContextFault::NotRequest(cause) => syntax(cause),
    })?;
    if request.references.len() > MAX_REFERENCES {
        return Err(syntax("too many references"));
    }
    let mut categories = Vec::new();
    for entry in request.attributes {
        let mut attributes = Vec::new();
        for ContextAttribute { id, include_in_result, values } in entry.attributes {
            for (place, ContextValue { data_type, text }) in values.into_iter().enumerate() {
                attributes.push(WireAttribute {
                    id: id.clone(),
                    value: text,
                    data_type: known(&data_type)?,
                    include_in_result,
                    is_further: place > 0,
                });
            }
        }
        categories.push(WireCategory { category: entry.category, id: entry.id, attributes });
    }
    Ok(WireRequest { categories, references: request.references })
}

fn known(data_type: &str) -> Result<&'static str, RequestFault> {
    DataType::from_uri(data_type).map(DataType::uri).ok_or(RequestFault::Content {
        status: Indeterminate::ProcessingError,
        cause: "an attribute of a data type that is not supported",
    })
}

/// Writes a `Response` document, with the results in their order.
#[must_use]
pub fn encode_response_xml(results: &[WireResult]) -> Vec<u8> {
    let mut out = Writer(String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>"));
    out.open("Response", &[("xmlns", "urn:oasis:names:tc:xacml:3.0:core:schema:wd-17")]);
    for result in results {
        out.result(result);
    }
    out.close("Response");
    out.0.into_bytes()
}

struct Writer(String);

impl Writer {
    fn result(&mut self, result: &WireResult) {
        let (code, obligations) = result.status_and_obligations();
        self.open("Result", &[]);
        self.element("Decision", &[], result.decision.as_str());
        self.open("Status", &[]);
        self.element("StatusCode", &[("Value", code)], "");
        self.close("Status");
        if !obligations.is_empty() {
            self.open("Obligations", &[]);
            for obligation in obligations {
                self.obligation(obligation);
            }
            self.close("Obligations");
        }
        for entry in &result.echoed {
            self.attributes(entry);
        }
        self.close("Result");
    }

    fn obligation(&mut self, obligation: &WireObligation) {
        self.open("Obligation", &[("ObligationId", &obligation.id), ("FulfillOn", "Permit")]);
        for one in &obligation.assignments {
            let mut attributes = vec![("AttributeId", &*one.id), ("DataType", one.data_type)];
            attributes.extend(one.category.as_deref().map(|category| ("Category", category)));
            self.element("AttributeAssignment", &attributes, &one.value);
        }
        self.close("Obligation");
    }

    fn attributes(&mut self, entry: &WireCategory) {
        self.open("Attributes", &[("Category", &entry.category)]);
        for attribute in &entry.attributes {
            self.open("Attribute", &[("AttributeId", &attribute.id), ("IncludeInResult", "true")]);
            self.element("AttributeValue", &[("DataType", attribute.data_type)], &attribute.value);
            self.close("Attribute");
        }
        self.close("Attributes");
    }

    fn element(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.open(name, attributes);
        self.text(text);
        self.close(name);
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.text(value);
            self.0.push('"');
        }
        self.0.push('>');
    }

    fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// White space is written so that no reader folds it (XML 1.0 §2.11, §3.3.3). What XML has no way
    /// to write becomes U+FFFD: a document nobody can read would answer nothing.
    fn text(&mut self, text: &str) {
        for char in text.chars() {
            match char {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\t' => self.0.push_str("&#9;"),
                '\n' => self.0.push_str("&#10;"),
                '\r' => self.0.push_str("&#13;"),
                '\0'..=' ' if char != ' ' => self.0.push('\u{FFFD}'),
                '\u{FFFE}' | '\u{FFFF}' => self.0.push('\u{FFFD}'),
                _ => self.0.push(char),
            }
        }
    }
}

#[cfg(test)]
mod tests;
