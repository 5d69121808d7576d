//! The page on every refusal, made by the very function that answers with it, and held against `docs/reference`.

use super::tests::form;
use super::*;
use crate::domain::{
    Action, AuthenticationLevel, CheckDigits, OrganizationNumber, Party, ResourceId, Scope,
};
use std::fmt::Write as _;

/// As a caller would meet it: with what the proxy tells beside the code.
fn sample(code: DenialCode) -> Denial {
    let denial = Denial::new(code);
    let organization = OrganizationNumber::parse("313750531", CheckDigits::Strict).unwrap();
    let user = SystemUserId::parse("a0000001-0000-4000-8000-000000000001").unwrap();
    let asked = |mut denial: Denial| {
        denial.extras.resource = Some(ResourceId::parse("ske-mva-melding").unwrap());
        denial.extras.action = Some(Action::parse("write").unwrap());
        denial.extras.party = Some(Party::Organization(organization));
        denial.extras.system_user = Some(user);
        denial
    };
    let acting = |mut denial: Denial| {
        denial.extras.action = Some(Action::parse("write").unwrap());
        denial
    };
    match code {
        DenialCode::AccessDenied => {
            let mut denial = asked(denial);
            let packages = ["merverdiavgift", "skattegrunnlag"];
            let urn = |code: &str| format!("urn:altinn:accesspackage:{code}").into();
            denial.extras.access_packages = Some(packages.map(urn).into());
            denial
        }
        DenialCode::ObligationUnknown
        | DenialCode::DecisionIndeterminate
        | DenialCode::PdpUnavailable
        | DenialCode::PdpTimeout
        | DenialCode::PdpProtocolError
        | DenialCode::CredentialUnavailable => asked(denial),
        DenialCode::AuthenticationLevelTooLow => {
            let mut denial = asked(denial);
            denial.extras.required_level = Some(AuthenticationLevel::SUBSTANTIAL);
            denial
        }
        DenialCode::ScopeMissing => {
            let scope = Scope::parse("skatteetaten:mvameldinginnsending").unwrap();
            let mut denial = denial;
            denial.extras.required_scopes = Some(ScopeRequirement::All([scope].into()));
            denial
        }
        DenialCode::AmbiguousParameter | DenialCode::PartyMissing | DenialCode::PartyInvalid => {
            acting(denial).at("query:party")
        }
        DenialCode::TooManyParties => acting(denial).at("query:party").limit(20),
        DenialCode::ResourceMissing
        | DenialCode::ResourceInvalid
        | DenialCode::ResourceNotAllowed => acting(denial).at("json:/resourceId"),
        DenialCode::InstanceMissing => acting(denial).at("path:id"),
        DenialCode::BodyUnreadable => acting(denial),
        DenialCode::UnsupportedBody => denial.at("header:content-type"),
        DenialCode::BodyTooLarge => denial.limit(1_048_576),
        DenialCode::TargetTooLong => denial.limit(8192),
        DenialCode::HeadersTooLarge => denial.limit(32_768),
        DenialCode::MethodNotAllowed => {
            let mut denial = denial;
            denial.extras.allowed_methods = Some("GET, HEAD".into());
            denial
        }
        DenialCode::AmbiguousPath => denial.at("the request target"),
        DenialCode::MalformedRequest => denial.at("header:host"),
        DenialCode::TokenMissing
        | DenialCode::TokenMalformed
        | DenialCode::TokenUntrusted
        | DenialCode::TokenExpired
        | DenialCode::TokenNotYetValid
        | DenialCode::TokenWrongAudience
        | DenialCode::NotASystemUser
        | DenialCode::SeveralSystemUsers
        | DenialCode::SubjectNotAllowed
        | DenialCode::SystemNotAllowed
        | DenialCode::VendorNotAllowed
        | DenialCode::RouteClosed
        | DenialCode::RouteUnknown
        | DenialCode::RequestTimeout
        | DenialCode::ExpectationFailed
        | DenialCode::HostUnknown
        | DenialCode::KeysUnavailable
        | DenialCode::Overloaded
        | DenialCode::UpstreamUnreachable
        | DenialCode::UpstreamProtocolError
        | DenialCode::UpstreamTimeout
        | DenialCode::Internal => denial,
    }
}

/// A member a line.
fn lines(json: &str) -> String {
    let (mut text, mut depth, mut quoted, mut escaped) = (String::new(), 0_usize, false, false);
    for letter in json.trim_end().chars() {
        if quoted {
            quoted = letter != '"' || escaped;
            escaped = letter == '\\' && !escaped;
            text.push(letter);
            continue;
        }
        match letter {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => quoted = letter == '"',
        }
        match (letter, depth) {
            ('{', 1) => text.push_str("{\n  "),
            ('}', 0) => text.push_str("\n}"),
            (',', 1) => text.push_str(",\n  "),
            (',', _) => text.push_str(", "),
            (':', _) => text.push_str(": "),
            _ => text.push(letter),
        }
    }
    text
}

fn page() -> String {
    let mut page = "# Every refusal

Made of the program itself (`src/answer`), which its tests hold against this page: what a caller gets, in English, and the texts in
Bokmål and Nynorsk. What to do about each: [VENDORS](../VENDORS.md). Members that do not apply to a request are absent. Each may have `help` beside these: a web
address of the API's owner.
"
    .to_owned();
    for code in DenialCode::ALL {
        let denial = sample(*code);
        let answer = answer(&denial, form(&HeaderMap::new()));
        let head = [WWW_AUTHENTICATE, RETRY_AFTER, ALLOW].into_iter().filter_map(|name| {
            let value = answer.headers().get(&name)?.to_str().unwrap();
            Some(format!("`{name}: {value}`"))
        });
        let head: Vec<_> = head.collect();
        let head = if head.is_empty() { String::new() } else { format!(", {}", head.join(", ")) };
        let body = lines(std::str::from_utf8(answer.body()).unwrap());
        let status = answer.status();
        let _ = write!(page, "\n## `{code}`\n\n{status}{head}\n\n```json\n{body}\n```\n\n");
        for (name, language) in [("nb", Language::Bokmal), ("nn", Language::Nynorsk)] {
            let text = texts::text(*code, language);
            let detail = texts::detail(text.detail, language, &denial.extras);
            let _ = writeln!(page, "- {name}: **{}.** {detail}", text.title);
        }
    }
    page
}

#[test]
fn the_page_of_refusals_shows_what_callers_get() {
    let page = page();
    let written = include_str!("../../docs/reference/refusals.md");
    assert!(page == written, "docs/reference/refusals.md should say:\n{page}");
}

#[test]
fn vendors_read_of_each_code_what_callers_are_told() {
    let page = include_str!("../../docs/VENDORS.md");
    for code in DenialCode::ALL {
        let begins = format!("| `{code}` |");
        let mut rows = page.lines().filter(|line| line.starts_with(&begins));
        let mut extras = sample(*code).extras;
        extras.parameter = Some("`parameter`".into());
        let template = texts::text(*code, Language::English).detail.replace("{limit}", "`limit`");
        let detail = texts::detail(&template, Language::English, &extras);
        assert!(
            rows.any(|row| row.contains(&*detail)),
            "docs/VENDORS.md should say of {code}: {detail}"
        );
    }
}
