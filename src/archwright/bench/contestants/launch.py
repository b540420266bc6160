"""Runs a command on given cores, and ends it when the process that asked for it ends (Linux only).

python launch.py CORES PARENT COMMAND [ARGUMENT ...]
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Replace this process by the command."""
    cores, parent, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("The process that asked for this one has ended.")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
