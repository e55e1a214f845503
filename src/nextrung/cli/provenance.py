"""The command that says where a result came from."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.tree import Tree

from nextrung.adapters.stores.builders import build_collections
from nextrung.adapters.stores.job_store import (
    open_configured_store,
    open_embedded_store,
)
from nextrung.adapters.stores.provenance import trace_provenance
from nextrung.cli.running import console
from nextrung.schemas.stores.provenance import ProvenanceGraph, ProvenanceNode

#: Digits of a fingerprint that are shown.
DIGITS = 12


def provenance(
    identifier: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Uuid, fingerprint, sha256 of a checkpoint, or STUDY/MODEL/MATERIAL.",
        ),
    ],
    *,
    root: Annotated[
        Path | None,
        typer.Option(help="Run folder; the store of jobflow.yaml by default."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object.")] = False,
) -> None:
    """Show the chain of documents from a result back to the frames."""
    if root is not None:
        os.environ["NEXTRUNG_ROOT"] = str(root.resolve())
    store = open_configured_store() if root is None else open_embedded_store(root)
    with closing(store):
        if root is not None and "/" in identifier:
            build_collections(store)
        lineage = trace_provenance(store, identifier)
    if as_json:
        typer.echo(lineage.model_dump_json(indent=1))
    else:
        console.print(_Drawing(lineage).tree)


class _Drawing:
    """A chain as a tree; a document that was drawn before is named alone."""

    def __init__(self, lineage: ProvenanceGraph) -> None:
        self.lineage = lineage
        self.drawn: set[str] = set()
        self.tree = Tree(escape(lineage.asked))
        for collection, row in lineage.rows.items():
            shown = json.dumps(row, ensure_ascii=False)
            self.tree.add(escape(f"{collection}: {shown}"))
        for fingerprint in lineage.results:
            self._add(self.tree, fingerprint, "")

    def _add(self, tree: Tree, fingerprint: str, role: str) -> None:
        """Add a document and all behind it."""
        digits = fingerprint[:DIGITS]
        if fingerprint not in self.lineage.nodes:
            tree.add(f"{role}{digits}: not in this store")
            return
        ancestor = self.lineage.nodes[fingerprint]
        title = f"{role}[bold]{escape(ancestor.name)}[/] {digits}"
        if fingerprint in self.drawn:
            tree.add(f"{title} (above)")
            return
        self.drawn.add(fingerprint)
        branch = tree.add(title)
        for line in _lines(ancestor):
            branch.add(f"[dim]{escape(line)}[/]")
        for name, parent in ancestor.parents.items():
            self._add(branch, parent, f"{escape(name)}: ")


def _lines(ancestor: ProvenanceNode) -> list[str]:
    """Say how a document was made."""
    made = ancestor.provenance
    code = f"nextrung {made.versions.get('nextrung', '?')}"
    if made.git_commit:
        code += f" at {made.git_commit[:DIGITS]}"
    when = f"{made.completed_at}, {made.wall_time:.1f} s, {made.host}, {made.device}"
    facts = ", ".join(f"{name} {value}" for name, value in ancestor.facts.items())
    lines = [f"job {ancestor.uuid}", f"{when}, {code}", facts]
    if ancestor.settings:
        lines.append(f"settings {json.dumps(_tidy(ancestor.settings))}")
    lines += [
        f"{name} {file.path} ({file.size} bytes)"
        for name, file in ancestor.artifacts.items()
    ]
    return [line for line in lines if line]


def _tidy(value: object) -> object:
    """Leave out the tags that name classes."""
    if isinstance(value, dict):
        return {name: _tidy(part) for name, part in value.items() if name[:1] != "@"}
    return [_tidy(part) for part in value] if isinstance(value, list) else value
