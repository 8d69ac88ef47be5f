"""`python -m voxmend` is the command `voxmend`."""

import sys

from .cli import main

sys.exit(main())
