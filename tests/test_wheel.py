"""The built wheel, in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Seconds within which the demo has to have finished its first jobs.
PATIENCE = 600


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as a release would."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--quiet",
        "--wheel-dir",
    ]
    subprocess.run([*command, str(folder), str(ROOT)], check=True)  # noqa: S603 - ours
    (built,) = folder.glob("nextrung-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel alone; the path of its command.

    Dependencies are those of the environment of the tests, which lie behind it on the
    path: an editable installation there is not seen.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    dependencies = next(path for path in sys.path if path.endswith("site-packages"))
    (site_packages / "dependencies.pth").write_text(f"{dependencies}\n")
    command = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    arguments = ["install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*command, *arguments], check=True)  # noqa: S603 - ours
    return folder / "bin" / "nextrung"


def test_the_wheel_holds_templates_studies_and_page_files(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    for folder in ("launchpad_configs", "workflows"):
        files = {
            f"nextrung/{file.relative_to(ROOT)}"
            for file in (ROOT / folder).rglob("*.yaml")
        }
        assert len(files) > 5
        assert files <= names
    package = ROOT / "src" / "nextrung"
    data = {
        f"nextrung/{file.relative_to(package)}"
        for suffix in ("css", "csv", "js", "md", "parquet", "typed")
        for file in package.rglob(f"*.{suffix}")
    }
    assert data <= names
    assert not [name for name in names if name.startswith("tests")]


@pytest.mark.slow
def test_an_installed_wheel_makes_a_configuration_folder(
    installed: Path, tmp_path: Path
) -> None:
    environment = {"NEXTRUNG_MONGO_PASSWORD": "secret", "PATH": "/usr/bin:/bin"}
    arguments = [
        "init",
        "config",
        "--host",
        "127.0.0.1:9",
        "--root",
        str(tmp_path / "run"),
    ]

    ended = subprocess.run(  # noqa: S603 - ours
        [str(installed), *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (tmp_path / "config" / "machine.yaml").is_file(), ended.stderr
    assert (tmp_path / "config" / "gpu" / "my_qadapter.yaml").is_file()
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_an_installed_wheel_runs_the_first_jobs_of_the_demo(
    installed: Path, tmp_path: Path
) -> None:
    """Labels are read, references fitted; then the run is interrupted."""
    study = ROOT / "workflows" / "demo.yaml"
    arguments = ["run", str(study), "--root", str(tmp_path / "demo")]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - ours
            [str(installed), *arguments],
            cwd=tmp_path,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while "✓ fit atom refs" not in (tmp_path / "log").read_text():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(1)
    finally:
        process.terminate()
        process.wait(60)
    assert len([*(tmp_path / "demo" / "artifacts").rglob("*.parquet")]) >= 2
