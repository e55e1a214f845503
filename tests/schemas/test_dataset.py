from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.dataset import DatasetSettings, SplitSettings
from nextrung.schemas.labels.curation import CorrectionScheme, CurationSettings
from nextrung.schemas.labels.sources import (
    AseSource,
    DistilledSource,
    EnergyLabel,
    MatpesSource,
    MptrjJsonSource,
    PrimaryTask,
    Source,
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
        TaskDocumentsSource(store="$JOBFLOW_CONFIG_FILE", query={"name": "static"}),
        DistilledSource(seed=3),
    ],
    ids=["vasp", "ase", "mptrj_json", "matpes", "task_files", "store", "distilled"],
)
def test_the_kind_of_a_source_survives_json(
    source: Source,
) -> None:
    settings = DatasetSettings(source=source)

    assert DatasetSettings.model_validate_json(settings.model_dump_json()) == settings


def test_an_unknown_kind_of_source_is_refused() -> None:
    with pytest.raises(ValidationError, match="'vasp', 'ase', 'mptrj_json'"):
        DatasetSettings.model_validate({"source": {"kind": "castep"}})


def test_a_split_must_leave_something_to_train_on() -> None:
    with pytest.raises(ValidationError, match=r"val 0.5 \+ test 0.5 leave no training"):
        SplitSettings(val=0.5, test=0.5)


def test_corrected_energies_are_not_corrected_again() -> None:
    with pytest.raises(ValidationError, match="uncorrected energies to correct"):
        DatasetSettings(
            source=MptrjJsonSource(paths=("a",), energy=EnergyLabel.CORRECTED),
            curation=CurationSettings(
                functional="PBE", corrections=CorrectionScheme.MP2020
            ),
        )
