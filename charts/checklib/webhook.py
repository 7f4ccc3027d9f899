"""Checks of what the chart kr8tiv-operator renders for the admission webhook."""

from __future__ import annotations

import unittest
from typing import Any

from . import helm

ENABLED = {"webhook": {"enabled": True}}
MANAGED = {"webhook": {"enabled": True, "certManager": {"enabled": True}}}
ISSUED = {
    "webhook": {
        "enabled": True,
        "replicas": 3,
        "failurePolicy": "Fail",
        "timeoutSeconds": 2,
        "namespaceSelector": {
            "matchLabels": {"tenants": "true"},
            "matchExpressions": [{"key": "stage", "operator": "Exists"}],
        },
        "certManager": {"enabled": True, "issuerRef": {"name": "company", "kind": "ClusterIssuer"}},
    },
    "fullnameOverride": "a" * 63,
    "commonLabels": {"example.com/team": "agents"},
    "podLabels": {"app.kubernetes.io/name": "taken"},
    "gateway": {"plugins": {"registry": "https://npm.example/"}},
    "nodeSelector": {"kubernetes.io/os": "linux"},
}
SETS = {"enabled": ENABLED, "managed": MANAGED, "issued": ISSUED}
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "ValidatingWebhookConfiguration"}


def component(values: dict[str, Any]) -> list[dict[str, Any]]:
    """The webhook's objects."""
    label = "app.kubernetes.io/component"
    return [it for it in helm.template(helm.OPERATOR, values) if it["metadata"]["labels"].get(label) == "webhook"]


def one(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The only object of this kind."""
    (found,) = (object_ for object_ in objects if object_["kind"] == kind)
    return found


class Webhook(unittest.TestCase):
    """The webhook's part of the chart."""

    def test_lint(self) -> None:
        for name, values in SETS.items():
            with self.subTest(values=name):
                helm.lint(helm.OPERATOR, values)

    def test_nothing_when_it_is_not_enabled(self) -> None:
        self.assertEqual(component({}), [])

    def test_the_operators_objects_stay_as_they_are(self) -> None:
        for name, values in SETS.items():
            with self.subTest(values=name):
                off = {**values, "webhook": {}}
                rest = [it for it in helm.template(helm.OPERATOR, values) if it not in component(values)]
                self.assertEqual(rest, helm.template(helm.OPERATOR, off))

    def test_objects_have_one_name_and_belong_to_the_release(self) -> None:
        for name, values in SETS.items():
            with self.subTest(values=name):
                objects = component(values)
                self.assertEqual(len({it["metadata"]["name"] for it in objects}), 1)
                for object_ in objects:
                    metadata = object_["metadata"]
                    self.assertLessEqual(len(metadata["name"]), 63)
                    wanted = None if object_["kind"] in CLUSTER_WIDE else helm.NAMESPACE
                    self.assertEqual(metadata.get("namespace"), wanted, object_["kind"])
                    self.assertEqual(metadata["labels"]["app.kubernetes.io/managed-by"], "Helm")

    def test_selectors_find_its_pods_and_not_the_operators(self) -> None:
        for name, values in SETS.items():
            with self.subTest(values=name):
                objects = component(values)
                labels = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
                selectors = [
                    one(objects, "Deployment")["spec"]["selector"]["matchLabels"],
                    one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
                    one(objects, "Service")["spec"]["selector"],
                ]
                for selector in selectors:
                    self.assertEqual(selector.items() - labels, set())
                (operator,) = (
                    it
                    for it in helm.template(helm.OPERATOR, values)
                    if it["kind"] == "Deployment" and it not in objects
                )
                operator_selector = operator["spec"]["selector"]["matchLabels"].items()
                self.assertNotEqual(operator_selector - labels, set())
                operator_labels = operator["spec"]["template"]["metadata"]["labels"].items()
                self.assertNotEqual(selectors[0].items() - operator_labels, set())

    def test_pod_meets_restricted_pod_security(self) -> None:
        pod = one(component(ENABLED), "Deployment")["spec"]["template"]["spec"]
        self.assertEqual(pod["securityContext"], {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}})
        (container,) = pod["containers"]
        wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        self.assertEqual(container["securityContext"], wanted)

    def test_it_may_keep_its_certificate_and_write_nothing_else(self) -> None:
        objects = component(ENABLED)
        name = one(objects, "Deployment")["metadata"]["name"]
        for rule in one(objects, "ClusterRole")["rules"]:
            if rule["resources"] == ["validatingwebhookconfigurations"]:
                self.assertEqual(rule["resourceNames"], [name])
                self.assertEqual(rule["verbs"], ["get", "list", "watch", "patch"])
            else:
                self.assertLessEqual(set(rule["verbs"]), {"get", "list", "watch"})
        (rule,) = one(objects, "Role")["rules"]
        self.assertEqual((rule["resources"], rule["resourceNames"]), (["secrets"], [name]))
        self.assertEqual(rule["verbs"], ["get", "list", "watch", "update"])
        self.assertNotIn("data", one(objects, "Secret"), "an upgrade would overwrite it")
        (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
        self.assertIn(f"--certificate-secret={one(objects, 'Secret')['metadata']['name']}", container["args"])
        account = one(objects, "ServiceAccount")["metadata"]["name"]
        self.assertEqual(one(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"], account)
        for kind in ("ClusterRoleBinding", "RoleBinding"):
            subject = {"kind": "ServiceAccount", "name": account, "namespace": helm.NAMESPACE}
            self.assertEqual(one(objects, kind)["subjects"], [subject])

    def test_in_one_namespace_it_judges_there_and_reads_nothing_elsewhere(self) -> None:
        for settings, in_the_cluster in ((ENABLED, [["validatingwebhookconfigurations"]]), (MANAGED, [])):
            objects = component({**settings, "watchNamespace": "agents"})
            name = one(objects, "Deployment")["metadata"]["name"]
            (webhook,) = one(objects, "ValidatingWebhookConfiguration")["webhooks"]
            there = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["agents"]}
            self.assertEqual(webhook["namespaceSelector"], {"matchExpressions": [there]})
            (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
            self.assertIn("--watch-namespace=agents", container["args"])
            rules = [rule for role in objects if role["kind"] == "ClusterRole" for rule in role["rules"]]
            self.assertEqual([rule["resources"] for rule in rules], in_the_cluster)
            role, binding = (
                next(it for it in objects if it["kind"] == kind and it["metadata"]["namespace"] == "agents")
                for kind in ("Role", "RoleBinding")
            )
            self.assertEqual([rule["verbs"] for rule in role["rules"]], [["get", "list", "watch"]])
            self.assertEqual(binding["roleRef"]["name"], role["metadata"]["name"])
            self.assertEqual(binding["subjects"], [{"kind": "ServiceAccount", "name": name, "namespace": helm.NAMESPACE}])

    def test_cert_manager_makes_the_certificate_instead(self) -> None:
        for values, issuer in ((MANAGED, None), (ISSUED, {"name": "company", "kind": "ClusterIssuer"})):
            objects = component(values)
            name = one(objects, "Deployment")["metadata"]["name"]
            kinds = [object_["kind"] for object_ in objects]
            self.assertNotIn("Secret", kinds)
            self.assertEqual("Issuer" in kinds, issuer is None)
            certificate = one(objects, "Certificate")["spec"]
            # A Secret that Helm does not know must not be in the way when cert-manager is turned off.
            self.assertEqual(certificate["secretName"], f"{name}-tls")
            self.assertNotEqual(certificate["secretName"], one(component(ENABLED), "Secret")["metadata"]["name"])
            self.assertEqual(certificate["dnsNames"], [f"{name}.{helm.NAMESPACE}.svc"])
            self.assertEqual(certificate["issuerRef"], issuer or {"name": name, "kind": "Issuer"})
            annotations = one(objects, "ValidatingWebhookConfiguration")["metadata"]["annotations"]
            self.assertEqual(annotations["cert-manager.io/inject-ca-from"], f"{helm.NAMESPACE}/{name}")
            (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
            self.assertEqual([it for it in container["args"] if it.startswith("--configuration")], [])
            self.assertIn(f"--certificate-secret={name}-tls", container["args"])
            (rule,) = one(objects, "Role")["rules"]
            self.assertEqual((rule["resourceNames"], rule["verbs"]), ([f"{name}-tls"], ["get", "list", "watch"]))
            self.assertNotIn("admissionregistration", str(one(objects, "ClusterRole")["rules"]))

    def test_its_names_are_those_of_the_service(self) -> None:
        objects = component(ENABLED)
        (webhook,) = one(objects, "ValidatingWebhookConfiguration")["webhooks"]
        service = webhook["clientConfig"]["service"]
        self.assertNotIn("caBundle", webhook["clientConfig"], "an upgrade would overwrite it")
        self.assertEqual(service["name"], one(objects, "Service")["metadata"]["name"])
        (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
        self.assertIn(f"--server-names={service['name']}.{service['namespace']}.svc", container["args"])
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        self.assertIn(f"--listen=0.0.0.0:{ports['reviews']}", container["args"])
        self.assertIn(f"--probes=0.0.0.0:{ports['health']}", container["args"])

    def test_values_arrive(self) -> None:
        objects = component(ISSUED)
        (webhook,) = one(objects, "ValidatingWebhookConfiguration")["webhooks"]
        self.assertEqual((webhook["failurePolicy"], webhook["timeoutSeconds"]), ("Fail", 2))
        own = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [helm.NAMESPACE, "kube-system"]}
        wanted = {"matchLabels": {"tenants": "true"}, "matchExpressions": [own, {"key": "stage", "operator": "Exists"}]}
        self.assertEqual(webhook["namespaceSelector"], wanted)
        spec = one(objects, "Deployment")["spec"]
        self.assertEqual(spec["replicas"], 3)
        self.assertEqual(spec["template"]["spec"]["nodeSelector"], ISSUED["nodeSelector"])
        self.assertIn("--plugin-registry=https://npm.example/", spec["template"]["spec"]["containers"][0]["args"])
        (default,) = one(component(ENABLED), "ValidatingWebhookConfiguration")["webhooks"]
        self.assertEqual((default["failurePolicy"], default["timeoutSeconds"]), ("Ignore", 5))
        self.assertEqual(default["namespaceSelector"], {"matchExpressions": [own]})
