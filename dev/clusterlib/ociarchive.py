"""The node's two small images, pause and helper, as one OCI archive. I/O: gcc, files."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from clusterlib import cache, packages
from clusterlib.errors import Failure

BUSYBOX = Path("/bin/busybox")
PAUSE_SOURCE = Path(__file__).parents[1] / "node" / "pause.c"
PAUSE_REFERENCE = "localhost/kr8tiv/pause:1"
HELPER_REFERENCE = "localhost/kr8tiv/helper:1"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
APPLETS = ("sh", "mkdir", "rm", "chmod", "chown", "ls", "cat", "sleep", "wget", "nslookup", "nc", "id")


@dataclass(frozen=True)
class Image:
    """An image of one layer."""

    reference: str
    """Its name. One that ends with `@` is completed by the image's digest."""
    files: dict[str, bytes]
    links: dict[str, str]
    entrypoint: list[str]


def archive() -> Path:
    """The archive with both images, built at most once per machine."""
    inputs: list[bytes | Path] = [Path(__file__), PAUSE_SOURCE]

    def build(out: Path) -> None:
        packages.ensure(packages.IMAGE_BUILD)
        pause = out / "pause"
        _compile(PAUSE_SOURCE, pause)
        links = {f"bin/{applet}": "busybox" for applet in APPLETS}
        images = [
            Image(PAUSE_REFERENCE, {"pause": pause.read_bytes()}, {}, ["/pause"]),
            Image(HELPER_REFERENCE, {"bin/busybox": BUSYBOX.read_bytes()}, links, ["/bin/sh"]),
        ]
        (out / "images.tar").write_bytes(oci_archive(images))

    return cache.keyed("node-images", inputs, build) / "images.tar"


def oci_archive(images: list[Image]) -> bytes:
    """An OCI image layout as a tar file; the same images give the same bytes."""
    blobs: dict[str, bytes] = {}

    def put(content: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    manifests = []
    for image in images:
        layer = put(tar(image.files, image.links, mode=0o755), "application/vnd.oci.image.layer.v1.tar")
        config = {
            "architecture": ARCHITECTURES.get(os.uname().machine, os.uname().machine),
            "os": "linux",
            "config": {"Entrypoint": image.entrypoint, "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": put(_json(config), "application/vnd.oci.image.config.v1+json"),
            "layers": [layer],
        }
        described = put(_json(manifest), "application/vnd.oci.image.manifest.v1+json")
        pinned = f"{image.reference}{described['digest']}" if image.reference.endswith("@") else image.reference
        manifests.append({**described, "annotations": {"io.containerd.image.name": pinned}})
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    layout = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": _json(index)}
    return tar({**layout, **blobs}, {}, mode=0o644)


def tar(files: dict[str, bytes], links: dict[str, str], mode: int) -> bytes:
    """A tar file of these, all owned by root and dated 1970."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as stream:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(files[name]), mode
            stream.addfile(entry, io.BytesIO(files[name]))
        for name in sorted(links):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, links[name]
            stream.addfile(entry)
    return out.getvalue()


def _compile(source: Path, target: Path) -> None:
    argv = ["gcc", "-static", "-Os", "-s", "-Wall", "-Werror", "-o", str(target), str(source)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"compiling {source.name}: {done.stderr.strip()}")


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
