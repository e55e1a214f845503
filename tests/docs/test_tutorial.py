"""The tutorial as a reader follows it: every block of it is run, in order."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"

#: Settings of a first look: the same commands in minutes.
SMALLER = (
    "training.epochs=1",
    "preflight.epochs=1",
    "preflight.n_train_frames=16",
    "relaxation.max_steps=10",
    "density.n_crystals=2",
    "density.relaxation.max_steps=10",
)


def read_blocks(page: str) -> list[tuple[str, str]]:
    """The language and the text of every block that is run."""
    fenced = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return [(language, text) for language, text in fenced if language != "text"]


def cut_down(command: str) -> str:
    """Let the commands that take long take less."""
    options = "".join(f" --set {setting}" for setting in SMALLER)
    return re.sub(r"(nextrung (?:run|preflight) \S+)", rf"\1{options}", command)


def run_block(language: str, text: str, folder: Path, data: Path) -> str:
    """Run one block; what it printed."""
    binaries = Path(sys.executable).parent
    environment = os.environ | {
        "NEXTRUNG_DATA": str(data),
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "NEXTRUNG_ROOT": "",
    }
    command = {
        "bash": ["bash", "-euo", "pipefail", "-c", cut_down(text)],
        "python": [sys.executable, "-c", text],
    }[language]
    finished = subprocess.run(  # noqa: S603 - the page's own commands
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, f"{text}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout


def test_only_run_and_preflight_are_cut_down() -> None:
    assert cut_down("nextrung results a --json") == "nextrung results a --json"
    assert cut_down("nextrung run a.yaml --root b").startswith(
        "nextrung run a.yaml --set training.epochs=1"
    )


def test_links_of_the_tutorial_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", TUTORIAL.read_text())
    here = [link for link in links if not link.startswith("https://")]
    assert here
    assert all((TUTORIAL.parent / link).exists() for link in here)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser")
def test_every_block_of_the_tutorial_works(real_data: Path, tmp_path: Path) -> None:
    blocks = read_blocks(TUTORIAL.read_text())
    printed = [run_block(*block, tmp_path, real_data) for block in blocks]

    assert len(blocks) > 8
    assert any("frames of" in text for text in printed)
    results = json.loads((tmp_path / "numbers.json").read_text())
    assert results["labels"] == "r2SCAN (VASP)"
    assert results["dataset"]["n_rejected"]["hubbard_u"] > 0
    assert len(results["models"]) == 4
    for name in ("report.html", "hull.html", "relaxed.json", "my_run/preflight.html"):
        assert (tmp_path / name).stat().st_size > 1000
    for suffix in ("csv", "pdf", "png"):
        assert list((tmp_path / "figures").glob(f"*.{suffix}"))
