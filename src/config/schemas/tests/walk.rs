//! Every place of a file that a schema describes, with a file around it that has nothing else.

use std::collections::BTreeSet;

use serde_json::Value as Json;

/// What must stand beside `key` in the table at `path`, whose keys are `keys`, for the reader to heed it:
/// keys with their values. Of these, those that are `key` itself are left out.
pub(in crate::config) type Beside =
    fn(path: &str, keys: &Keys, key: &str) -> Vec<(&'static str, String)>;
pub(in crate::config) type Keys = BTreeSet<String>;

/// One place, and one schema that applies to it.
#[derive(Clone, Debug)]
pub(in crate::config) struct Place<'s> {
    /// `server.limits.max_headers`, `rules[].match`, `callers.*`; empty for the file.
    pub(in crate::config) path: String,
    /// What stands before and after the value in the file.
    pub(in crate::config) around: (String, String),
    /// The file without the value and its key, if there is one.
    pub(in crate::config) without: Option<String>,
    /// What applies.
    pub(in crate::config) schema: &'s Json,
    /// Whether it is what the schema says of a key, and no part of that.
    pub(in crate::config) is_property: bool,
}

/// A table whose keys a schema knows.
#[derive(Debug)]
pub(in crate::config) struct Table {
    pub(in crate::config) path: String,
    /// What stands before and after a further key.
    pub(in crate::config) around: (String, String),
    pub(in crate::config) keys: Keys,
}

impl Place<'_> {
    /// The file with `value` here.
    pub(in crate::config) fn file(&self, value: &str) -> String {
        format!("{}{value}{}", self.around.0, self.around.1)
    }

    /// The path as readers write it in their findings.
    pub(in crate::config) fn written(&self) -> String {
        self.path.replace("[]", "[0]").replace('*', A_NAME)
    }
}

/// A name where any will do.
const A_NAME: &str = "a_name";

/// Every place, and what stands behind references there.
pub(in crate::config) fn places(root: &Json, beside: Beside) -> Vec<Place<'_>> {
    let mut into = Vec::new();
    let file = Place {
        path: String::new(),
        around: Default::default(),
        without: None,
        schema: root,
        is_property: false,
    };
    Walk { root, beside, into: &mut into }.visit(file);
    into
}

/// Every table whose keys the schema knows.
pub(in crate::config) fn tables(root: &Json, beside: Beside) -> Vec<Table> {
    let places = places(root, beside);
    let tables = places.iter().filter(|place| is_table(place.schema));
    tables
        .map(|Place { path, around, schema, .. }| {
            let keys = keys(schema);
            let others = others(beside(path, &keys, ""), "");
            let around = (format!("{}{{ {others}", around.0), format!(" }}{}", around.1));
            Table { path: path.clone(), around, keys }
        })
        .collect()
}

/// What a reference refers to.
pub(in crate::config) fn target<'s>(root: &'s Json, schema: &Json) -> Option<&'s Json> {
    let name = schema["$ref"].as_str()?.strip_prefix("#/$defs/").unwrap();
    Some(root["$defs"].get(name).unwrap_or_else(|| panic!("{name} is nowhere")))
}

struct Walk<'s, 'w> {
    root: &'s Json,
    beside: Beside,
    into: &'w mut Vec<Place<'s>>,
}

impl<'s> Walk<'s, '_> {
    fn visit(&mut self, place: Place<'s>) {
        let schema = place.schema;
        let same = |schema| Place { schema, is_property: false, ..place.clone() };
        if let Some(target) = target(self.root, schema) {
            self.visit(same(target));
        }
        for kind in ["oneOf", "anyOf", "allOf"] {
            for variant in schema[kind].as_array().into_iter().flatten() {
                self.visit(same(variant));
            }
        }
        let (before, after) = &place.around;
        if let Some(items) = schema.get("items") {
            self.visit(Place {
                path: format!("{}[]", place.path),
                around: (format!("{before}["), format!("]{after}")),
                without: None,
                schema: items,
                is_property: false,
            });
        }
        if is_table(schema) {
            let keys = keys(schema);
            for (key, below) in schema["properties"].as_object().unwrap() {
                let others = others((self.beside)(&place.path, &keys, key), key);
                self.visit(Place {
                    path: format!("{}.{key}", place.path).trim_start_matches('.').to_owned(),
                    around: (format!("{before}{{ {others}{key}: "), format!(" }}{after}")),
                    without: Some(format!("{before}{{ {others} }}{after}")),
                    schema: below,
                    is_property: true,
                });
            }
        } else if let Some(value) = schema.get("additionalProperties") {
            let name = schema["propertyNames"]["examples"][0].as_str().unwrap_or(A_NAME);
            self.visit(Place {
                path: format!("{}.*", place.path),
                around: (format!("{before}{{ {name}: "), format!(" }}{after}")),
                without: None,
                schema: value,
                is_property: true,
            });
        }
        self.into.push(place);
    }
}

fn is_table(schema: &Json) -> bool {
    schema.get("additionalProperties").is_some_and(|more| *more == false)
}

fn keys(schema: &Json) -> Keys {
    schema["properties"].as_object().unwrap().keys().cloned().collect()
}

fn others(beside: Vec<(&'static str, String)>, key: &str) -> String {
    let others = beside.into_iter().filter(|(other, _)| *other != key);
    let written = others.map(|(other, value)| format!("{other}: {value}, ")).collect::<Vec<_>>();
    written.concat()
}
