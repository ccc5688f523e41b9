"""The contract between client and daemon: the messages in ``v1`` and the two grammars that messages cannot express.

``v1`` holds the .proto files and the code generated from them; ``paths`` is how a path is written as text; ``values`` is
what a value may be and how it becomes bytes. ``descriptors`` is for the two
programs alike. Importing this package loads none of them.
"""
