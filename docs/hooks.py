"""Hooks of mkdocs, which reads this file by its name: no package."""  # noqa: INP001


def on_page_markdown(markdown: str, **_: object) -> str:
    """Point links to the README, which is outside of the pages, to the start page."""
    return markdown.replace("](../README.md)", "](index.md)")
