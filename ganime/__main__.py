"""`python -m ganime`: sets up the threads before torch is imported, then hands over to the command line."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads that spin slow down everything beside them

from ganime.cli import main

main()
