"""Imported, it ties a process to the one that has started it: Linux kills it as that ends.

A server that workers are forked from looks for its driver only when it has loaded its modules.
"""

import ctypes
import signal

PR_SET_PDEATHSIG = 1  # of prctl(2)

ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
