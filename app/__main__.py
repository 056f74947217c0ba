"""Start the page (`python -m app`, or `python app/__main__.py` on a Space), or list its jobs (`python -m app jobs`)."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: idle threads that spin slow down everything else
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # no request to the outside
os.environ["FORWARDED_ALLOW_IPS"] = ""  # app/visitors.py decides which proxies to trust (GANIME_PROXIES)
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from app.cli import main  # noqa: E402 - only now can it be found, whichever way this was started

main()
