//! An OpenAPI document (3.0 or 3.1), as far as rules go by it. How bodies are searched is `schema`'s, how references
//! are followed is `references`'.
//!
//! Any bytes give a document, findings, or both, within the limits below.

use std::cell::RefCell;
use std::path::Path;

use http::Method;

use super::references::{Lost, Root};
use super::schema::{Body, Shape, read_body};
use crate::config::diagnostic::{Diagnostic, Diagnostics, Origin};
use crate::config::files::Files;
use crate::config::positions::{self, Bounds};
use crate::config::tree::{Node, Value};

/// Operations that are looked at. Bounds what a generated document can cost.
const MAX_OPERATIONS: usize = 5000;
/// Bytes and values of one document: those of large APIs have some megabytes.
const BOUNDS: Bounds = Bounds {
    bytes: 16 * 1024 * 1024,
    values: 2_000_000,
    help: "check that this is the document you meant",
};

/// What an API can be asked.
#[derive(Debug)]
pub struct Document {
    /// Its title.
    pub title: String,
    /// Every operation that a proxy can forward, in the order of the document.
    pub operations: Vec<Operation>,
}

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// Its method.
    pub method: Method,
    /// Its path, as written; begins with `/`.
    pub path: String,
    /// The path that its first server has before that; empty for none.
    pub base: String,
    /// Its name, if it has one.
    pub id: Option<String>,
    /// What it does, in a line.
    pub summary: Option<String>,
    /// Whether it is on its way out.
    pub deprecated: bool,
    pub(super) parameters: Vec<Parameter>,
    pub(super) bodies: Vec<Body>,
    pub(super) security: Security,
    /// Where it stands.
    pub origin: Origin,
}

/// A parameter of an operation.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) place: ParameterPlace,
    pub(super) required: bool,
    pub(super) shape: Shape,
}

/// Where a parameter stands in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ParameterPlace {
    Path,
    Query,
    Header,
    Cookie,
}

/// What a caller must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// The document says nothing of it anywhere.
    Unstated,
    /// Nothing, though other operations ask for something.
    Open,
    /// One of these lists of scopes, whole.
    Scopes(Vec<Vec<String>>),
}

/// Reads the document at `path`. `None` if it is none; why is reported.
pub fn read(files: &Files, path: &Path, diagnostics: &mut Diagnostics) -> Option<Document> {
    let root = positions::read_within(files, path, BOUNDS, diagnostics)?;
    let whole = Origin::WholeFile(path.into());
    match root.get("openapi").and_then(text) {
        Some(version) if version.starts_with("3.0") || version.starts_with("3.1") => {}
        Some(version) => {
            let message = format!("OpenAPI {version} is not one that is read");
            let found = Diagnostic::error("not-openapi", message).at(&whole);
            diagnostics.push(found.help("convert it to 3.0 or 3.1"));
            return None;
        }
        None => {
            let found = Diagnostic::error("not-openapi", "this is no OpenAPI document").at(&whole);
            let help =
                "it begins with `openapi: 3.0.x` or `3.1.x`; one of Swagger 2.0 can be converted";
            diagnostics.push(found.help(help));
            return None;
        }
    }
    let lost = RefCell::<Lost>::default();
    let operations = operations(Root::new(&root, &lost), &root, diagnostics);
    lost.into_inner().into_findings().iter().cloned().for_each(|found| diagnostics.push(found));
    let operations = operations?;
    if operations.is_empty() {
        let found = Diagnostic::error("no-operations", "the document has no operation");
        diagnostics.push(found.at(&whole).help("`paths` holds what the API can be asked"));
        return None;
    }
    let title = root.get("info").and_then(|info| info.get("title")).and_then(text);
    Some(Document { title: title.unwrap_or("api").to_owned(), operations })
}

/// `None` if there are too many.
fn operations<'n>(
    reader: Root<'n>,
    root: &'n Node,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Operation>> {
    let mut operations = Vec::new();
    let paths = root.get("paths").map(entries).unwrap_or_default();
    let states_security = root.get("security").is_some()
        || paths.iter().any(|(_, item)| {
            entries(item).iter().any(|(_, operation)| operation.get("security").is_some())
        });
    // Extensions stand beside the paths.
    for (path, item) in paths.into_iter().filter(|(path, _)| !path.starts_with("x-")) {
        let item = reader.demand(item);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        for entry in table(item) {
            let Some(method) = method(&entry.key) else { continue };
            if method == Method::TRACE {
                let message = format!("`TRACE {path}` is never forwarded, and needs no rule");
                diagnostics
                    .push(Diagnostic::note("never-forwarded", message).at(&entry.key_origin));
                continue;
            }
            if operations.len() >= MAX_OPERATIONS {
                let message = format!("the document has more than {MAX_OPERATIONS} operations");
                let found = Diagnostic::error("too-many-operations", message);
                diagnostics.push(found.at(&entry.key_origin).help("split the document"));
                return None;
            }
            let node = &entry.node;
            let servers = [node, item, root].into_iter().find_map(|node| node.get("servers"));
            operations.push(Operation {
                method,
                id: node.get("operationId").and_then(text).map(str::to_owned),
                summary: node.get("summary").and_then(text).map(str::to_owned),
                deprecated: node.get("deprecated").is_some_and(is_true),
                parameters: parameters(
                    reader,
                    &path,
                    [node.get("parameters"), item.get("parameters")],
                ),
                bodies: bodies(reader, node.get("requestBody")),
                security: security(node, root, states_security),
                origin: entry.key_origin.clone(),
                base: servers.and_then(base).unwrap_or_default(),
                path: path.clone(),
            });
        }
    }
    Some(operations)
}

impl Operation {
    /// `GET /a/{b}`, for people.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Its path as it comes to the proxy, with `base` in place of what the document says of servers.
    pub(super) fn whole_path(&self, base: Option<&str>) -> String {
        format!("{}{}", base.unwrap_or(&self.base).trim_end_matches('/'), self.path)
    }

    /// A parameter of this place and name, compared as the proxy compares them.
    pub(super) fn parameter(&self, place: ParameterPlace, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|one| {
            one.place == place
                && match place {
                    ParameterPlace::Header => one.name.eq_ignore_ascii_case(name),
                    ParameterPlace::Path | ParameterPlace::Query | ParameterPlace::Cookie => {
                        one.name == name
                    }
                }
        })
    }
}

/// The text of a scalar.
pub(super) fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar(scalar) => Some(scalar.text()),
        Value::List(_) | Value::Table(_) | Value::Refused => None,
    }
}

pub(super) fn is_true(node: &Node) -> bool {
    text(node) == Some("true")
}

pub(super) fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        Value::Scalar(_) | Value::Table(_) | Value::Refused => &[],
    }
}

fn table(node: &Node) -> &[crate::config::tree::Entry] {
    match &node.value {
        Value::Table(entries) => entries,
        Value::Scalar(_) | Value::List(_) | Value::Refused => &[],
    }
}

/// Keys and values of a table.
pub(super) fn entries(node: &Node) -> Vec<(&str, &Node)> {
    table(node).iter().map(|entry| (entry.key.as_str(), &entry.node)).collect()
}

fn method(key: &str) -> Option<Method> {
    const METHODS: [&str; 8] =
        ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    METHODS.contains(&key).then(|| Method::from_bytes(key.to_ascii_uppercase().as_bytes()).ok())?
}

/// The operation's own parameters before those that are said of its path, and those that it has.
fn parameters<'n>(root: Root<'n>, path: &str, lists: [Option<&'n Node>; 2]) -> Vec<Parameter> {
    let mut parameters = Vec::<Parameter>::new();
    for node in lists.into_iter().flatten().flat_map(items) {
        let node = root.demand(node);
        let place = match node.get("in").and_then(text) {
            Some("path") => ParameterPlace::Path,
            Some("query") => ParameterPlace::Query,
            Some("header") => ParameterPlace::Header,
            Some("cookie") => ParameterPlace::Cookie,
            Some(_) | None => continue,
        };
        let Some(name) = node.get("name").and_then(text) else { continue };
        // Some declare what their path does not have.
        let is_elsewhere = place == ParameterPlace::Path && !path.contains(&format!("{{{name}}}"));
        if is_elsewhere || parameters.iter().any(|one| one.place == place && one.name == name) {
            continue;
        }
        let mut shape = Shape::of(root, node.get("schema"));
        if let Some(said) = node.get("description").and_then(text) {
            shape.description = Some(said.to_owned());
        }
        let required = node.get("required").is_some_and(is_true);
        parameters.push(Parameter { name: name.to_owned(), place, required, shape });
    }
    // What stands in the path is a parameter, declared or not.
    for name in path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)) {
        let place = ParameterPlace::Path;
        if !parameters.iter().any(|one| one.place == place && one.name == name) {
            let shape = Shape::default();
            parameters.push(Parameter { name: name.to_owned(), place, required: true, shape });
        }
    }
    parameters
}

fn bodies<'n>(root: Root<'n>, body: Option<&'n Node>) -> Vec<Body> {
    let content = body.and_then(|body| root.demand(body).get("content"));
    let media = content.map(entries).unwrap_or_default().into_iter();
    media.map(|(media, node)| read_body(root, media, node.get("schema"))).collect()
}

fn security(operation: &Node, root: &Node, states_security: bool) -> Security {
    let Some(stated) = operation.get("security").or_else(|| root.get("security")) else {
        return if states_security { Security::Open } else { Security::Unstated };
    };
    let mut alternatives = Vec::new();
    for alternative in items(stated) {
        let schemes = entries(alternative).into_iter();
        let scopes: Vec<String> = schemes
            .flat_map(|(_, scopes)| items(scopes).iter().filter_map(text))
            .map(str::to_owned)
            .collect();
        // `{}` among them: it may also be called without anything.
        if entries(alternative).is_empty() {
            return Security::Open;
        }
        if !alternatives.contains(&scopes) {
            alternatives.push(scopes);
        }
    }
    if alternatives.is_empty() { Security::Open } else { Security::Scopes(alternatives) }
}

/// The path of the first server, if it is one; variables as they are by default.
fn base(servers: &Node) -> Option<String> {
    let server = items(servers).first()?;
    let mut url = server.get("url").and_then(text)?.to_owned();
    for (name, variable) in server.get("variables").map(entries).unwrap_or_default() {
        if let Some(default) = variable.get("default").and_then(text) {
            url = url.replace(&format!("{{{name}}}"), default);
        }
    }
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| rest.get(at..).unwrap_or_default()),
        None => &url,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    // What is filled in elsewhere is not known here.
    (path.starts_with('/') && !path.contains('{')).then(|| path.to_owned())
}
