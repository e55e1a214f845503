"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Where = Annotated[
    str,
    typer.Argument(
        metavar="WHERE", help="Run folder, or name of a study on the cluster."
    ),
]
StudyName = Annotated[
    str | None,
    typer.Option(
        "--study",
        metavar="NAME",
        help="Study of a run folder with several.",
        show_default="finished last",
    ),
]
Configuration = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="DIR",
        help="Configuration folder of the cluster.",
        show_default="that of env.sh",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]

StudyFile = Annotated[
    Path, typer.Argument(metavar="STUDY.yaml", help="Study file, YAML.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Replace a setting of the study, such as training.epochs=5; repeatable.",
    ),
]
Recompute = Annotated[
    list[str] | None,
    typer.Option(
        "--recompute",
        metavar="STAGE",
        help="Compute a stage, such as fine_tuning, and all that depends on it again; "
        "repeatable.",
    ),
]
Root = Annotated[
    Path | None,
    typer.Option("--root", metavar="DIR", help="Run folder.", show_default="runs/NAME"),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        envvar="NEXTRUNG_DEVICE",
        help="Device that computes: auto, cpu, cuda or cuda:N.",
    ),
]

FramesFile = Annotated[
    Path, typer.Argument(metavar="FRAMES.parquet", help="Frames file, Parquet.")
]
Potential = Annotated[
    str,
    typer.Option(
        "--model",
        help="Potential: a name of `nextrung models`, such as chgnet-r2scan, "
        "ase:module:factory, or a checkpoint file.",
    ),
]
Source = Annotated[
    str,
    typer.Option(
        "--source",
        help="Potential to start from: a name of `nextrung models`, such as "
        "chgnet-0.3.0, or a checkpoint file.",
    ),
]
StageRoot = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Run as jobs whose documents are kept in this run folder; what it holds "
        "is not computed again.",
        show_default="keep nothing",
    ),
]
