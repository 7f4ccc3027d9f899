"""What is generated into the charts: copies of the CRDs, and the table of values. Does I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import helm

SOURCE = helm.CHARTS.parent / "crds" / "yaml"
COPIES = helm.CRDS / "files"
README = helm.OPERATOR / "README.md"
TABLE = re.compile(r"(<!-- values: begin[^>]*-->\n).*(<!-- values: end -->)", re.DOTALL)


def write() -> None:
    """Rewrite everything that is generated."""
    for path in COPIES.iterdir():
        path.unlink()
    for path in SOURCE.iterdir():
        (COPIES / path.name).write_bytes(path.read_bytes())
    README.write_text(with_table(README.read_text()))


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def schema() -> dict[str, Any]:
    """The schema of the operator's values."""
    return json.loads((helm.OPERATOR / "values.schema.json").read_text())


def defaults() -> dict[str, Any]:
    """The operator's values.yaml."""
    (values,) = helm.documents((helm.OPERATOR / "values.yaml").read_text())
    return values


def described(node: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str | None]]:
    """Every value that users set, with its description: a property that has one, or that has no properties."""
    for name, child in node["properties"].items():
        if "description" not in child and "properties" in child:
            yield from described(child, (*path, name))
        elif (*path, name) != ("global",):
            yield (*path, name), child.get("description")


def with_table(readme: str) -> str:
    """The README with the table that the schema and values.yaml give."""
    values = defaults()
    rows = ["| value | what it is | default |", "|---|---|---|"]
    for path, description in described(schema()):
        default = json.dumps(lookup(values, path), ensure_ascii=False)
        rows.append(f"| `{'.'.join(path)}` | {description} | `{default}` |")
    table, count = TABLE.subn(lambda found: found[1] + "\n".join(rows) + "\n" + found[2], readme)
    if count != 1:
        raise ValueError(f"{README} has no single place for the table of values")
    return table


def lookup(values: dict[str, Any], path: tuple[str, ...]) -> Any:
    """The value at this path; KeyError when values.yaml lacks it."""
    found: Any = values
    for name in path:
        found = found[name]
    return found


def leaves(
    values: dict[str, Any], known: set[tuple[str, ...]], path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """The paths of values.yaml, down to what the schema describes as one value."""
    for name, value in values.items():
        here = (*path, name)
        if here in known or not isinstance(value, dict):
            yield here
        else:
            yield from leaves(value, known, here)
