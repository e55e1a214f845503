"""The questions of ``docs/queries.md``, asked of a real MongoDB as they stand there."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.made_up_study import ENERGY_ERRORS, make_stability
from tests.stored_study import store_study

from nextrung.adapters.stores.builders import build_collections
from nextrung.adapters.stores.queries import parse_query
from nextrung.schemas.models import Model
from nextrung.schemas.stores.collections import ROWS, Collection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.database import Database as MongoDatabase
    from tests.services import Database, Mongod

pytestmark = pytest.mark.mongo

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "queries.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
TITLES = re.findall(r"^\*\*(.*?)\*\*", PAGE.read_text(), re.MULTILINE)
QUESTIONS = dict(
    zip(TITLES, (block for block in BLOCKS if "answer =" in block), strict=True)
)


@pytest.fixture(scope="module")
def database(
    mongod: Mongod, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A database with the stored study and its collections."""
    folder = tmp_path_factory.mktemp("asked")
    named = mongod.database()
    store = named.job_store()
    store.connect()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(folder))
        store_study(store, folder)
        build_collections(store)
    store.close()  # type: ignore[no-untyped-call]
    yield named
    named.drop()


def ask(database: Database, beginning: str, **names: object) -> dict[str, Any]:
    """Run a question; give back the names it leaves behind."""
    (request,) = (text for title, text in QUESTIONS.items() if beginning in title)
    with database.mongod.client() as client:
        db: MongoDatabase[dict[str, Any]] = client[database.name]
        left: dict[str, Any] = {"db": db, "study": "demo", **names}
        exec(compile(request, str(PAGE), "exec"), left)  # noqa: S102 - ours
    return left


def test_there_are_six_questions() -> None:
    assert len(QUESTIONS) == 6


def test_methods_are_ranked_by_their_test_error(database: Database) -> None:
    answer = ask(database, "How large are the errors")["answer"]

    ranked = sorted(ENERGY_ERRORS, key=ENERGY_ERRORS.__getitem__)
    assert [row["model"] for row in answer] == ranked
    assert {*answer[0]} == {"_id", "model", "energy_mae", "forces_mae", "stress_mae"}


def test_materials_that_method_4_alone_makes_stable_are_named(
    database: Database,
) -> None:
    answer = ask(database, "Which materials does method 4")["answer"]

    hull = make_stability(Model.REFITTED_ATOM_REFS, ENERGY_ERRORS["refitted_atom_refs"])  # type: ignore[index]
    expected = [
        row.material_id
        for row in hull.rows.to_records()
        if row.predicted_stable and row.target_stable is False
    ]
    assert [row["material_id"] for row in answer] == expected


def test_the_slowest_shards_come_first(database: Database) -> None:
    """The second shard of each model took 200 s, the first 100 s."""
    answer = ask(database, "Which shards")["answer"]

    assert [row["wall_time"] for row in answer] == [200.0] * 8 + [100.0] * 2
    assert answer[0]["shard"] == 1
    assert answer[0]["host"] == "host"


def test_failures_are_counted_by_element(database: Database) -> None:
    answer = ask(database, "Which elements make")["answer"]

    failed: Counter[str] = Counter()
    for model, error in ENERGY_ERRORS.items():
        for row in make_stability(model, error).rows.to_records():
            if row.predicted_energy_per_atom is None:
                failed.update(row.chemical_system.split("-"))
    assert {row["_id"]: row["n_failed"] for row in answer} == dict(failed)


def test_the_worst_test_structures_name_their_worst_frame(database: Database) -> None:
    answer = ask(database, "Which test structures")["answer"]

    assert {row["formula"] for row in answer} == {"Li2O2", "MnO2", "LiMnO2"}
    assert all(row["worst_frame_id"] == f"{row['formula']}-2" for row in answer)
    errors = [row["energy_mae"] for row in answer]
    assert errors == sorted(errors, reverse=True)


def test_a_checkpoint_leads_to_its_labels(database: Database) -> None:
    left = ask(database, "What was this checkpoint", checkpoint_sha256="0" * 64)

    assert left["answer"]["labels"] == "distilled from chgnet-r2scan"
    assert left["labels"]["output"]["n_frames"] == 33
    assert left["labels"]["output"]["settings"]["curation"]["functional"] == "r2SCAN"


@pytest.mark.parametrize("title", QUESTIONS)
def test_every_question_names_known_fields(title: str) -> None:
    collection = re.search(r"db\.(\w+)", QUESTIONS[title])
    assert collection is not None
    known = {*ROWS[Collection(collection[1])].model_fields, "_id"}
    first = QUESTIONS[title].partition("labels =")[0]

    assert set(re.findall(r'"([a-z]\w*)": (?:1|True|False|study)\b', first)) <= known


@pytest.mark.parametrize("page", [PAGE, ROOT / "README.md"], ids=["queries", "readme"])
def test_commands_ask_what_can_be_answered(page: Path) -> None:
    text = page.read_text().replace("\\\n", " ")
    commands = re.findall(
        r"^nextrung results \S+ (--collection .*)$", text, re.MULTILINE
    )

    for command in commands:
        words = shlex.split(command, comments=True)
        options = dict(zip(words[::2], words[1::2], strict=True))
        request = parse_query(
            options["--collection"],
            options.get("--query", "{}"),
            fields=options.get("--fields", ""),
            sort=options.get("--sort", ""),
        )
        assert request.criteria
    assert commands


def test_every_collection_is_explained() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)

    assert listed == list(Collection)


def test_mrun_builds_the_same(database: Database, tmp_path: Path) -> None:
    """From a fresh database, in two processes."""
    (script,) = (block for block in BLOCKS if "__builders__" in block)
    (tmp_path / "build.py").write_text(script)
    fresh = database.mongod.database()
    folder = fresh.write_configuration(tmp_path / "config")
    store = fresh.job_store()
    store.connect()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(tmp_path))
        store_study(store, tmp_path)
    environment = os.environ | {
        "JOBFLOW_CONFIG_FILE": str(folder / "jobflow.yaml"),
        "NEXTRUNG_ROOT": str(tmp_path),
    }

    subprocess.run(  # noqa: S603 - ours
        [Path(sys.executable).with_name("mrun"), "--no_bars", "-n", "2", "build.py"],
        cwd=tmp_path,
        env=environment,
        check=True,
    )

    with database.mongod.client() as client:
        for collection in Collection:
            built, expected = (
                list(client[name][collection.value].find({}, {"_id": 0}))
                for name in (fresh.name, database.name)
            )
            assert sorted(built, key=json.dumps) == sorted(expected, key=json.dumps)
    store.close()  # type: ignore[no-untyped-call]
    fresh.drop()
