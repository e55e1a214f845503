from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.made_up_study import (
    make_documents,
    make_evaluation,
    make_fine_tuning,
    make_study,
)
from tests.stored_study import store_document, store_study

from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.schemas.models import FinishedPotential
from nextrung.schemas.stores.provenance import ProvenanceGraph

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a finished study."""
    root = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(root))
        store_study(make_embedded_store(root), root)
    return root


def test_the_chain_of_a_row_is_drawn(call: Call, folder: Path) -> None:
    shown = call("provenance", folder, "scratch/m-Li2O")

    assert shown.code == 0
    for text in (
        "make stability/scratch fingerprint-",
        "shard 2 of 2",
        "frames frames.parquet (1 bytes)",
        '"functional": "r2SCAN"',
        "2026-01-01T00:00:00+00:00, 1800.0 s, host, cpu, nextrung 0.1.0",
        "(above)",
    ):
        assert text in shown.output


def test_a_finished_potential_is_named_like_a_model(call: Call, tmp_path: Path) -> None:
    finished = FinishedPotential(
        potential="chgnet-r2scan", functional="r2SCAN", same_functional=True
    )
    study = make_study(make_documents())
    results = study.results.model_copy(update={"finished": {"chgnet-r2scan": finished}})
    named = study.model_copy(update={"results": results})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(tmp_path))
        store = make_embedded_store(tmp_path)
        for part in ("fine_tuning", "evaluation"):
            make = make_fine_tuning if part == "fine_tuning" else make_evaluation
            document = make("chgnet-r2scan", 0.01)
            owner = ("demo", f"{part}/chgnet-r2scan")
            store_document(store, document, owner, uuid=f"uuid-of-{part}")
        store_document(store, named, ("demo", "study"), uuid="uuid-of-demo")

    shown = call("provenance", tmp_path, "chgnet-r2scan")

    assert shown.code == 0
    assert "make fine_tuning/chgnet-r2scan" in shown.output


def test_the_chain_is_one_json_object(call: Call, folder: Path) -> None:
    shown = call("provenance", folder, "uuid-of-dataset", "--json")

    lineage = ProvenanceGraph.model_validate_json(shown.output)
    assert lineage.results == ("fingerprint-of-dataset",)


def test_an_input_that_is_gone_is_drawn(call: Call, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(tmp_path))
        store = make_embedded_store(tmp_path)
        store_study(store, tmp_path)
        store.remove_docs({"uuid": "uuid-of-dataset"})

    shown = call("provenance", tmp_path, "uuid-of-fine_tuning/scratch")

    assert "dataset: fingerprint-: not in this store" in shown.output


def test_an_unknown_result_is_one_line_and_exit_code_2(
    call: Call, folder: Path
) -> None:
    ended = call("provenance", folder, "nothing")

    assert ended.code == 2
    assert ended.errors.count("\n") == 1
    assert "got nothing, which the store does not contain" in ended.errors
