from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import render
from nextrung.reports.sections.atom_refs import list_atom_refs
from nextrung.schemas.atom_refs import AtomRefDoc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.base import TaskDoc


def find_fit(documents: Mapping[str, TaskDoc]) -> AtomRefDoc:
    fit = documents["atom_refs/refit"]
    assert isinstance(fit, AtomRefDoc)
    return fit


def test_every_element_has_its_energy_before_and_after(
    documents: Mapping[str, TaskDoc],
) -> None:
    (listed,) = list_atom_refs({"refit": find_fit(documents)})
    text = render(listed)
    assert "21 frames, rank 2, residual 100.0 meV/atom" in text
    for value in ("-9.0", "-17.0", "-8.0"):
        assert f'value="{value}"' in text


def test_references_that_were_kept_are_called_so(
    documents: Mapping[str, TaskDoc],
) -> None:
    kept = find_fit(documents).model_copy(update={"fit": None})
    (listed,) = list_atom_refs({"none": kept})
    assert "those of the source" in render(listed)
