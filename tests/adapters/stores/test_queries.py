from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from tests.made_up_study import ENERGY_ERRORS, MATERIALS
from tests.stored_study import store_study

from nextrung.adapters.stores.builders import build_collections
from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.adapters.stores.queries import (
    count_rows,
    is_built,
    parse_query,
    run_query,
)
from nextrung.adapters.stores.query_export import write_rows
from nextrung.schemas.base import InputError
from nextrung.schemas.models import Model
from nextrung.schemas.stores.collections import ROWS, Collection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jobflow import JobStore


@pytest.fixture(
    scope="module", params=["embedded", pytest.param("mongo", marks=pytest.mark.mongo)]
)
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JobStore]:
    """The collections of the stored study, in either kind of store."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(folder))
        if request.param == "embedded":
            store = make_embedded_store(folder)
        else:
            database = request.getfixturevalue("mongod").database()
            store = database.job_store()
            store.connect()
        store_study(store, folder)
        build_collections(store)
    yield store
    store.close()  # type: ignore[no-untyped-call]


def test_a_query_selects_sorts_and_limits_rows(built: JobStore) -> None:
    query = parse_query(
        "metrics",
        '{"split": "test", "energy_mae": {"$lt": 1}}',
        fields="model, energy_mae",
        sort="-energy_mae",
        limit=2,
    )

    rows = run_query(built, query)

    small = sorted((e for e in ENERGY_ERRORS.values() if e < 1), reverse=True)
    assert [row["energy_mae"] for row in rows] == small[:2]
    assert [list(row) for row in rows] == [["model", "energy_mae"]] * 2
    assert count_rows(built, query) == len(small)


def test_rows_have_all_fields_by_default(built: JobStore) -> None:
    (row, *_) = run_query(built, parse_query("relaxations"))

    assert set(row) == set(ROWS[Collection.RELAXATIONS].model_fields)
    assert list(row)[:3] == ["study", "model", "material_id"]


def test_a_query_can_be_restricted_to_one_study(built: JobStore) -> None:
    query = parse_query("stability", '{"model": "source"}')

    assert len(run_query(built, query.for_study("demo"))) == len(MATERIALS)
    assert run_query(built, query.for_study("other")) == []
    assert query.for_study(None) == query


def test_criteria_match_elements_of_lists(built: JobStore) -> None:
    query = parse_query(
        "relaxations", '{"elements": "Mn", "failed": false, "model": "source"}'
    )

    found = {row["formula"] for row in run_query(built, query)}
    assert found == {row[0] for row in MATERIALS if "Mn" in row[0]}


def test_a_study_with_rows_is_built(built: JobStore) -> None:
    assert is_built(built, "demo")
    assert is_built(built, None)
    assert not is_built(built, "other")


READERS: dict[str, Callable[[Path], list[dict[str, object]]]] = {
    "csv": lambda path: list(csv.DictReader(path.read_text().splitlines())),
    "json": lambda path: json.loads(path.read_text()),
    "jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
    "parquet": lambda path: pq.read_table(path).to_pylist(),
}


@pytest.mark.parametrize("kind", READERS)
def test_files_hold_the_rows(built: JobStore, tmp_path: Path, kind: str) -> None:
    query = parse_query("stability", fields="model,formula,elements,same_products")
    rows = run_query(built, query)

    write_rows(rows, query, tmp_path / f"rows.{kind}")
    found = READERS[kind](tmp_path / f"rows.{kind}")

    assert [row["formula"] for row in found] == [row["formula"] for row in rows]
    if kind == "csv":
        assert found[-1]["elements"] == "Li Mn O"
    else:
        assert found == rows
    assert [file.name for file in tmp_path.iterdir()] == [f"rows.{kind}"]


def test_column_types_do_not_depend_on_the_rows(tmp_path: Path) -> None:
    query = parse_query(
        "relaxations", fields="model,failed,n_steps,fmax,elements,status"
    )

    write_rows([], query, tmp_path / "none.parquet")

    types = [str(kind) for kind in pq.read_schema(tmp_path / "none.parquet").types]
    assert types == [
        "string", "bool", "int64", "double", "list<element: string>", "string",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"collection": "relaxation"}, "expected one of models, metrics"),
        ({"query": "{status: 1}"}, r"--query: expected JSON such as \{"),
        ({"query": "[1]"}, r"expected a JSON object, got '\[1\]'"),
        ({"query": '{"stauts": 1}'}, "no field stauts; did you mean status"),
        ({"query": '{"$or": [{"x": 1}]}'}, "no field x; known: model, material_id"),
        ({"fields": "energy"}, "no field energy; did you mean"),
        ({"sort": "-n_step"}, "no field n_step; did you mean n_steps"),
    ],
    ids=["collection", "json", "list", "field", "nested", "fields", "sort"],
)
def test_an_invalid_query_is_a_one_line_error(
    options: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        parse_query(**({"collection": "relaxations"} | options))  # type: ignore[arg-type]


def test_criteria_that_the_store_rejects_are_a_one_line_error(built: JobStore) -> None:
    query = parse_query("models", '{"model": {"$foo": 1}}')

    with pytest.raises(InputError, match=r"expected a Mongo query, got: .*\$foo"):
        run_query(built, query)


def test_an_unknown_suffix_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.csv, \.json, \.jsonl, \.parquet"):
        write_rows([], parse_query("models"), tmp_path / "rows.xls")


def test_the_error_of_a_missing_folder_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*: No such file"):
        write_rows([], parse_query("models"), tmp_path / "none" / "rows.csv")


def test_rows_are_counted(built: JobStore) -> None:
    assert count_rows(built, parse_query("models")) == len(Model)
