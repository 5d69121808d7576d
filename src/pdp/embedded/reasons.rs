//! Why the embedded PDP answered as it did: kept beside an answer for those who ask for it.
//!
//! `witness` listens while the pipeline runs and cannot change an answer. Everything else is read
//! afterwards, from the same question and the same directory: `read` what was asked, held and
//! decisive, `missing` what a permit would have needed, and `text` puts it into lines.

mod missing;
mod read;
mod text;
mod witness;

use serde::Serialize;

pub(super) use read::Scene;
pub(super) use witness::Witness;

/// Why an answer is as it is. Numbers and names of persons are masked; every list is bounded.
///
/// It is for those who own the service or its directory: callers of the proxy never get it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reasons {
    /// `Permit`, `Deny`, `NotApplicable` or `Indeterminate`.
    pub(super) decision: &'static str,
    /// The status code, without the prefix of XACML.
    pub(super) status: &'static str,
    pub(super) asked: Asked,
    pub(super) settled: Settled,
    /// Where the resource has access lists and they were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) access_lists: Option<AccessLists>,
    /// What the subject holds for the party; absent where that was never looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) holds: Option<Holdings>,
    /// With NotApplicable: each of these would have been enough. The easiest to come by stands first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) missing: Vec<Missing>,
    /// There is more than is listed under `missing`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) more_missing: bool,
}

/// What was understood of the question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    pub(super) resource: Option<String>,
    pub(super) actions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) instance: Option<String>,
    pub(super) party: Option<Who>,
    pub(super) subject: Option<Who>,
}

/// A party or a subject, as the question names it and as the directory knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Who {
    /// As the question names it; a person's number is masked.
    pub(super) id: String,
    pub(super) kind: Kind,
    /// Whether it stands in the directory.
    pub(super) known: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// The main unit of a subunit, or the owner of a system user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) under: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) under_name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Kind {
    Organization,
    Subunit,
    Person,
    /// Acts for its owner.
    SystemUser,
    /// A system user that acts for clients of its owner.
    Agent,
    Other,
}

/// What settled it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Settled {
    /// A rule of the resource's policy.
    Rule { policy: PolicyName, rule: RuleName, effect: &'static str },
    /// The combining algorithm of the policy, without a rule that decides so.
    Algorithm { policy: PolicyName },
    /// No rule applies, and no single right permits.
    NoRule { policy: PolicyName, reached: Reached },
    /// A single right.
    Delegation {
        /// Where in the directory, such as `system_users[4].rights[0]`.
        at: String,
        from: String,
        to: String,
        resource: String,
        /// Whose obligations it inherits.
        policy: PolicyName,
    },
    /// The access lists, against what would have permitted.
    AccessLists { otherwise: Box<Settled> },
    /// The resource has no policy.
    NoPolicy {
        /// A resource that has one, if its id is close.
        #[serde(skip_serializing_if = "Option::is_none")]
        near: Option<String>,
    },
    /// The question names no resource.
    #[default]
    NoResource,
    /// The question could not be read.
    Unreadable { why: &'static str },
    /// The policy could not be evaluated.
    Error { policy: PolicyName, why: &'static str },
}

/// How far a question came that no rule applies to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "how", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Reached {
    /// Rules are about the resource and the action, and ask for another subject.
    Subject { rules: Vec<RuleName> },
    /// No rule is about the action; these are the policy's.
    NoAction { actions: Vec<String> },
    /// Rules are about the action, and ask for something else than was asked: another attribute of
    /// the resource, or a condition.
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicyName {
    pub(super) id: String,
    pub(super) file: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleName {
    pub(super) id: String,
    /// Its place in the policy, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<usize>,
}

/// What the access lists of the resource said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum AccessLists {
    /// The party is on these.
    Passed { lists: Vec<String> },
    /// The party is on none; these are the lists of the resource.
    NotOnAList { lists: Vec<String> },
    /// The party is on these, and none is for the action.
    NotForTheAction { lists: Vec<String> },
    /// Only organizations are on lists.
    NotAnOrganization,
}

/// What a subject holds for the party.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Holdings {
    /// Those that the policy names stand first.
    pub(super) packages: Vec<HeldPackage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) roles: Vec<String>,
    /// Packages and roles beyond those listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) more: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HeldPackage {
    pub(super) package: String,
    /// Whence it comes, in words.
    pub(super) from: String,
}

/// One way to a permit that was not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Missing {
    /// All of these together.
    pub(super) needs: Vec<Need>,
    pub(super) way: Way,
    /// What the directory says of it, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) hints: Vec<String>,
}

/// One thing that is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "need", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Need {
    Package {
        package: String,
        #[serde(rename = "for")]
        party: String,
    },
    Role {
        role: String,
        #[serde(rename = "at")]
        party: String,
    },
    SingleRight {
        action: String,
        resource: String,
    },
    /// Whatever else a rule asks of the subject; persons are masked.
    Attribute {
        id: String,
        value: String,
    },
}

/// How it could be come by; the easiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Way {
    /// The owner gives the agent a client that already gives the owner the package.
    Link,
    /// The owner gives its system user the package.
    OwnPackage,
    /// The party delegates a single right.
    SingleRight,
    /// The party delegates the package; all else is there.
    Delegate,
    /// The owner of an access list puts the subject on it.
    AccessList,
    /// The client delegates the package to the owner, who gives the agent the client.
    DelegateAndLink,
    /// A role at the party, in the register; all else is there.
    Role,
    /// A role of the owner at the client, in the register; then the owner gives the agent the client.
    RoleAndLink,
    /// Not for this subject and this party.
    None,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}
