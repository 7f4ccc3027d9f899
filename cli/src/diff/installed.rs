//! What the objects of a tenant in a cluster show of the operator's installation, and of what has come to the tenant. Pure.

use std::collections::BTreeMap;

use kr8tiv_compiler::{CONTEXT_FILE, OperatorPods, PLUGINS_CONTAINER, Platform, PluginSource};
use kr8tiv_crds::meta;
use serde_json::Value;

use crate::args::PlatformArguments;

/// What the operator was installed with, where the arguments do not say it: as far as the tenant's Pod shows it.
/// `unavailable` is an image that the tenant does without.
pub fn platform(arguments: &PlatformArguments, children: &[Value], unavailable: Option<&str>) -> Platform {
    let mut platform = arguments.platform();
    let pod = of_component(children, "StatefulSet", meta::GATEWAY).next();
    let pod = pod.and_then(|set| set.pointer("/spec/template/spec"));
    let containers =
        pod.into_iter().flat_map(|pod| ["initContainers", "containers"].map(|field| &pod[field]));
    let containers: Vec<&Value> = containers.filter_map(Value::as_array).flatten().collect();
    let container = |name: &str| containers.iter().find(|container| container["name"] == name);
    let image = |name: &str| container(name).and_then(|container| container["image"].as_str());
    if let Some(image) = image("watchdog").filter(|_| arguments.watchdog_image.is_none()) {
        image.clone_into(&mut platform.watchdog_image);
    }
    let sandbox = of_component(children, "StatefulSet", meta::SANDBOX).next();
    let sandbox = sandbox.and_then(|set| set.pointer("/spec/template/spec/containers/0/image")?.as_str());
    if let Some(image) = sandbox.filter(|_| arguments.sandbox_image.is_none()) {
        image.clone_into(&mut platform.sandbox_image);
    }
    // An image without a tag, or with a digest, is the tenant's own.
    let repository = image("gateway").and_then(|image| image.rsplit_once(':'));
    let repository = repository.filter(|(repository, tag)| !tag.contains('/') && !repository.contains('@'));
    if let Some((repository, _)) = repository.filter(|_| arguments.gateway_repository.is_none()) {
        repository.clone_into(&mut platform.gateway_repository);
    }
    if arguments.plugin_image.is_none() && arguments.plugin_registry.is_none() {
        let environment = container(PLUGINS_CONTAINER).and_then(|container| container["env"].as_array());
        let variable = |name: &str| {
            let mut variables = environment.into_iter().flatten();
            variables.find(|variable| variable["name"] == name)?["value"].as_str()
        };
        // Of an image that can't be pulled the Pod has no container. Which of the tenant's it is makes no difference:
        // none of them is in the Pod.
        let left_out = unavailable.filter(|_| variable("NPM_CONFIG_OFFLINE").is_some());
        if let Some(reference) = image("plugin-packages").or(left_out) {
            platform.plugins = PluginSource::Image { reference: reference.into() };
        } else if let Some(url) = variable("NPM_CONFIG_REGISTRY") {
            platform.plugins = PluginSource::Mirror { url: url.into() };
        }
    }
    // What the policy lets ask the watchdog is the operator.
    let policy = of_component(children, "NetworkPolicy", meta::GATEWAY).next();
    let asks = policy.and_then(|policy| policy.pointer("/spec/ingress/0/from/0"));
    if let Some(asks) =
        asks.filter(|_| arguments.operator_namespace.is_none() && arguments.operator_labels.is_empty())
        && let Some(namespace) =
            asks["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"].as_str()
        && let Ok(labels) = serde_json::from_value(asks["podSelector"]["matchLabels"].clone())
    {
        platform.operator = OperatorPods { namespace: namespace.into(), labels };
    }
    platform
}

/// The objects of a part of the tenant.
fn of_component<'a>(
    children: &'a [Value],
    kind: &'static str,
    component: &'static str,
) -> impl Iterator<Item = &'a Value> {
    let is_of = move |object: &&Value| {
        object["kind"] == kind && object["metadata"]["labels"][meta::COMPONENT] == component
    };
    children.iter().filter(is_of)
}

/// What has come to a tenant in the cluster, and no change of files changes.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// The lines of context that its agents have.
    pub context: Vec<String>,
    /// The rotation that its gateway's token was made for.
    pub rotation: Option<String>,
    /// Which keys its sandboxes have.
    pub sandbox_keys: BTreeMap<String, String>,
    /// The tag of its memory, where its status does not say it.
    pub container_tag: Option<String>,
}

/// What the objects of a tenant show of it.
pub fn remembered(children: &[Value]) -> Remembered {
    let mut maps = children.iter().filter(|object| object["kind"] == "ConfigMap");
    let content = maps.find_map(|map| map["data"][CONTEXT_FILE].as_str());
    let template = of_component(children, "StatefulSet", meta::GATEWAY).next().map(annotations);
    let sandboxes = of_component(children, "StatefulSet", meta::SANDBOX).filter_map(|set| {
        let keys = annotations(set)[meta::SANDBOX_KEYS].as_str()?;
        Some((set["metadata"]["name"].as_str()?.to_owned(), keys.to_owned()))
    });
    Remembered {
        context: content.map(kr8tiv_compiler::read_context).unwrap_or_default(),
        rotation: template.and_then(|all| all[meta::ROTATE_TOKEN].as_str()).map(str::to_owned),
        sandbox_keys: sandboxes.collect(),
        container_tag: None,
    }
}

/// What the Pods of a StatefulSet are annotated with.
fn annotations(set: &Value) -> &Value {
    &set["spec"]["template"]["metadata"]["annotations"]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends here")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diff::cluster::Found;
    use crate::diff::{Change, Identities, key, one, with_cluster};
    use crate::input::{self, Source};

    const FILES: &str = "\
apiVersion: kr8tiv.ai/v1alpha1
kind: Harness
metadata: {name: desk}
spec:
  identity: {role: helper, purpose: You help., personality: Calm.}
  soul: {coreTruths: [Be kind.], vibe: Warm.}
  jobFunctions: {responsibilities: [Help.], successCriteria: [Helped.]}
  channels: {allow: [slack]}
  models: {primary: anthropic/claude-sonnet-4-6}
---
apiVersion: kr8tiv.ai/v1alpha1
kind: Tenant
metadata: {name: acme}
spec:
  displayName: Acme
  harnessRef: {name: desk}
  tenantId: acme-0a1b2c3d
  channels:
    slack: {accounts: [{botTokenSecretRef: {name: b, key: b}, appTokenSecretRef: {name: b, key: a}}]}
";

    /// A cluster with the files' tenant, as an operator of a platform has made it that knows of its images and more.
    fn found(platform: &Platform, unavailable: &[&str], remembered: Remembered) -> Found {
        let file = Source { name: "acme.yaml".into(), text: FILES.into(), hidden: Vec::new() };
        let mut input = input::judge(vec![file], "team");
        let images: Vec<_> =
            unavailable.iter().map(|image| json!({"image": image, "problem": "not found"})).collect();
        let status = json!({"images": {"unavailable": images}});
        input.objects.tenants[0].object.as_mut().unwrap().status = serde_json::from_value(status).unwrap();
        let read = &input.objects.tenants[0];
        let bundle = one(&input, read, &Identities::of([&input]), platform, remembered).unwrap();
        let objects = bundle.objects.iter().map(|object| {
            let mut object = serde_json::to_value(object).unwrap();
            object["metadata"]["managedFields"] =
                json!([{"manager": "kr8tiv-operator", "fieldsV1": {"f:spec": {}}}]);
            object
        });
        let (key, objects) = (key(read), objects.collect());
        Found {
            live: input.clone(),
            concerned: vec![key.clone()],
            children: BTreeMap::from([(key, objects)]),
            input,
        }
    }

    fn change(found: &Found) -> Change {
        with_cluster(found, &PlatformArguments::default()).unwrap()[0].change
    }

    #[test]
    fn the_source_of_plugins_is_known_by_the_pod() {
        let of = |plugins| Platform { plugins, ..PlatformArguments::default().platform() };
        let reference = "example.com/plugins:1";
        for plugins in [
            PluginSource::Registry,
            PluginSource::Mirror { url: "https://npm.example.com/".into() },
            PluginSource::Image { reference: reference.into() },
        ] {
            let platform = of(plugins);
            let found = found(&platform, &[], Remembered::default());
            assert_eq!(change(&found), Change::Unchanged, "{platform:?}");
            let objects = found.children.values().next().unwrap();
            assert_eq!(super::platform(&PlatformArguments::default(), objects, None), platform);
        }
        // The image can't be pulled.
        let found = found(
            &of(PluginSource::Image { reference: reference.into() }),
            &[reference],
            Remembered::default(),
        );
        assert!(!format!("{:?}", found.children).contains("plugin-packages"));
        assert_eq!(change(&found), Change::Unchanged);
    }

    #[test]
    fn images_are_known_by_the_pods() {
        let platform = Platform {
            watchdog_image: "example.com/watchdog:2".into(),
            sandbox_image: "example.com/sandbox:2".into(),
            ..PlatformArguments::default().platform()
        };
        let found = found(&platform, &[], Remembered::default());
        let objects = found.children.values().next().unwrap();
        assert_eq!(super::platform(&PlatformArguments::default(), objects, None), platform);
        let arguments =
            PlatformArguments { sandbox_image: Some("mine:1".into()), ..PlatformArguments::default() };
        assert_eq!(super::platform(&arguments, objects, None).sandbox_image, "mine:1");
    }

    #[test]
    fn what_has_come_to_a_tenant_is_no_change() {
        let platform = PlatformArguments::default().platform();
        let sandbox_keys = BTreeMap::from([("acme-sandbox".to_owned(), "0a1b2c3d4e".to_owned())]);
        let rotated = Remembered {
            rotation: Some("1".into()),
            sandbox_keys: sandbox_keys.clone(),
            ..Remembered::default()
        };
        let found = found(&platform, &[], rotated);
        let objects = found.children.values().next().unwrap();
        let Remembered { rotation, sandbox_keys: kept, .. } = remembered(objects);
        assert_eq!((rotation.as_deref(), kept), (Some("1"), sandbox_keys));
        assert_eq!(change(&found), Change::Unchanged);
    }

    #[test]
    fn new_keys_of_a_sandbox_are_a_change() {
        let platform = PlatformArguments::default().platform();
        let sandbox_keys = BTreeMap::from([("acme-sandbox".to_owned(), "0a1b2c3d4e".to_owned())]);
        let mut found = found(&platform, &[], Remembered { sandbox_keys, ..Remembered::default() });
        let ask = |input: &mut input::Input| {
            let tenant = input.objects.tenants[0].object.as_mut().unwrap();
            let asked = BTreeMap::from([(meta::ROTATE_SANDBOX_KEYS.to_owned(), "1".to_owned())]);
            tenant.metadata.annotations = Some(asked);
        };
        ask(&mut found.input);
        let entry = with_cluster(&found, &PlatformArguments::default()).unwrap().remove(0);
        let objects = entry.difference.unwrap().objects;
        let fields: Vec<_> = objects
            .iter()
            .map(|object| {
                (object.name.as_str(), object.fields.iter().map(|field| field.path.as_str()).collect())
            })
            .collect();
        let field = "spec.template.metadata.annotations[kr8tiv.ai/sandbox-keys]";
        assert_eq!(fields, [("acme-sandbox", vec![field])]);
        // The cluster's Tenant asks for them already.
        ask(&mut found.live);
        assert_eq!(change(&found), Change::Unchanged);
    }
}
