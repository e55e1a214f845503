"""Claims of a benchmark, and data of which they must not be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.made_up_study.stages import make_provenance

from nextrung.compute.benchmark import record_value, score_properties
from nextrung.compute.intervals import compare_benchmarks
from nextrung.schemas.benchmark import (
    BenchmarkDoc,
    BenchmarkFact,
    BenchmarkProperty,
    BenchmarkSettings,
)
from nextrung.schemas.evaluation import EvaluationScore, FrameResiduals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

DENSITY = BenchmarkProperty.DENSITY
ENTHALPY = BenchmarkProperty.FORMATION_ENTHALPY


def make_doc(
    model: str,
    deviations: Mapping[str, float | None],
    kind: BenchmarkProperty = DENSITY,
    frames: EvaluationScore | None = None,
) -> BenchmarkDoc:
    """A model whose values deviate from 1 as given; None without a value."""
    rows = [
        record_value(
            BenchmarkFact(
                crystal_id=name,
                formula=name.split()[0],
                property=kind,
                experiment=1.0,
                temperature=298,
                reference="made up",
            ),
            "no value" if deviation is None else 1 + deviation,
        )
        for name, deviation in deviations.items()
    ]
    return BenchmarkDoc(
        model=model,
        labels="PBE",
        settings=BenchmarkSettings(),
        properties=score_properties(rows),
        rows=rows,
        frames=frames,
        provenance=make_provenance(f"benchmark/{model}"),
    )


def name(values: ArrayLike) -> dict[str, float | None]:
    return {f"Li {index}": float(v) for index, v in enumerate(np.asarray(values))}


def test_a_clearly_lower_model_is_the_leader() -> None:
    noise = np.random.default_rng(0).uniform(0.01, 0.02, size=30)

    found = compare_benchmarks(
        [make_doc("a", name(noise + 0.05)), make_doc("b", name(noise))]
    )

    assert found.leaders == {DENSITY: "b"}
    (difference,) = found.differences
    assert difference.difference == pytest.approx(0.05)
    assert (difference.model, difference.reference) == ("a", "b")
    assert (difference.n_values, difference.p_adjusted < 0.05) == (30, True)


def test_equal_models_have_no_leader() -> None:
    rng = np.random.default_rng(1)
    docs = [make_doc(m, name(rng.normal(size=30))) for m in "abcd"]

    found = compare_benchmarks(docs)

    assert found.leaders == {}
    assert len(found.differences) == 3
    assert {mean.model for mean in found.means} == set("abcd")


def test_one_equal_model_denies_the_lead() -> None:
    """Much lower than the third, but not than the second."""
    noise = np.random.default_rng(2).uniform(0.01, 0.02, size=30)
    docs = [
        make_doc("a", name(noise)),
        make_doc("b", name(noise[::-1])),
        make_doc("c", name(noise + 1)),
    ]

    assert compare_benchmarks(docs).leaders == {}


def test_a_model_without_values_denies_the_lead() -> None:
    noise = np.random.default_rng(3).uniform(0.01, 0.02, size=30)
    docs = [
        make_doc("a", name(noise)),
        make_doc("b", name(noise + 1)),
        make_doc("c", dict.fromkeys(name(noise))),
    ]

    found = compare_benchmarks(docs)

    assert found.leaders == {}
    assert [mean.model for mean in found.means] == ["a", "b"]


def test_few_crystals_prove_nothing() -> None:
    docs = [make_doc("a", name([0.01] * 4)), make_doc("b", name([0.5, 0.6, 0.7, 0.8]))]

    found = compare_benchmarks(docs)

    assert (found.leaders, found.differences) == ({}, [])
    assert {mean.low for mean in found.means} == {None}


def test_one_model_is_compared_with_nothing() -> None:
    found = compare_benchmarks([make_doc("a", name(np.ones(9)))])

    assert (found.leaders, found.differences) == ({}, [])
    assert [mean.mean for mean in found.means] == [1.0]


def test_models_are_compared_over_the_values_that_both_have() -> None:
    """A model that leaves the difficult crystals out is not better for it."""
    difficulty = np.linspace(0.1, 1.0, 30)
    everything = name(difficulty)
    easy = {key: value * 1.5 for key, value in list(everything.items())[:10] if value}
    docs = [make_doc("all", everything), make_doc("easy", easy)]

    found = compare_benchmarks(docs)

    means = {mean.model: mean.mean for mean in found.means}
    assert means["easy"] < means["all"]
    assert found.leaders == {DENSITY: "all"}
    assert found.differences[0].n_values == 10


def test_the_bias_has_its_sign_and_the_mean_has_none() -> None:
    deviations = [-0.03, 0.01, -0.02, 0.02, -0.04, -0.01]

    found = compare_benchmarks([make_doc("a", name(deviations))])

    (bias,), (mean,) = found.biases, found.means
    assert bias.mean == pytest.approx(np.mean(deviations))
    assert mean.mean == pytest.approx(np.mean(np.abs(deviations)))
    for each in (bias, mean):
        assert each.low is not None
        assert each.high is not None
        assert each.low < each.mean < each.high


def test_compounds_of_one_anion_are_one_observation() -> None:
    """An error of O2 is in every oxide: forty oxides do not tell models apart."""
    cations = ["Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba", "Zn"]
    oxides = {f"{c}O rocksalt": 0.10 for c in cations}
    others = {f"Li{x} rocksalt": 0.02 for x in ("F", "Cl", "Br", "I")}
    lower = dict.fromkeys((*oxides, *others), 0.02)
    docs = [
        make_doc("a", {**oxides, **others}, ENTHALPY),
        make_doc("b", lower, ENTHALPY),
    ]

    assert compare_benchmarks(docs).leaders == {}
    relabelled = [
        make_doc(doc.model, name([abs(row.deviation or 0) for row in doc.rows]))
        for doc in docs
    ]
    assert compare_benchmarks(relabelled).leaders == {DENSITY: "b"}


def make_frames(errors: Sequence[float], n_atoms: Sequence[int]) -> EvaluationScore:
    n_frames = len(errors)
    return EvaluationScore(
        metrics={},
        failures=[],
        rows=FrameResiduals(
            frame_id=[f"f{index}" for index in range(n_frames)],
            material_id=[f"m{index}" for index in range(n_frames)],
            formula=["Li"] * n_frames,
            split=[""] * n_frames,
            n_atoms=list(n_atoms),
            energy_per_atom=[0.0] * n_frames,
            predicted_energy_per_atom=list(errors),
            forces_mae=list(errors),
            stress_mae=[None] * n_frames,
            magmoms_mae=[None] * n_frames,
        ),
    )


def test_total_energies_of_different_levels_of_theory_are_not_compared() -> None:
    low, high = make_frames([0.01] * 9, [1] * 9), make_frames([0.02] * 9, [1] * 9)
    alike = [make_doc("a", {}, frames=low), make_doc("b", {}, frames=high)]
    unlike = [alike[0], alike[1].model_copy(update={"labels": "r2SCAN"})]

    assert compare_benchmarks(alike).leaders == {
        "frames_energy": "a",
        "frames_forces": "a",
    }
    assert compare_benchmarks(unlike).leaders == {"frames_forces": "a"}


def test_forces_are_weighted_by_atoms_and_energies_are_not() -> None:
    frames = make_frames([1.0, 4.0], [1, 2])

    found = compare_benchmarks([make_doc("a", {}, frames=frames)])

    means = {mean.quantity: mean.mean for mean in found.means}
    assert means == {"frames_energy": 2.5, "frames_forces": 3.0}
