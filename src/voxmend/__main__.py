"""`python -m voxmend` is the command `voxmend`."""

import sys

from .cli.main import main

sys.exit(main())
