"""``retention`` and ``compact``: how long the past is kept, and giving up what need not be."""

from dataclasses import asdict, replace
from datetime import timedelta
from typing import Annotated, Any

import typer

import lastgood
from lastgood import Compaction, Retention, RetentionInForce
from lastgood.cli import jsonform, quantities, render
from lastgood.cli.command import command
from lastgood.cli.existing import exists, require_any
from lastgood.cli.failures import WrongUsageError
from lastgood.cli.options import Given, Yes
from lastgood.cli.terminal import confirm, say

OptionalState = Annotated[
    str | None, typer.Argument(metavar="STATE", show_default=False, help="Id of a state or a workflow; without it, all.")
]


def _length(name: str, text: str) -> Any:  # noqa: ANN401 - an option of typer
    return typer.Option(name, metavar="TIME", show_default=False, parser=quantities.length, help=text)


def _count(name: str, text: str) -> Any:  # noqa: ANN401 - an option of typer
    return typer.Option(name, metavar="N", min=1, show_default=False, help=text)


Revisions = Annotated[int | None, _count("--revisions", "Keep the newest N revisions.")]
Age = Annotated[timedelta | None, _length("--age", "Keep the revisions that are younger.")]
Bytes = Annotated[
    int | None,
    typer.Option(
        "--bytes", metavar="SIZE", show_default=False, parser=quantities.size, help="Keep so much of the newest revisions."
    ),
]
Ttl = Annotated[timedelta | None, _length("--ttl", "Delete what nobody has written for so long, as a whole.")]
Checkpoints = Annotated[int | None, _count("--checkpoints", "Keep the last N checkpoints of a workflow.")]
Superseded = Annotated[timedelta | None, _length("--superseded", "Drop what has been superseded for so long.")]
DryRun = Annotated[bool, typer.Option("--dry-run", show_default=False, help="Only show what would go.")]
Clear = Annotated[bool, typer.Option("--clear", show_default=False, help="Remove the policy.")]


def register(app: typer.Typer) -> None:
    """Add them."""
    command(
        app,
        "retention",
        example="""
            lastgood retention --checkpoints 20 --superseded 7d --yes
            lastgood retention trip --revisions 1000 --age 30d --bytes 10MB
            lastgood retention trip --clear
        """,
        document="""
            {"state": null for the default, "own",
             "retention": {"revisions", "age", "bytes", "ttl", "checkpoints",
               "superseded"} or null}; times in seconds
        """,
        notes="TIME is such as 90s, 15m, 12h or 7d; SIZE such as 512KB, 10MB or 1GiB.",
    )(retention)
    command(
        app,
        "compact",
        example="""
            lastgood compact --dry-run
            lastgood compact trip --yes --json
        """,
        document="""
            {"states", "revisions", "checkpoints", "effects", "deleted", "copies",
             "damaged", "bytes"}; with --dry-run what would go
        """,
    )(compact)


async def retention(  # noqa: PLR0913 - what a policy consists of
    given: Given,
    state: OptionalState = None,
    revisions: Revisions = None,
    age: Age = None,
    bytes: Bytes = None,  # noqa: A002 - named as the option
    ttl: Ttl = None,
    checkpoints: Checkpoints = None,
    superseded: Superseded = None,
    *,
    clear: Clear = False,
    yes: Yes = False,
) -> None:
    """Say how long the past is kept; or tell it.

    Of all states and workflows; with STATE of one, whose policy replaces that of all. The rules given are set, and the other
    rules of that policy stay. The daemon applies it every now and then. What exceeds one of the bounds goes, but never the
    present, nor what a snapshot or a checkpoint refers to, nor the last good checkpoint.

    Where something would go by that now, it shows how much, and asks; without a terminal it needs --yes then.
    """
    policy = Retention(revisions, age, bytes, ttl, checkpoints, superseded)
    changes = clear or policy != Retention()
    if clear and policy != Retention():
        text = "--clear removes the policy, and goes with no other option"
        raise WrongUsageError(text)
    async with given.connect() as client:
        found = await client.get_retention(state)
        if changes:
            own = found.retention if found.own or state is None else None
            wanted = None if clear else _changed(own, policy)
            if went := _counts(await _foreseen(client, state, wanted)):
                confirm(f"{went} would go. Set it?", f"{went} would go by that policy, for good", yes=yes)
            await client.set_retention(wanted, state)
            found = await client.get_retention(state)
        known = state is None or await exists(client, state)
    if given.json:
        jsonform.write({"state": state, "own": found.own, "retention": _document(found.retention)})
    else:
        say(_told(state, found))
        if not known:
            say(f"there is no state or workflow {state!r} yet")


async def compact(given: Given, state: OptionalState = None, *, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Give up now what the policies let go of.

    It shows what would go, and asks; without a terminal it needs --yes, unless nothing would go. Where there is much to do,
    give it a longer --timeout.
    """
    async with given.connect() as client:
        if state is not None:
            await require_any(client, state)
        found = await client.compact(state, dry_run=True)
        if not dry_run:
            if went := _counts(found):
                confirm(f"{went} would go, for good. Go on?", f"{went} would go, for good", yes=yes)
            found = await client.compact(state)
    if given.json:
        names = ("states", "revisions", "checkpoints", "effects", "deleted", "copies", "damaged", "bytes")
        jsonform.write({name: getattr(found, name) for name in names} | ({"dry_run": True} if dry_run else {}))
    elif dry_run:
        say(f"would give up {_counts(found) or 'nothing'}")
    else:
        say(_went(found))


def _document(policy: Retention | None) -> dict[str, object] | None:
    if policy is None:
        return None
    return {
        "revisions": policy.revisions,
        "age": _seconds(policy.age),
        "bytes": policy.bytes,
        "ttl": _seconds(policy.ttl),
        "checkpoints": policy.checkpoints,
        "superseded": _seconds(policy.superseded),
    }


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()


def _told(state: str | None, found: RetentionInForce) -> str:
    whose = "all" if state is None else state if found.own else f"{state}, as all"
    if found.retention is None:
        return f"{whose}: everything is kept; no policy is set"
    policy = found.retention
    kept = {
        "revisions": policy.revisions,
        "age": None if policy.age is None else quantities.length_text(policy.age),
        "bytes": None if policy.bytes is None else quantities.size_text(policy.bytes),
        "ttl": None if policy.ttl is None else quantities.length_text(policy.ttl),
        "checkpoints": policy.checkpoints,
        "superseded": None if policy.superseded is None else quantities.length_text(policy.superseded),
    }
    said = ", ".join(f"{name} {bound}" for name, bound in kept.items() if bound is not None)
    return f"{whose}: {said or 'everything is kept'}"


def _changed(present: Retention | None, given: Retention) -> Retention:
    """Return a policy with the rules that were given, and the others as they are."""
    rules = {name: value for name, value in asdict(given).items() if value is not None}
    return replace(present or Retention(), **rules)


async def _foreseen(client: lastgood.Client, state: str | None, policy: Retention | None) -> Compaction:
    """Return what would go by a policy; without one, what would go by that of all."""
    if policy is None:
        policy = (await client.get_retention()).retention if state is not None else None
    return await client.compact(state, dry_run=True, retention=policy or Retention())


def _counts(found: Compaction) -> str:
    went = [
        _counted(found.revisions, "revision", "revisions"),
        _counted(found.checkpoints, "checkpoint", "checkpoints"),
        _counted(found.effects, "superseded effect", "superseded effects"),
        _counted(found.deleted, "whole state", "whole states"),
        _counted(found.copies, "copy of a checkpoint", "copies of checkpoints"),
    ]
    return ", ".join(filter(None, went))


def _went(found: Compaction) -> str:
    said = _counts(found) or "nothing"
    freed = f"; the file is {render.size(found.bytes)} smaller" if found.bytes else ""
    damaged = f"; {found.damaged} damaged, see the daemon's log" if found.damaged else ""
    return f"gave up {said}{freed}{damaged}"


def _counted(number: int, one: str, many: str) -> str:
    return "" if not number else f"{number:,} {one if number == 1 else many}"
