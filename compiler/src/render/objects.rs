//! The Kubernetes objects of a tenant, but for the Pod itself. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, PersistentVolumeClaimSpec, Service, ServiceAccount, ServicePort,
    ServiceSpec, VolumeResourceRequirements,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kr8tiv_crds::tenant::DeletionPolicy;
use kr8tiv_crds::{GROUP, VERSION, duration, meta};
use serde::Serialize;

use crate::bundle::{Object, WorkspaceFile};
use crate::inputs::Platform;
use crate::render::object_names::{claim_name, config_name, gateway_name, labels, workspace_name};
use crate::render::plugins::Plugins;
use crate::render::{ingress, network, pod, sandbox, settings};
use crate::resolve::{Resolved, ResolvedTenant};
use crate::skills::Pack;
use crate::{hash, openclaw};

/// Everything that is mounted, with its files.
pub(crate) struct Contents<'a> {
    pub(crate) config: &'a str,
    pub(crate) delivery: &'a str,
    pub(crate) workspaces: &'a BTreeMap<String, BTreeMap<String, WorkspaceFile>>,
    pub(crate) packs: &'a [Pack<'a>],
    pub(crate) plugins: Plugins<'a>,
}

/// The objects in the order in which they are applied. The configuration comes after the workspaces: it holds
/// `delivery.json`, by which the watchdog knows that the rest has arrived. The sandboxes come after the gateway, which
/// does not wait for them.
pub(crate) fn render(resolved: &Resolved<'_>, platform: &Platform, contents: &Contents<'_>) -> Vec<Object> {
    let tenant = &resolved.tenant;
    let mut objects = vec![Object::ServiceAccount(Box::new(service_account(tenant)))];
    let policy = network::policy(tenant, &platform.operator, !resolved.sandboxes.is_empty());
    objects.extend(policy.map(|policy| Object::NetworkPolicy(Box::new(policy))));
    objects.extend([
        Object::PersistentVolumeClaim(Box::new(claim(tenant))),
        Object::Service(Box::new(service(tenant))),
    ]);
    objects.extend(
        tenant
            .spec
            .gateway
            .ingress
            .iter()
            .map(|wanted| Object::Ingress(Box::new(ingress::ingress(tenant, wanted)))),
    );
    objects.push(Object::PodDisruptionBudget(Box::new(disruption_budget(tenant))));
    objects.extend(
        contents
            .workspaces
            .iter()
            .map(|(agent, files)| Object::ConfigMap(Box::new(workspace(tenant, agent, files)))),
    );
    objects.push(Object::ConfigMap(Box::new(configuration(resolved, contents))));
    objects.push(Object::StatefulSet(Box::new(stateful_set(resolved, platform, contents))));
    objects.extend(sandbox::objects(resolved, platform));
    for object in &mut objects {
        stamp(object);
    }
    objects
}

/// Labels that select the gateway's Pod.
pub(super) fn selector(tenant: &ResolvedTenant<'_>) -> BTreeMap<String, String> {
    component(tenant, meta::GATEWAY)
}

/// Labels that select the Pods of a part of the tenant.
pub(super) fn component(tenant: &ResolvedTenant<'_>, component: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (meta::INSTANCE.into(), tenant.name.into()),
        (meta::NAME.into(), meta::NAME_VALUE.into()),
        (meta::COMPONENT.into(), component.into()),
    ])
}

pub(super) fn metadata(tenant: &ResolvedTenant<'_>, name: String, component: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(tenant.namespace.into()),
        labels: Some(labels(tenant, component)),
        owner_references: tenant.uid.map(|uid| {
            vec![OwnerReference {
                api_version: format!("{GROUP}/{VERSION}"),
                kind: "Tenant".into(),
                name: tenant.name.into(),
                uid: uid.into(),
                controller: Some(true),
                block_owner_deletion: Some(true),
            }]
        }),
        ..ObjectMeta::default()
    }
}

fn service_account(tenant: &ResolvedTenant<'_>) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(tenant, gateway_name(tenant.name), meta::GATEWAY),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

fn claim(tenant: &ResolvedTenant<'_>) -> PersistentVolumeClaim {
    let storage = &tenant.spec.gateway.storage;
    let mut metadata = metadata(tenant, claim_name(&tenant.id), meta::GATEWAY);
    if tenant.spec.deletion_policy == DeletionPolicy::Retain {
        metadata.owner_references = None;
    }
    PersistentVolumeClaim {
        metadata,
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: storage.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".into(), Quantity(storage.size.0.clone()))])),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

fn service(tenant: &ResolvedTenant<'_>) -> Service {
    Service {
        metadata: metadata(tenant, gateway_name(tenant.name), meta::GATEWAY),
        spec: Some(ServiceSpec {
            selector: Some(selector(tenant)),
            ports: Some(vec![ServicePort {
                name: Some("gateway".into()),
                port: openclaw::GATEWAY_PORT,
                target_port: Some(IntOrString::String("gateway".into())),
                protocol: Some("TCP".into()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// A drain may always take the one Pod: it would otherwise never end. See docs/adr/0017.
fn disruption_budget(tenant: &ResolvedTenant<'_>) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata(tenant, gateway_name(tenant.name), meta::GATEWAY),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector {
                match_labels: Some(selector(tenant)),
                ..LabelSelector::default()
            }),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}

fn workspace(tenant: &ResolvedTenant<'_>, agent: &str, files: &BTreeMap<String, WorkspaceFile>) -> ConfigMap {
    let mut metadata = metadata(tenant, workspace_name(tenant.name, agent), "workspace");
    metadata.labels.get_or_insert_default().insert(meta::AGENT_ID.into(), agent.into());
    ConfigMap {
        metadata,
        data: Some(files.iter().map(|(name, file)| (name.clone(), file.content.clone())).collect()),
        ..ConfigMap::default()
    }
}

fn configuration(resolved: &Resolved<'_>, contents: &Contents<'_>) -> ConfigMap {
    let tenant = &resolved.tenant;
    let mut data = BTreeMap::from([
        ("openclaw.json".to_owned(), contents.config.to_owned()),
        ("delivery.json".to_owned(), contents.delivery.to_owned()),
        ("watchdog.json".to_owned(), settings::watchdog(resolved)),
    ]);
    let memory = settings::memory(resolved).as_ref().map(settings::memory_file);
    data.extend(memory.map(|memory| ("memory.json".to_owned(), memory)));
    ConfigMap {
        metadata: metadata(tenant, config_name(tenant.name), meta::GATEWAY),
        data: Some(data),
        ..ConfigMap::default()
    }
}

fn stateful_set(resolved: &Resolved<'_>, platform: &Platform, contents: &Contents<'_>) -> StatefulSet {
    let tenant = &resolved.tenant;
    let updates = &resolved.harness.updates;
    let mut metadata = metadata(tenant, gateway_name(tenant.name), meta::GATEWAY);
    let labels = metadata.labels.get_or_insert_default();
    labels.insert(meta::UPDATE_CHANNEL.into(), updates.channel.as_str().into());
    if let Some(window) = &updates.window {
        let text = format!("{} {} {}", window.schedule, window.time_zone, duration::text(window.duration));
        metadata.annotations.get_or_insert_default().insert(meta::UPDATE_WINDOW.into(), text);
    }
    StatefulSet {
        metadata,
        spec: Some(StatefulSetSpec {
            // OpenClaw is the only writer of its state, and a bot's token has one consumer.
            replicas: Some(i32::from(!tenant.spec.suspend)),
            revision_history_limit: Some(3),
            selector: LabelSelector { match_labels: Some(selector(tenant)), ..LabelSelector::default() },
            service_name: Some(gateway_name(tenant.name)),
            template: pod::template(resolved, platform, contents.packs, &contents.plugins),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

/// Notes on an object the hash of all that is applied.
fn stamp(object: &mut Object) {
    fn with<T: Serialize>(object: &mut T, metadata: impl Fn(&mut T) -> &mut ObjectMeta) {
        let hash = hash::canonical(object);
        metadata(object).annotations.get_or_insert_default().insert(meta::APPLIED_HASH.into(), hash);
    }
    match object {
        Object::ServiceAccount(object) => with(object.as_mut(), |object| &mut object.metadata),
        Object::NetworkPolicy(object) => with(object.as_mut(), |object| &mut object.metadata),
        Object::PersistentVolumeClaim(object) => with(object.as_mut(), |object| &mut object.metadata),
        Object::Service(object) => with(object.as_mut(), |object| &mut object.metadata),
        Object::Ingress(object) => with(object.as_mut(), |object| &mut object.metadata),
        Object::PodDisruptionBudget(object) => with(object.as_mut(), |object| &mut object.metadata),
        Object::ConfigMap(object) => with(object.as_mut(), |object| &mut object.metadata),
        Object::StatefulSet(object) => with(object.as_mut(), |object| &mut object.metadata),
    }
}
