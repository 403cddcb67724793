"""`python -m enigma_tasks` is the same as `enigma`."""

import sys

from enigma_tasks.cli import main

sys.exit(main())
