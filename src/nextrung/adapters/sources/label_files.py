"""Label files: Parquet files of frames with how they were calculated.

Those of the package are in ``adapters/files/labels``; ``workflows/gpaw_labels`` makes
them.
"""

from __future__ import annotations

from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import ValidationError

from nextrung.adapters.files.frames import read_frames, read_metadata, write_frames
from nextrung.adapters.files.paths import expand_files
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.identity import LabelIdentity
from nextrung.schemas.labels.sources import LabelFilesSource, LastFrame
from nextrung.schemas.labels.trajectory import Trajectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

#: Folder of the files of the package.
_FOLDER: Final = Path(str(files("nextrung.adapters.files") / "labels"))

#: Keys of a file's metadata.
_IDENTITY, _PROVENANCE = "identity", "provenance"

#: Fields of the identity in which the runs of a file may differ.
_OF_CRYSTALS: Final = {"potentials", "potential_hashes", "k_spacing"}


def read_label_files(
    source: LabelFilesSource, on_progress: Callable[[int, int, str], None]
) -> Iterator[Trajectory]:
    """Read the files of a source; consecutive frames of one material form a run.

    Parameters
    ----------
    source : LabelFilesSource
        Paths of the files, or the name of a file of the package.
    on_progress : callable
        Receives the number of files read, of all files, and the name of the next.

    Raises
    ------
    InputError
        If a file is missing, is no label file, or differs in code or functional from
        the others.
    """
    paths = find_label_files(source)
    _validate_one_kind(paths)
    for index, path in enumerate(paths):
        on_progress(index, len(paths), path.name)
        frames, identity = read_frames(path), read_identity(path)
        ids = frames.material_ids
        edges = [0, *(np.flatnonzero(ids[1:] != ids[:-1]) + 1), len(ids)]
        for start, end in pairwise(edges):
            run = frames[start:end]
            final = float(run.energies[-1] / run.n_atoms[-1])
            relaxed = source.last_frame is LastFrame.RELAXED
            yield Trajectory(
                frames=run,
                converged=np.full(len(run), fill_value=True),
                plane_wave_cutoff=identity.plane_wave_cutoff or np.nan,
                relaxed_energy=final if relaxed else np.nan,
                hubbard_u=max(identity.hubbard_us.values(), default=0.0),
                hubbard_us=identity.hubbard_us,
                identity=_of_elements(identity, run),
            )


def write_label_file(
    runs: Sequence[Trajectory], path: Path, provenance: Mapping[str, Any]
) -> None:
    """Write the frames of calculations that were made in one way.

    Parameters
    ----------
    runs : sequence of Trajectory
        Calculations with their identities; those of a material one after the other,
        that of its relaxed structure last.
    path : Path
        File to write.
    provenance : mapping
        Where the calculations come from, as JSON values.

    Raises
    ------
    InputError
        If the calculations differ in more than elements and k-point spacing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    identity = _merge([run.identity for run in runs if run.identity is not None])
    metadata = {_IDENTITY: identity.model_dump(), _PROVENANCE: dict(provenance)}
    write_frames(Frames.concatenate([run.frames for run in runs]), path, metadata)


def find_label_files(source: LabelFilesSource) -> list[Path]:
    """Find the files of a source.

    Parameters
    ----------
    source : LabelFilesSource
        Paths of the files, or the name of a file of the package.

    Raises
    ------
    InputError
        If a file does not exist.
    """
    if source.shipped is not None:
        return [_FOLDER / f"{source.shipped}.parquet"]
    return expand_files(source.paths, "a label file")


def name_calculation(source: LabelFilesSource) -> str:
    """Name the code of the labels of a source with its version, such as ``GPAW 25.7``.

    Parameters
    ----------
    source : LabelFilesSource
        Paths of the files, or the name of a file of the package.
    """
    identity = read_identity(find_label_files(source)[0])
    version = ".".join(identity.version.split(".")[:2])
    return f"{identity.code} {version}".strip()


def read_identity(path: Path) -> LabelIdentity:
    """Read how the frames of a file were calculated.

    Parameters
    ----------
    path : Path
        A label file.

    Raises
    ------
    InputError
        If it does not say.
    """
    try:
        return LabelIdentity.model_validate(read_metadata(path)[_IDENTITY])
    except (KeyError, ValidationError) as error:
        raise InputError(
            f"expected a label file, got one without the identity of labels in {path}"
        ) from error


def _validate_one_kind(paths: Sequence[Path]) -> None:
    """Validate that the files agree in code and functional."""
    first, *others = [(path, read_identity(path)) for path in paths]
    for path, identity in others:
        for field in ("code", "functional"):
            expected, got = getattr(first[1], field), getattr(identity, field)
            if expected != got:
                raise InputError(
                    f"expected the {field} {expected} of {first[0]}, got {got} in "
                    f"{path}"
                )


def _merge(identities: Sequence[LabelIdentity]) -> LabelIdentity:
    """Join identities that differ in elements and k-point spacing alone."""
    if not identities:
        raise InputError("expected calculations with an identity, got none")
    first = identities[0].model_dump(exclude=_OF_CRYSTALS)
    merged: dict[str, Any] = {"potentials": {}, "potential_hashes": {}}
    for identity in identities:
        for name, value in identity.model_dump(exclude=_OF_CRYSTALS).items():
            _validate_equal(name, first[name], value)
        for name, of_element in merged.items():
            for element, value in getattr(identity, name).items():
                known = of_element.setdefault(element, value)
                _validate_equal(f"{name} of {element}", known, value)
    spacings = [each.k_spacing for each in identities if each.k_spacing is not None]
    merged["k_spacing"] = max(spacings, default=None)
    return identities[0].model_copy(update=merged)


def _validate_equal(what: str, known: object, got: object) -> None:
    """Validate that two calculations have the same value."""
    if known != got:
        raise InputError(f"expected one {what} in a label file, got {known} and {got}")


def _of_elements(identity: LabelIdentity, run: Frames) -> LabelIdentity:
    """Restrict an identity to the elements of a run."""
    elements = {str(each) for each in run[:1].compositions()[0].elements}
    of_elements = {
        name: {key: of[key] for key in sorted(elements & of.keys())}
        for name in ("potentials", "potential_hashes", "hubbard_us")
        for of in (getattr(identity, name),)
    }
    return identity.model_copy(update=of_elements)
