"""Checks of the chart kr8tiv-crds."""

from __future__ import annotations

import tempfile
import tomllib
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import generated, helm

KEEP = {"helm.sh/resource-policy": "keep"}
# What an overlay of the fleet in examples/ relies on.
NAME_REFERENCES = helm.CHARTS.parent / "examples" / "fleet" / "tenant" / "name-references.yaml"


class Crds(unittest.TestCase):
    """The chart installs exactly the committed definitions."""

    def test_lint(self) -> None:
        for keep in (True, False):
            with self.subTest(keep=keep):
                helm.lint(helm.CRDS, {"keep": keep})

    def test_copies_equal_the_definitions(self) -> None:
        self.assertEqual(
            generated.contents(generated.COPIES),
            generated.contents(generated.SOURCE),
            "kr8tiv-crds/files is not crds/yaml: run charts/check --update",
        )

    def test_only_metadata_is_added(self) -> None:
        for keep in (True, False):
            with self.subTest(keep=keep):
                rendered = helm.template(helm.CRDS, {"keep": keep})
                for document in rendered:
                    labels = document["metadata"].pop("labels")
                    self.assertEqual(labels["app.kubernetes.io/managed-by"], "Helm")
                    self.assertEqual(document["metadata"].pop("annotations", {}), KEEP if keep else {})
                sources = [helm.documents(path.read_text()) for path in sorted(generated.SOURCE.iterdir())]
                self.assertEqual(by_name(rendered), by_name([document for (document,) in sources]))

    def test_package_has_the_definitions(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            helm.helm("package", helm.CRDS, "--destination", folder)
            (archive,) = Path(folder).iterdir()
            self.assertEqual(helm.template(archive, {}), helm.template(helm.CRDS, {}))

    def test_unknown_value_is_refused(self) -> None:
        with self.assertRaisesRegex(helm.Refused, "kepp"):
            helm.template(helm.CRDS, {"kepp": True})


class NameReferences(unittest.TestCase):
    """Kustomize is told of every place where an object of ours names a Secret."""

    def test_they_are_those_of_the_definitions(self) -> None:
        (said,) = helm.documents(NAME_REFERENCES.read_text())
        (reference,) = said["nameReference"]
        self.assertEqual(reference["kind"], "Secret")
        found = sorted((spec["kind"], spec["path"]) for spec in reference["fieldSpecs"])
        wanted = []
        for path in generated.SOURCE.iterdir():
            (definition,) = helm.documents(path.read_text())
            schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            spec = schema["properties"]["spec"]
            wanted += [(definition["spec"]["names"]["kind"], path) for path in named_secrets(spec, "spec")]
        self.assertGreater(len(wanted), 10)
        self.assertEqual(found, sorted(wanted))


class Versions(unittest.TestCase):
    """Both charts are released with the workspace, under its version."""

    def test_charts_have_the_version_of_the_workspace(self) -> None:
        manifest = tomllib.loads((helm.CHARTS.parent / "Cargo.toml").read_text())
        wanted = manifest["workspace"]["package"]["version"]
        for chart in (helm.CRDS, helm.OPERATOR):
            with self.subTest(chart=chart.name):
                (description,) = helm.documents((chart / "Chart.yaml").read_text())
                self.assertEqual((description["version"], description["appVersion"]), (wanted, wanted))


    def test_oldest_server(self) -> None:
        for chart in (helm.CRDS, helm.OPERATOR):
            with self.subTest(chart=chart.name):
                self.assertEqual(helm.template(chart, {}, server="v1.33.0-gke.1"), helm.template(chart, {}))
                with self.assertRaisesRegex(helm.Refused, "requires kubeVersion: >=1.33"):
                    helm.template(chart, {}, server="v1.32.9")


def named_secrets(schema: dict[str, Any], path: str, of_secret: bool = False) -> Iterator[str]:
    """Where a schema has the name of a Secret: a text in a field that is called after Secrets, or the `name` below one."""
    for name, field in schema.get("properties", {}).items():
        is_text, called = field.get("type") == "string", "secret" in name.lower()
        if is_text and (called or (of_secret and name == "name")):
            yield f"{path}/{name}"
        yield from named_secrets(field, f"{path}/{name}", called)
    if "items" in schema:
        yield from named_secrets(schema["items"], path, of_secret)


def by_name(documents: list[dict]) -> dict[str, dict]:
    """Definitions by their name."""
    return {document["metadata"]["name"]: document for document in documents}
