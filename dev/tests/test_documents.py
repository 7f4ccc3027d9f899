"""The documents agree with each other and with what they describe: links, codes, reasons, rights."""

from __future__ import annotations

import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TEMPLATES = ROOT / "charts" / "kr8tiv-operator" / "templates"
# Compiled from examples and read by agents, not by people who follow links.
GENERATED = ROOT / "compiler" / "tests" / "golden"

FENCE = re.compile(r"^(```|~~~).*?^\1[^\S\n]*$", re.MULTILINE | re.DOTALL)
CODE_SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*$", re.MULTILINE)


def documents() -> list[Path]:
    """Every Markdown file that is, or is about to be, in the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "*.md"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [ROOT / line for line in listing.splitlines()]
    return [path for path in paths if path.exists() and not path.is_relative_to(GENERATED)]


def links(text: str) -> list[str]:
    """The targets of a document's links; what is shown as code is none."""
    return LINK.findall(CODE_SPAN.sub("", FENCE.sub("", text)))


def anchors(text: str) -> set[str]:
    """The names by which a document's headings can be linked to, as GitHub makes them."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = next(n for n in range(len(found) + 1) if (f"{name}-{n}" if n else name) not in found)
        found.add(f"{name}-{number}" if number else name)
    return found


def leads_somewhere(path: Path, target: str) -> bool:
    """Whether a link in a document leads to something; what is elsewhere is taken for granted."""
    if re.match(r"[a-z][a-z+.-]*:", target):
        return True
    file, _, anchor = target.partition("#")
    destination = (path.parent / file).resolve() if file else path
    if not destination.is_relative_to(ROOT) or not destination.exists():
        return False
    return not anchor or (destination.suffix == ".md" and anchor in anchors(destination.read_text()))


def broken(path: Path) -> list[str]:
    """The relative links of a document that lead nowhere."""
    return [target for target in links(path.read_text()) if not leads_somewhere(path, target)]


def first_column(text: str, heading: str) -> list[list[str]]:
    """The code spans in the first column of the table below a heading, row by row; other columns follow as text."""
    section = re.split(r"^#{1,6} ", text.partition(f"{heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")][2:]
    return [[", ".join(re.findall(r"`([^`]+)`", row[0])), *(cell.strip() for cell in row[1:])] for row in rows]


def rights_in(template: str) -> dict[str, str]:
    """The verbs for each resource in the roles of a template, those that are optional too."""
    text = re.sub(r"\{\{.*?\}\}", "", (TEMPLATES / template).read_text())
    rules = re.findall(r"resources: \[(.+)\]\n(?:\s+resourceNames: .*\n)?\s+verbs: \[(.+)\]", text)
    assert len(rules) == text.count(" verbs:"), "a rule can't be read"
    granted: dict[str, str] = {}
    for resources, verbs in rules:
        for resource in resources.split(", "):
            assert granted.setdefault(resource, verbs) == verbs, f"{resource} is in two rules, with different verbs"
    return granted


def rights_by(document: str, heading: str) -> dict[str, str]:
    """The same by a table in a document."""
    said: dict[str, str] = {}
    for resources, verbs, *_ in first_column((DOCS / document).read_text(), heading):
        said.update(dict.fromkeys(resources.split(", "), verbs))
    return said


class Documents(unittest.TestCase):
    def test_links_lead_somewhere(self) -> None:
        found = {str(path.relative_to(ROOT)): broken(path) for path in documents()}
        self.assertGreater(len(found), 10)
        self.assertEqual({path: targets for path, targets in found.items() if targets}, {})

    def test_the_link_check_sees_what_is_broken(self) -> None:
        text = "# A b: `c`\n## A b: `c`\n[x](gone.md) `[y](code.md)`\n```\n[z](fenced.md)\n# no heading\n```\n"
        self.assertEqual(links(text), ["gone.md"])
        self.assertEqual(anchors(text), {"a-b-c", "a-b-c-1"})

    def test_codes_exist(self) -> None:
        tables = (DOCS / "diagnostics.md").read_text() + (DOCS / "cli.md").read_text()
        known = set(re.findall(r"^\| `(K8T\d{4})`", tables, re.MULTILINE))
        for path in documents():
            with self.subTest(path.relative_to(ROOT)):
                self.assertEqual(set(re.findall(r"K8T\d{4}", path.read_text())) - known, set())

    def test_every_reason_has_advice(self) -> None:
        reference = (DOCS / "reference.md").read_text()
        reasons = re.findall(r"^\| `(\w+)` \|", reference.partition("| Reason | Meaning |")[2], re.MULTILINE)
        advice = [row[0] for row in first_column((DOCS / "operations.md").read_text(), "### By reason")]
        self.assertGreater(len(reasons), 10)
        self.assertEqual(sorted(advice), sorted(reasons))

    def test_every_condition_is_explained(self) -> None:
        reference = (DOCS / "reference.md").read_text()
        conditions = reference.partition("| Reason | Meaning |")[0]
        types = [row[0] for row in first_column(conditions, "## Conditions")]
        rows = [row[0] for row in first_column((DOCS / "operations.md").read_text(), "### By condition")]
        explained = {condition.partition("=")[0] for row in rows if row for condition in row.split(", ")}
        self.assertGreater(len(types), 10)
        self.assertEqual(explained, set(types))

    def test_every_decision_is_in_the_index(self) -> None:
        listed = links((DOCS / "adr" / "README.md").read_text())
        present = [path.name for path in (DOCS / "adr").glob("[0-9]*.md")]
        self.assertEqual(sorted(listed), sorted(present))

    def test_the_operators_rights_are_those_of_the_chart(self) -> None:
        granted = rights_in("clusterrole.yaml")
        self.assertGreater(len(granted), 10)
        self.assertEqual(rights_by("security.md", "## What the operator may do"), granted)

    def test_the_webhooks_rights_are_those_of_the_chart(self) -> None:
        granted = rights_in("webhook-rbac.yaml")
        self.assertGreater(len(granted), 4)
        self.assertEqual(rights_by("admission.md", "## What it may do"), granted)


if __name__ == "__main__":
    unittest.main()
