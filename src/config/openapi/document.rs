//! An OpenAPI document (3.0 or 3.1), as far as rules go by it. How bodies are searched is `schema`'s, how references
//! are followed is `references`'.
//!
//! Any bytes give a document, findings, or both, within the limits below.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use http::Method;

use super::paths;
use super::references::{Lost, Root};
use super::schema::{Body, Shape, read_body};
use crate::config::diagnostic::{Diagnostic, Diagnostics, Origin};
use crate::config::files::Files;
use crate::config::positions::{self, Bounds};
use crate::config::tree::{Entry, Node, Value};
use crate::domain::nearest;

/// Operations that are looked at. Bounds what a generated document can cost.
const MAX_OPERATIONS: usize = 5000;
/// Bytes and values of one document: those of large APIs have some megabytes.
const BOUNDS: Bounds = Bounds {
    bytes: 16 * 1024 * 1024,
    values: 2_000_000,
    depth: 128,
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
    /// What is before that as it comes to the proxy, without a final slash; empty for nothing.
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

/// Reads the document at `path`; paths begin with `base`, or else as the document says of its servers. `None` if it is
/// none; why is reported.
pub fn read(
    files: &Files,
    path: &Path,
    base: Option<&str>,
    diagnostics: &mut Diagnostics,
) -> Option<Document> {
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
    let states_security = states_security(&root);
    let reader = Reader { root: Root::new(&root, &lost), whole: &root, base, states_security };
    let operations = reader.operations(diagnostics);
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

/// Reads one document.
struct Reader<'n> {
    root: Root<'n>,
    whole: &'n Node,
    base: Option<&'n str>,
    states_security: bool,
}

impl<'n> Reader<'n> {
    /// `None` if there are too many.
    fn operations(&self, diagnostics: &mut Diagnostics) -> Option<Vec<Operation>> {
        let mut operations = Vec::new();
        let paths = self.whole.get("paths").map(table).unwrap_or_default();
        let mut doubts = BTreeSet::new();
        // Extensions stand beside the paths.
        for item in paths.iter().filter(|item| !item.key.starts_with("x-")) {
            let written = paths::written(&item.key);
            if let Some(dropped) = &written.dropped {
                let message = format!("`{dropped}` is no part of a path, and is left out");
                let found = Diagnostic::warning("unusual-path", message).at(&item.key_origin);
                diagnostics.push(found.help("declare it as a query parameter"));
            }
            // What is referred to, and what stands beside the reference.
            let referred = self.root.demand(&item.node);
            let beside = item.node.get("$ref").is_some().then_some(&item.node);
            for shared in [Some(referred), beside].into_iter().flatten() {
                for entry in table(shared) {
                    let Some(method) = method(entry, diagnostics) else {
                        continue;
                    };
                    if operations.len() >= MAX_OPERATIONS {
                        let message =
                            format!("the document has more than {MAX_OPERATIONS} operations");
                        let found = Diagnostic::error("too-many-operations", message);
                        diagnostics.push(found.at(&entry.key_origin).help("split the document"));
                        return None;
                    }
                    let base = self.base(&entry.node, shared, &mut doubts, diagnostics);
                    let operation = self.operation(method, base, entry, shared, &written);
                    if let Some(why) = never_forwarded(&operation) {
                        let message = format!("`{}` is never forwarded: {why}", operation.label());
                        let found = Diagnostic::warning("never-forwarded", message);
                        let help = "it needs no rule";
                        diagnostics.push(found.at(&operation.origin).help(help));
                        continue;
                    }
                    operations.push(operation);
                }
            }
        }
        Some(operations)
    }

    fn operation(
        &self,
        method: Method,
        base: String,
        entry: &'n Entry,
        item: &'n Node,
        written: &paths::Written,
    ) -> Operation {
        let node = &entry.node;
        let lists = [node.get("parameters"), item.get("parameters")];
        Operation {
            method,
            path: written.path.clone(),
            base,
            id: node.get("operationId").and_then(text).map(str::to_owned),
            summary: node.get("summary").and_then(text).map(str::to_owned),
            deprecated: node.get("deprecated").is_some_and(is_true),
            parameters: parameters(self.root, written, lists),
            bodies: bodies(self.root, node.get("requestBody")),
            security: security(node, self.whole, self.states_security),
            origin: entry.key_origin.clone(),
        }
    }

    /// What the paths of an operation begin with. What is not known for certain is told, once.
    fn base(
        &self,
        node: &'n Node,
        item: &'n Node,
        doubts: &mut BTreeSet<String>,
        diagnostics: &mut Diagnostics,
    ) -> String {
        if let Some(base) = self.base {
            return base.trim_end_matches('/').to_owned();
        }
        let servers = [node, item, self.whole].into_iter().find_map(|node| node.get("servers"));
        let servers = servers.map(items).unwrap_or_default();
        let Some(first) = servers.first() else { return String::new() };
        let bases: Vec<_> = servers.iter().map(server_path).collect();
        let base = bases.first().cloned().flatten();
        let doubt = match &base {
            None => {
                let url = first.get("url").and_then(text).unwrap_or_default();
                Some(format!("where paths of the server `{url}` begin is not known"))
            }
            Some(base) if bases.iter().any(|other| other.as_ref() != Some(base)) => Some(format!(
                "the servers have several paths; those of the first are taken, which begin with `{base}/`"
            )),
            Some(_) => None,
        };
        if let Some(message) = doubt.filter(|message| doubts.insert(message.clone())) {
            let found = Diagnostic::warning("uncertain-base", message).at(&first.origin);
            diagnostics.push(found.help("say what paths begin with by `--base-path`"));
        }
        base.unwrap_or_default()
    }
}

/// The method of an entry of a path item; `None` for what is no operation.
fn method(entry: &Entry, diagnostics: &mut Diagnostics) -> Option<Method> {
    const METHODS: [&str; 8] =
        ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    const OTHERS: [&str; 5] = ["$ref", "summary", "description", "servers", "parameters"];
    let key = entry.key.as_str();
    if METHODS.contains(&key) {
        return Method::from_bytes(key.to_ascii_uppercase().as_bytes()).ok();
    }
    if !OTHERS.contains(&key) && !key.starts_with("x-") {
        let message = format!("`{key}` is no method of a path");
        let found = Diagnostic::error("lost-operation", message).at(&entry.key_origin);
        let help = match nearest(&key.to_ascii_lowercase(), METHODS) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "an operation is under its method, in small letters; what else you keep here begins with `x-`".to_owned(),
        };
        diagnostics.push(found.help(help));
    }
    None
}

/// Whether a document says anywhere what callers must show.
fn states_security(root: &Node) -> bool {
    let paths = root.get("paths").map(entries).unwrap_or_default();
    root.get("security").is_some()
        || paths.iter().any(|(_, item)| {
            entries(item).iter().any(|(_, operation)| operation.get("security").is_some())
        })
}

/// Why no request of it is ever sent on.
fn never_forwarded(operation: &Operation) -> Option<&'static str> {
    if operation.method == Method::TRACE {
        return Some("the method is refused always");
    }
    paths::request(&operation.whole_path()).is_none().then_some("no request may have such a path")
}

impl Operation {
    /// `GET /a/{b}`, for people.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Its path as it comes to the proxy.
    pub(super) fn whole_path(&self) -> String {
        format!("{}{}", self.base, self.path)
    }

    /// Whether a parameter of the path fills a segment, as captures do.
    pub(super) fn has_segment(&self, name: &str) -> bool {
        paths::segments(&self.path).any(|segment| paths::parameter(segment) == Some(name))
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

fn table(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Table(entries) => entries,
        Value::Scalar(_) | Value::List(_) | Value::Refused => &[],
    }
}

/// Keys and values of a table.
pub(super) fn entries(node: &Node) -> Vec<(&str, &Node)> {
    table(node).iter().map(|entry| (entry.key.as_str(), &entry.node)).collect()
}

/// The operation's own parameters before those that are said of its path, and those that it has.
fn parameters<'n>(
    root: Root<'n>,
    written: &paths::Written,
    lists: [Option<&'n Node>; 2],
) -> Vec<Parameter> {
    let path = &written.path;
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
    for (name, pattern) in &written.patterns {
        let known = parameters
            .iter_mut()
            .find(|one| one.place == ParameterPlace::Path && one.name == *name);
        if let Some(one) = known {
            one.shape.pattern.get_or_insert_with(|| pattern.clone());
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
    // Some write the one alternative without a list.
    let listed = match &stated.value {
        Value::Table(_) => std::slice::from_ref(stated),
        Value::List(_) | Value::Scalar(_) | Value::Refused => items(stated),
    };
    for alternative in listed {
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

/// The path of a server, without a final slash, variables as they are by default; `None` if that is not known.
fn server_path(server: &Node) -> Option<String> {
    let mut url = server.get("url").and_then(text)?.to_owned();
    for (name, variable) in server.get("variables").map(entries).unwrap_or_default() {
        if let Some(default) = variable.get("default").and_then(text) {
            url = url.replace(&format!("{{{name}}}"), default);
        }
    }
    let after_scheme = url.split_once("://").map(|(_, rest)| rest).or(url.strip_prefix("//"));
    let path = match after_scheme {
        Some(rest) => rest.find('/').map_or("", |at| rest.get(at..).unwrap_or_default()),
        None => &url,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    // What is filled in elsewhere, or goes by where the document lies, is not known here.
    let is_known = (path.is_empty() || path.starts_with('/')) && !path.contains('{');
    is_known.then(|| path.trim_end_matches('/').to_owned())
}
