"""Time commands on the embedded store of a run folder with many documents.

    OMP_NUM_THREADS=1 python benchmarks/bench_store.py --documents 500

One study is run, and its documents are stored again under other names until the store
has the number that is asked for, arrays included. Then each command is called as
a person does; the table gives the processor time of each process, start-up included.
``--keep DIR`` leaves the run folder, and takes it from there where it exists.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

from nextrung.adapters.stores.job_store import make_embedded_store

STUDY = Path(__file__).parents[1] / "workflows" / "demo.yaml"

#: Settings that shorten the study, for documents of the same sizes.
SETTINGS = (
    "models=[source,source_refit]",
    "relaxation.max_steps=5",
    "relaxation.materials_per_shard=10",
    "density=null",
    "scaling_law=null",
)


def call(*arguments: str) -> float:
    """Call a command; return its processor time in s."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", "from nextrung.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{arguments}: {done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def copy_study(documents: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Copy documents under another name of the study, with other uuids and hashes."""
    text = json.dumps(documents)
    for known in {document["uuid"] for document in documents}:
        text = text.replace(known, str(uuid.uuid4()))
    for known in set(re.findall(r'"fingerprint": "([0-9a-f]{64})"', text)):
        text = text.replace(known, hashlib.sha256((name + known).encode()).hexdigest())
    copies: list[dict[str, Any]] = json.loads(text.replace('"demo"', f'"{name}"'))
    return copies


def fill(root: Path, n_documents: int) -> int:
    """Fill the store of a run folder with copies; return the number of documents."""
    store = make_embedded_store(root)
    documents = list(store.query({}, load=True))
    for document in documents:
        document.pop("_id")
    number, n_stored = 0, len(documents)
    while n_stored < n_documents:
        copies = copy_study(documents, f"copy-{number}")
        for document in copies:
            document["metadata"]["sequence"] = 0
        store.update(copies, key=["uuid", "index"], save={"data": ["rows"]})
        n_stored += len(copies)
        number += 1
    return n_stored


def main() -> None:
    """Make the store and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    root = options.keep or Path(tempfile.mkdtemp())
    settings = [each for setting in SETTINGS for each in ("--set", setting)]
    run = ("run", str(STUDY), "--root", str(root), *settings)
    call(*run)
    n_documents = fill(root, options.documents)
    for file in (root / "store" / "db").iterdir():
        if file.name.partition(".")[0] not in {"docs", "data"}:
            file.unlink()  # rows of earlier calls
    collection = ("results", str(root), "--study", "demo", "--collection", "metrics")
    start = call("status", "--help")
    print(f"{n_documents} documents; --help {start:.1f} s of processor time")
    for name, arguments in {
        "run, answered": run,
        "results": ("results", str(root), "--study", "demo"),
        "status": ("status", str(root)),
        "report": ("report", str(root), "--study", "demo", "-o", str(root / "r.html")),
        "results --collection, first": collection,
        "results --collection, again": collection,
    }.items():
        print(f"{name:30} {call(*arguments):6.1f} s", flush=True)
    if options.keep is None:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
