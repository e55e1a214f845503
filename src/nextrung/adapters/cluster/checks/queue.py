"""Checks of the queue: whether Slurm accepts the jobs of every worker."""

from __future__ import annotations

import shutil
import subprocess
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

from nextrung.adapters.files.yaml_records import load_yaml
from nextrung.schemas.cluster.checks import Finding, Level, make_finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Pattern of the queue adapter files.
ADAPTER_FILES = "*/*_qadapter.yaml"

#: Timeout of sbatch in s.
TIMEOUT = 30


def check_queue(folder: Path) -> Iterator[Finding]:
    """Check with sbatch whether Slurm accepts the jobs of the workers.

    Parameters
    ----------
    folder : Path
        Configuration folder, with one folder per worker.

    Yields
    ------
    Finding
        One per queue adapter file; a warning without sbatch.
    """
    files = sorted(folder.glob(ADAPTER_FILES))
    if files and shutil.which("sbatch") is None:
        got = "no sbatch on this machine"
        yield make_finding(
            "queue", Level.WARN, got, "run doctor where jobs are submitted"
        )
        return
    for file in files:
        yield _test_script(file, str(file.relative_to(folder)))


def _test_script(file: Path, name: str) -> Finding:
    """Test one job script with Slurm, without submitting it."""
    try:
        adapter = CommonAdapter.from_dict(load_yaml(file, "queue adapter file"))
        content = adapter.get_script_str("/tmp")  # noqa: S108 - nothing runs there
    except (KeyError, ValueError, OSError) as error:
        return make_finding(
            name, Level.FAIL, f"FireWorks cannot use it: {error}", f"see {file}"
        )
    with NamedTemporaryFile("w", suffix=".sh") as script:
        script.write(content)
        script.flush()
        command = ["sbatch", "--test-only", script.name]
        try:
            done = subprocess.run(  # noqa: S603
                command,
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            got = f"Slurm did not respond within {TIMEOUT} s"
            return make_finding(name, Level.FAIL, got, "check that its controller runs")
    if done.returncode:
        reason = " ".join(done.stderr.replace("sbatch: error:", "").split())
        advice = f"change {file} to what `sinfo` shows"
        return make_finding(name, Level.FAIL, f"Slurm rejects it: {reason}", advice)
    return make_finding(name, Level.OK, f"Slurm accepts its jobs in {adapter['queue']}")
