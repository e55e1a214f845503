from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobflow import OutputReference

from nextrung.adapters.stores.job_store import find_documents
from nextrung.makers.scaling_law import ScalingLawMaker
from nextrung.schemas.models import Model, Rereference
from nextrung.schemas.scaling_law import ScalingLawSettings

if TYPE_CHECKING:
    from jobflow import Flow, JobStore


def test_every_size_of_every_model_is_a_point(documents: dict[str, Any]) -> None:
    points = documents["scaling_law"].points

    zero = [point for point in points if point.n_frames == 0]
    assert [point.model for point in zero] == [Model.SOURCE_REFIT]
    trained = [point for point in points if point.n_frames > 0]
    assert [point.model for point in trained] == [
        Model.REFITTED_ATOM_REFS,
        Model.REFITTED_ATOM_REFS,
        Model.SCRATCH,
        Model.SCRATCH,
    ]


def make_flow(**settings: object) -> Flow:
    """The flow of two sizes of two models, over references of no job."""
    doc: Any = OutputReference("made-before")
    maker = ScalingLawMaker(
        settings=ScalingLawSettings.model_validate({"sizes": [4, 8], **settings})
    )
    refs = dict.fromkeys(Rereference, doc)
    return maker.make(doc, doc, refs, untrained=doc)


def test_references_are_fitted_to_the_frames_of_each_training() -> None:
    flow = make_flow(n_repeats=2)

    jobs: list[Any] = list(flow)
    fits = {
        job.uuid: job.maker.settings
        for job in jobs
        if job.name.startswith("fit atom refs")
    }
    trainings = [job for job in jobs if job.name.startswith("fine tune")]
    assert len(fits) == 4
    assert len(trainings) == 8
    for job in trainings:
        (references,) = fits.keys() & set(job.input_uuids)
        training, fit = job.maker.settings, fits[references]
        assert (fit.n_train_frames, fit.seed) == (
            training.n_train_frames,
            training.seed,
        )


def test_references_of_the_training_split_need_no_further_fit() -> None:
    flow = make_flow(fitted_references="training_split")

    assert not any(job.name.startswith("fit atom refs") for job in flow)
    assert all(
        set(job.input_uuids) == {"made-before"}
        for job in flow
        if job.name.startswith("fine tune")
    )


def test_subsets_are_fitted_by_the_references_of_their_own_frames(
    finished_store: JobStore,
) -> None:
    """The references of the scratch model on 4 frames are a fit to 4 frames."""
    fits = find_documents(finished_store, {"output.settings.n_train_frames": 4})

    sizes = {
        found["output"]["fit"]["n_frames"] for found in fits if "fit" in found["output"]
    }
    assert sizes == {4}


def test_points_count_the_frames_that_are_scored_and_those_that_are_not(
    documents: dict[str, Any],
) -> None:
    n_val = documents["dataset"].n_frames_by_split["val"]

    for point in documents["scaling_law"].points:
        assert point.n_scored + point.n_unscored == n_val
        assert point.undertrained == (point.n_frames > 0)  # one epoch tells nothing


def test_larger_sizes_hold_more_frames(documents: dict[str, Any]) -> None:
    points = documents["scaling_law"].points

    small, large = (point.n_frames for point in points if point.model is Model.SCRATCH)
    assert small < large


def test_zero_point_is_the_error_of_the_refitted_source(
    documents: dict[str, Any],
) -> None:
    zero = documents["scaling_law"].points[0]

    assert zero.energy_mae is not None
    assert zero.energy_mae > 0
