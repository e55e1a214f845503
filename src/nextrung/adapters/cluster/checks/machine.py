"""Look at this machine: GPU, disk, environment, packages, modes of files."""

from __future__ import annotations

import os
import shutil
import stat
from importlib.metadata import requires
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from packaging.requirements import Requirement

from nextrung.adapters.cluster.checks.store import installed_version
from nextrung.schemas.cluster.checks import Finding, Level, make_finding
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Free space in GB below which a study should not start, or cannot.
LITTLE_SPACE = 50
NO_SPACE = 1

#: Variables that keep processes from taking each other's cores.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

#: Files of a configuration folder that hold the password.
SECRET_FILES = ("my_launchpad.yaml", "jobflow.yaml", ".env")


def check_machine(folder: Path) -> Iterator[Finding]:
    """Look at the machine this process runs on.

    Parameters
    ----------
    folder : Path
        Configuration folder.

    Yields
    ------
    Finding
        Packages, GPU, run folder, threads, configuration of FireWorks, secrets.
    """
    yield _check_packages()
    yield _check_gpus()
    yield _check_run_folder(MachineSettings().root)
    yield _check_threads()
    yield _check_fireworks(folder)
    yield _check_secrets(folder)


def _check_packages() -> Finding:
    """Name the packages that are not as this package wants them."""
    wanted = [Requirement(line) for line in requires("nextrung") or ()]
    needed = [one for one in wanted if not one.marker or one.marker.evaluate()]
    wrong = [
        f"{one.name} {found} (needs {one.specifier})"
        for one in needed
        if (found := installed_version(one.name)) == "none"
        or found not in one.specifier
    ]
    if wrong:
        advice = "`pip install -c constraints.txt nextrung`"
        return make_finding("packages", Level.FAIL, ", ".join(wrong), advice)
    names = ("nextrung", "torch", "chgnet", "jobflow")
    shown = ", ".join(f"{name} {installed_version(name)}" for name in names)
    return make_finding("packages", Level.OK, shown)


def _check_gpus() -> Finding:
    """Name the GPUs that torch sees."""
    count = torch.cuda.device_count()
    if count == 0:
        got = f"none visible to torch {torch.__version__}"
        return make_finding("GPU", Level.WARN, got, "fine on a node that only submits")
    names = {torch.cuda.get_device_name(number) for number in range(count)}
    return make_finding("GPU", Level.OK, f"{count} × {', '.join(sorted(names))}")


def _check_run_folder(root: Path) -> Finding:
    """Say whether artifacts can be written, and how much space is left."""
    subject = "run folder"
    if not root.is_absolute():
        advice = "export NEXTRUNG_ROOT, an absolute path: source env.sh"
        return make_finding(subject, Level.FAIL, f"{root} is relative", advice)
    place = next(path for path in (root, *root.parents) if path.exists())
    if not os.access(place, os.W_OK):
        advice = "name a folder of your own in NEXTRUNG_ROOT"
        return make_finding(subject, Level.FAIL, f"{place} cannot be written", advice)
    free = shutil.disk_usage(place).free / 1e9
    level = Level.WARN if free < LITTLE_SPACE else Level.OK
    level = Level.FAIL if free < NO_SPACE else level
    advice = "" if level is Level.OK else "free space, or move NEXTRUNG_ROOT"
    return make_finding(subject, level, f"{root}, {free:.0f} GB free", advice)


def _check_threads() -> Finding:
    """Name the thread variables that are not 1."""
    wrong = [name for name in THREAD_VARIABLES if os.environ.get(name) != "1"]
    if wrong:
        got = ", ".join(f"{name}={os.environ.get(name, '')}" for name in wrong)
        return make_finding(
            "threads", Level.WARN, got, "export them as 1: source env.sh"
        )
    return make_finding("threads", Level.OK, "one BLAS thread per process")


def _check_fireworks(folder: Path) -> Finding:
    """Say which FW_config.yaml FireWorks reads: the first of three places wins."""
    subject, wanted = "FW_config.yaml", folder / "FW_config.yaml"
    for place in (Path.cwd(), Path.home() / ".fireworks"):
        shadow = place / "FW_config.yaml"
        if shadow.is_file() and shadow.resolve() != wanted.resolve():
            advice = f"move it away: FireWorks reads it in place of {wanted}"
            return make_finding(subject, Level.WARN, f"{shadow} is there", advice)
    named = os.environ.get("FW_CONFIG_FILE", "")
    if not named or Path(named).resolve() != wanted.resolve():
        got = f"FW_CONFIG_FILE names {named or 'nothing'}"
        return make_finding(subject, Level.WARN, got, f"source {folder}/env.sh")
    return make_finding(subject, Level.OK, str(wanted))


def _check_secrets(folder: Path) -> Finding:
    """Name the files with a password that others can read."""
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
    return make_finding("passwords", Level.OK, "for their owner alone")
