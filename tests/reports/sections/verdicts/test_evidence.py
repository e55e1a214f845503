"""Evidence of verdicts over several repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.made_up_study import make_evaluations, make_hulls

from nextrung.compute.intervals import collect_errors
from nextrung.reports.sections.verdicts.choices import choose_model
from nextrung.reports.sections.verdicts.evidence import Evidence, read_evidence
from nextrung.reports.sections.verdicts.transfer import compare_transfer
from nextrung.schemas.models import Model
from nextrung.schemas.repeats import BestModel, ModelRepeats, RepeatErrors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.study import StudyResults

TRANSFERRED = Model.RESIDUAL_ATOM_REFS

#: Energies of the first repeat: transfer has a quarter of the error.
FIRST = {Model.SCRATCH: {"energy": 0.06}, TRANSFERRED: {"energy": 0.015}}


def repeat(
    results: StudyResults,
    *seeds: Mapping[Model, Mapping[str, float]],
    best: Model = TRANSFERRED,
) -> Evidence:
    """Build the evidence of a study of several seeds, the first of them first."""
    repeats = {
        model: ModelRepeats(
            repeats=[
                RepeatErrors(seed=seed, split=0, test={}, val={})
                for seed in range(len(seeds))
            ],
            spread={},
        )
        for model in seeds[0]
    }
    chosen = BestModel(model=best, val_error=0.03, test_error=0.03)
    changed = {"repeats": repeats, "best": {"energy": chosen}}
    repeated = {
        f"{part}/seed={seed},split=0": collect_errors(document)
        for seed, errors in enumerate(seeds)
        if seed
        for part, document in make_evaluations(errors).items()
    }
    return read_evidence(
        make_evaluations(seeds[0]), results.model_copy(update=changed), repeated
    )


def test_a_lead_that_other_seeds_do_not_have_is_not_claimed(
    results: StudyResults,
) -> None:
    """The first repeat shows a lead; over three repeats its interval holds zero."""
    (alone,) = compare_transfer(read_evidence(make_evaluations(FIRST)))
    other = {Model.SCRATCH: {"energy": 0.01}, TRANSFERRED: {"energy": 0.015}}
    (repeated,) = compare_transfer(repeat(results, FIRST, other, FIRST))

    assert alone.helped
    assert not repeated.helped
    assert repeated.describe().startswith("energies: no difference shown (Residual")


def test_a_lead_over_all_repeats_is_claimed_in_both_directions(
    results: StudyResults,
) -> None:
    third = {Model.SCRATCH: {"energy": 0.06}, TRANSFERRED: {"energy": 0.02}}
    evidence = repeat(results, FIRST, FIRST, third)

    helped = evidence.compare("energy", TRANSFERRED, Model.SCRATCH)
    worse = evidence.compare("energy", Model.SCRATCH, TRANSFERRED)

    assert helped
    assert worse
    ratio = np.exp((2 * np.log(0.25) + np.log(1 / 3)) / 3)
    assert helped.relative == pytest.approx(ratio - 1)
    assert worse.relative == pytest.approx(1 / ratio - 1)
    assert helped.n_repeats == 3
    assert helped.is_lower
    assert worse.is_higher


def test_the_baseline_is_compared_over_all_repeats(results: StudyResults) -> None:
    """Zero forces, 70 meV/Å: beaten by the first seed, not by the others."""
    seeds = [{Model.SCRATCH: {"forces": forces}} for forces in (0.03, 0.09, 0.12)]

    alone = read_evidence(make_evaluations(seeds[0]))
    repeated = repeat(results, *seeds)

    first = alone.compare_with_baseline("forces", Model.SCRATCH)
    every = repeated.compare_with_baseline("forces", Model.SCRATCH)
    assert first
    assert every
    assert first.is_lower
    assert not every.is_lower
    assert every.n_repeats == 3
    assert every.low < 0 < every.high


def test_errors_over_repeats_are_quoted_with_their_interval(
    results: StudyResults,
) -> None:
    seeds = [{TRANSFERRED: {"energy": energy}} for energy in (0.02, 0.03, 0.04)]
    choice = choose_model(repeat(results, *seeds), "energy")

    assert choice
    assert choice.model == TRANSFERRED
    assert choice.error == pytest.approx(0.03)
    assert choice.interval
    low, high = choice.interval
    assert low < 0.02
    assert high > 0.04
    text = choice.format_error()
    assert text.startswith("30.0 (")
    assert text.endswith(") meV/atom over 3 repeats")


def test_a_benchmark_of_the_first_repeat_alone_says_so(results: StudyResults) -> None:
    hulls = make_hulls({Model.SCRATCH: (0.03, 0.05)})
    evidence = repeat(results, FIRST, FIRST)
    both = read_evidence(hulls, None)
    joined = Evidence(
        {**evidence.val, **both.val}, {**evidence.test, **both.test}, n_repeats=2
    )
    choice = choose_model(joined, "decomposition_energy")
    assert choice
    assert choice.format_error().endswith(") meV/atom in the first repeat alone")


def test_the_model_is_chosen_on_what_all_could_predict(results: StudyResults) -> None:
    """Without results, validation errors of all repeats are averaged."""
    evidence = repeat(results, FIRST, FIRST)
    unchosen = Evidence(evidence.val, evidence.test)
    assert unchosen.choose("energy", list(Model)) == TRANSFERRED
    assert unchosen.choose("energy", [Model.SCRATCH]) == Model.SCRATCH
    assert unchosen.choose("forces", list(Model)) is None
