"""The verb that serves the page in the browser. Heavy imports wait until it runs."""

from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated

from tyro.conf import arg

from .options import File


def app(host: Annotated[str, arg(metavar="ADDRESS")] = "127.0.0.1", port: int = 7860,
        share_openly: bool = False, password_file: File = None, max_minutes: float = 10.0,
        max_megabytes: float = 200.0, concurrency: int = 1) -> int:
    """A page in the browser: drop a file, see, hear, mend.

    It is served to this machine alone, and needs pip install 'voxmend[app]'.

    Args:
        host: Address to listen on; of one that others reach, give --password-file or
            --share-openly.
        port: To listen on; 0 is any that is free.
        share_openly: Let everybody in who reaches the address.
        password_file: Let in who knows the first line of this file; any user name goes with it.
        max_minutes: A recording may last so long.
        max_megabytes: A file may be so large.
        concurrency: So many recordings are worked on at the same time; others wait in a queue.
    """
    try:
        from ..app import server
    except ImportError as error:
        raise ImportError(f"{error.name}: not installed; pip install 'voxmend[app]'") from None
    from ..app.limits import Limits

    main = resolve_name("voxmend.cli.main:main")  # which imports this file
    password = server.read_password(Path(password_file)) if password_file else None
    server.serve(main, Limits(max_minutes, max_megabytes, concurrency), host, port, share_openly,
                 password)
    return 0


VERBS = {app.__name__: app}
