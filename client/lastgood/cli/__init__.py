"""The command ``lastgood``: what a person at a terminal and a script can do with a daemon.

====================  ==============================================================================================
``app.py``            which commands there are, and in which module each of them is
``command.py``        what they have in common: options, the event loop, errors and the exit status
``options.py``        the options that all of them take, and the arguments that several of them take
``targets.py``        how a content of the past is named: ``12``, ``before-review``, ``2026-11-23T05:50Z``, ``step:3``
``values.py``         ``get``, ``set``, ``delete``
``states.py``         ``states``, ``fork``
``past.py``           ``history``, ``diff``
``snapshots.py``      ``snapshot``, ``snapshots``, ``restore``
``workflows.py``      ``workflows``, ``checkpoints``
``resuming.py``       ``resume``, ``release``
``workflow.py``       ``workflow show``
``daemon.py``         ``status``; lists ``serve`` and ``demo``
``maintenance.py``    ``backup``, ``verify``
``programs.py``       runs ``serve`` and ``demo``, which are programs of their own
``failures.py``       what goes wrong, and what to do about it
``terminal.py``       lines, questions, and what must not reach a terminal
``jsonform.py``       values as JSON and back, and the documents of ``--json``
``shorten.py``        values and ids as short text
``render.py``         columns, colours, differences
``timeline.py``       the lines of ``history``
``standing.py``       how a workflow stands, in words
``events.py``         the lines of ``workflow show``
``rollbacks.py``      finds the rollbacks in the history of a workflow's state
``effects.py``        side effects as text
``workflowform.py``   the documents of ``--json`` about workflows
====================  ==============================================================================================

It needs typer and rich (the extra ``cli``), which a client alone does not have; ``programs.py`` needs neither.
Nothing outside imports it, but ``lastgood.__main__``.
"""
