"""The GPU side: algorithm, policy, small world, rewards, jobs, and their wiring to the database."""

import os

# OpenMP reads both once, when torch is loaded. They give a parallel part fewer threads than a run asked for, the first
# by the machine's load of the last minutes: sums are then taken in another order, and no two runs need be equal.
os.environ["OMP_DYNAMIC"] = "false"
os.environ.pop("OMP_THREAD_LIMIT", None)
