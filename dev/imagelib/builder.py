"""Builds a Containerfile with buildah into an OCI archive. Does I/O."""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from clusterlib.cache import cache_dir, content_hash, exclusive

from . import base, host

BASE_CONTAINERFILE = """FROM scratch
ADD rootfs.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
CMD ["/bin/bash"]
"""


def base_name(rootfs: Path) -> str:
    """The name of the base image in our store: it changes with what the image is made from."""
    return f"localhost/kr8tiv/debian-base:{content_hash([rootfs.name.encode(), BASE_CONTAINERFILE.encode()])}"


def build_archive(
    containerfile: Path,
    context: Path,
    arguments: Mapping[str, str],
    reference: str,
    archive: Path,
    *,
    separate_layers: bool,
) -> None:
    """Build the image on our base and write it to `archive` under the name `reference`.

    `separate_layers` makes one layer of each instruction instead of one of them all.
    """
    # One build at a time: that is what makes it safe to sweep up after one that was killed.
    with exclusive(cache_dir() / ".buildah.lock"):
        _buildah("of abandoned builds", "rm", "--all")
        rootfs = base.root_file_system()
        _ensure_base(rootfs)
        flags = [f"--layers={str(separate_layers).lower()}", "--pull=never"]
        for name, value in {"BASE": base_name(rootfs), **arguments}.items():
            flags += ["--build-arg", f"{name}={value}"]
        _bud(containerfile, context, reference, flags)
        try:
            _buildah("to the archive", "push", "--quiet", reference, f"oci-archive:{archive}:{reference}")
        finally:
            # The archive is the result; a second copy in the store would only take space.
            _buildah("after the build", "rmi", reference)


def _ensure_base(rootfs: Path) -> None:
    name = base_name(rootfs)
    if name in _buildah("of the store", "images", "--format", "{{.Name}}:{{.Tag}}").splitlines():
        return
    with tempfile.NamedTemporaryFile("w", prefix="Containerfile.") as containerfile:
        containerfile.write(BASE_CONTAINERFILE)
        containerfile.flush()
        _bud(Path(containerfile.name), rootfs, name, ["--layers=false"])


def _bud(containerfile: Path, context: Path, reference: str, flags: list[str]) -> None:
    # chroot isolation needs no OCI runtime and works where namespaces of a container are not to be had.
    fixed = ["--isolation=chroot", "--force-rm", "--format=oci", "--quiet"]
    name = reference.rsplit("/", 1)[-1]
    _buildah(f"of {name}", "bud", *fixed, *flags, "--tag", reference, "--file", containerfile, context)


def _buildah(what: str, command: str, *arguments: str | Path) -> str:
    return host.run(f"buildah {command} {what}", [*_store(), command, *arguments])


@functools.cache
def _store() -> tuple[str, ...]:
    """buildah with a store of our own, so that no other container engine's images are touched."""
    for driver in ("overlay", "vfs"):
        root = cache_dir() / "containers" / driver
        # Its state belongs to this boot, so it lives where a reboot clears it.
        state = Path("/run/kr8tiv-containers") / hashlib.sha256(str(root).encode()).hexdigest()[:12]
        command = ("buildah", "--root", str(root), "--runroot", str(state), "--storage-driver", driver)
        try:
            host.run(f"buildah info with {driver}", [*command, "info"])
        except host.PrerequisiteError:
            raise
        except host.ImageError as refused:
            # overlay is refused where the cache lies on an overlay file system itself.
            reason = refused
        else:
            return command
    raise reason
