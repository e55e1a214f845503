"""Checks of the inputs of commands, before anything is computed or written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nextrung.potentials.potential import Potential
    from nextrung.schemas.labels.sources import Source
    from nextrung.schemas.study import StudySettings


def validate_potential(name: str) -> None:
    """Check that a potential can be loaded: its name, its file and what that holds."""
    from nextrung.potentials.registry import load_potential

    load_potential(name, "cpu")


def choose_folder_source(folder: Path) -> Source:
    """Read a folder as a run folder of GPAW labels, or else as VASP runs."""
    from nextrung.adapters.sources.gpaw_documents import holds_gpaw_documents
    from nextrung.schemas.labels.sources import GpawDocumentsSource, VaspSource

    paths = (str(folder.resolve()),)
    if holds_gpaw_documents(folder):
        return GpawDocumentsSource(paths=paths)
    return VaspSource(paths=paths)


def validate_inputs(settings: StudySettings, file: Path) -> None:
    """Check the data files and potentials that a study needs."""
    from nextrung.adapters.files.crystals.elastic_crystals import read_elastic_crystals
    from nextrung.adapters.files.crystals.experimental_crystals import digest_crystals
    from nextrung.adapters.sources.registry import list_source_files
    from nextrung.potentials.physics.runner import require_physics

    try:
        for _, source in _list_sources(settings):
            list_source_files(source)
        if settings.density:
            digest_crystals(settings.density)
        if settings.physics:
            read_elastic_crystals(settings.physics.crystals)
            read_elastic_crystals(settings.physics.molecular_dynamics.crystals)
            require_physics(settings.physics)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    _validate_potentials(settings, file)


def validate_labels(settings: StudySettings, file: Path) -> None:
    """Check what a study needs before its benchmarks."""
    without = dict.fromkeys(("density", "physics"))
    validate_inputs(settings.model_copy(update=without), file)


def validate_submission(settings: StudySettings, file: Path) -> None:
    """Check that workers, which run elsewhere, find the potentials of a study."""
    _validate_potentials(settings, file, elsewhere=True)


def _validate_place(name: str) -> None:
    """Check that the files of a potential are found from any folder."""
    from nextrung.potentials.registry import find_files

    if not all(found.is_absolute() for found in find_files(name)):
        raise InputError(
            "expected the name of a shipped potential or an absolute path that "
            f"workers find, got {name}"
        )


def _validate_potentials(
    settings: StudySettings, file: Path, *, elsewhere: bool = False
) -> None:
    """Load every potential of a study, and check that it can do what it is for."""
    from nextrung.potentials.atom_refs import require_atom_refs
    from nextrung.potentials.registry import load_potential

    for where, name in _list_potentials(settings):
        try:
            if elsewhere:
                _validate_place(name)
            potential = load_potential(name, "cpu")
            if where == "source":
                _validate_recipes(settings, potential)
            elif where.startswith("alignment.") and where.endswith("_references"):
                require_atom_refs(potential)
        except InputError as error:
            raise InputError(f"{file}: {where}: {error}") from error


def _validate_recipes(settings: StudySettings, source: Potential) -> None:
    """Check that every model of a study can be made from its source."""
    from nextrung.potentials.atom_refs import validate_recipe
    from nextrung.schemas.models import find_recipe

    trained = settings.scaling_law.models if settings.scaling_law else ()
    for model in (*settings.models, *trained):
        try:
            validate_recipe(source, find_recipe(model))
        except InputError as error:
            raise InputError(f"{error} (model {model})") from error


def _list_sources(settings: StudySettings) -> Iterator[tuple[str, Source]]:
    """List the sources of labels of a study with their keys."""
    yield "dataset.source", settings.dataset.source
    if settings.alignment and settings.alignment.source:
        yield "alignment.source", settings.alignment.source


def _list_potentials(settings: StudySettings) -> Iterator[tuple[str, str]]:
    """List the potentials of a study with their keys."""
    yield "source", settings.source
    for index, name in enumerate(settings.finished):
        yield f"finished[{index}]", name
    for where, source in _list_sources(settings):
        if source.kind == "distilled":
            yield f"{where}.teacher", source.teacher
    if settings.alignment:
        for key in ("source_references", "target_references"):
            if name := getattr(settings.alignment, key):
                yield f"alignment.{key}", name
