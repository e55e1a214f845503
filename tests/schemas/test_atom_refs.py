from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.atom_refs import AtomRefFit, AtomRefSettings
from nextrung.schemas.models import Rereference


def test_references_are_refitted_unless_said_otherwise() -> None:
    """Methods 1 and 4 of the paper refit total energies."""
    assert AtomRefSettings().kind is Rereference.REFIT


def test_the_kind_survives_json_as_an_enum() -> None:
    settings = AtomRefSettings(kind=Rereference.RESIDUAL)

    returned = AtomRefSettings.model_validate_json(settings.model_dump_json())

    assert returned.kind is Rereference.RESIDUAL


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        AtomRefSettings.model_validate({"knid": "refit"})


def test_a_fit_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValidationError, match="finite number"):
        AtomRefFit(energies={"H": float("nan")}, rmse=0, rank=1, n_frames=1)


def test_type_tags_of_stored_documents_are_dropped() -> None:
    stored = {"@module": "m", "@class": "C", "@version": None, "kind": "none"}

    assert AtomRefSettings.model_validate(stored).kind is Rereference.NONE
