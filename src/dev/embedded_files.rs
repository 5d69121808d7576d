//! The files of this repository that the demo runs on, as part of the program: it needs nothing beside it.

/// Path below the repository, and text.
pub type EmbeddedFile = (&'static str, &'static str);

macro_rules! embedded {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path)))),+]
    };
}

/// Configuration, route rules, resource policies and directory of the demo.
pub const DEMO_FILES: &[EmbeddedFile] = embedded![
    "config/demo.yaml",
    "policies/directory.yaml",
    "policies/routes/broker.yaml",
    "policies/routes/dialogs.yaml",
    "policies/routes/reconciliation.yaml",
    "policies/routes/tax.yaml",
    "policies/resources/digdir-meldinger.xml",
    "policies/resources/kartverket-tinglysing.xml",
    "policies/resources/nav-aordning-a06.xml",
    "policies/resources/nav-aordning-a07.xml",
    "policies/resources/nav-aordning-full.xml",
    "policies/resources/ske-aksjonaerregister.xml",
    "policies/resources/ske-boligselskap.xml",
    "policies/resources/ske-mva-melding.xml",
    "policies/resources/ske-selvstendig-betaling.xml",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_and_policy_of_the_repository_is_in_the_demo() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["policies/routes", "policies/resources"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let path = format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy());
                assert!(
                    DEMO_FILES.iter().any(|(known, _)| *known == path),
                    "{path} is not embedded"
                );
            }
        }
    }
}
