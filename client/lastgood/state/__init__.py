"""SharedState, the handle of a state, part by part.

==================  ==============================================================================================
``shared.py``       ``SharedState``, put together; transactions and forks, which make other objects
``handle.py``       who it is, what it sends along, how it calls; the initial data
``content.py``      reading and writing the present content
``past.py``         snapshots, restore, history, differences
``target.py``       how a content of the past is named, and fetched from another daemon
``transaction.py``  ``Transaction``
==================  ==============================================================================================
"""
