# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel completion``: what makes a shell complete this command."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: archipel completion bash > ~/.local/share/bash-completion/completions/archipel
    zsh:  archipel completion zsh > "${fpath[1]}/_archipel"
    fish: archipel completion fish > ~/.config/fish/completions/archipel.fish
    """  # noqa: D301 - click wants the backspace itself
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(kind(ctx.find_root().command, {}, "archipel", "_ARCHIPEL_COMPLETE").source())
