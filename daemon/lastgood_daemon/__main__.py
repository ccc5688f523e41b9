"""``python -m lastgood_daemon serve``: how a client starts a daemon. People type ``lastgood serve``."""

import sys


def main() -> int:
    """Serve; gives the exit status."""
    command, *flags = sys.argv[1:] or [""]
    if command != "serve":
        sys.stderr.write("usage: python -m lastgood_daemon serve [FLAGS]\n")
        return 2
    try:
        from lastgood_daemon.start import main as serve  # noqa: PLC0415 - to say what is missing where it is
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"lastgood: the daemon needs {error.name}, which is not installed: pip install 'lastgood[daemon]'\n"
        )
        return 1
    return serve(flags)


if __name__ == "__main__":
    sys.exit(main())
