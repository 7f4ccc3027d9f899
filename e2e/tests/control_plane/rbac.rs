//! The operator's rights, against what the API server's log says that it did with them. Runs last: what all the other tests
//! had it do is the walk.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use kr8tiv_e2e::audit::{AuditLog, Request, by_verb_and_resource};
use kr8tiv_e2e::cluster::{OPERATOR, OPERATOR_USER, SYSTEM_NAMESPACE};
use kr8tiv_e2e::{Outcome, figure};
use kube::api::ListParams;
use kube::{Api, Client};

use crate::context::Context;

/// A right: the API group, the resource, the verb.
type Right = (String, String, String);

/// Rights that no test needs, and why they are given.
const UNUSED: [(&str, &str, &str); 11] = [
    (
        "tenants/finalizers",
        "update",
        "for clusters that guard owner references (OpenShift): asked for by admission",
    ),
    (
        "persistentvolumeclaims",
        "get",
        "looking whose an object without our label is: each kind can be in the way",
    ),
    ("serviceaccounts", "get", "the same"),
    ("services", "get", "the same"),
    ("statefulsets", "get", "the same"),
    ("ingresses", "get", "the same"),
    ("networkpolicies", "get", "the same"),
    ("poddisruptionbudgets", "get", "the same"),
    ("serviceaccounts", "delete", "what a tenant no longer has: each kind is deleted by the same code"),
    ("ingresses", "delete", "the same"),
    ("poddisruptionbudgets", "delete", "the same"),
];

/// Every right of the operator is one of the chart's, every one is used or has its reason, and none was missed. In a run that
/// leaves nothing out, no reason is given for what is used.
pub async fn operator(context: &Context, whole: bool) -> Outcome {
    let client = &context.cluster.client;
    let granted = rights_of_the_operator(client).await?;
    let requests = context.cluster.audit.all_since(AuditLog::start(), OPERATOR_USER)?;
    assert!(!requests.is_empty(), "the operator made no request");
    let forbidden: Vec<Request> = requests.iter().filter(|one| one.is_unauthorised()).cloned().collect();
    assert!(forbidden.is_empty(), "{:#?}", by_verb_and_resource(&forbidden));

    secrets(&requests);

    let used = used(&requests);
    let beyond: Vec<&Right> = used.iter().filter(|right| !granted.contains(*right)).collect();
    assert!(beyond.is_empty(), "used without being granted by the chart's roles: {beyond:?}");
    let unused: Vec<&Right> = granted.iter().filter(|right| !used.contains(*right)).collect();
    for (group, resource, verb) in &unused {
        println!("unused right: {verb} {resource} {group}");
    }
    figure("rights.granted", granted.len(), "rights");
    figure("rights.unused", unused.len(), "rights");
    let reasons: BTreeMap<(&str, &str), &str> =
        UNUSED.iter().map(|(resource, verb, why)| ((*resource, *verb), *why)).collect();
    let without: Vec<_> =
        unused.iter().filter(|right| !reasons.contains_key(&(right.1.as_str(), right.2.as_str()))).collect();
    assert!(without.is_empty(), "no test uses these rights, and no reason is given for them: {without:?}");
    // Whose an object is, is looked at by chance too: when the answer to the request that made it is lost.
    let by_chance = |verb: &str| verb == "get";
    let of = |rights: &BTreeSet<Right>, row: &(&str, &str)| {
        rights.iter().any(|right| (right.1.as_str(), right.2.as_str()) == *row)
    };
    let stale: Vec<_> = reasons
        .keys()
        .filter(|row| !of(&granted, row) || (whole && !by_chance(row.1) && of(&used, row)))
        .collect();
    assert!(stale.is_empty(), "reasons for rights that the chart does not give, or that are used: {stale:?}");
    Ok(())
}

/// Secrets are asked for by name, where there are Tenants, and never deleted.
fn secrets(requests: &[Request]) {
    let secrets: Vec<&Request> = requests.iter().filter(|one| one.resource() == "secrets").collect();
    let wrong: Vec<_> = secrets
        .iter()
        .filter(|one| !["get", "create", "patch"].contains(&one.verb.as_str()) || one.namespace().is_empty())
        .map(|one| format!("{} {}", one.verb, one.uri))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let with_tenants: BTreeSet<&str> =
        requests.iter().filter(|one| one.resource() == "tenants/status").map(Request::namespace).collect();
    let elsewhere: BTreeSet<&str> =
        secrets.iter().map(|one| one.namespace()).filter(|name| !with_tenants.contains(name)).collect();
    assert!(elsewhere.is_empty(), "Secrets were read in namespaces without a Tenant: {elsewhere:?}");
    for verb in ["get", "create", "patch"] {
        let count = secrets.iter().filter(|one| one.verb == verb).count();
        assert!(count > 0, "no Secret was asked for by {verb}");
        figure(&format!("secrets.{verb}"), count, "requests");
    }
    figure("secrets.namespaces", with_tenants.len(), "namespaces with Tenants");
}

fn used(requests: &[Request]) -> BTreeSet<Right> {
    let mut used = BTreeSet::new();
    for request in requests.iter().filter(|request| !request.resource().starts_with('/')) {
        let right = |verb: &str| (request.group().to_owned(), request.resource(), verb.to_owned());
        used.insert(right(&request.verb));
        // A server-side apply of what is not there is asked for the right to create, too.
        if request.verb == "patch" && request.has_created() {
            used.insert(right("create"));
        }
    }
    used
}

/// What is bound to the operator's ServiceAccount, by whichever role. There must be the chart's two, and no other.
async fn rights_of_the_operator(client: &Client) -> Outcome<BTreeSet<Right>> {
    let account: ServiceAccount = Api::namespaced(client.clone(), SYSTEM_NAMESPACE).get(OPERATOR).await?;
    let all = ListParams::default();
    let mut granted = Vec::new();
    let mut roles = Vec::new();
    for binding in Api::<ClusterRoleBinding>::all(client.clone()).list(&all).await? {
        if is_bound(binding.subjects.as_deref(), account.metadata.name.as_deref()) {
            let RoleRef { name, .. } = binding.role_ref;
            granted
                .extend(Api::<ClusterRole>::all(client.clone()).get(&name).await?.rules.unwrap_or_default());
            roles.push(name);
        }
    }
    for binding in Api::<RoleBinding>::all(client.clone()).list(&all).await? {
        if is_bound(binding.subjects.as_deref(), account.metadata.name.as_deref()) {
            let RoleRef { name, kind, .. } = binding.role_ref;
            assert_eq!(
                (kind.as_str(), binding.metadata.namespace.as_deref()),
                ("Role", Some(SYSTEM_NAMESPACE))
            );
            let role = Api::<Role>::namespaced(client.clone(), SYSTEM_NAMESPACE).get(&name).await?;
            granted.extend(role.rules.unwrap_or_default());
            roles.push(name);
        }
    }
    assert_eq!(roles, [OPERATOR, OPERATOR], "the operator has other roles than the chart's");
    Ok(granted.iter().flat_map(rights).collect())
}

fn is_bound(subjects: Option<&[Subject]>, account: Option<&str>) -> bool {
    subjects.unwrap_or_default().iter().any(|subject| {
        subject.kind == "ServiceAccount"
            && Some(subject.name.as_str()) == account
            && subject.namespace.as_deref() == Some(SYSTEM_NAMESPACE)
    })
}

fn rights(rule: &PolicyRule) -> Vec<Right> {
    let mut rights = Vec::new();
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            let verbs = rule.verbs.iter();
            rights.extend(verbs.map(|verb| (group.clone(), resource.clone(), verb.clone())));
        }
    }
    rights
}
