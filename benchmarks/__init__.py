"""Benchmarks; each module prints one table."""

import os

from enigma_tasks.params.third_parties import QUIET

# As `enigma` does; it must be set before torch is imported (see benchmarks/README.md, annotate_start_up.py).
os.environ.setdefault("OMP_WAIT_POLICY", QUIET["OMP_WAIT_POLICY"])
