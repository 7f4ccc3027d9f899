"""Runs helm, the version that the development cluster has. Does I/O."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clusterlib import toolchain
from clusterlib.settings import KUBERNETES_VERSION

CHARTS = Path(__file__).resolve().parents[1]
CRDS = CHARTS / "kr8tiv-crds"
OPERATOR = CHARTS / "kr8tiv-operator"
RELEASE = "release-under-check"
NAMESPACE = "namespace-under-check"

CONVERTER = """
{{- $documents := list }}
{{- range splitList "\\n---\\n" (printf "\\n%s" (.Files.Get "input.yaml")) }}
{{- with fromYaml . }}{{ $documents = append $documents . }}{{ end }}
{{- end }}
{{ dict "documents" $documents | toJson }}
"""
"""A template that prints YAML documents as JSON on its last line, with the parser Kubernetes uses."""


class Refused(Exception):
    """helm said no; the message is what it said."""


@functools.cache
def program() -> Path:
    """The helm program, built when the cache has none."""
    (tool,) = (tool for tool in toolchain.GO_TOOLS if tool.name == "helm")
    return toolchain.go_tool(tool) / tool.name


def helm(*arguments: str | Path) -> str:
    """Run helm, away from the user's own settings and clusters, and return what it printed."""
    command = [str(program()), *map(str, arguments)]
    with tempfile.TemporaryDirectory() as home:
        own = {f"HELM_{kind}_HOME": home for kind in ("CACHE", "CONFIG", "DATA")}
        environment = {**os.environ, **own, "KUBECONFIG": os.devnull}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise Refused(done.stderr + done.stdout)
    return done.stdout


def lint(chart: Path, values: dict[str, Any]) -> None:
    """helm lint --strict; `Refused` says what is wrong."""
    with values_file(values) as path:
        helm("lint", "--strict", chart, "--values", path)


def template(chart: Path, values: dict[str, Any], server: str = KUBERNETES_VERSION) -> list[dict[str, Any]]:
    """The objects that the chart makes of these values on a server of this version."""
    return json.loads(_template(chart, json.dumps(values), server))


@functools.cache
def _template(chart: Path, values: str, server: str) -> str:
    """`template` as JSON: most checks look at the same few sets of values."""
    with values_file(json.loads(values)) as path:
        # The version is named because a helm that was built from its module takes itself for a client of v1.20.
        options = ["--namespace", NAMESPACE, "--kube-version", server, "--values", path]
        return json.dumps(documents(helm("template", RELEASE, chart, *options)))


def notes(chart: Path, values: dict[str, Any], *served: str) -> str:
    """What helm prints after installing the chart on a server with these resource types."""
    with tempfile.TemporaryDirectory() as folder:
        # Without a server helm prints no notes; as an object's text it does.
        copy = shutil.copytree(chart, Path(folder) / "chart")
        shutil.move(copy / "templates" / "NOTES.txt", copy / "NOTES.txt")
        shutil.rmtree(copy / "files", ignore_errors=True)
        for path in (copy / "templates").glob("*.yaml"):
            path.unlink()
        (copy / "templates" / "notes.yaml").write_text('{{ dict "notes" (tpl (.Files.Get "NOTES.txt") .) | toJson }}\n')
        with values_file(values) as path:
            options = ["--namespace", NAMESPACE, "--kube-version", KUBERNETES_VERSION, "--values", path]
            options += [f"--api-versions={api}" for api in served]
            return json.loads(helm("template", RELEASE, copy, *options).splitlines()[-1])["notes"]


def documents(yaml: str) -> list[dict[str, Any]]:
    """Parse a stream of YAML documents. Python has no parser of its own, and helm is at hand."""
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder)
        (chart / "templates").mkdir()
        (chart / "Chart.yaml").write_text("{apiVersion: v2, name: converter, version: 1.0.0}\n")
        (chart / "templates" / "json.yaml").write_text(CONVERTER)
        (chart / "input.yaml").write_text(yaml)
        found = json.loads(helm("template", chart).splitlines()[-1])["documents"]
    for document in found:
        if set(document) == {"Error"}:
            raise Refused(document["Error"])
    return found


@contextlib.contextmanager
def values_file(values: dict[str, Any]) -> Iterator[Path]:
    """A file with these values that exists within the `with` block; JSON is YAML."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as stream:
        json.dump(values, stream)
        stream.flush()
        yield Path(stream.name)
