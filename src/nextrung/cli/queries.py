"""Commands on the result collections: build and results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from nextrung.adapters.stores.builders import build_collections
from nextrung.adapters.stores.job_store import open_configured_store
from nextrung.adapters.stores.queries import (
    CollectionQuery,
    count_rows,
    is_built,
    parse_query,
    run_query,
)
from nextrung.adapters.stores.query_export import write_rows
from nextrung.adapters.stores.studies import load_study
from nextrung.cli.running import Name, Where, console, locate_study
from nextrung.reports.sections.table import results_table
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from jobflow import JobStore

#: Rows that a table shows unless more are asked for.
SHOWN_ROWS = 50


def build(
    where: Annotated[
        str | None,
        typer.Argument(help="Run folder; the store of jobflow.yaml by default."),
    ] = None,
) -> None:
    """Bring the result collections up to date with the finished jobs."""
    store = locate_study(where, None)[0] if where else open_configured_store()
    table = Table("collection", "rows written")
    with closing(store):
        for collection, n_rows in build_collections(store).items():
            table.add_row(collection, str(n_rows))
    console.print(table)


def results(
    where: Where,
    *,
    study: Name = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    collection: Annotated[
        str | None, typer.Option(help="Ask a result collection, such as stability.")
    ] = None,
    query: Annotated[
        str, typer.Option(help="Mongo-style query, JSON.", metavar="JSON")
    ] = "{}",
    fields: Annotated[str, typer.Option(help="Fields to show, with commas.")] = "",
    sort: Annotated[str, typer.Option(help="Fields to sort by; -FIELD falls.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="Most rows; 0 for all.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="CSV, JSON, JSONL or Parquet to write."),
    ] = None,
) -> None:
    """Show the results of a study, or ask its collections."""
    if collection is None:
        if query != "{}" or fields or sort or output:
            raise InputError("expected --collection beside --query and its kin")
        _show_study(where, study, as_json=as_json)
        return
    request = parse_query(collection, query, fields=fields, sort=sort, limit=limit)
    with _open_built(where, study) as (store, name):
        request = request.for_study(name)
        if output is not None:
            rows = run_query(store, request)
            write_rows(rows, request, output)
            console.print(f"{len(rows)} rows: {output}", soft_wrap=True)
        elif as_json:
            typer.echo(json.dumps(run_query(store, request), indent=1))
        else:
            _show_rows(store, request)


def _show_study(where: str, study: str | None, *, as_json: bool) -> None:
    """Show the scores of every model of a study."""
    store, name = locate_study(where, study)
    with closing(store):
        document = load_study(store, name)
    if as_json:
        typer.echo(document.results.model_dump_json(indent=1))
    else:
        console.print(results_table(document.results))
        console.print(f"labels: {document.results.labels}")


@contextmanager
def _open_built(where: str, study: str | None) -> Iterator[tuple[JobStore, str | None]]:
    """Open a store whose collections are up to date, or at least there."""
    store, name = locate_study(where, study)
    with closing(store):
        if Path(where).is_dir():
            build_collections(store)
        elif not is_built(store, name):
            raise InputError(
                f"expected result collections of {name}, got none: run `nextrung build`"
            )
        yield store, name


def _show_rows(store: JobStore, request: CollectionQuery) -> None:
    """Print the first rows of an answer as a table."""
    shown = run_query(store, replace(request, limit=request.limit or SHOWN_ROWS))
    table = Table(*request.columns)
    for row in shown:
        table.add_row(*(_cell(row[name]) for name in request.columns))
    console.print(table)
    total = count_rows(store, request)
    if total > len(shown):
        console.print(f"{len(shown)} of {total} rows; --limit or --output for more")


def _cell(value: object) -> str:
    """Write a value into a cell."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "–" if value is None else str(value)
