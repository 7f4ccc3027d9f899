"""The Debian root file system that images are built on where no registry can be reached. Does I/O.

Elsewhere the Containerfiles start from the official image, their default for BASE.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from clusterlib.cache import keyed

from . import host

SUITE = "bookworm"
INCLUDE = "ca-certificates"
"""In the base, so that the images on it are built without a network."""

NO_DOCUMENTATION = """path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/groff/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
"""

LEFTOVERS = (
    "etc/hostname",
    "etc/resolv.conf",
    "usr/share/groff/*",
    "usr/share/info/*",
    "usr/share/locale/*",
    "usr/share/man/*",
    "var/cache/apt/*.bin",
    "var/cache/apt/archives/*.deb",
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/*",
    "var/lib/apt/lists/*",
    "var/lib/dpkg/*-old",
    "var/log/*",
)
"""What the installation took from this machine or leaves behind; the image needs none of it."""


def root_file_system() -> Path:
    """The cached directory with `rootfs.tar`, built when it is not there yet."""
    return keyed("debian-rootfs", [SUITE.encode(), Path(__file__)], _build)


def _build(target: Path) -> None:
    root = target / "rootfs"
    # debootstrap mounts below its target; in a mount namespace of its own nothing outlives it.
    private = ["unshare", "--mount", "--propagation", "private"]
    debootstrap = ["debootstrap", "--variant=minbase", f"--include={INCLUDE}", SUITE, root]
    host.run("debootstrap (needs a Debian mirror)", [*private, *debootstrap])
    (root / "etc/dpkg/dpkg.cfg.d/no-documentation").write_text(NO_DOCUMENTATION)
    sources = root / "etc/apt/sources.list"
    sources.write_text(with_updates(sources.read_text()))
    inside = [*private, "chroot", root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    host.run("apt-get update of the base", [*inside, "update"])
    host.run("apt-get upgrade of the base", [*inside, "--yes", "--no-install-recommends", "upgrade"])
    clean(root)
    # /dev is the runtime's; the nodes that debootstrap made there do not belong into an image.
    tar = ["tar", "--create", "--numeric-owner", "--sort=name", "--xattrs", "--exclude=./dev/*"]
    host.run("tar of the base", [*tar, "--directory", root, "--file", target / "rootfs.tar", "."])
    shutil.rmtree(root)


def with_updates(sources: str) -> str:
    """Add the updates and security suites of the mirror that debootstrap used."""
    kind, mirror, suite, *components = sources.split()
    rest = " ".join(components)
    lines = [
        f"{kind} {mirror} {suite} {rest}",
        f"{kind} {mirror} {suite}-updates {rest}",
        f"{kind} {mirror.rstrip('/')}-security {suite}-security {rest}",
    ]
    return "".join(f"{line}\n" for line in lines)


def clean(root: Path) -> None:
    """Remove LEFTOVERS, and the documentation but for the licences."""
    for pattern in LEFTOVERS:
        for path in root.glob(pattern):
            _remove(path)
    for path in sorted((root / "usr/share/doc").rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.name != "copyright":
            path.unlink()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
