"""The programs a cluster takes from Go modules, built once per machine. I/O: Go, the cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from clusterlib import cache
from clusterlib.errors import Failure, Missing
from clusterlib.settings import KUBERNETES_VERSION, Mode

MODULE = Path(__file__).parents[1] / "kubernetes"
PARTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
)
BUILD_FLAGS = ["-trimpath", "-buildvcs=false"]
BUILD_MEMORY = 3 << 30
BUILD_DISK = 6 << 30


@dataclass(frozen=True)
class GoTool:
    """A program that is built from a published module as it is."""

    package: str
    version: str
    modes: tuple[Mode, ...]

    @property
    def name(self) -> str:
        return self.package.rsplit("/", 1)[1]


GO_TOOLS = (
    GoTool("helm.sh/helm/v3/cmd/helm", "v3.22.0", tuple(Mode)),
    # Newer ones want a newer Go.
    GoTool("sigs.k8s.io/kwok/cmd/kwok", "v0.7.0", (Mode.KWOK,)),
    GoTool("github.com/coredns/coredns", "v1.14.7", (Mode.NODE,)),
    GoTool("github.com/rancher/local-path-provisioner", "v0.0.30", (Mode.NODE,)),
)


def kubernetes() -> Path:
    """The folder with the parts of Kubernetes, all links to one binary."""
    version = "k8s.io/component-base/version"
    major, minor, _patch = KUBERNETES_VERSION.removeprefix("v").split(".")
    # Without these the server says v0.0.0 and every client sees a version skew.
    link = (
        f"-s -w -X {version}.gitVersion={KUBERNETES_VERSION}"
        f" -X {version}.gitMajor={major} -X {version}.gitMinor={minor}"
    )
    sources = [MODULE / "go.mod", MODULE / "go.sum", MODULE / "main.go"]
    options = [*BUILD_FLAGS, "-mod=readonly", "-ldflags", link]

    def build(out: Path) -> None:
        _go(["build", *options, "-o", str(out / "kubernetes"), "."], MODULE)
        for part in PARTS:
            (out / part).symlink_to("kubernetes")

    return cache.keyed("kubernetes", [*sources, _key(*options, *PARTS)], build)


def compose_check() -> Path:
    """The program that reads a Compose file as Docker Compose does; built when it isn't yet."""
    module = MODULE.parent / "compose-check"
    options = [*BUILD_FLAGS, "-mod=readonly", "-ldflags", "-s -w"]
    sources = [module / name for name in ("go.mod", "go.sum", "main.go")]

    def build(out: Path) -> None:
        _go(["build", *options, "-o", str(out / "compose-check"), "."], module)

    return cache.keyed("compose-check", [*sources, _key(*options)], build) / "compose-check"


def go_tool(tool: GoTool) -> Path:
    """The folder with this one program."""
    options = [*BUILD_FLAGS, "-ldflags", "-s -w"]

    def build(out: Path) -> None:
        _go(["install", *options, f"{tool.package}@{tool.version}"], out, {"GOBIN": str(out)})

    return cache.keyed(tool.name, [_key(tool.package, tool.version, *options)], build)


def tools(mode: Mode) -> dict[str, Path]:
    """Every program that a cluster of this mode runs or offers, by name; built when it isn't yet."""
    kubernetes_parts = kubernetes()
    programs = {part: kubernetes_parts / part for part in PARTS}
    for tool in GO_TOOLS:
        if mode in tool.modes:
            programs[tool.name] = go_tool(tool) / tool.name
    return programs


def go_version(go_mod: str) -> tuple[int, ...]:
    """The Go release a go.mod file asks for."""
    match = re.search(r"^go (\d+)\.(\d+)(?:\.(\d+))?$", go_mod, re.MULTILINE)
    if match is None:
        raise Failure(f"{MODULE / 'go.mod'} names no Go version")
    return tuple(int(part or 0) for part in match.groups())


def _key(*texts: str) -> bytes:
    return "\0".join([*texts, os.uname().machine, _go_command_version()]).encode()


def _go_command_version() -> str:
    """The installed Go's version; empty without Go, when only the cache can help."""
    go = _find_go()
    if go is None:
        return ""
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    done = subprocess.run([go, "env", "GOVERSION"], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _find_go() -> str | None:
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")


def _go(arguments: list[str], directory: Path, environment: dict[str, str] | None = None) -> None:
    go = _require_go()
    _require_room()
    done = subprocess.run(
        [go, *arguments],
        cwd=directory,
        # CGO off: static programs, and no C compiler wanted.
        env={**os.environ, "CGO_ENABLED": "0", **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = "\n".join(done.stderr.splitlines()[-15:])
        raise Failure(f"go {' '.join(arguments)} failed:\n{lines}")


def _require_go() -> str:
    wanted = go_version((MODULE / "go.mod").read_text())
    text = ".".join(map(str, wanted))
    go = _find_go()
    if go is None:
        raise Missing(f"Go is missing: install Go {text} or newer and put it on PATH")
    found = _go_command_version()
    have = tuple(int(part) for part in re.findall(r"\d+", found)[:3])
    if have < wanted and os.environ.get("GOTOOLCHAIN", "local").startswith("local"):
        raise Missing(f"Go {text} or newer is needed, {go} is {found}: install a newer one or set GOTOOLCHAIN=auto")
    return go


def _require_room() -> None:
    if available_memory() < BUILD_MEMORY:
        raise Missing(f"building needs {BUILD_MEMORY >> 30} GiB of free memory: free some and try again")
    cache_dir = cache.cache_dir()
    if shutil.disk_usage(cache_dir).free < BUILD_DISK:
        raise Missing(
            f"building needs {BUILD_DISK >> 30} GiB of free disk for {cache_dir}: free some, or set KR8TIV_CACHE"
        )


def available_memory() -> int:
    """What the kernel says can be allocated without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise Failure("/proc/meminfo has no line MemAvailable")
