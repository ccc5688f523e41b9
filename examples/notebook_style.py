# %% [markdown]
"""Trying things out with the blocking client, cell by cell.

Paste the cells into a notebook, or open this file in an editor that knows ``# %%``. As a script it runs from top to bottom.

    python examples/notebook_style.py
"""

# %% Connect. The daemon is started if none runs, and outlives the notebook.
import lastgood.sync

client = lastgood.sync.connect(agent_id="me")
state = client.state("experiment")

# %% Something worth keeping.
state.set("", {"prompt": "Summarize in one sentence.", "temperature": 0.2, "scores": [0.71, 0.74]})
baseline = state.snapshot("baseline")

# %% An idea, tried in a copy: the original stays as it is.
idea = state.fork(at=baseline)
idea.update({"prompt": "Summarize for a child.", "temperature": 0.9})
idea.append("scores", 0.52)
for difference in idea.diff(1):
    print(f"{difference.kind} {difference.path}: {difference.old} -> {difference.new}")

# %% An idea, tried in place …
state.set("temperature", 1.5)
state.append("scores", 0.08)
print("worse:", state.get("scores"))

# %% … and taken back.
state.restore(baseline)
print("as before:", state.to_dict() == state.to_dict(at=baseline))

# %% What did I try for the temperature?
for entry in state.get_history("temperature"):
    print(entry.revision, entry.operation, entry.value)

# %% Done.
client.close()
