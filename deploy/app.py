"""A Space of the SDK gradio; its requirements.txt names voxmend[app]."""

import sys

from voxmend.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["app", "--host", "0.0.0.0", "--share-openly", "--max-minutes", "3",
                   "--max-megabytes", "50"]))
