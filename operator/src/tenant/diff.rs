//! Diff stage, pure: which objects of a plan must be written, and which objects must go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kr8tiv_compiler::Object;
use kr8tiv_crds::meta;

use crate::child::{Child, ChildId, ChildKind};

/// What makes the cluster equal to a plan.
#[derive(Debug, Default)]
pub struct Changes<'a> {
    /// Objects to apply, in the plan's order.
    pub writes: Vec<Write<'a>>,
    /// Objects to delete afterwards.
    pub prunes: Vec<Prune>,
}

/// An object to apply.
#[derive(Debug)]
pub struct Write<'a> {
    /// Kind and name.
    pub id: ChildId,
    /// The object.
    pub object: &'a Object,
    /// What is known of the object, when it exists and carries our label.
    pub known: Option<Arc<Child>>,
}

/// An object to delete.
#[derive(Debug, Eq, PartialEq)]
pub struct Prune {
    /// Kind and name.
    pub id: ChildId,
    /// The very object: one made anew under its name stays.
    pub uid: String,
}

/// Compares a plan's objects with the ones that exist. `find` gives an object by kind and name, `children` are all
/// that are labelled with the tenant, `is_untouched` says whether nobody else has written an object since we did.
pub fn diff<'a>(
    objects: &'a [Object],
    tenant_uid: &str,
    children: &BTreeMap<ChildId, Arc<Child>>,
    find: impl Fn(&ChildId) -> Option<Arc<Child>>,
    is_untouched: impl Fn(&ChildId, &Child) -> bool,
) -> Changes<'a> {
    let mut changes = Changes::default();
    let mut planned = BTreeSet::new();
    for object in objects {
        let id = ChildId::of(object);
        let known = find(&id);
        let in_sync =
            known.as_deref().is_some_and(|child| is_as_planned(object, child) && is_untouched(&id, child));
        if !in_sync {
            changes.writes.push(Write { id: id.clone(), object, known });
        }
        planned.insert(id);
    }
    let surplus = children.iter().filter(|(id, child)| {
        // Volumes hold what can't be made again: only `deletionPolicy` removes one, by its owner reference.
        !planned.contains(id)
            && id.kind != ChildKind::PersistentVolumeClaim
            && child.is_owned_by(tenant_uid)
            && !child.deleting
    });
    changes.prunes = surplus.map(|(id, child)| Prune { id: id.clone(), uid: child.uid.clone() }).collect();
    changes
}

/// Whether the metadata are as planned. One of the annotations is a hash that stands for everything else; the rest of
/// them, labels and owners are compared themselves, because a change to them by somebody else leaves the hash as it is.
fn is_as_planned(object: &Object, child: &Child) -> bool {
    let planned = object.metadata();
    let annotations = planned.annotations.iter().flatten();
    let labels = planned.labels.iter().flatten();
    let owners = planned.owner_references.iter().flatten();
    let has_hash = planned.annotations.as_ref().is_some_and(|all| all.contains_key(meta::APPLIED_HASH));
    !child.deleting
        && has_hash
        && annotations.into_iter().all(|(name, value)| child.annotations.get(name) == Some(value))
        && labels.into_iter().all(|(name, value)| child.labels.get(name) == Some(value))
        && owners.into_iter().all(|owner| child.owners.contains(owner))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim};
    use kube::core::ObjectMeta;
    use serde_json::json;

    use super::*;

    fn metadata(name: &str, hash: &str) -> ObjectMeta {
        serde_json::from_value(json!({
            "name": name, "namespace": "n", "uid": format!("uid-{name}"), "resourceVersion": "5",
            "labels": {"kr8tiv.ai/tenant": "acme"},
            "annotations": {meta::APPLIED_HASH: hash},
            "ownerReferences": [{"apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Tenant", "name": "acme", "uid": "me"}],
        }))
        .unwrap()
    }

    fn config_map(name: &str, hash: &str) -> Object {
        Object::ConfigMap(Box::new(ConfigMap { metadata: metadata(name, hash), ..ConfigMap::default() }))
    }

    fn id(kind: ChildKind, name: &str) -> ChildId {
        ChildId { kind, name: name.into() }
    }

    fn children(list: &[(ChildKind, ObjectMeta)]) -> BTreeMap<ChildId, Arc<Child>> {
        let entry = |(kind, metadata): &(ChildKind, ObjectMeta)| {
            (id(*kind, metadata.name.as_deref().unwrap()), Arc::new(Child::of(metadata)))
        };
        list.iter().map(entry).collect()
    }

    /// Names of what is written and of what is pruned.
    fn outcome(
        objects: &[Object],
        children: &BTreeMap<ChildId, Arc<Child>>,
        untouched: bool,
    ) -> (Vec<String>, Vec<String>) {
        let changes = diff(objects, "me", children, |id| children.get(id).cloned(), |_, _| untouched);
        let writes = changes.writes.into_iter().map(|write| write.id.name).collect();
        (writes, changes.prunes.into_iter().map(|prune| prune.id.name).collect())
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_as_planned_is_left_alone() {
        let existing = children(&[(ChildKind::ConfigMap, metadata("a", "h1"))]);
        assert_eq!(outcome(&[config_map("a", "h1")], &existing, true), (vec![], vec![]));
    }

    #[test]
    fn whatever_differs_is_written() {
        let plan = [config_map("a", "h1")];
        let changed = |change: fn(&mut ObjectMeta)| {
            let mut metadata = metadata("a", "h1");
            change(&mut metadata);
            children(&[(ChildKind::ConfigMap, metadata)])
        };
        let cases: [(&str, BTreeMap<ChildId, Arc<Child>>); 5] = [
            ("missing", BTreeMap::new()),
            ("hash", children(&[(ChildKind::ConfigMap, metadata("a", "h0"))])),
            (
                "label",
                changed(|metadata| metadata.labels = Some([("kr8tiv.ai/tenant".into(), "x".into())].into())),
            ),
            ("owner", changed(|metadata| metadata.owner_references = None)),
            ("annotations", changed(|metadata| metadata.annotations = None)),
        ];
        for (case, existing) in cases {
            assert_eq!(outcome(&plan, &existing, true), (names(&["a"]), vec![]), "{case}");
        }
        let existing = children(&[(ChildKind::ConfigMap, metadata("a", "h1"))]);
        assert_eq!(outcome(&plan, &existing, false), (names(&["a"]), vec![]), "touched by somebody else");
    }

    #[test]
    fn foreign_labels_and_owners_are_none_of_our_business() {
        let mut metadata = metadata("a", "h1");
        metadata.labels.get_or_insert_default().insert("theirs".into(), "x".into());
        let existing = children(&[(ChildKind::ConfigMap, metadata)]);
        assert_eq!(outcome(&[config_map("a", "h1")], &existing, true), (vec![], vec![]));
    }

    #[test]
    fn surplus_goes_except_volumes_and_what_others_own() {
        let mut foreign = metadata("foreign", "h");
        foreign.owner_references = None;
        let mut leaving = metadata("leaving", "h");
        leaving.deletion_timestamp = Some(crate::statuses::now());
        let existing = children(&[
            (ChildKind::ConfigMap, metadata("old", "h")),
            (ChildKind::ConfigMap, foreign),
            (ChildKind::ConfigMap, leaving),
            (ChildKind::PersistentVolumeClaim, metadata("data", "h")),
        ]);
        assert_eq!(outcome(&[], &existing, true), (vec![], names(&["old"])));
    }

    #[test]
    fn the_plans_order_is_kept() {
        let volume = PersistentVolumeClaim { metadata: metadata("data", "h"), ..Default::default() };
        let plan =
            [Object::PersistentVolumeClaim(Box::new(volume)), config_map("b", "h"), config_map("a", "h")];
        assert_eq!(outcome(&plan, &BTreeMap::new(), true).0, names(&["data", "b", "a"]));
    }
}
