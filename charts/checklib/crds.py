"""Checks of the chart kr8tiv-crds."""

from __future__ import annotations

import tempfile
import tomllib
import unittest
from pathlib import Path

from . import generated, helm

KEEP = {"helm.sh/resource-policy": "keep"}


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


def by_name(documents: list[dict]) -> dict[str, dict]:
    """Definitions by their name."""
    return {document["metadata"]["name"]: document for document in documents}
