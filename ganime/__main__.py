"""The command `ganime`, or `python -m ganime`: set up threads before torch is imported, then run the command line."""

import os


def main() -> None:
    """Run the command line. Idle OpenMP threads sleep instead of spinning, so they do not slow down other programs."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported
    from ganime.cli import main as run

    run()


if __name__ == "__main__":
    main()
