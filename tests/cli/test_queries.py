from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from tests.made_up_study import MATERIALS
from tests.stored_study import store_study

from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.schemas.models import Model
from nextrung.schemas.stores.collections import Collection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Finished
    from tests.services import Database

    Call = Callable[..., Finished]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a finished study."""
    root = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(root))
        store_study(make_embedded_store(root), root)
    return root


def test_results_of_the_whole_study_are_one_table(call: Call, folder: Path) -> None:
    shown = call("results", folder)

    assert shown.code == 0
    assert "labels: distilled from chgnet-r2scan" in shown.output


def test_a_run_folder_answers_without_being_built(call: Call, folder: Path) -> None:
    shown = call(
        "results", folder, "--collection", "relaxations", "--query",
        '{"failed": true}', "--fields", "model,formula,status,error",
    )  # fmt: skip

    assert shown.code == 0
    assert "isolated_atom" in shown.output
    assert "LiO2" in shown.output


def test_long_answers_are_cut_and_say_so(call: Call, folder: Path) -> None:
    shown = call("results", folder, "--collection", "stability", "--fields", "formula")

    total = len(MATERIALS) * len(Model)
    assert f"50 of {total} rows; --limit or --output for more" in shown.output


@pytest.mark.parametrize("width", [80, 120, 400])
def test_a_table_has_the_columns_that_fit_the_terminal(
    call: Call, folder: Path, width: int
) -> None:
    options = ("--collection", "relaxations", "--limit", 20)

    shown = call("results", folder, *options, width=width).output
    told = call("results", folder, *options, "--json")

    lines = shown.splitlines()
    names = {cell.strip() for cell in lines[1].split("┃")[1:-1]}
    everything = set(json.loads(told.output)[0])
    assert {"model", "material_id", "formula"} <= names <= everything
    assert max(map(len, lines)) <= width
    text = " ".join(shown.split())
    if width == 400:
        assert names == everything
        assert "hidden" not in text
    else:
        assert "fingerprint" not in names
        n_hidden = len(everything - names)
        assert f"{n_hidden} of {len(everything)} columns hidden: " in text
        assert all(name in text for name in everything)
        assert "--fields A,B chooses columns" in text


def test_columns_that_are_asked_for_are_shown(call: Call, folder: Path) -> None:
    fields = ("--fields", "model,formula,status,n_steps")

    ended = call("results", folder, "--collection", "relaxations", *fields, width=30)

    shown = ended.output

    assert shown.splitlines()[1].count("┃") == 5
    assert "hidden" not in shown


def test_rows_are_printed_as_json(call: Call, folder: Path) -> None:
    shown = call(
        "results", folder, "--json", "--collection", "metrics", "--query",
        '{"split": "test"}', "--sort", "energy_mae", "--limit", 1,
    )  # fmt: skip

    (row,) = json.loads(shown.output)
    assert (row["model"], row["energy_mae"]) == ("residual_atom_refs", 0.0151)


def test_rows_are_written_as_a_file(call: Call, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"

    shown = call("results", folder, "--collection", "residuals", "-o", file)

    total = len(MATERIALS) * len(Model)
    assert f"{total} rows: {file}" in shown.output.replace("\n", "")
    assert pq.read_table(file).num_rows == total


def test_build_counts_what_it_wrote(call: Call, folder: Path) -> None:
    call("build", folder)

    again = call("build", folder)

    assert again.code == 0
    assert [line.split("│")[2].strip() for line in again.output.splitlines()[3:-1]] == [
        "0"
    ] * len(Collection)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--collection", "relaxations", "--query", "{"), "--query: expected JSON"),
        (("--collection", "nothing"), "--collection: expected one of models"),
        (("--query", '{"a": 1}'), "expected --collection beside --query"),
        (("--collection", "models", "-o", "x.doc"), "--output: expected a name"),
        (("--collection", "models", "--query", '{"model": {"$x": 1}}'), "got: unknown"),
    ],
    ids=["json", "collection", "alone", "suffix", "operator"],
)
def test_a_bad_query_is_one_line_and_exit_code_2(
    call: Call, folder: Path, options: tuple[str, ...], line: str
) -> None:
    ended = call("results", folder, *options)

    assert ended.code == 2
    assert line in ended.errors
    assert ended.errors.count("\n") == 1


@pytest.mark.mongo
def test_the_configured_store_is_built_and_asked(
    call: Call, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = database.write_configuration(tmp_path / "config")
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(configuration / "jobflow.yaml"))
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    store = database.job_store()
    store.connect()
    store_study(store, tmp_path)
    asked = ("results", "demo", "--json", "--collection", "models")

    before = call(*asked)
    monkeypatch.chdir(tmp_path)
    built = call("build")
    after = call(*asked)

    assert before.code == 2
    assert "got none: run `nextrung build`" in before.errors
    assert built.code == 0
    assert len(json.loads(after.output)) == len(Model)
    store.close()  # type: ignore[no-untyped-call]
