"""Checks of what the chart kr8tiv-operator renders."""

from __future__ import annotations

import functools
import unittest
from collections.abc import Callable
from typing import Any

from . import helm

DIGEST = "sha256:" + "0123456789abcdef" * 4
OTHER_DIGEST = "sha256:" + "fedcba9876543210" * 4

ALL = {
    "nameOverride": "gateway-operator",
    "replicas": 3,
    "image": {"repository": "registry.example:5000/kr8tiv/operator", "tag": "1.2.3", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "gateway": {"repository": "registry.example/openclaw", "plugins": {"image": "registry.example/plugins:1.2.5"}},
    "watchdog": {"image": {"repository": "registry.example/kr8tiv/watchdog", "tag": "1.2.4"}},
    "sandbox": {"image": {"repository": "registry.example/kr8tiv/sandbox", "tag": "1.2.6"}},
    "supermemory": {"addresses": "private"},
    "logLevel": "debug",
    "serviceAccount": {"name": "operator", "annotations": {"example.com/role": "operator"}},
    "commonLabels": {"example.com/team": "agents", "example.com/level": "common", "app.kubernetes.io/name": "taken"},
    "commonAnnotations": {"example.com/contact": "agents@example.com"},
    "podLabels": {"example.com/level": "pod", "app.kubernetes.io/instance": "taken"},
    "podAnnotations": {"example.com/scrape": "false"},
    "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
}
PINNED = {
    "image": {"tag": "1.2.3", "digest": DIGEST},
    "watchdog": {"image": {"tag": "1.2.4", "digest": OTHER_DIGEST}},
    "sandbox": {"image": {"tag": "1.2.6", "digest": OTHER_DIGEST}},
}
BARE = {"serviceAccount": {"create": False, "name": "existing"}, "aggregateRoles": False, "resources": {}}
NARROW = {"watchNamespace": "agents", "aggregateRoles": False}
SETS = {"default": {}, "pinned": PINNED, "all": ALL, "bare": BARE, "narrow": NARROW}

TENANT_API = "kr8tiv.ai/v1alpha1/Tenant"
NAMESPACED = {"Deployment", "Pod", "PodDisruptionBudget", "Role", "RoleBinding", "Service", "ServiceAccount"}
# What would give the operator, or who takes it over, more rights than its role lists.
ESCALATIONS = {"bind", "escalate", "impersonate"}


Check = Callable[[Any, list[dict[str, Any]]], None]


def of_each_set(check: Check) -> Callable[[Any], None]:
    """A test that looks at the objects of every set of values."""

    @functools.wraps(check)
    def test(case: unittest.TestCase) -> None:
        for name, values in SETS.items():
            with case.subTest(values=name):
                check(case, helm.template(helm.OPERATOR, values))

    return test


class Rendered(unittest.TestCase):
    """What holds whatever the values."""

    def test_lint(self) -> None:
        for name, values in SETS.items():
            with self.subTest(values=name):
                helm.lint(helm.OPERATOR, values)

    @of_each_set
    def test_objects_know_their_namespace_and_release(self, objects: list[dict[str, Any]]) -> None:
        for object_ in objects:
            metadata = object_["metadata"]
            wanted = helm.NAMESPACE if object_["kind"] in NAMESPACED else None
            if metadata["name"].endswith("-tenants"):
                wanted = NARROW["watchNamespace"]
            self.assertEqual(metadata.get("namespace"), wanted, object_["kind"])
            self.assertEqual(metadata["labels"]["app.kubernetes.io/instance"], helm.RELEASE)
            self.assertEqual(metadata["labels"]["app.kubernetes.io/managed-by"], "Helm")

    @of_each_set
    def test_names_are_unique(self, objects: list[dict[str, Any]]) -> None:
        names = [(object_["kind"], object_["metadata"]["name"]) for object_ in objects]
        self.assertEqual(len(names), len(set(names)), names)

    @of_each_set
    def test_selectors_find_the_operators_pod_and_not_that_of_the_test(self, objects: list[dict[str, Any]]) -> None:
        spec = one(objects, "Deployment")["spec"]
        labels = spec["template"]["metadata"]["labels"]
        test = one(objects, "Pod")["metadata"]["labels"]
        (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
        for selector in (
            spec["selector"]["matchLabels"],
            spread["labelSelector"]["matchLabels"],
            one(objects, "Service")["spec"]["selector"],
            one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        ):
            self.assertEqual(selector.items() - labels.items(), set())
            self.assertNotEqual(selector.items() - test.items(), set())

    def test_a_single_operator_holds_no_drain_up(self) -> None:
        self.assertEqual(all_of(helm.template(helm.OPERATOR, {"replicas": 1}), "PodDisruptionBudget"), [])

    @of_each_set
    def test_helm_test_asks_the_operator_with_its_own_image(self, objects: list[dict[str, Any]]) -> None:
        pod = one(objects, "Pod")
        self.assertEqual(pod["metadata"]["annotations"]["helm.sh/hook"], "test")
        (container,) = pod["spec"]["containers"]
        self.assertEqual(container["image"], the_container(objects)["image"])
        service = one(objects, "Service")
        self.assertEqual(container["env"], [{"name": "HOST", "value": f"{service['metadata']['name']}.{helm.NAMESPACE}.svc"}])
        self.assertIn(f"/dev/tcp/$HOST/{service['spec']['ports'][0]['port']}", container["command"][-1])
        ports = {port["name"]: port["containerPort"] for port in the_container(objects)["ports"]}
        # Without an address of its own, the Service does not translate ports.
        self.assertEqual(service["spec"]["clusterIP"], "None")
        self.assertEqual(service["spec"]["ports"][0]["port"], ports[service["spec"]["ports"][0]["targetPort"]])

    @of_each_set
    def test_pods_meet_restricted_pod_security(self, objects: list[dict[str, Any]]) -> None:
        for pod in (one(objects, "Deployment")["spec"]["template"]["spec"], one(objects, "Pod")["spec"]):
            self.assertEqual(pod["securityContext"]["runAsNonRoot"], True)
            self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertEqual(set(pod) & {"hostNetwork", "hostPID", "hostIPC", "volumes"}, set())
            for container in pod["containers"]:
                wanted = {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                }
                self.assertEqual(container["securityContext"], wanted)

    @of_each_set
    def test_the_operator_knows_by_what_its_pod_is_known(self, objects: list[dict[str, Any]]) -> None:
        (found,) = (text for text in the_container(objects)["args"] if text.startswith("--operator-labels="))
        told = dict(pair.split("=", 1) for pair in found.removeprefix("--operator-labels=").split(","))
        labels = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
        self.assertEqual(told.items() - labels.items(), set())

    @of_each_set
    def test_probes_ask_a_port_that_is_listened_on(self, objects: list[dict[str, Any]]) -> None:
        container = the_container(objects)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        self.assertIn(f"--listen=0.0.0.0:{ports['health']}", container["args"])
        probes = {name: container[name]["httpGet"] for name in ("livenessProbe", "readinessProbe")}
        wanted = {
            "livenessProbe": {"path": "/livez", "port": "health"},
            "readinessProbe": {"path": "/readyz", "port": "health"},
        }
        self.assertEqual(probes, wanted)

    @of_each_set
    def test_the_pods_account_has_the_role(self, objects: list[dict[str, Any]]) -> None:
        pod = one(objects, "Deployment")["spec"]["template"]["spec"]
        role, binding = for_tenants(objects)
        subject = {
            "kind": "ServiceAccount",
            "name": pod["serviceAccountName"],
            "namespace": helm.NAMESPACE,
        }
        self.assertEqual(binding["subjects"], [subject])
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": role["metadata"]["name"]}
        self.assertEqual(binding["roleRef"], reference)
        accounts = [account["metadata"]["name"] for account in all_of(objects, "ServiceAccount")]
        self.assertIn(accounts, ([], [pod["serviceAccountName"]]))


class Permissions(unittest.TestCase):
    """The operator's role is what it needs and no more."""

    @of_each_set
    def test_no_wildcard_and_no_escalation(self, objects: list[dict[str, Any]]) -> None:
        for role in [*all_of(objects, "ClusterRole"), for_tenants(objects)[0]]:
            for rule in role["rules"]:
                self.assertEqual(set(rule), {"apiGroups", "resources", "verbs"})
                self.assertNotIn("*", [*rule["apiGroups"], *rule["resources"], *rule["verbs"]])
                self.assertEqual(set(rule["verbs"]) & ESCALATIONS, set(), role["metadata"]["name"])

    def test_what_the_operator_must_never_do(self) -> None:
        allowed = operator_permissions()
        self.assertEqual(allowed["secrets"], {"get", "create", "patch"}, "it must not list or delete Secrets")
        self.assertNotIn("delete", allowed["persistentvolumeclaims"], "it must not delete a tenant's conversations")
        self.assertNotIn("create", allowed["pods"])
        for kind in ("harnesses", "tenants", "agents"):
            self.assertEqual(allowed[kind], {"list", "watch"}, "users own what they declare")
            self.assertEqual(allowed[f"{kind}/status"], {"patch"})
        self.assertEqual(set(allowed) & {"serviceaccounts/token", "pods/exec", "roles", "clusterroles", "nodes"}, set())

    @of_each_set
    def test_it_may_hold_its_lease_and_no_other(self, objects: list[dict[str, Any]]) -> None:
        name = one(objects, "Deployment")["metadata"]["name"]
        self.assertIn(f"--lease-name={name}", the_container(objects)["args"])
        role, binding = (
            next(found for found in all_of(objects, kind) if found["metadata"]["name"] == name)
            for kind in ("Role", "RoleBinding")
        )
        self.assertEqual(binding["subjects"], for_tenants(objects)[1]["subjects"])
        self.assertEqual(binding["roleRef"]["name"], role["metadata"]["name"])
        leases = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
        wanted = [leases | {"verbs": ["create"]}, leases | {"resourceNames": [name], "verbs": ["get", "update"]}]
        self.assertEqual(role["rules"], wanted)

    def test_in_one_namespace_it_may_do_the_same_and_nothing_in_the_cluster(self) -> None:
        narrow = helm.template(helm.OPERATOR, NARROW)
        for kind in ("ClusterRole", "ClusterRoleBinding"):
            self.assertEqual(all_of(narrow, kind), [])
        everywhere = operator_permissions()
        self.assertEqual(everywhere.pop("namespaces"), {"list", "watch"})
        self.assertEqual(operator_permissions(NARROW), everywhere)
        self.assertIn("--watch-namespace=agents", the_container(narrow)["args"])

    def test_users_get_roles_only_when_wanted(self) -> None:
        def aggregated(values: dict[str, Any]) -> set[str]:
            roles = all_of(helm.template(helm.OPERATOR, values), "ClusterRole")
            prefix = "rbac.authorization.k8s.io/"
            labels = (label for role in roles for label in role["metadata"]["labels"])
            return {label.removeprefix(prefix) for label in labels if label.startswith(prefix)}

        self.assertEqual(aggregated({}), {"aggregate-to-view", "aggregate-to-edit", "aggregate-to-admin"})
        self.assertEqual(aggregated({"aggregateRoles": False}), set())


class Values(unittest.TestCase):
    """Each value arrives where it belongs."""

    def test_images_by_default_have_the_version_as_tag(self) -> None:
        container = the_container(helm.template(helm.OPERATOR, {}))
        (chart,) = helm.documents((helm.OPERATOR / "Chart.yaml").read_text())
        version = chart["appVersion"]
        self.assertEqual(container["image"], f"ghcr.io/kr8tiv-ai/operator:{version}")
        self.assertIn(f"--watchdog-image=ghcr.io/kr8tiv-ai/watchdog:{version}", container["args"])
        self.assertIn(f"--sandbox-image=ghcr.io/kr8tiv-ai/sandbox:{version}", container["args"])
        self.assertIn("--gateway-repository=ghcr.io/openclaw/openclaw", container["args"])

    def test_digest_comes_before_tag(self) -> None:
        container = the_container(helm.template(helm.OPERATOR, PINNED))
        self.assertEqual(container["image"], f"ghcr.io/kr8tiv-ai/operator@{DIGEST}")
        self.assertIn(f"--watchdog-image=ghcr.io/kr8tiv-ai/watchdog@{OTHER_DIGEST}", container["args"])
        self.assertIn(f"--sandbox-image=ghcr.io/kr8tiv-ai/sandbox@{OTHER_DIGEST}", container["args"])

    def test_all(self) -> None:
        objects = helm.template(helm.OPERATOR, ALL)
        deployment = one(objects, "Deployment")
        template = deployment["spec"]["template"]
        container = the_container(objects)
        self.assertEqual(deployment["metadata"]["name"], f"{helm.RELEASE}-gateway-operator")
        self.assertEqual(container["image"], "registry.example:5000/kr8tiv/operator:1.2.3")
        self.assertEqual(container["imagePullPolicy"], "Always")
        self.assertEqual(
            container["args"],
            [
                "--gateway-repository=registry.example/openclaw",
                "--watchdog-image=registry.example/kr8tiv/watchdog:1.2.4",
                "--sandbox-image=registry.example/kr8tiv/sandbox:1.2.6",
                "--plugin-image=registry.example/plugins:1.2.5",
                "--lease-namespace=$(POD_NAMESPACE)",
                f"--lease-name={helm.RELEASE}-gateway-operator",
                "--identity=$(POD_NAME)",
                f"--operator-namespace={helm.NAMESPACE}",
                f"--operator-labels=app.kubernetes.io/instance={helm.RELEASE},app.kubernetes.io/name=gateway-operator",
                "--supermemory-addresses=private",
                "--listen=0.0.0.0:8080",
                "--log=debug",
            ],
        )
        self.assertEqual(deployment["spec"]["replicas"], ALL["replicas"])
        self.assertEqual(container["resources"], ALL["resources"])
        for name in ("imagePullSecrets", "priorityClassName", "nodeSelector", "tolerations", "affinity"):
            self.assertEqual(template["spec"][name], ALL[name], name)
        account = one(objects, "ServiceAccount")["metadata"]
        self.assertEqual(account["name"], "operator")
        self.assertEqual(account["annotations"], ALL["commonAnnotations"] | ALL["serviceAccount"]["annotations"])
        for object_ in objects:
            self.assertEqual(object_["metadata"]["labels"]["example.com/level"], "common")
            wanted = "gateway-operator-test" if object_["kind"] == "Pod" else "gateway-operator"
            self.assertEqual(object_["metadata"]["labels"]["app.kubernetes.io/name"], wanted)
        self.assertEqual(template["metadata"]["labels"]["example.com/level"], "pod")
        annotations = {"kubectl.kubernetes.io/default-container": "operator"}
        annotations |= ALL["commonAnnotations"] | ALL["podAnnotations"]
        self.assertEqual(template["metadata"]["annotations"], annotations)

    def test_plugins_may_come_from_a_mirror(self) -> None:
        mirror = {"gateway": {"plugins": {"registry": "https://npm.example/"}}}
        container = the_container(helm.template(helm.OPERATOR, mirror))
        self.assertIn("--plugin-registry=https://npm.example/", container["args"])

    def test_names(self) -> None:
        long = "a" * 63
        for values, wanted in (
            ({"fullnameOverride": "operator"}, "operator"),
            ({"nameOverride": "under-check"}, helm.RELEASE),
            ({"nameOverride": long}, f"{helm.RELEASE}-{long}"[:63]),
        ):
            with self.subTest(values=values):
                self.assertEqual(one(helm.template(helm.OPERATOR, values), "Deployment")["metadata"]["name"], wanted)


class Notes(unittest.TestCase):
    """What is printed after the installation."""

    def test_names_the_objects_and_the_next_step(self) -> None:
        notes = helm.notes(helm.OPERATOR, {"fullnameOverride": "the-operator"}, TENANT_API)
        self.assertIn(f"kubectl --namespace {helm.NAMESPACE} rollout status deployment/the-operator\n", notes)
        self.assertIn("kubectl apply", notes)
        self.assertNotIn("missing", notes)
        self.assertNotIn("--namespace agents", notes)

    def test_the_notes_of_one_namespace_name_it(self) -> None:
        notes = helm.notes(helm.OPERATOR, NARROW, TENANT_API)
        self.assertTrue(notes.startswith("The kr8tiv operator "), notes)
        commands = [line for line in notes.splitlines() if "tenant" in line and line.startswith("  kubectl")]
        self.assertEqual(len(commands), 4, notes)
        for command in commands:
            self.assertIn(" --namespace agents", command)

    def test_tells_how_to_install_missing_resource_types(self) -> None:
        notes = helm.notes(helm.OPERATOR, {})
        self.assertIn(f"helm install kr8tiv-crds charts/kr8tiv-crds --namespace {helm.NAMESPACE}\n", notes)

    def test_of_the_resource_types_warns_when_they_are_not_kept(self) -> None:
        self.assertNotIn("deleted", helm.notes(helm.CRDS, {}))
        self.assertIn("deleted", helm.notes(helm.CRDS, {"keep": False}))


def all_of(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The objects of this kind."""
    return [object_ for object_ in objects if object_["kind"] == kind]


def one(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The only object of this kind."""
    (found,) = all_of(objects, kind)
    return found


def the_container(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """The only container of the Deployment."""
    (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return container


def for_tenants(objects: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The role for what the operator does for tenants, and its binding."""
    narrow = [found for found in all_of(objects, "RoleBinding") if found["metadata"]["name"].endswith("-tenants")]
    (binding,) = narrow or all_of(objects, "ClusterRoleBinding")
    roles = all_of(objects, binding["roleRef"]["kind"])
    (role,) = (role for role in roles if role["metadata"]["name"] == binding["roleRef"]["name"])
    return role, binding


def operator_permissions(values: dict[str, Any] | None = None) -> dict[str, set[str]]:
    """The verbs of the role for tenants, by resource."""
    role, _ = for_tenants(helm.template(helm.OPERATOR, values or {}))
    verbs: dict[str, set[str]] = {}
    for rule in role["rules"]:
        for resource in rule["resources"]:
            verbs.setdefault(resource, set()).update(rule["verbs"])
    return verbs
