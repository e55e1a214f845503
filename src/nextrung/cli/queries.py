"""Commands on the results of studies: results, build."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from nextrung.cli.options import AsJson, Configuration, StudyName, Where
from nextrung.cli.running import console, locate_study, open_cluster_store
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from jobflow import JobStore

    from nextrung.adapters.stores.queries import CollectionQuery

#: Rows that a table shows unless more are asked for.
SHOWN_ROWS = 50

#: Width at which cells are wrapped where the columns are not chosen by the user.
WIDEST_COLUMN = 32


def build(
    where: Annotated[
        str | None,
        typer.Argument(
            metavar="WHERE",
            help="Run folder, or name of a study on the cluster.",
            show_default="all studies on the cluster",
        ),
    ] = None,
    *,
    config: Configuration = None,
) -> None:
    """Update the result collections of all studies of a store."""
    from nextrung.adapters.stores.builders import build_collections

    store = (
        open_cluster_store(config)
        if where is None
        else locate_study(where, config=config)[0]
    )
    table = Table("collection", "rows written")
    with closing(store):
        for collection, n_rows in build_collections(store).items():
            table.add_row(collection, str(n_rows))
    console.print(table)


def results(
    where: Where,
    *,
    study: StudyName = None,
    config: Configuration = None,
    as_json: AsJson = False,
    collection: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Query a collection, such as stability."),
    ] = None,
    query: Annotated[
        str, typer.Option(help="Mongo-style query of the rows.", metavar="JSON")
    ] = "{}",
    fields: Annotated[
        str, typer.Option(metavar="A,B", help="Fields to show.", show_default="all")
    ] = "",
    sort: Annotated[
        str,
        typer.Option(metavar="A,-B", help="Fields to sort by; - for descending order."),
    ] = "",
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="Largest number of rows; 0 for all.")
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File of the rows: .csv, .json, .jsonl or .parquet.",
        ),
    ] = None,
) -> None:
    """Show the results of a study, or query one of its result collections."""
    if collection is None:
        if query != "{}" or fields or sort or output:
            raise InputError(
                "expected --collection beside --query, --fields, --sort and --output"
            )
        _show_study(where, study, config, as_json=as_json)
        return
    from nextrung.adapters.files.row_files import ROW_SUFFIXES
    from nextrung.adapters.stores.queries import parse_query, run_query
    from nextrung.adapters.stores.query_export import write_rows
    from nextrung.cli.outputs import validate_output

    validate_output(output, ROW_SUFFIXES)
    request = parse_query(collection, query, fields=fields, sort=sort, limit=limit)
    with _open_built(where, study, config) as (store, name):
        request = request.for_study(name)
        if output is not None:
            rows = run_query(store, request)
            write_rows(rows, request, output)
            console.print(f"{len(rows)} rows: {output}", soft_wrap=True)
        elif as_json:
            typer.echo(json.dumps(run_query(store, request), indent=1))
        else:
            _show_rows(store, request)


def _show_study(
    where: str, study: str | None, config: Path | None, *, as_json: bool
) -> None:
    """Print the scores of every model of a study."""
    from nextrung.adapters.stores.studies import load_study
    from nextrung.reports.sections.table import results_table

    store, name = locate_study(where, study, config)
    with closing(store):
        document = load_study(store, name)
    if as_json:
        typer.echo(document.results.model_dump_json(indent=1))
    else:
        console.print(results_table(document.results))
        console.print(f"labels: {document.results.labels}")


@contextmanager
def _open_built(
    where: str, study: str | None, config: Path | None
) -> Iterator[tuple[JobStore, str | None]]:
    """Open a store with its collections; those of a run folder are updated first."""
    from nextrung.adapters.stores.builders import build_collections
    from nextrung.adapters.stores.queries import is_built

    store, name = locate_study(where, study, config)
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
    from nextrung.adapters.stores.queries import count_rows, run_query

    shown = run_query(store, replace(request, limit=request.limit or SHOWN_ROWS))
    cells = {name: [_cell(row[name]) for row in shown] for name in request.columns}
    names = request.fields or _choose_columns(cells, console.width)
    table = Table()
    for name in names:
        table.add_column(name, max_width=None if request.fields else WIDEST_COLUMN)
    for row in zip(*(cells[name] for name in names), strict=True):
        table.add_row(*row)
    console.print(table)
    hidden = [name for name in request.columns if name not in names]
    if hidden:
        console.print(
            f"{len(hidden)} of {len(cells)} columns hidden: {', '.join(hidden)}; "
            "--fields A,B chooses columns, --json and --output have all",
            highlight=False,
        )
    total = count_rows(store, request)
    if total > len(shown):
        console.print(f"{len(shown)} of {total} rows; --limit or --output for more")


def _choose_columns(cells: dict[str, list[str]], width: int) -> list[str]:
    """Choose the columns that fit a width; study and job of a row come last."""
    from nextrung.schemas.stores.collections import Row

    order = sorted(cells, key=lambda name: name in Row.model_fields)
    chosen: list[str] = []
    left = width - 1  # the border at the right
    for name in order:
        widest = max(map(len, (name, *cells[name])))
        left -= min(widest, WIDEST_COLUMN) + 3  # border and padding at the left
        if left < 0 and chosen:
            break
        chosen.append(name)
    return [name for name in cells if name in chosen]


def _cell(value: object) -> str:
    """Format the value of a cell."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "–" if value is None else str(value)
