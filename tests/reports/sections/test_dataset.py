"""The section of the data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.reports.browser import figures_of, html_of

from nextrung.reports.sections.dataset import report_dataset
from nextrung.schemas.labels.identity import IdentitySummary, IdentityValue, Mixture

if TYPE_CHECKING:
    from nextrung.schemas.study import StudyDoc


def test_rejections_are_counted_by_rule_and_listed_by_name(study: StudyDoc) -> None:
    html = html_of(report_dataset(study))
    assert "Of 42 frames or unreadable files, 33 were kept and 9 rejected" in html
    assert "hubbard u" in html
    assert "functional</td>" not in html
    assert "expected U = 0, got U = 5.3 eV on Fe" in html


def test_names_are_escaped(study: StudyDoc) -> None:
    html = html_of(report_dataset(study))
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "Fe&amp;O" in html


def test_a_data_set_without_rejections_has_a_note(study: StudyDoc) -> None:
    dataset = study.results.dataset.model_copy(
        update={"n_rejected": {"duplicate": 0}, "rejections": []}
    )
    results = study.results.model_copy(update={"dataset": dataset})
    clean = study.model_copy(update={"results": results})
    assert "No frame of 42 was rejected." in html_of(report_dataset(clean))


def test_every_element_is_a_row_of_the_figure(study: StudyDoc) -> None:
    (figure,) = figures_of(report_dataset(study)).values()
    assert figure.columns == {
        "element": ["Li", "Mn", "O"],
        "n_frames": [18, 18, 27],
    }


def with_identity(study: StudyDoc, identity: IdentitySummary) -> StudyDoc:
    dataset = study.results.dataset.model_copy(update={"identity": identity})
    results = study.results.model_copy(update={"dataset": dataset})
    return study.model_copy(update={"results": results})


def test_mixtures_are_said_with_their_size_and_twins_are_named(study: StudyDoc) -> None:
    values = [
        IdentityValue(field="potential Mn", value=title, n_runs=count, example="a/b")
        for title, count in (("PAW_PBE Mn_pv", 3), ("PAW_PBE Mn", 1))
    ]
    mixture = Mixture(
        field="potential Mn", values=values, energy_difference=0.0873, composition="MnO"
    )
    apart = mixture.model_copy(update={"energy_difference": None, "composition": None})
    found = IdentitySummary(
        identities=values, mixtures=[mixture, apart], same_crystals=[["job-1", "job-2"]]
    )

    html = html_of(report_dataset(with_identity(study, found)))

    assert "PAW_PBE Mn_pv (3 runs), PAW_PBE Mn (1 run)" in html
    assert "the lowest energies of MnO differ by 87 meV/atom" in html
    assert "no two of them share a composition" in html
    assert "One crystal of several names: job-1, job-2." in html


def test_labels_of_one_kind_are_not_called_mixed(study: StudyDoc) -> None:
    value = IdentityValue(field="code", value="VASP", n_runs=3, example="a/b")

    html = html_of(
        report_dataset(with_identity(study, IdentitySummary(identities=[value])))
    )

    assert "How the accepted runs were calculated" in html
    assert "mixed" not in html
    assert "One crystal" not in html


def test_frames_with_each_label_are_counted_and_absent_labels_are_said(
    study: StudyDoc,
) -> None:
    html = html_of(report_dataset(study))

    assert (
        "Frames with each label: energy 33 of 33, forces 33 of 33, stress 21 of 33, "
        "magmoms 0 of 33. Errors of magmoms cannot be computed without labels."
    ) in html


def test_labels_that_were_not_counted_are_not_called_absent(study: StudyDoc) -> None:
    dataset = study.results.dataset.model_copy(update={"n_frames_by_label": {}})
    results = study.results.model_copy(update={"dataset": dataset})

    html = html_of(report_dataset(study.model_copy(update={"results": results})))

    assert "Frames with each label" not in html
