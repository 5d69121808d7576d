//! `cache`: how long answers of the PDP are believed.

use std::time::Duration;

use crate::config::field::Field;
use crate::config::reader::Table;
use crate::pdp::CacheSettings;

/// The longest that an answer is believed. Bounds how long a right outlives its withdrawal.
pub(in crate::config) const MAX_LIFETIME: Duration = Duration::from_hours(24);

/// The longest lifetime is that of these settings alone; rules may state a longer one.
pub(super) fn read(root: &mut Table<'_>) -> CacheSettings {
    let default = CacheSettings::default();
    root.section("cache", |table| {
        let permit_ttl = table.or("permit_ttl", default.permit_ttl, lifetime);
        let deny_ttl = table.or("deny_ttl", default.deny_ttl, lifetime);
        let max_entries = table.or("max_entries", default.max_entries, |field| {
            field.number(0..=10_000_000, "each decision takes some 0.5 KiB of memory; 0 keeps none")
        });
        let longest_lifetime = permit_ttl.max(deny_ttl);
        Some(CacheSettings { permit_ttl, deny_ttl, longest_lifetime, max_entries })
    })
    .unwrap_or(default)
}

/// How long an answer is believed.
pub(in crate::config) fn lifetime(field: Field<'_>) -> Option<Duration> {
    field.duration(
        Duration::ZERO..=MAX_LIFETIME,
        "for as long as an answer is believed, a right that was revoked may still count; 0s keeps none",
    )
}
