//! Which access packages a role in the Register of Legal Entities gives, and the old role codes.
//!
//! Altinn's table has more than a thousand rows; built in are those of the roles a client relation
//! rests on, and, of the roles of a business's own people, the packages that the examples use. A
//! directory file replaces or adds the rows of a role (`role_packages`).

use std::collections::{BTreeMap, BTreeSet};

use super::names::{PackageCode, RoleName};

/// The packages of the roles, for clients of a type.
#[derive(Clone, Debug)]
pub(super) struct RoleTable {
    rows: BTreeMap<RoleName, Vec<RoleRow>>,
}

/// One row: what a role gives where the client is of one of these types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RoleRow {
    /// Empty: clients of every type.
    pub(super) client_types: BTreeSet<String>,
    pub(super) packages: BTreeSet<PackageCode>,
}

type BuiltIn = (&'static str, &'static [&'static str], &'static [&'static str]);

const OWN_PEOPLE: &[&str] = &[
    "a-ordning",
    "merverdiavgift",
    "ordinaer-post-til-virksomheten",
    "skattegrunnlag",
    "tinglysing-eiendom",
];

const MANAGER_OF_FOREIGN_BUSINESS: &[&str] = &[
    "a-ordning",
    "ffor-tilgangsstyrer-nuf",
    "krav-og-utlegg",
    "lonn-personopplysninger-saerlig-kategori",
    "merverdiavgift",
    "oppgi-naermeste-leder",
    "saeravgifter",
    "skatt-naering",
    "skattegrunnlag",
    "tjenester-nuf",
];

// `hovedadministrator` is absent on purpose: it may delegate every package and uses none itself.
const BUILT_IN: &[BuiltIn] = &[
    (
        "regnskapsforer",
        &[],
        &[
            "regnskapsforer-lonn",
            "regnskapsforer-med-signeringsrettighet",
            "regnskapsforer-uten-signeringsrettighet",
        ],
    ),
    ("revisor", &[], &["ansvarlig-revisor", "revisormedarbeider"]),
    ("forretningsforer", &["BRL", "ESEK"], &["forretningsforer-eiendom"]),
    ("forretningsforer", &["NUF"], MANAGER_OF_FOREIGN_BUSINESS),
    ("daglig-leder", &[], OWN_PEOPLE),
    ("styreleder", &[], OWN_PEOPLE),
    ("innehaver", &[], OWN_PEOPLE),
];

/// Packages that arise from the register alone: a client cannot give them to whom it chooses, and
/// no business holds them for itself.
const FROM_REGISTER_ONLY: &[&str] = &[
    "ansvarlig-revisor",
    "forretningsforer-eiendom",
    "regnskapsforer-lonn",
    "regnskapsforer-med-signeringsrettighet",
    "regnskapsforer-uten-signeringsrettighet",
    "revisormedarbeider",
];

/// The codes by which older policies know the roles (`urn:altinn:rolecode`).
const LEGACY_CODES: &[(&str, &str)] = &[
    ("bestyrende-reder", "best"),
    ("bostyrer", "bobe"),
    ("daglig-leder", "dagl"),
    ("deltaker-delt-ansvar", "dtpr"),
    ("deltaker-fullt-ansvar", "dtso"),
    ("forretningsforer", "ffør"),
    ("innehaver", "innh"),
    ("komplementar", "komp"),
    ("kontaktperson", "kont"),
    ("nestleder", "nest"),
    ("norsk-representant", "repr"),
    ("prokurist", "prok"),
    ("regnskapsforer", "regn"),
    ("revisor", "revi"),
    ("signerer", "sign"),
    ("styreleder", "lede"),
    ("styremedlem", "medl"),
    ("varamedlem", "vara"),
];

/// The code every person has at itself.
pub(super) const PRIVATE_PERSON: &str = "priv";

/// The register roles by which a person acts for the whole organization: what was delegated to the
/// organization reaches the person.
const KEY_ROLES: &[&str] = &[
    "bestyrende-reder",
    "bostyrer",
    "daglig-leder",
    "deltaker-delt-ansvar",
    "deltaker-fullt-ansvar",
    "innehaver",
    "komplementar",
    "norsk-representant",
    "styreleder",
];

/// The code by which the old Altinn says the same.
const KEY_ROLE_CODE: &str = "ECKEYROLE";

/// The roles that are Altinn's own and stand in no other register (`urn:altinn:role`).
const ALTINN_ROLES: &[&str] = &[
    "agent",
    "appstyrt-rettighetshaver",
    "hovedadministrator",
    "privatperson",
    "rettighetshaver",
    "selvregistrert",
    "supplier",
];

pub(super) fn is_altinns_own(role: &RoleName) -> bool {
    ALTINN_ROLES.contains(&role.as_str())
}

pub(super) fn is_key_role(role: &RoleName) -> bool {
    KEY_ROLES.contains(&role.as_str())
}

pub(super) fn is_key_role_code(code: &str) -> bool {
    code.eq_ignore_ascii_case(KEY_ROLE_CODE)
}

pub(super) fn legacy_code(role: &RoleName) -> Option<&'static str> {
    LEGACY_CODES.iter().find(|(name, _)| *name == role.as_str()).map(|(_, code)| *code)
}

pub(super) fn is_from_register_only(package: &PackageCode) -> bool {
    FROM_REGISTER_ONLY.contains(&package.as_str())
}

impl RoleTable {
    pub(super) fn built_in() -> Self {
        let mut rows: BTreeMap<RoleName, Vec<RoleRow>> = BTreeMap::new();
        for (role, client_types, packages) in BUILT_IN {
            let Ok(role) = RoleName::parse(role) else { continue };
            let row = RoleRow {
                client_types: client_types.iter().map(|&one| one.to_owned()).collect(),
                packages: packages.iter().filter_map(|one| PackageCode::parse(one).ok()).collect(),
            };
            rows.entry(role).or_default().push(row);
        }
        Self { rows }
    }

    /// Replaces every row of a role.
    pub(super) fn set(&mut self, role: RoleName, rows: Vec<RoleRow>) {
        self.rows.insert(role, rows);
    }

    /// The roles that give a package, each with the client types for which it does; no type means
    /// every type.
    pub(super) fn giving<'t>(
        &'t self,
        package: &'t PackageCode,
    ) -> impl Iterator<Item = (&'t RoleName, &'t BTreeSet<String>)> {
        let rows =
            self.rows.iter().flat_map(|(role, rows)| rows.iter().map(move |row| (role, row)));
        rows.filter(|(_, row)| row.packages.contains(package))
            .map(|(role, row)| (role, &row.client_types))
    }

    /// What the role gives, at a client of this type.
    pub(super) fn packages<'t>(
        &'t self,
        role: &RoleName,
        client_type: Option<&'t str>,
    ) -> impl Iterator<Item = &'t PackageCode> {
        self.rows
            .get(role)
            .into_iter()
            .flatten()
            .filter(move |row| {
                row.client_types.is_empty()
                    || client_type.is_some_and(|one| row.client_types.contains(one))
            })
            .flat_map(|row| &row.packages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(role: &str, client_type: Option<&str>) -> Vec<String> {
        let table = RoleTable::built_in();
        let role = RoleName::parse(role).unwrap();
        table.packages(&role, client_type).map(ToString::to_string).collect()
    }

    #[test]
    fn every_built_in_word_is_a_legal_code() {
        for (role, client_types, codes) in BUILT_IN {
            let client_type = client_types.first().copied().unwrap_or("AS");
            assert_eq!(packages(role, Some(client_type)).len(), codes.len(), "{role}");
        }
        for (role, _) in LEGACY_CODES {
            assert!(legacy_code(&RoleName::parse(role).unwrap()).is_some());
        }
        for role in KEY_ROLES {
            assert!(legacy_code(&RoleName::parse(role).unwrap()).is_some(), "{role}");
        }
    }

    #[test]
    fn what_a_business_manager_holds_hangs_on_what_the_client_is() {
        for (client_type, expected) in
            [(Some("BRL"), 1), (Some("ESEK"), 1), (Some("NUF"), 10), (Some("AS"), 0), (None, 0)]
        {
            let held = packages("forretningsforer", client_type);
            assert_eq!(held.len(), expected);
            let housing = held.iter().any(|one| one == "forretningsforer-eiendom");
            assert_eq!(housing, expected == 1);
        }
    }

    #[test]
    fn a_main_administrator_may_delegate_but_uses_nothing() {
        assert!(packages("hovedadministrator", Some("AS")).is_empty());
    }
}
