//! `answers`: what refusals say beyond their code.

use std::sync::Arc;

use crate::config::field::Field;
use crate::config::reader::Table;

pub(super) fn read(root: &mut Table<'_>) -> Option<Arc<str>> {
    root.section("answers", |table| table.optional("help_url", help_url))
}

/// A web address, in which `{code}` stands for the code of the refusal.
fn help_url(field: Field<'_>) -> Option<Arc<str>> {
    let web = |text: &str| {
        let filled = text.replace("{code}", "code");
        let plain =
            filled.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'{' && byte != b'}');
        let url = crate::config::scalars::parse_url(&filled, &["https", "http"]);
        if plain && url.is_ok() { Ok(text.into()) } else { Err("not a web address") }
    };
    field.text_or_help(web, |_| "write an address, as in `https://help.example.no/{code}`")
}
