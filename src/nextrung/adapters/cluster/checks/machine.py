"""Checks of this machine: packages, GPUs, disk, environment and file modes."""

from __future__ import annotations

import os
import shutil
import stat
from importlib.metadata import requires
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from nextrung.adapters.cluster.checks.gpus import check_gpus
from nextrung.adapters.cluster.checks.store import installed_version
from nextrung.adapters.cluster.config_files import SECRET_FILES
from nextrung.potentials.catalogue import list_installed_versions
from nextrung.schemas.cluster.checks import Finding, Level, make_finding
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Free disk space in GB below which a warning and a failure are reported.
LITTLE_SPACE = 50
NO_SPACE = 1

#: Variables of the number of BLAS threads per process.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def check_machine(folder: Path) -> Iterator[Finding]:
    """Check packages, GPUs, run folder, threads, FireWorks files and file modes.

    Parameters
    ----------
    folder : Path
        Configuration folder.
    """
    yield _check_packages()
    yield from check_gpus()
    yield _check_run_folder(MachineSettings().root)
    yield _check_threads()
    yield _check_fireworks(folder)
    yield _check_secrets(folder)


def _check_packages() -> Finding:
    """List the packages that are missing or of another version than required."""
    all_requirements = [Requirement(line) for line in requires("nextrung") or ()]
    needed = [r for r in all_requirements if not r.marker or r.marker.evaluate()]
    wrong = [
        f"{each.name} {found} (needs {each.specifier})"
        for each in needed
        if (found := installed_version(each.name)) == "none"
        or found not in each.specifier
    ]
    if wrong:
        advice = "`pip install -c constraints.txt nextrung`"
        return make_finding("packages", Level.FAIL, ", ".join(wrong), advice)
    names = ("nextrung", "torch", "jobflow")
    versions = {name: installed_version(name) for name in names}
    versions |= list_installed_versions()  # of the families of potentials
    shown = ", ".join(f"{name} {found}" for name, found in versions.items())
    return make_finding("packages", Level.OK, shown)


def _check_run_folder(root: Path) -> Finding:
    """Check that artifacts can be written, and the free disk space."""
    subject = "run folder"
    if not root.is_absolute():
        advice = "export NEXTRUNG_ROOT, an absolute path: source env.sh"
        return make_finding(subject, Level.FAIL, f"{root} is relative", advice)
    existing = next(path for path in (root, *root.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        advice = "name a folder of your own in NEXTRUNG_ROOT"
        return make_finding(
            subject, Level.FAIL, f"{existing} cannot be written", advice
        )
    free = shutil.disk_usage(existing).free / 1e9
    level = Level.WARN if free < LITTLE_SPACE else Level.OK
    level = Level.FAIL if free < NO_SPACE else level
    advice = "" if level is Level.OK else "free space, or move NEXTRUNG_ROOT"
    return make_finding(subject, level, f"{root}, {free:.0f} GB free", advice)


def _check_threads() -> Finding:
    """List the thread variables that are not 1."""
    wrong = [name for name in THREAD_VARIABLES if os.environ.get(name) != "1"]
    if wrong:
        got = ", ".join(f"{name}={os.environ.get(name, '')}" for name in wrong)
        return make_finding(
            "threads", Level.WARN, got, "export them as 1: source env.sh"
        )
    return make_finding("threads", Level.OK, "one BLAS thread per process")


def _check_fireworks(folder: Path) -> Finding:
    """Check which FW_config.yaml FireWorks reads, the first of three."""
    subject, expected = "FW_config.yaml", folder / "FW_config.yaml"
    for parent in (Path.cwd(), Path.home() / ".fireworks"):
        other = parent / "FW_config.yaml"
        if other.is_file() and other.resolve() != expected.resolve():
            advice = f"move it: FireWorks reads it instead of {expected}"
            return make_finding(subject, Level.WARN, f"{other} exists", advice)
    named = os.environ.get("FW_CONFIG_FILE", "")
    if not named or Path(named).resolve() != expected.resolve():
        got = f"FW_CONFIG_FILE names {named or 'nothing'}"
        return make_finding(subject, Level.WARN, got, f"source {folder}/env.sh")
    return make_finding(subject, Level.OK, str(expected))


def _check_secrets(folder: Path) -> Finding:
    """List the files with a password that other users can read."""
    files = [folder / name for name in SECRET_FILES]
    opened = [
        file
        for file in files
        if file.is_file() and stat.S_IMODE(file.stat().st_mode) & 0o077
    ]
    if opened:
        names = " ".join(map(str, opened))
        got = f"others can read {', '.join(file.name for file in opened)}"
        return make_finding("passwords", Level.WARN, got, f"chmod 600 {names}")
    return make_finding("passwords", Level.OK, "readable by their owner only")
