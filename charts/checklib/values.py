"""Checks of the operator's values: their schema and their documentation."""

from __future__ import annotations

import unittest
from typing import Any

from . import generated, helm

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt value": ({"logLevl": "info"}, "logLevl"),
    "misspelt value of an image": ({"image": {"digests": "x"}}, "digests"),
    "misspelt value of the watchdog": ({"watchdog": {"pullPolicy": "Always"}}, "pullPolicy"),
    "unknown log level": ({"logLevel": "verbose"}, "logLevel"),
    "addresses of this machine": ({"supermemory": {"addresses": "loopback"}}, "addresses"),
    "unknown pull policy": ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    "tag within the repository": ({"image": {"repository": "ghcr.io/kr8tiv-ai/operator:1"}}, "repository"),
    "tag within the gateway's repository": ({"gateway": {"repository": "ghcr.io/openclaw/openclaw:1"}}, "repository"),
    "digest within the repository": ({"watchdog": {"image": {"repository": "example.com/x@sha256:1"}}}, "repository"),
    "short digest": ({"image": {"digest": "sha256:abc"}}, "digest"),
    "tag that is a number": ({"image": {"tag": 1.2}}, "tag"),
    "two sources of plugins": ({"gateway": {"plugins": {"registry": "https://npm.example", "image": "p:1"}}}, "plugins"),
    "credentials of a mirror": ({"gateway": {"plugins": {"registry": "https://a:b@npm.example"}}}, "registry"),
    "no repository": ({"image": {"repository": ""}}, "repository"),
    "removed repository": ({"gateway": {"repository": None}}, "repository"),
    "removed labels": ({"commonLabels": None}, "commonLabels"),
    "label that is no string": ({"podLabels": {"a": True}}, "podLabels"),
    "pull secret without a name": ({"imagePullSecrets": [{}]}, "name"),
    "pull secret as a string": ({"imagePullSecrets": ["registry"]}, "imagePullSecrets"),
    "no account to use": ({"serviceAccount": {"create": False}}, "serviceAccount"),
    "name that is no DNS label": ({"fullnameOverride": "Kr8tiv"}, "fullnameOverride"),
    "replicas": ({"replicaCount": 2}, "replicaCount"),
    "unknown failure policy": ({"webhook": {"failurePolicy": "fail"}}, "failurePolicy"),
    "lifetime without a unit": ({"webhook": {"certificateLifetime": "90"}}, "certificateLifetime"),
    "lifetime that the webhook refuses as short": ({"webhook": {"certificateLifetime": "9s"}}, "certificateLifetime"),
    "lifetime that the webhook refuses as long": ({"webhook": {"certificateLifetime": "826d"}}, "certificateLifetime"),
    "longer than the webhook takes": ({"webhook": {"timeoutSeconds": 11}}, "timeoutSeconds"),
    "no webhook to answer": ({"webhook": {"enabled": True, "replicas": 0}}, "replicas"),
}


class Schema(unittest.TestCase):
    """A wrong value is refused, and the message names it."""

    def test_wrong_values_are_refused(self) -> None:
        for name, (values, word) in WRONG.items():
            with self.subTest(name), self.assertRaisesRegex(helm.Refused, rf"(?s)schema.*{word}"):
                helm.template(helm.OPERATOR, values)

    def test_lifetimes_may_be_what_the_webhook_takes(self) -> None:
        for lifetime in ("10s", "999s", "5m", "1h", "9d", "90d", "800d", "825d"):
            with self.subTest(lifetime):
                helm.template(helm.OPERATOR, {"webhook": {"enabled": True, "certificateLifetime": lifetime}})

    def test_values_of_a_parent_chart_are_accepted(self) -> None:
        helm.lint(helm.OPERATOR, {"global": {"example": True}})


class Documentation(unittest.TestCase):
    """values.yaml, the schema and the README speak of the same values."""

    def test_schema_describes_every_value(self) -> None:
        described = dict(generated.described(generated.schema()))
        self.assertEqual({".".join(path) for path, text in described.items() if not text}, set())
        self.assertEqual(set(generated.leaves(generated.defaults(), set(described))), set(described))

    def test_table_is_current(self) -> None:
        readme = generated.README.read_text()
        self.assertEqual(
            generated.with_table(readme).splitlines(),
            readme.splitlines(),
            "the table of values is not what the schema and values.yaml say: run charts/check --update",
        )
