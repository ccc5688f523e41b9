"""Two agents write into one state; a reviewer looks at the work, and takes back what one of them has spoiled.

Each agent is a process of its own. The researcher does good work; the writer overwrites a good draft with garbage. The
reviewer sees what going back would change, restores the writer's part alone, and leaves the researcher's as it is.

    python examples/two_agents_and_a_reviewer.py
"""

import asyncio
import sys

import lastgood

STATE = "magazine"


async def research() -> None:
    """Be the researcher: collect findings."""
    async with lastgood.connect(agent_id="researcher") as client:
        state = client.state(STATE)
        for finding in ("snapshots are references", "a restore is a revision"):
            await state.append("research.findings", finding)


async def write() -> None:
    """Be the writer: spoil a good draft."""
    async with lastgood.connect(agent_id="writer") as client:
        state = client.state(STATE)
        await state.set("article.draft", "lorem ipsum dolor")
        await state.delete("article.title")


AGENTS = {"researcher": research, "writer": write}


async def review() -> None:
    """Be the reviewer, who also has the agents do their work."""
    async with lastgood.connect(agent_id="reviewer") as client:
        state = client.state(STATE)
        await state.set("article", {"title": "On rollback", "draft": "Going back is easy, if somebody kept the past."})
        good = await state.snapshot("before the agents")

        await asyncio.gather(*map(run_agent, AGENTS))

        print("since the snapshot:")
        for entry in await state.get_history(after=good):
            print(f"  {entry.agent_id:<10}  {entry.operation:<7} {entry.path}")

        print("restoring the article would change:")
        for difference in await state.preview(good, paths=["article"]):
            print(f"  {difference.path}: {difference.old!r} -> {difference.new!r}")

        await state.restore(good, paths=["article"])
        print("the article:", await state.get("article"))
        print("the findings:", await state.get("research.findings"))


async def run_agent(name: str) -> None:
    """Run one in a process of its own, to its end."""
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, name)
    if await process.wait():
        text = f"the {name} failed"
        raise RuntimeError(text)


if __name__ == "__main__":
    asyncio.run(AGENTS[sys.argv[1]]() if len(sys.argv) > 1 else review())
