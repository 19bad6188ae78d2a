"""`mamkit`, and `python -m mamkit_apps`: loads the command line, which Ctrl-C may interrupt already."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    try:
        from mamkit_apps.cli import main as run  # noqa: PLC0415 - so that an interrupt while it loads is caught
    except KeyboardInterrupt:
        sys.stderr.write("mamkit: interrupted\n")
        sys.exit(130)  # 128 and the number of SIGINT, as shells say it
    run()


if __name__ == "__main__":
    main()
