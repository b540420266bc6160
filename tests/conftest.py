"""Settings of all tests."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell starts in the background; tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
