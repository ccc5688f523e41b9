"""Step 2: composes the report from the state, and from nothing else."""

from typing import Any

import lastgood


async def compose(state: lastgood.SharedState) -> str:
    """Write ``report``: findings in words, and tables."""
    ranking: dict[str, Any] = await state.get("ranking")
    folder = await state.get("study.folder")
    await state.set("report.title", f"What is in {folder}")
    findings = _findings(ranking, skipped=len(await state.keys("skipped")))
    await state.append("report.findings", *findings)
    tables = [
        _table("Largest modules", ranking["modules"], name="name", files="files", lines="lines"),
        _table("Largest files", ranking["files"], name="name", lines="lines"),
        _table("Most imported", ranking["imports"], name="name", files="by files"),
        _table("Best documented", ranking["documentation"], name="name", percent="docstrings %", of="of"),
        _table("Longest functions", ranking["functions"], name="name", file="file", lines="lines"),
    ]
    await state.set("report.tables", [table for table in tables if table["rows"]])
    return f"has composed a report of {len(findings)} findings and {len(tables)} tables"


def _findings(ranking: dict[str, Any], skipped: int) -> list[str]:
    totals = ranking["totals"]
    percent = 100 * totals["documented"] // max(1, totals["documentable"])
    defined = f"{totals['functions']:,} functions and {totals['classes']:,} classes"
    findings = [
        f"{totals['files']} files with {totals['lines']:,} lines define {defined}.",
        f"{percent} % of the modules, and of the classes and functions that are public, have a docstring.",
    ]
    if ranking["functions"] and (longest := ranking["functions"][0])["lines"]:
        findings.append(f"The longest function is {longest['name']} in {longest['file']}, with {longest['lines']} lines.")
    if ranking["imports"]:
        most = ranking["imports"][0]
        findings.append(f"The module most imported is {most['name']}, by {most['files']} files.")
    if skipped:
        findings.append(f"Skipped, as they cannot be read or do not parse: {skipped} of the files.")
    return findings


def _table(title: str, ranked: list[dict[str, Any]], **columns: str) -> dict[str, Any]:
    rows = [[entry[key] for key in columns] for entry in ranked]
    return {"title": title, "columns": list(columns.values()), "rows": rows}
