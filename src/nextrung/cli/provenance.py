"""The command that traces a result back to its data: provenance."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text
from rich.tree import Tree

from nextrung.cli.options import AsJson, Configuration, StudyName
from nextrung.cli.running import clean, console, locate_study
from nextrung.schemas.base import InputError
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from collections.abc import Collection

    from jobflow import JobStore

    from nextrung.schemas.stores.provenance import ProvenanceGraph, ProvenanceNode

#: Digits of a fingerprint that are shown.
DIGITS = 12


def provenance(
    where: Annotated[
        str,
        typer.Argument(
            metavar="WHERE",
            help="Run folder, or name of a study on the cluster; a RESULT may follow "
            "after a slash.",
        ),
    ],
    result: Annotated[
        str | None,
        typer.Argument(
            metavar="RESULT",
            help="MODEL/MATERIAL, MODEL, a job's uuid, a fingerprint, or the sha256 of "
            "a checkpoint.",
        ),
    ] = None,
    *,
    study: StudyName = None,
    config: Configuration = None,
    as_json: AsJson = False,
) -> None:
    """Show the chain of documents from a result back to the frames."""
    from nextrung.adapters.stores.builders import build_collections
    from nextrung.adapters.stores.provenance import trace_provenance

    if result is None:
        where, result = _split(where)
    store, name = locate_study(where, study, config)
    with closing(store):
        head = result.partition("/")[0]
        if head in set(Model) or head in _list_finished(store, name):
            found = _find_last_study(store) if name is None else name
            result = f"{found}/{result}"
        if "/" in result and Path(where).is_dir():
            build_collections(store)
        graph = trace_provenance(store, result)
    if as_json:
        typer.echo(graph.model_dump_json(indent=1))
    else:
        console.print(_Drawing(graph).tree)


def _split(where: str) -> tuple[str, str]:
    """Split WHERE/RESULT, at the run folder it begins with or at the first slash."""
    from nextrung.adapters.stores.job_store import STORE_FOLDER

    path = Path(where)
    heads = [path, *path.parents]
    study = path if where[:1] in {"/", "."} else heads[-2]
    head = next((head for head in heads if (head / STORE_FOLDER).is_dir()), study)
    result = "" if head == path else path.relative_to(head).as_posix()
    if not result:
        locate_study(str(head))  # raises where there is no such place
        raise InputError(
            f"expected a result beside {where}: MODEL/MATERIAL, MODEL, a job's uuid, a "
            "fingerprint, or the sha256 of a checkpoint"
        )
    return str(head), result


def _find_last_study(store: JobStore) -> str:
    """Name the study that was finished last."""
    from nextrung.adapters.stores.studies import load_study

    return load_study(store).results.study


def _list_finished(store: JobStore, name: str | None) -> Collection[str]:
    """List the finished potentials of a study; none where it is not finished."""
    from nextrung.adapters.stores.studies import load_study

    try:
        return load_study(store, name).results.finished.keys()
    except InputError:
        return ()


class _Drawing:
    """A provenance graph as a tree; a document is drawn whole the first time only."""

    def __init__(self, graph: ProvenanceGraph) -> None:
        self.graph = graph
        self.drawn: set[str] = set()
        self.tree = Tree(graph.asked)
        for collection, row in graph.rows.items():
            shown = json.dumps(row, ensure_ascii=False)
            self.tree.add(f"{collection}: {shown}")
        for fingerprint in graph.results:
            self._add(self.tree, fingerprint, "")

    def _add(self, tree: Tree, fingerprint: str, role: str) -> None:
        """Add a document and its inputs."""
        digits = fingerprint[:DIGITS]
        if fingerprint not in self.graph.nodes:
            tree.add(f"{role}{digits}: not in this store")
            return
        node = self.graph.nodes[fingerprint]
        title = Text.assemble(clean(role), (clean(node.name), "bold"), f" {digits}")
        if fingerprint in self.drawn:
            tree.add(title.append(" (above)"))
            return
        self.drawn.add(fingerprint)
        branch = tree.add(title)
        for line in _lines(node):
            branch.add(Text(clean(line), "dim"))
        for name, parent in node.parents.items():
            self._add(branch, parent, f"{name}: ")


def _lines(node: ProvenanceNode) -> list[str]:
    """Describe how a document was made."""
    made = node.provenance
    code = f"nextrung {made.versions.get('nextrung', '?')}"
    if made.git_commit:
        code += f" at {made.git_commit[:DIGITS]}"
    when = f"{made.completed_at}, {made.wall_time:.1f} s, {made.host}, {made.device}"
    facts = ", ".join(f"{name} {value}" for name, value in node.facts.items())
    lines = [f"job {node.uuid}", f"{when}, {code}", facts]
    if node.settings:
        lines.append(f"settings {json.dumps(_tidy(node.settings))}")
    lines += [
        f"{name} {file.path} ({file.size} bytes)"
        for name, file in node.artifacts.items()
    ]
    return [line for line in lines if line]


def _tidy(value: object) -> object:
    """Remove the tags that name classes."""
    if isinstance(value, dict):
        return {name: _tidy(part) for name, part in value.items() if name[:1] != "@"}
    return [_tidy(part) for part in value] if isinstance(value, list) else value
