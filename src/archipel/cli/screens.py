# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel screenshot`` and ``archipel console``: what a machine shows."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from archipel.cli.parameters import argument, flag, option
from archipel.cli.subcommands import Answer, Subcommand, as_object, name_of
from archipel.client.screens import Screens
from archipel.protocol.console import ConsoleKind

STANDARD_OUTPUT = "-"


async def _picture(screens: Screens, file: str, thumbnail: bool) -> object:
    picture = await screens.picture(thumbnail=thumbnail)
    if file != STANDARD_OUTPUT:
        Path(file).write_bytes(picture.data)  # noqa: ASYNC240 - nothing else is done meanwhile
    return picture


def _show_picture(answer: Answer) -> None:
    picture, output, file = answer.value, answer.run.output, answer.options["file"]
    if file == STANDARD_OUTPUT:
        sys.stdout.buffer.write(picture.data)
    elif output.as_json:
        output.json({"on": answer.entity.bare, "file": file, "mime": picture.mime, "width": picture.width, "height": picture.height})
    else:
        output.line(f"{name_of(answer.entity)} ({answer.entity.bare}): {picture.width} x {picture.height} in {file}")


def _show_link(answer: Answer) -> None:
    link, output = answer.value, answer.run.output
    if output.as_json:
        output.json(as_object(link))
        return
    output.line(link.url)
    output.warn(f"whoever opens this address is you, once, within {link.lifetime} seconds")


screenshot = Subcommand(
    "screenshot",
    "Write a picture (PNG) of a machine's screen to FILE; - is standard output.",
    _picture,
    (argument("file"), flag("--thumbnail", "A small one.")),
    concern=Screens,
    show=_show_picture,
).command()

console = Subcommand(
    "console",
    "Print the address of a machine's screen for a browser. It works once.",
    Screens.open_console,
    (
        option(
            "--kind",
            "The screen, or the serial console.",
            kind=click.Choice([str(kind) for kind in ConsoleKind]),
            default="vnc",
            show_default=True,
        ),
    ),
    concern=Screens,
    show=_show_link,
).command()
