"""All tests. One thread for each process: the threads of two processes on two cores would wait for each other busily.

These variables are read when NumPy and PyTorch are imported, and handed on to the processes that tests start.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
