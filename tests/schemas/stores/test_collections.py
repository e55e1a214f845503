from __future__ import annotations

import pytest

from nextrung.schemas.stores.collections import KEYS, ROWS, Collection


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
