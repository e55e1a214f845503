from __future__ import annotations

import pytest
from pydantic import ValidationError
from tests.made_up_study import make_provenance

from nextrung.schemas.stores.collections import KEYS, ROWS, Collection
from nextrung.schemas.stores.provenance import ProvenanceGraph, ProvenanceNode


@pytest.mark.parametrize("collection", Collection)
def test_rows_have_the_fields_of_their_key(collection: Collection) -> None:
    assert set(KEYS[collection]) <= set(ROWS[collection].model_fields)


@pytest.mark.parametrize("collection", Collection)
def test_rows_are_flat(collection: Collection) -> None:
    schema = ROWS[collection].model_json_schema()
    kinds = [
        option
        for field in schema["properties"].values()
        for option in field.get("anyOf", [field])
    ]

    assert not [kind for kind in kinds if kind.get("type") == "object"]
    items = [kind["items"] for kind in kinds if kind.get("type") == "array"]
    assert all(item == {"type": "string"} for item in items)


def test_a_provenance_graph_survives_json() -> None:
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


def test_a_provenance_graph_requires_its_query() -> None:
    with pytest.raises(ValidationError, match="asked"):
        ProvenanceGraph.model_validate({"rows": {}, "results": [], "ancestors": {}})
