"""The images: what each is built from, how it is named, where its archive lies. Does I/O."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clusterlib.cache import cache_dir, content_hash, keyed

from . import base, binaries, builder, host, plugins, runtime

ROOT = Path(__file__).resolve().parents[2]
CONTAINERFILES = ROOT / "dev" / "images"
PINS = CONTAINERFILES / "openclaw"
PLUGIN_PINS = CONTAINERFILES / "plugins"

KEPT_ARCHIVES = 4
UNUSED_SECONDS = 3600.0
"""An archive beyond KEPT_ARCHIVES goes when nobody asked for it this long: it may be being loaded."""


@dataclass(frozen=True)
class Built:
    """An image that can be loaded and referred to."""

    reference: str
    archive: Path


@dataclass(frozen=True)
class Request:
    """What the caller chose: the name prefix, and programs built elsewhere instead of by cargo."""

    prefix: str
    programs: dict[str, Path]


def operator(request: Request) -> Built:
    """The operator and its webhook on Debian."""
    return _program(request, "operator", "webhook", static=False)


def watchdog(request: Request) -> Built:
    """The watchdog alone: every tenant's pod pulls it, so there is no file system around it."""
    return _program(request, "watchdog", static=True)


def openclaw(request: Request) -> Built:
    """OpenClaw at the paths of the official image."""
    directory = runtime.openclaw_dir(PINS)
    version = runtime.openclaw_version(PINS)
    reference = f"{request.prefix}/openclaw:{version}"
    arguments = {"VERSION": version, "REVISION": runtime.openclaw_revision(directory)}
    containerfile = CONTAINERFILES / "openclaw" / "Containerfile"

    def build(archive: Path) -> None:
        builder.build_archive(containerfile, directory, arguments, reference, archive, separate_layers=True)

    # The directory's name holds the hash of its content's origin; hashing 700 MB again tells nothing new.
    inputs: list[bytes | Path] = [containerfile, directory.name.encode(), *_builder_inputs()]
    return _archive("openclaw", reference, inputs, build)


def sandbox(request: Request) -> Built:
    """An ssh server on Debian, in which the tools of agents run."""
    directory = CONTAINERFILES / "sandbox"
    containerfile = directory / "Containerfile"
    inputs: list[bytes | Path] = [containerfile, directory / "sshd_config", *_builder_inputs()]
    reference = f"{request.prefix}/sandbox:{content_tag(inputs)}"

    def build(archive: Path) -> None:
        builder.build_archive(containerfile, directory, _own_labels(), reference, archive, separate_layers=True)

    return _archive("sandbox", reference, inputs, build)


def plugins_dir() -> Path:
    """The cached directory with the plugins of the pinned OpenClaw."""
    return plugins.plugins_dir(PLUGIN_PINS, runtime.openclaw_dir(PINS), runtime.openclaw_version(PINS))


def channel_plugins(request: Request) -> Built:
    """The plugins of channels as an npm cache."""
    directory = plugins_dir()
    containerfile = PLUGIN_PINS / "Containerfile"
    inputs: list[bytes | Path] = [containerfile, directory.name.encode(), *_builder_inputs()]
    reference = f"{request.prefix}/plugins:{content_tag(inputs)}"
    arguments = {
        "VERSION": runtime.openclaw_version(PINS),
        "REVISION": runtime.openclaw_revision(runtime.openclaw_dir(PINS)),
    }

    def build(archive: Path) -> None:
        builder.build_archive(containerfile, directory, arguments, reference, archive, separate_layers=True)

    return _archive("plugins", reference, inputs, build)


IMAGES: dict[str, Callable[[Request], Built]] = {
    "operator": operator,
    "watchdog": watchdog,
    "openclaw": openclaw,
    "plugins": channel_plugins,
    "sandbox": sandbox,
}


def _program(request: Request, name: str, *beside: str, static: bool) -> Built:
    with tempfile.TemporaryDirectory() as scratch:
        context = Path(scratch)
        packed: list[Path] = []
        for package, chosen in _chosen_binaries(request, (name, *beside), static=static).items():
            if static:
                binaries.require_static(chosen)
            # A copy: another cargo run may replace the program while it is being packed.
            binary = Path(shutil.copy(chosen, context / package))
            binary.chmod(0o755)
            packed.append(binary)
        containerfile = CONTAINERFILES / name / "Containerfile"
        inputs: list[bytes | Path] = [containerfile, *packed, *_builder_inputs()]
        reference = f"{request.prefix}/{name}:{content_tag(inputs)}"

        def build(archive: Path) -> None:
            builder.build_archive(containerfile, context, _own_labels(), reference, archive, separate_layers=False)

        return _archive(name, reference, inputs, build)


def _own_labels() -> dict[str, str]:
    """The build arguments of what is made of this checkout."""
    return {"VERSION": binaries.workspace_version(ROOT), "REVISION": binaries.source_revision(ROOT)}


def _chosen_binaries(request: Request, programs: Sequence[str], *, static: bool) -> dict[str, Path]:
    """The programs' files, by package: what the caller gave, and what cargo builds of the rest."""
    given = {f"kr8tiv-{name}": request.programs[name] for name in programs if name in request.programs}
    for package, path in given.items():
        if not path.is_file():
            raise host.PrerequisiteError(f"--{package.removeprefix('kr8tiv-')}-binary: there is no file {path}")
    packages = [f"kr8tiv-{name}" for name in programs]
    missing = [package for package in packages if package not in given]
    built = binaries.release_binaries(ROOT, missing, static=static) if missing else {}
    return {package: (given | built)[package] for package in packages}


def content_tag(inputs: list[bytes | Path]) -> str:
    """A tag that changes with the inputs, so that a node that has it never has an old program or configuration."""
    return f"dev-{content_hash(inputs)[:12]}"


def _builder_inputs() -> list[bytes | Path]:
    return [base.root_file_system().name.encode(), Path(builder.__file__)]


def _archive(name: str, reference: str, inputs: list[bytes | Path], build: Callable[[Path], None]) -> Built:
    entry_name = f"image-{name}"
    file_name = f"{name}.tar"
    entry = keyed(entry_name, [reference.encode(), *inputs], lambda target: build(target / file_name))
    os.utime(entry)
    prune(entry_name, time.time())
    return Built(reference, entry / file_name)


def prune(entry_name: str, now: float) -> None:
    """Remove the archives of earlier builds but for the latest ones and those in use."""
    entries = sorted(cache_dir().glob(f"{entry_name}-*"), key=_last_use, reverse=True)
    for entry in entries[KEPT_ARCHIVES:]:
        if now - _last_use(entry) > UNUSED_SECONDS:
            shutil.rmtree(entry, ignore_errors=True)


def _last_use(entry: Path) -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return 0.0
