"""The process that imports a file which a visitor brought: limits itself, then does what `ganime import` does.

Arguments: the file, the folder to write, the bytes that a written file may have, the seconds of processor time.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

MEMORY = 6 * 2**30  # bytes of address space, of which torch alone takes four


def limit(bytes_of_a_file: int, seconds: int) -> None:
    """Limit this process, where the system can do that, and let all others go first."""
    with suppress(ImportError):  # on Windows
        import resource

        limits = {"CPU": seconds, "AS": MEMORY, "FSIZE": bytes_of_a_file, "CORE": 0}
        for name, most in limits.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
        os.nice(10)


def main() -> None:
    path, folder, most, seconds = sys.argv[1:]
    limit(int(most), int(seconds))
    from ganime.cli import main as run

    sys.argv = ["ganime", "import", path, "--out", folder]
    run()


if __name__ == "__main__":
    main()
