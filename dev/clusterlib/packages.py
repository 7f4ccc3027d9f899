"""The programs a cluster takes from the distribution. I/O: installs Debian packages."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clusterlib.cache import cache_dir, exclusive, progress, say
from clusterlib.errors import Missing


@dataclass(frozen=True)
class Package:
    """A Debian package, the version everything was tried with, and the file that shows it is there."""

    name: str
    version: str
    provides: str

    def present(self) -> bool:
        if self.provides.startswith("/"):
            return Path(self.provides).exists()
        return shutil.which(self.provides, path=_search_path()) is not None


CONTROL_PLANE = (
    Package("openssl", "3.0.19-1~deb12u2", "openssl"),
    Package("iproute2", "6.1.0-3", "ip"),
    Package("util-linux", "2.38.1-5+deb12u3", "unshare"),
)
NODE = (
    Package("containerd", "1.6.20~ds1-1+deb12u3", "containerd"),
    Package("runc", "1.1.5+ds1-1+deb12u1", "runc"),
    Package("containernetworking-plugins", "1.1.1+ds1-3+b5", "/usr/lib/cni/bridge"),
    Package("iptables", "1.8.9-2", "iptables"),
    Package("conntrack", "1:1.4.7-1+b2", "conntrack"),
)
# Needed only while the node's two small images are built.
IMAGE_BUILD = (
    Package("busybox-static", "1:1.35.0-4+deb12u1+b1", "/bin/busybox"),
    Package("gcc", "4:12.2.0-3", "gcc"),
    Package("libc6-dev", "2.36-9+deb12u13", "/usr/include/stdio.h"),
)

_POLICY = Path("/usr/sbin/policy-rc.d")
_APT = ["apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=300"]


def ensure(packages: tuple[Package, ...]) -> None:
    """Install what is missing; no network and no package tool when nothing is."""
    if not (missing := [p for p in packages if not p.present()]):
        return
    names = " ".join(p.name for p in missing)
    if shutil.which("apt-get") is None:
        files = ", ".join(p.provides for p in missing)
        raise Missing(f"{files} missing and there is no apt-get to install it: install {names} yourself")
    with (
        progress(f"installing {names}"),
        exclusive(cache_dir() / ".apt.lock"),
        _no_services(),
    ):
        if not _install(missing):
            # The package lists may be older than what the archive still offers.
            _apt(["update"])
            if not _install(missing) and not _install(missing, pinned=False):
                raise Missing(f"apt-get can't install {names}: run `apt-get install {names}` to see why")
    if absent := [p.provides for p in packages if not p.present()]:
        raise Missing(f"{', '.join(absent)} is still missing after installing {names}: check the packages")


def _install(packages: list[Package], pinned: bool = True) -> bool:
    names = [f"{p.name}={p.version}" if pinned else p.name for p in packages]
    if not pinned:
        say("not all of the versions tried are to be had: taking what the archive offers")
    return _apt(["install", "--no-install-recommends", *names])


def _apt(arguments: list[str]) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run([*_APT, *arguments], env=environment, capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def _no_services() -> Iterator[None]:
    """Keep packages from starting services: the cluster runs its own containerd."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def _search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/bin", "/bin"])
