from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from nextrung.schemas.labels.sources import (
    DistilledSource,
    MaterialsProjectSource,
    TaskDocumentsSource,
    VaspSource,
)


def test_environment_variables_are_stored_as_they_were_written() -> None:
    source = VaspSource(paths=("$NEXTRUNG_DATA/runs",))

    assert source.model_dump()["paths"] == ("$NEXTRUNG_DATA/runs",)


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError, match="globs"):
        TypeAdapter(VaspSource).validate_python({"paths": ["a"], "globs": "*"})


def test_made_up_crystals_are_of_elements_that_potentials_know() -> None:
    with pytest.raises(ValidationError, match="elements up to Pu, got 'Am'"):
        DistilledSource(chemical_systems=("Li-Am",))


@pytest.mark.parametrize("settings", [{}, {"paths": ["a.json"], "store": "store.yaml"}])
def test_task_documents_are_in_files_or_in_a_store(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="expected either `paths` or `store`"):
        TaskDocumentsSource.model_validate(settings)


def test_a_query_is_for_a_store() -> None:
    with pytest.raises(ValidationError, match="expected a `store` to query, got files"):
        TaskDocumentsSource(paths=("a.json",), query={"nsites": 2})


@pytest.mark.parametrize(
    "store", ["mongodb://me:secret@host/db", "type: MongoStore\npassword: secret"]
)
def test_a_study_holds_no_credentials(store: str) -> None:
    """What is refused is not repeated either."""
    with pytest.raises(ValidationError, match="expected the path of a file") as caught:
        TaskDocumentsSource(store=store)

    assert "secret" not in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    "settings", [{}, {"chemical_systems": ["Li-O"], "material_ids": ["mp-1"]}]
)
def test_materials_are_chosen_by_one_way(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="either `chemical_systems` or `material"):
        MaterialsProjectSource.model_validate(settings)


def test_an_address_holds_no_password() -> None:
    with pytest.raises(ValidationError, match="endpoint"):
        MaterialsProjectSource(material_ids=("a",), endpoint="https://me:pw@host")
