"""The versioned state: what it is and how it changes. Pure: no I/O, no clock, no event loop.

Bottom up: ``sequence`` and ``node`` are the persistent tree; ``change`` is what a revision does to it and ``graves`` what it
remembers of what is gone; ``tree`` puts them together. ``edits`` turns what a caller wants into changes, ``difference``
finds the changes from one content to another. ``log`` is a revision as it is stored. ``state`` and ``workflow`` are the two
things that have a history of their own.
"""
