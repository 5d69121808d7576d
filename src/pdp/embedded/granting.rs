//! Which access packages would grant an action on a resource, by its policy: what a vendor needs to know that was
//! refused. Nothing of a party or a caller is known here.

use std::sync::Arc;

use super::attributes::{APP, ORG, RESOURCE};
use super::names::{PackageCode, app_of};
use super::policies::PolicyStore;
use crate::domain::{Action, ResourceId};
use crate::xacml::{ACTION_ID, Category, Decision, Mode, Request, evaluate};

/// Packages named for one question. Bounds a refusal: what any of a hundred would grant is better asked of the owner.
const MAX_PACKAGES: usize = 100;

impl PolicyStore {
    /// The packages of which each by itself is enough, as URNs, in the order of their codes; `None` where nothing is
    /// known of the resource. Asked of the policy itself, whatever its shape, as Altinn asks it.
    #[must_use]
    pub fn packages_granting(
        &self,
        resource: &ResourceId,
        action: &Action,
    ) -> Option<Arc<[Box<str>]>> {
        let policy = self.policy(resource)?;
        let named = policy.compared_with(&Category::AccessSubject, PackageCode::ATTRIBUTE_ID);
        let grants = |package: &PackageCode| {
            let mut request = Request::new();
            let (subject, id) = (Category::AccessSubject, PackageCode::ATTRIBUTE_ID);
            request.add(subject, id, package.as_str());
            if let Some((org, app)) = app_of(resource.as_str()) {
                request.add(Category::Resource, ORG, org);
                request.add(Category::Resource, APP, app);
            }
            request.add(Category::Resource, RESOURCE, resource.as_str());
            request.add(Category::Action, ACTION_ID, action.as_str());
            evaluate(policy, &request, Mode::Altinn).decision == Decision::Permit
        };
        let codes = named.into_iter().filter_map(|text| PackageCode::parse(text).ok());
        let granting = codes.filter(grants).take(MAX_PACKAGES);
        let urn =
            |code: PackageCode| format!("{}:{}", PackageCode::ATTRIBUTE_ID, code.as_str()).into();
        Some(granting.map(urn).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_those_that_the_policy_permits_the_action_for() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/resources");
        let read = |name: &str| (name.to_owned(), std::fs::read(folder.join(name)).unwrap());
        let store = PolicyStore::build([read("ske-mva-melding.xml"), read("nav-aordning-a06.xml")]);
        let store = store.unwrap();
        let granting = |resource: &str, action: &str| {
            let (resource, action) =
                (ResourceId::parse(resource).unwrap(), Action::parse(action).unwrap());
            store.packages_granting(&resource, &action).map(|packages| packages.join(" "))
        };
        let vat = "urn:altinn:accesspackage:merverdiavgift urn:altinn:accesspackage:regnskapsforer-med-signeringsrettighet urn:altinn:accesspackage:skattegrunnlag";
        assert_eq!(granting("ske-mva-melding", "write").as_deref(), Some(vat));
        let reports = "urn:altinn:accesspackage:a-ordning";
        assert_eq!(granting("nav-aordning-a06", "read").as_deref(), Some(reports));
        assert_eq!(granting("ske-mva-melding", "dance").as_deref(), Some(""));
        assert_eq!(granting("ske-nothing", "read"), None);
    }
}
