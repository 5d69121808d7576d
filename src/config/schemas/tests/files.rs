//! The files that ship, and those that the pages show, are as their schemas say.

use super::*;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn kind(name: &str) -> Kind {
    KINDS.into_iter().find(|kind| kind.name == name).unwrap()
}

#[test]
fn every_file_that_ships_is_as_its_schema_says_and_names_it() {
    let mut count = 0;
    for (folder, schema) in
        [("config", "config"), ("policies/routes", "routes"), ("policies/tests", "tests")]
    {
        for path in Files::Disk.list(&root().join(folder), "yaml").unwrap() {
            count += 1;
            let file = std::fs::read_to_string(&path).unwrap();
            assert_eq!(kind(schema).faults(&file), [""; 0], "{}", path.display());
            let line = file.lines().next().unwrap();
            let named = line.strip_prefix("# yaml-language-server: $schema=").unwrap_or_default();
            let named = root().join(folder).join(named).canonicalize().unwrap();
            let meant = root().join(format!("config/schemas/{schema}.schema.json"));
            assert_eq!(named, meant.canonicalize().unwrap(), "{}: `{line}`", path.display());
        }
    }
    assert!(count >= 12, "{count}");
    let directory: Json = serde_json::from_str(DIRECTORY).unwrap();
    let file = text("policies/directory.yaml");
    assert_eq!(validate::faults(&directory, &json(&file)), [""; 0]);
    let line = "# yaml-language-server: $schema=../config/schemas/directory.schema.json\n";
    assert!(file.starts_with(line));
}

#[test]
fn every_file_for_kubernetes_is_as_its_schema_says() {
    let mut count = 0;
    for (folder, schema) in [
        ("k8s/overlays/prod", "config"),
        ("k8s/overlays/tt02", "config"),
        ("k8s/examples/nais", "config"),
        ("k8s/base/routes", "routes"),
        ("k8s/examples/nais/routes", "routes"),
        ("k8s/examples/sidecar/routes", "routes"),
    ] {
        for path in Files::Disk.list(&root().join(folder), "yaml").unwrap() {
            if schema == "routes" || path.ends_with("portvakt.yaml") {
                count += 1;
                let file = std::fs::read_to_string(&path).unwrap();
                assert_eq!(kind(schema).faults(&file), [""; 0], "{}", path.display());
            }
        }
    }
    assert!(count >= 6, "{count}");
}

#[test]
fn every_example_of_the_pages_is_as_its_schema_says() {
    let mut found = [0; 3];
    for page in ["README.md", "docs/RULES.md", "docs/OPERATIONS.md", "docs/PDP.md"] {
        for block in text(page).split("```yaml\n").skip(1) {
            let file = block.split("```").next().unwrap();
            let has = |key: &str| json(file).get(key).is_some();
            let index = match (has("api"), has("tests"), has("server") || has("pdp")) {
                (true, _, _) => 1,
                (_, true, _) => 2,
                (_, _, true) => 0,
                // Of Kubernetes.
                (..) => continue,
            };
            found[index] += 1;
            let kind = KINDS[index];
            assert_eq!(kind.faults(file), [""; 0], "{page}: {file}");
            assert!(kind.refusals(file).is_empty(), "{page}: {:?}", kind.refusals(file));
        }
    }
    assert!(found[0] >= 2 && found[1] >= 1 && found[2] >= 1, "{found:?}");
}
