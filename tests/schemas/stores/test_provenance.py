from __future__ import annotations

import pytest
from pydantic import ValidationError
from tests.made_up_study import make_provenance

from nextrung.schemas.stores.provenance import ProvenanceGraph, ProvenanceNode


def test_a_chain_survives_json() -> None:
    ancestor = ProvenanceNode(
        uuid="u",
        name="evaluate",
        document="EvaluationDoc",
        study="demo",
        model="scratch",
        facts={"labels": "r2SCAN", "n_frames": 3},
        settings={"splits": ["test"]},
        artifacts={},
        parents={"dataset": "d"},
        provenance=make_provenance("evaluation"),
    )
    chain = ProvenanceGraph(
        asked="u", rows={}, results=("a",), nodes={"a": ancestor}, missing=("d",)
    )

    assert ProvenanceGraph.model_validate_json(chain.model_dump_json()) == chain


def test_a_chain_names_what_was_asked() -> None:
    with pytest.raises(ValidationError, match="asked"):
        ProvenanceGraph.model_validate({"rows": {}, "results": [], "ancestors": {}})
