from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.models import Model
from nextrung.schemas.study import StudySettings


def test_defaults_are_the_whole_study() -> None:
    study = StudySettings(name="a")

    assert study.models == tuple(Model)
    assert all(
        getattr(study, stage) is not None
        for stage in ("alignment", "relaxation", "stability", "density", "scaling_law")
    )


@pytest.mark.parametrize("name", ["", "a b", "../a", "-a", "a/b"])
def test_names_that_are_no_file_names_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        StudySettings(name=name)


def test_hulls_need_relaxations() -> None:
    with pytest.raises(ValidationError, match="stability needs relaxation"):
        StudySettings(name="a", relaxation=None)


def test_models_are_asked_for_once() -> None:
    with pytest.raises(ValidationError, match="expected each model once"):
        StudySettings(name="a", models=(Model.SOURCE, Model.SOURCE))
