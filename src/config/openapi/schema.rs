//! The places of values in a body, by its schema: as JSON pointers, with `*` for every element of a list.
//!
//! Of several forms that a body may have (`oneOf`, `anyOf`), every place of every form counts.

use super::document::{entries, is_true, items, text};
use super::references::Root;
use crate::config::tree::Node;

/// Levels of a body that are looked at, and places in it. Bound recursive schemas.
const MAX_DEPTH: usize = 8;
const MAX_PLACES: usize = 2000;

/// A body of one media type.
#[derive(Debug)]
pub(super) struct Body {
    /// As written, in small letters, without parameters.
    pub(super) media: String,
    pub(super) places: Vec<Place>,
    /// Pointers below which anything may stand.
    pub(super) open: Vec<String>,
}

/// A value in a body.
#[derive(Debug)]
pub(super) struct Place {
    /// `/sender/orgnr`, `/items/*/orgnr`.
    pub(super) pointer: String,
    /// Its own name; that of the list for an element.
    pub(super) name: String,
    /// Whether it is always there.
    pub(super) required: bool,
    pub(super) shape: Shape,
}

/// What is known of a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    pub(super) is_list: bool,
    pub(super) is_table: bool,
    pub(super) is_integer: bool,
    pub(super) pattern: Option<String>,
    pub(super) description: Option<String>,
    pub(super) example: Option<String>,
    pub(super) allowed: Vec<String>,
    pub(super) max_items: Option<usize>,
}

/// What a JSON body is, by its media type. Where any will do, JSON is what is sent.
pub(super) fn is_json(media: &str) -> bool {
    ["application/json", "text/json", "application/*", "*/*"].contains(&media)
        || media.ends_with("+json")
}

/// The media type of forms that are read.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

impl Body {
    pub(super) fn is_json(&self) -> bool {
        is_json(&self.media)
    }

    pub(super) fn is_form(&self) -> bool {
        self.media == FORM
    }

    pub(super) fn is_xml(&self) -> bool {
        self.media == "application/xml" || self.media == "text/xml" || self.media.ends_with("+xml")
    }

    /// Whether a value may stand there.
    pub(super) fn has(&self, pointer: &str) -> bool {
        let below = |open: &String| {
            pointer == open || pointer.strip_prefix(open).is_some_and(|rest| rest.starts_with('/'))
        };
        self.places.iter().any(|place| place.pointer == pointer) || self.open.iter().any(below)
    }
}

impl Shape {
    pub(super) fn of<'n>(root: Root<'n>, schema: Option<&'n Node>) -> Self {
        schema.map_or_else(Self::default, |schema| Self::within(root, schema, 0))
    }

    /// With what its parts say where it says nothing itself: `allOf` around a reference is how a description is added
    /// to one, and `anyOf` with `null` how a value may be absent.
    fn within<'n>(root: Root<'n>, schema: &'n Node, depth: usize) -> Self {
        let schema = root.resolve(schema);
        let mut shape = Self::alone(root, schema);
        if depth < MAX_DEPTH {
            for key in ["allOf", "oneOf", "anyOf"] {
                for part in schema.get(key).map(items).unwrap_or_default() {
                    shape.fill(Self::within(root, part, depth + 1), key == "allOf");
                }
            }
        }
        shape
    }

    fn alone<'n>(root: Root<'n>, schema: &'n Node) -> Self {
        let is_type = |wanted: &str| {
            schema.get("type").is_some_and(|node| {
                // A list of types in 3.1.
                text(node) == Some(wanted)
                    || items(node).iter().any(|one| text(one) == Some(wanted))
            })
        };
        let is_list = is_type("array") || schema.get("items").is_some();
        let said = |key: &str| schema.get(key).and_then(text).map(str::to_owned);
        let element = schema.get("items").map(|items| root.resolve(items));
        let of_element =
            |key: &str| element.and_then(|node| node.get(key)).and_then(text).map(str::to_owned);
        // In place of `example` in 3.1.
        let examples = schema.get("examples").map(items).unwrap_or_default();
        Self {
            is_list,
            is_table: is_type("object") || schema.get("properties").is_some(),
            is_integer: is_type("integer"),
            pattern: said("pattern").or_else(|| of_element("pattern")),
            description: said("description").or_else(|| of_element("description")),
            example: said("example")
                .or_else(|| examples.first().and_then(text).map(str::to_owned))
                .or_else(|| of_element("example")),
            allowed: schema
                .get("enum")
                .map(|words| items(words).iter().filter_map(text).map(str::to_owned).collect())
                .unwrap_or_default(),
            max_items: said("maxItems").and_then(|max| max.parse().ok()),
        }
    }

    fn fill(&mut self, part: Self, always: bool) {
        self.is_list |= part.is_list;
        self.is_table |= part.is_table;
        self.is_integer |= part.is_integer;
        self.pattern = self.pattern.take().or(part.pattern);
        self.description = self.description.take().or(part.description);
        self.example = self.example.take().or(part.example);
        self.max_items = self.max_items.or(part.max_items);
        // Of several forms one may allow more.
        if always && self.allowed.is_empty() {
            self.allowed = part.allowed;
        }
    }
}

pub(super) fn read_body<'n>(root: Root<'n>, media: &str, schema: Option<&'n Node>) -> Body {
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mut body = Body { media, places: Vec::new(), open: Vec::new() };
    match schema {
        Some(schema) => {
            walk(root, schema, &At { pointer: "", name: "", required: true, depth: 0 }, &mut body);
        }
        None => body.open.push(String::new()),
    }
    body
}

/// Where a walk is.
struct At<'p> {
    pointer: &'p str,
    name: &'p str,
    required: bool,
    depth: usize,
}

fn walk<'n>(root: Root<'n>, schema: &'n Node, at: &At<'_>, body: &mut Body) {
    if at.depth > MAX_DEPTH || body.places.len() >= MAX_PLACES {
        body.open.push(at.pointer.to_owned());
        return;
    }
    let depth = at.depth.saturating_add(1);
    let mut says_nothing = true;
    // Since 3.1 more may stand beside a reference.
    if schema.get("$ref").is_some() && entries(schema).len() > 1 {
        says_nothing = false;
        walk(root, root.resolve(schema), &At { depth, ..*at }, body);
    }
    let schema = if says_nothing { root.resolve(schema) } else { schema };
    for (key, always) in [("allOf", true), ("oneOf", false), ("anyOf", false)] {
        for part in schema.get(key).map(items).unwrap_or_default() {
            says_nothing = false;
            walk(root, part, &At { depth, required: at.required && always, ..*at }, body);
        }
    }
    let required: Vec<&str> = schema
        .get("required")
        .map(|names| items(names).iter().filter_map(text).collect())
        .unwrap_or_default();
    for (name, property) in schema.get("properties").map(entries).unwrap_or_default() {
        says_nothing = false;
        let pointer = format!("{}/{}", at.pointer, name.replace('~', "~0").replace('/', "~1"));
        let required = at.required && required.contains(&name);
        add(root, property, &pointer, name, required, body);
        walk(root, property, &At { pointer: &pointer, name, required, depth }, body);
    }
    if let Some(element) = schema.get("items") {
        says_nothing = false;
        let pointer = format!("{}/*", at.pointer);
        add(root, element, &pointer, at.name, at.required, body);
        walk(
            root,
            element,
            &At { pointer: &pointer, name: at.name, required: at.required, depth },
            body,
        );
    }
    for (nth, element) in
        schema.get("prefixItems").map(items).unwrap_or_default().iter().enumerate()
    {
        says_nothing = false;
        let pointer = format!("{}/{nth}", at.pointer);
        add(root, element, &pointer, at.name, at.required, body);
        let below = At { pointer: &pointer, name: at.name, required: at.required, depth };
        walk(root, element, &below, body);
    }
    let more = schema.get("additionalProperties");
    let is_open = more.is_some_and(|more| is_true(more) || !entries(more).is_empty());
    let is_any = says_nothing && schema.get("type").is_none_or(|kind| text(kind) == Some("object"));
    if is_open || is_any {
        body.open.push(at.pointer.to_owned());
    }
}

fn add<'n>(
    root: Root<'n>,
    schema: &'n Node,
    pointer: &str,
    name: &str,
    required: bool,
    body: &mut Body,
) {
    let known = body.places.iter_mut().find(|place| place.pointer == pointer);
    match known {
        // In one of several forms it may be absent.
        Some(place) => place.required &= required,
        None => body.places.push(Place {
            pointer: pointer.to_owned(),
            name: name.to_owned(),
            required,
            shape: Shape::of(root, Some(schema)),
        }),
    }
}
