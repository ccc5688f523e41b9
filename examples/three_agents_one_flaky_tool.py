"""Three agents plan a journey. The tool that books the rooms fails twice, and still each room is booked exactly once.

Each agent is a process of its own, and does one step. First the agency does not answer the booker: an exception, which fails
the step. Then the booker dies right after a booking, before it could note that. Each time a fresh process resumes.

    python examples/three_agents_one_flaky_tool.py
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import lastgood
from lastgood import Step

WORKFLOW = "journey"
STOPS = ["Rome", "Naples", "Palermo"]
BOOKINGS = ["Rome: room 1", "Naples: room 2", "Palermo: room 3"]
UNANSWERED, DEADLY = 2, 4  # which of the calls to the agency go wrong
FAILURES = [1, -signal.SIGKILL]  # how the bookers of these two calls end


class Agency:
    """The outside world: what is booked here no rollback takes back. It keeps a file of calls and one of bookings."""

    def __init__(self, folder: str) -> None:
        self._calls, self._booked = Path(folder, "calls"), Path(folder, "booked")
        self._booked.touch()

    def book(self, stop: str, key: str) -> str:
        """Book a room. This is the flaky tool."""
        call = _add(self._calls, stop)
        if call == UNANSWERED:
            text = f"the agency does not answer about {stop}"
            raise ConnectionError(text)
        booking = f"{stop}: room {len(self.bookings()) + 1}"
        _add(self._booked, f"{key} {booking}")
        print(f"  called the agency, which has booked {booking}", flush=True)
        if call == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        return booking

    def look_up(self, key: str) -> object:
        """Tell what was booked under a key, if anything was."""
        booking = self.bookings().get(key, lastgood.NOT_DONE)
        print(f"  in doubt, asked the agency what is booked: {booking}", flush=True)
        return booking

    def bookings(self) -> dict[str, str]:
        """All bookings, by their keys."""
        return dict(line.split(" ", 1) for line in self._booked.read_text().splitlines())


def _add(file: Path, line: str) -> int:
    """Add a line, and give the number of lines."""
    with file.open("a") as lines:
        lines.write(f"{line}\n")
    return len(file.read_text().splitlines())


async def plan(step: Step, _: Agency) -> None:
    """Step 0."""
    await step.state.set("stops", STOPS)


async def book(step: Step, agency: Agency) -> None:
    """Step 1. When it fails, its writes are rolled back. The bookings cannot be, so each of them is made by ``once``.

    ``once`` records the result of a call, and in a later attempt gives that instead of calling again. A call that began and
    has no recorded result is *in doubt*: only the agency knows what came of it, so it is asked, by the key it was given.
    """
    for stop in await step.state.get("stops"):
        booking = await step.once(stop, agency.book, stop, step.idempotency_key(stop), in_doubt=agency.look_up)
        await step.state.append("bookings", booking)


async def write(step: Step, _: Agency) -> None:
    """Step 2."""
    await step.state.set("itinerary", ", ".join(await step.state.get("bookings")))


AGENTS = {"planner": plan, "booker": book, "writer": write}


async def work(role: str, folder: str) -> int:
    """Be an agent: claim the workflow, do its step, and give the exit status."""
    # The claim is kept alive while this process lives. When it dies, whoever waits gets the workflow after the lease.
    async with lastgood.connect(agent_id=role) as client, client.workflow(WORKFLOW, lease=1.0, wait=True) as workflow:
        print(f"{role}, attempt {workflow.attempt}, finds {await workflow.state.to_dict()}", flush=True)
        try:
            async with workflow.step(list(AGENTS).index(role)) as step:
                await AGENTS[role](step, Agency(folder))
        except ConnectionError as error:
            print(f"  {error}", flush=True)
            return 1
    return 0


async def main(folder: str) -> int:
    """Start the agents, each again until it succeeds, and check what has come of it."""
    async with lastgood.connect() as client:
        workflow = client.workflow(WORKFLOW)
        await workflow.clear_checkpoints()  # so that this can be run again
        await client.delete_state(WORKFLOW)

        failures: list[int] = []
        for role in AGENTS:
            while len(failures) <= len(FAILURES) and (end := await run(role, folder)) != 0:
                print(f"  the {role} has ended with status {end}; a fresh one resumes", flush=True)
                failures.append(end)

        state, booked = await client.state(WORKFLOW).to_dict(), list(Agency(folder).bookings().values())
    print("the agency has booked:", booked)
    print("the itinerary:", state.get("itinerary"))
    exact = state == {"stops": STOPS, "bookings": BOOKINGS, "itinerary": ", ".join(BOOKINGS)}
    return 0 if exact and booked == BOOKINGS and failures == FAILURES else 1


async def run(role: str, folder: str) -> int:
    """Run an agent in a process of its own, and give its exit status."""
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, role, folder)
    return await process.wait()


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(asyncio.run(work(*sys.argv[1:])))
    with TemporaryDirectory() as folder:
        sys.exit(asyncio.run(main(folder)))
