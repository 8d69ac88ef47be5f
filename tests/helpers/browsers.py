"""The browser that pages are tried in: `$CHROMIUM`, or else the system's."""

import os
import shutil

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = [pytest.mark.browser, pytest.mark.skipif(
    not CHROMIUM, reason="no Chromium; name one in $CHROMIUM")]
