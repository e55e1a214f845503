from __future__ import annotations

from typing import Any

import pytest

from nextrung.compute.curation.joined_labels import (
    merge_identities,
    validate_same_labels,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.dataset import DatasetSettings
from nextrung.schemas.labels.identity import (
    IdentitySummary,
    IdentityValue,
    LabelIdentity,
)

GPAW = LabelIdentity(
    code="GPAW", functional="PBE", plane_wave_cutoff=500.0, k_spacing=0.3
)


def make_settings(source: dict[str, Any], functional: str = "PBE") -> DatasetSettings:
    return DatasetSettings.model_validate(
        {"source": source, "curation": {"functional": functional}}
    )


def know(**values: str) -> IdentitySummary:
    """Labels of which the source says these values."""
    identities = [
        IdentityValue(field=field, value=value, n_runs=3, example="a")
        for field, value in values.items()
    ]
    return IdentitySummary(identities=identities)


GPAW_STUDY = make_settings({"kind": "gpaw_documents", "paths": ["run"]})


def test_labels_of_the_same_code_and_functional_join() -> None:
    validate_same_labels(GPAW_STUDY, IdentitySummary(), GPAW)
    validate_same_labels(GPAW_STUDY, know(plane_wave_cutoff="500 eV"), GPAW)


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"code": "VASP"}, "the code of .* GPAW, got VASP"),
        ({"code": "chgnet-r2scan"}, "GPAW, got chgnet-r2scan"),
        ({"functional": "r2SCAN"}, "the functional of .* PBE, got r2SCAN"),
        ({"functional": ""}, "PBE, got an unknown one"),
        ({"plane_wave_cutoff": 300.0}, "plane_wave_cutoff .* 500 eV, got 300 eV"),
    ],
)
def test_labels_of_another_scale_are_an_error_that_names_the_field(
    changes: dict[str, Any], got: str
) -> None:
    identity = GPAW.model_copy(update=changes)

    with pytest.raises(InputError, match=got):
        validate_same_labels(GPAW_STUDY, know(plane_wave_cutoff="500 eV"), identity)


def test_k_points_and_versions_may_differ() -> None:
    known = know(k_spacing="0.1 to 0.2 1/Å", version="24.6.0")
    identity = GPAW.model_copy(update={"version": "25.7.0"})

    validate_same_labels(GPAW_STUDY, known, identity)


def test_distilled_labels_join_those_of_the_same_teacher_alone() -> None:
    study = make_settings({"kind": "distilled", "teacher": "chgnet-0.3.0"})
    teacher = LabelIdentity(code="chgnet-0.3.0", functional="PBE")

    validate_same_labels(study, IdentitySummary(), teacher)
    other = teacher.model_copy(update={"code": "chgnet-r2scan"})
    with pytest.raises(InputError, match=r"chgnet-0\.3\.0, got chgnet-r2scan"):
        validate_same_labels(study, IdentitySummary(), other)


def test_a_source_of_unknown_code_takes_labels_of_its_functional() -> None:
    study = make_settings({"kind": "ase", "paths": ["a.xyz"], "functional": "PBE"})

    validate_same_labels(study, IdentitySummary(), GPAW)
    other = GPAW.model_copy(update={"functional": "SCAN"})
    with pytest.raises(InputError, match=r"functional .* PBE, got SCAN"):
        validate_same_labels(study, IdentitySummary(), other)


def test_runs_that_join_are_counted_by_value() -> None:
    added = [*know(code="GPAW").identities, *know(version="25").identities]

    merged = merge_identities(know(code="GPAW"), added)

    assert {(each.field, each.n_runs) for each in merged.identities} == {
        ("code", 6),
        ("version", 3),
    }
