from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.files.artifacts import artifact_path, hash_file, store_artifact
from nextrung.schemas.base import Artifact, InputError
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """A stored file with the content ``content``."""
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path / "root"))
    path = tmp_path / "unfinished.pth.tar"
    path.write_bytes(b"content")
    return store_artifact(path, "checkpoints")


def test_a_stored_file_is_named_by_its_content(
    artifact: Artifact, tmp_path: Path
) -> None:
    digest = hashlib.sha256(b"content").hexdigest()

    assert artifact.path == f"checkpoints/{digest}.pth.tar"
    assert artifact_path(artifact).read_bytes() == b"content"
    assert not (tmp_path / "unfinished.pth.tar").exists()


def test_the_same_content_is_stored_once(artifact: Artifact, tmp_path: Path) -> None:
    again = tmp_path / "again.pth.tar"
    again.write_bytes(b"content")

    assert store_artifact(again, "checkpoints") == artifact
    assert len(list(artifact_path(artifact).parent.iterdir())) == 1


def test_only_complete_files_are_stored(artifact: Artifact) -> None:
    folder = MachineSettings().artifacts

    files = [path for path in folder.rglob("*") if path.is_file()]

    assert files == [folder / artifact.path]


def test_the_error_of_a_missing_artifact_names_it(artifact: Artifact) -> None:
    artifact_path(artifact).unlink()

    with pytest.raises(InputError, match=r"artifact missing: expected a file at .*tar"):
        artifact_path(artifact)


def test_a_truncated_artifact_is_rejected(artifact: Artifact) -> None:
    artifact_path(artifact).write_bytes(b"conten")

    with pytest.raises(InputError, match="expected 7 bytes, got 6 in"):
        artifact_path(artifact)


def test_a_changed_byte_is_detected(artifact: Artifact) -> None:
    artifact_path(artifact).write_bytes(b"contenT")

    with pytest.raises(InputError, match="artifact damaged: expected sha256"):
        artifact_path(artifact)


def test_hashes_are_those_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")

    assert hash_file(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()
