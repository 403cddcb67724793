"""The program `enigma`; `python -m enigma_tasks` is the same."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from enigma_tasks.cli import main
from enigma_tasks.errors import ServiceError
from enigma_tasks.standard_error import hide_native_output, native_lines


def run() -> NoReturn:
    """Run a command in this process, and end it with the command's exit code.

    After a failure of a service the interpreter is not shut down in order: threads of delta-rs may still read from
    Python, which then aborts, and the exit code would be that of a signal.
    """
    hide_native_output()
    code = main()
    if lines := native_lines():
        print(  # noqa: T201
            f"{lines} lines of libraries are hidden, they may quote a note; ENIGMA_DEBUG=1 shows them", file=sys.stderr
        )
    sys.stdout.flush()
    sys.stderr.flush()
    if code == ServiceError.exit_code:
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    run()
