//! Whom a rule lets in, whatever is asked: subject kind, scope, systems and vendors, authentication level.

use crate::domain::{AuthenticationLevel, Caller, Denial, DenialCode, SubjectKind};
use crate::route::RouteRule;

/// Whether the rule lets this caller in, which is not yet a permit for anything. Machines count as authenticated at
/// `machine_level`.
pub fn admits(
    rule: &RouteRule,
    caller: &Caller,
    machine_level: AuthenticationLevel,
) -> Result<(), Denial> {
    let kind = caller.subject.kind();
    if !rule.subjects().contains(&kind) {
        let only_system_users = rule.subjects() == [SubjectKind::SystemUser];
        let code = if only_system_users {
            DenialCode::NotASystemUser
        } else {
            DenialCode::SubjectNotAllowed
        };
        return Err(Denial::new(code).because(format_args!("the token proves: {}", kind.as_str())));
    }
    if let Some(required) = rule.scopes()
        && !required.is_met_by(&caller.scopes)
    {
        let mut denial = Denial::new(DenialCode::ScopeMissing);
        denial.extras.required_scopes = Some(required.clone());
        return Err(denial);
    }
    check_lists(rule, caller)?;
    if let Some(required) = rule.min_authentication_level()
        && caller.level.or(machine_level) < required
    {
        let mut denial =
            Denial::new(DenialCode::AuthenticationLevelTooLow).because("demanded by the rule");
        denial.extras.required_level = Some(required);
        return Err(denial);
    }
    Ok(())
}

/// The allow-lists of systems and vendors. Only a system user has either; nobody else is on a list.
fn check_lists(rule: &RouteRule, caller: &Caller) -> Result<(), Denial> {
    let user = caller.system_user();
    let listed = |list: Option<bool>, code| {
        if list == Some(false) { Err(Denial::new(code)) } else { Ok(()) }
    };
    let system =
        rule.systems().map(|systems| user.is_some_and(|user| systems.contains(&user.system)));
    listed(system, DenialCode::SystemNotAllowed)?;
    let vendor =
        rule.vendors().map(|vendors| user.is_some_and(|user| vendors.contains(&user.vendor)));
    listed(vendor, DenialCode::VendorNotAllowed)
}
