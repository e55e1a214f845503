"""Page of the site on the command line, made from the commands themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer.main
from mkdocs.structure.files import File

from nextrung.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_INTRODUCTION = """# Command line

Every command with its arguments and options, read out of the commands themselves;
`nextrung COMMAND --help` says the same. Exit code 0 means that all was done, 1 that the
answer is no (`preflight`: no-go; `doctor`: a check failed) or that a job failed, 2 that
the input cannot be used, which one line explains.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated page to the site.

    Parameters
    ----------
    files : Files
        Files of the site.
    config : MkDocsConfig
        Configuration of the site.

    Returns
    -------
    Files
        The same, with one more page.
    """
    uri = "reference/commands.md"
    files.append(File.generated(config, uri, content=write_commands()))
    return files


def write_commands() -> str:
    """Write the page on the command line.

    Returns
    -------
    str
        Markdown.
    """
    return "\n\n".join([_INTRODUCTION, *map(_write_command, walk())]) + "\n"


def walk() -> Iterator[Any]:
    """Visit every command that does something, in the order of the help.

    Yields
    ------
    Context
        Context of click for the command; groups of commands are left out.
    """
    command = typer.main.get_command(app)
    waiting: list[Any] = [command.make_context("nextrung", [], resilient_parsing=True)]
    while waiting:
        context = waiting.pop(0)
        group = context.command
        if not hasattr(group, "list_commands"):
            yield context
            continue
        waiting[:0] = [
            type(context)(
                group.get_command(context, name), info_name=name, parent=context
            )
            for name in group.list_commands(context)
        ]


def _write_command(context: Any) -> str:  # noqa: ANN401 - typer's own copy of click
    """Write usage, help, arguments and options of one command."""
    command = context.command
    usage = command.get_usage(context).removeprefix("Usage: ")
    parts = [f"## {context.command_path}", f"```text\n{usage}\n```", command.help or ""]
    for kind, title in (("argument", "Arguments"), ("option", "Options")):
        found = [p for p in command.get_params(context) if p.param_type_name == kind]
        records = [p.get_help_record(context) for p in found if "--help" not in p.opts]
        rows = [_write_row(*record) for record in records if record]
        if rows:
            parts.append(f"| {title} | |\n|---|---|\n" + "\n".join(rows))
    return "\n\n".join(parts)


def _write_row(names: str, help_text: str) -> str:
    """Write one argument or option as a row."""
    cells = (f"`{names}`", " ".join(help_text.split()).replace("<", "&lt;"))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
