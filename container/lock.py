"""Writes requirements.lock: the packages of the container, each with its version and the hashes of its files.

    pip install uv && python container/lock.py

onnx is one of them: with it, models are written that visitors' browsers draw with. torch and what only its CUDA builds
need are left out: the Dockerfile takes them from PyTorch's own index, where the build for a CPU has other files than
on PyPI.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "container" / "requirements.lock"
TORCH = re.compile(r"torch|triton|nvidia-[\w-]+|cuda-[\w-]+")
HEAD = "# Written by container/lock.py from requirements.txt and app/space.py, for Python 3.12 on Linux.\n"


def main() -> None:
    """Resolve requirements.txt and onnx, and write the lock."""
    command = [*(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate")]
    command += ["--generate-hashes", "--python-version", "3.12", "--python-platform", "x86_64-manylinux_2_28"]
    [onnx] = re.findall(r'"(onnx>=.*?)"', (ROOT / "app" / "space.py").read_text(encoding="utf-8"))
    command += ["requirements.txt", "-"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, input=f"{onnx}\n")
    entries = re.split(r"(?m)^(?=[\w.-]+==)", done.stdout)
    kept = [entry for entry in entries if entry and not TORCH.fullmatch(entry.partition("==")[0])]
    LOCK.write_text(HEAD + "".join(kept), encoding="utf-8")


if __name__ == "__main__":
    main()
