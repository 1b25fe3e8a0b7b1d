# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the command: its global options, its profile, its session."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import IO, Any, Concatenate, ParamSpec, Protocol, TypeVar

import click
from rich.text import Text

from archipel.cli.exit_codes import ExitCode, as_json, exit_code, exit_code_of_all
from archipel.cli.finder import Finder
from archipel.cli.output import Output, printable
from archipel.cli.start import INTERRUPTED
from archipel.client import password as passwords
from archipel.client.errors import LoginMissing
from archipel.client.failures import EXPECTED, describe
from archipel.client.profile import DEFAULT, Profile, ProfileFile
from archipel.client.session import Session
from archipel.client.settings import ConnectionSettings

P = ParamSpec("P")
ReturnT = TypeVar("ReturnT")
TELL_AFTER = 2.0  # seconds; whoever waits longer wants to know for what


class OpenSession(Protocol):
    """How a session is made; :class:`~archipel.client.session.Session` unless a test says otherwise."""

    def __call__(self, settings: ConnectionSettings, *, reconnect: bool = False) -> AbstractAsyncContextManager[Session]:
        """Return what logs in when it is entered."""
        ...


@dataclass
class Invocation:
    """The global options."""

    profile_name: str = DEFAULT
    hypervisors: tuple[str, ...] = ()
    as_json: bool = False
    open_session: OpenSession = Session

    @functools.cached_property
    def output(self) -> Output:
        """Where results go."""
        return Output(as_json=self.as_json)

    def run(self, work: Callable[[Run], Awaitable[ReturnT]], *, reconnect: bool = False) -> ReturnT:
        """Log in with the profile, do ``work``, log out."""
        profile = ProfileFile().load(self.profile_name)
        return self.run_as(profile, passwords.load(profile), work, reconnect=reconnect)

    def run_as(self, profile: Profile, password: str, work: Callable[[Run], Awaitable[ReturnT]], *, reconnect: bool = False) -> ReturnT:
        """Log in with a profile that need not be stored yet."""
        try:
            settings = profile.settings(password)
        except ValueError as error:
            raise LoginMissing(f"profile {profile.name!r}: {error}") from None

        async def do_work() -> ReturnT:
            async with self.open_session(settings, reconnect=reconnect) as session:
                return await work(Run(session, self.output, Finder(session, self.hypervisors or profile.hypervisors)))

        return asyncio.run(do_work())


@dataclass
class Run:
    """What a command works with."""

    session: Session
    output: Output
    finder: Finder
    errors: list[BaseException] = field(default_factory=list)

    def note(self, what: str, error: BaseException) -> None:
        """Tell an error that does not end the command, and let it decide how the command ends."""
        self.errors.append(error)
        words = describe(error)
        self.output.warn(words if words.startswith(what) else f"{what}: {words}")

    @asynccontextmanager
    async def working(self, words: str) -> AsyncIterator[Callable[[str], None]]:
        """Show ``words`` on a terminal if what is done meanwhile takes its time; yields what shows other words instead."""
        status = self.output.status(words)
        waiting = asyncio.get_running_loop().call_later(TELL_AFTER, status.start)
        try:
            yield lambda other: status.update(Text(printable(other)))
        finally:
            waiting.cancel()
            status.stop()


def in_session(function: Callable[Concatenate[Run, P], Awaitable[None]] | None = None, *, reconnect: bool = False) -> Callable[..., Any]:
    """Make a command of a coroutine function that wants a :class:`Run`."""
    if function is None:
        return functools.partial(in_session, reconnect=reconnect)

    @functools.wraps(function)
    def command(*args: P.args, **options: P.kwargs) -> None:
        invocation = click.get_current_context().find_object(Invocation)
        if invocation is None:
            raise TypeError("the command was not called through archipel")
        invocation.run(lambda run: function(run, *args, **options), reconnect=reconnect)

    return command


class Commands(click.Group):
    """The group of all commands, which turns expected errors into a line and an exit code."""

    def make_context(self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any) -> click.Context:
        """Read the options that stand before the command's name."""
        given = list(args)
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise WrongUsage(error, Output(as_json="--json" in given)) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        _set_up_logging()
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # whoever read our output has enough of it; click ends quietly
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise WrongUsage(error, Output(as_json=ctx.params["as_json"])) from None
        except EXPECTED as error:
            invocation = ctx.find_object(Invocation) or Invocation()
            invocation.output.fail(describe(error), as_json(error))
            ctx.exit(exit_code(error))
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(INTERRUPTED)


class WrongUsage(click.ClickException):
    """What is wrong with the arguments, in one line, and where it is told how they should be."""

    exit_code = ExitCode.USAGE

    def __init__(self, error: click.UsageError, output: Output) -> None:
        program = error.ctx.command_path if error.ctx else "archipel"
        super().__init__(f"{' '.join(error.format_message().split())} See: {program} --help")
        self._output = output

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line; ``file`` is click's, and stays unused: errors have their place."""
        self._output.fail(self.message, {"error": self.message, "exit_code": int(self.exit_code)})


def _set_up_logging() -> None:
    """Let only our own warnings through: what slixmpp logs is told as an error already, or may hold what was sent."""
    logging.basicConfig(level=logging.CRITICAL, format="archipel: %(message)s")
    logging.getLogger("archipel").setLevel(logging.WARNING)


def end_with(errors: list[BaseException]) -> None:
    """End the command as its errors say; return if there are none."""
    code = exit_code_of_all(errors)
    if code != ExitCode.OK:
        raise click.exceptions.Exit(code)
