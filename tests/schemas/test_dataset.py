from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from nextrung.schemas.dataset import (
    MPTRJ_TOLERANCES,
    AseSource,
    DatasetSettings,
    DistilledSource,
    EnergyLabel,
    MatpesSource,
    MptrjJsonSource,
    PrimaryTask,
    Source,
    SplitSettings,
    TaskDocumentsSource,
    VaspSource,
)


@pytest.mark.parametrize(
    "source",
    [
        VaspSource(paths=("$NEXTRUNG_DATA/runs",)),
        AseSource(paths=("frames.xyz",), functional="PBE"),
        MptrjJsonSource(paths=("MPtrj.json",), energy=EnergyLabel.CORRECTED),
        MatpesSource(paths=("MatPES.json.gz",)),
        TaskDocumentsSource(paths=("tasks.json",), primary_task=PrimaryTask.NAMESAKE),
        DistilledSource(seed=3),
    ],
    ids=lambda source: source.kind,
)
def test_the_kind_of_a_source_survives_json(
    source: Source,
) -> None:
    settings = DatasetSettings(source=source)

    assert DatasetSettings.model_validate_json(settings.model_dump_json()) == settings


def test_environment_variables_are_stored_as_they_were_written() -> None:
    source = VaspSource(paths=("$NEXTRUNG_DATA/runs",))

    assert source.model_dump()["paths"] == ("$NEXTRUNG_DATA/runs",)


def test_an_unknown_kind_of_source_is_refused() -> None:
    with pytest.raises(ValidationError, match="'vasp', 'ase', 'mptrj_json'"):
        DatasetSettings.model_validate({"source": {"kind": "castep"}})


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError, match="globs"):
        TypeAdapter(VaspSource).validate_python({"paths": ["a"], "globs": "*"})


def test_a_split_must_leave_something_to_train_on() -> None:
    with pytest.raises(ValidationError, match=r"val 0.5 \+ test 0.5 leave no training"):
        SplitSettings(val=0.5, test=0.5)


def test_duplicates_are_judged_more_loosely_the_more_frames_are_accepted() -> None:
    steps = [level.more_than for level in MPTRJ_TOLERANCES]
    for name in ("energy", "length", "site", "angle"):
        values = [getattr(level, name) for level in MPTRJ_TOLERANCES]
        assert values == sorted(values)
    assert steps == [-1, 10, 30, 50]
