"""Command that lists the potentials there are: models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from nextrung.cli.options import AsJson
from nextrung.cli.running import console

if TYPE_CHECKING:
    from collections.abc import Iterator


def models(*, as_json: AsJson = False) -> None:
    """List the potentials that can be loaded, and the extras that bring others."""
    rows = list(_describe_models())
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table("name", "family", "functional", "elements", "does", "installed")
    for row in rows:
        elements = row["elements"]
        extra = f"pip install 'nextrung[{row['extra']}]'"
        table.add_row(
            row["name"],
            row["family"],
            row["functional"] or "of the file",
            "–" if elements is None else str(len(elements)),
            row["does"],
            "yes" if row["installed"] else extra,
        )
    console.print(table)


def _describe_models() -> Iterator[dict[str, Any]]:
    """Describe the named models, and how files and factories are named."""
    from nextrung.potentials.catalogue import FAMILIES, MODELS
    from nextrung.potentials.registry import load_potential

    named = [(model.name, model.family, model.functional) for model in MODELS]
    patterns = [(f.pattern, f, None) for f in FAMILIES if f.pattern is not None]
    for name, family, functional in (*named, *patterns):
        installed = family.is_installed
        loadable = installed and functional is not None
        yield {
            "name": name,
            "family": family.name,
            "functional": functional,
            "elements": sorted(load_potential(name, "cpu").elements)
            if loadable
            else None,
            "does": family.abilities,
            "extra": family.extra,
            "installed": installed,
        }
