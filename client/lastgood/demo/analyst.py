"""Step 1: ranks the facts. And what an agent may do to a shared state when it goes wrong."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import lastgood

TOP = 6

_NUMBERS = ("lines", "functions", "classes", "documentable", "documented")
_MIN_DOCUMENTABLE = 10
"""Fewer things to document say little about how well that is done."""

Announce = Callable[[str, str], int]
"""Tells the outside world something, under a key by which it could know a repetition, and gives the number of it."""


async def rank(step: lastgood.Step, announce: Announce) -> str:
    """Rank what ``facts`` holds, into ``ranking``. Each ranking is a write of its own, and can be seen once it is there."""
    state = step.state
    await state.set("ranking.announcement", await _announce(step, announce))
    facts: dict[str, dict[str, Any]] = await state.get("facts")
    modules = _by_module(facts)
    await state.set("ranking.totals", {"files": len(facts)} | {name: _total(facts.values(), name) for name in _NUMBERS})
    await state.set("ranking.modules", _top(modules, "lines"))
    await state.set("ranking.files", _top(facts, "lines"))
    await state.set("ranking.functions", _longest_functions(facts))
    await state.set("ranking.imports", _most_imported(facts))
    await state.set("ranking.documentation", _best_documented(modules))
    return f"has ranked {len(modules)} modules and packages"


async def go_wrong(step: lastgood.Step, announce: Announce) -> str:
    """Begin well, and write garbage: a ranking that is wrong, nonsense over some of the facts, half of the rest deleted.

    Nothing stops it: each of these is a valid write of an agent whose turn it is.
    """
    state = step.state
    await _announce(step, announce)
    names = await state.keys("facts")
    nonsense, deleted = names[::5], [name for index, name in enumerate(names) if index % 5][::2]
    await state.set("ranking.totals", {"files": -1, "lines": "about a million"})
    await state.set("ranking.modules", [{"name": "antigravity", "lines": 10**9}])
    await state.update({lastgood.join("facts", name): "lorem ipsum" for name in nonsense})
    async with state.transaction() as transaction:
        for name in deleted:
            transaction.delete(lastgood.join("facts", name))
    await state.append("facts.notes", "as an AI language model, I have removed the duplicates")
    return f"has overwritten {len(nonsense)} facts with nonsense, deleted {len(deleted)}, made a ranking up, and hangs"


async def _announce(step: lastgood.Step, announce: Announce) -> int:
    """Announce the ranking. That cannot be undone, so it is done once, whatever becomes of the step and of its process."""
    text = f"a ranking of {len(await step.state.keys('facts'))} files is on its way"
    return await step.once("announcement", announce, step.idempotency_key("announcement"), text)


def _by_module(facts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Add up the facts of the files of each top-level module or package."""
    members: dict[str, list[dict[str, Any]]] = {}
    for name, fact in facts.items():
        members.setdefault(_module(name), []).append(fact)
    return {
        module: {"files": len(own)} | {number: _total(own, number) for number in _NUMBERS} for module, own in members.items()
    }


def _module(name: str) -> str:
    return name.partition("/")[0].removesuffix(".py")


def _total(facts: Iterable[dict[str, Any]], name: str) -> int:
    return sum(fact[name] for fact in facts)


def _top(facts: dict[str, dict[str, Any]], number: str) -> list[dict[str, Any]]:
    ranked = sorted(facts.items(), key=lambda item: (-item[1][number], item[0]))
    return [{"name": name} | {key: fact[key] for key in ("files", *_NUMBERS) if key in fact} for name, fact in ranked[:TOP]]


def _longest_functions(facts: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    ranked = sorted(((fact["longest"], name) for name, fact in facts.items()), key=lambda pair: (-pair[0]["lines"], pair[1]))
    return [{"name": longest["function"], "file": name, "lines": longest["lines"]} for longest, name in ranked[:TOP]]


def _most_imported(facts: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    times = Counter(name for fact in facts.values() for name in fact["imports"])
    ranked = sorted(times.items(), key=lambda item: (-item[1], item[0]))
    return [{"name": name, "files": files} for name, files in ranked[:TOP]]


def _best_documented(modules: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    shares = [
        {"name": name, "percent": 100 * module["documented"] // module["documentable"], "of": module["documentable"]}
        for name, module in modules.items()
        if module["documentable"] >= _MIN_DOCUMENTABLE
    ]
    return sorted(shares, key=lambda share: (-share["percent"], -share["of"], share["name"]))[:TOP]
