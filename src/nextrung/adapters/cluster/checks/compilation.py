"""Compilation of the functions of numba, before workers need them."""

from __future__ import annotations

import os
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from pymatgen.core import Composition

from nextrung.adapters.files.json_split import cut_members
from nextrung.compute.stability.entries import EntryTable
from nextrung.compute.stability.hulls import build_hulls
from nextrung.schemas.cluster.checks import Finding, Level, make_finding

#: Variable of the folder of compiled code; numba writes beside the source without it.
CACHE_VARIABLE = "NUMBA_CACHE_DIR"


def compile_functions() -> Finding:
    """Compile the hulls and the splitting of JSON, or load them from the cache.

    Returns
    -------
    Finding
        How long it took, and where the compiled code is. numba keeps code for every
        processor type that compiles there, and replaces its files atomically, so that
        workers may share the folder.
    """
    folder = os.environ.get(CACHE_VARIABLE)
    if folder and not _is_writable(Path(folder)):
        got = f"{CACHE_VARIABLE}={folder} cannot be written"
        advice = "name a folder of your own, shared by all nodes"
        return make_finding("compiled code", Level.FAIL, got, advice)
    started = time.perf_counter()
    formulas = ("Li", "O", "Li2O", "LiO")
    build_hulls(
        EntryTable.from_compositions(
            list(formulas),
            [Composition(formula) for formula in formulas],
            np.array([0.0, 0.0, -6.0, -2.0]),
        )
    )
    list(cut_members(BytesIO(b'{"a": {"b": 1}}')))
    seconds = time.perf_counter() - started
    got = f"ready after {seconds:.1f} s, {folder or 'beside the source'}"
    return make_finding("compiled code", Level.OK, got)


def _is_writable(folder: Path) -> bool:
    """Return whether a folder exists, or can be made, and can be written."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return existing.is_dir() and os.access(existing, os.W_OK)
