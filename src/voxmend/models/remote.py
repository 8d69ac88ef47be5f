"""Weights on the Hugging Face Hub: `hf://OWNER/NAME[@REVISION]`, fetched once into its cache.

    hf://owner/name ─ commit of the revision ─ model.json, model.safetensors ─ a path, as any other

Nothing else of a repository is fetched. What is in the cache needs no network.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__

if TYPE_CHECKING:
    from huggingface_hub import HfApi

SCHEME = "hf://"
WEIGHTS, CARD = "model.safetensors", "model.json"
PATTERN = re.compile(SCHEME + r"([\w.-]+/[\w.-]+?)(?:@(\S+))?")
COMMIT = re.compile("[0-9a-f]{40}")
PATIENCE = 10.0  # seconds that the hub has to answer


class RemoteError(ValueError):
    """A repository that cannot be used: one line that names it and says what to do."""


def reference(repo: str, revision: str | None = None) -> str:
    """The name by which weights in a repository are loaded; raises RemoteError for no `OWNER/NAME`.

    >>> reference("owner/name", "v1")
    'hf://owner/name@v1'
    """
    name = SCHEME + repo.removeprefix(SCHEME) + (f"@{revision}" if revision else "")
    parse(name)
    return name


def parse(name: str) -> tuple[str, str]:
    """Repository and revision of a reference; raises RemoteError for another form."""
    found = PATTERN.fullmatch(name)
    if not found:
        raise RemoteError(f"{name}: give {SCHEME}OWNER/NAME or {SCHEME}OWNER/NAME@REVISION")
    return found[1], found[2] or "main"


def origin(path: Path) -> str | None:
    """The reference, with the commit, of a file in the hub's cache; None of any other file.

    >>> origin(Path("models--owner--name/snapshots/0a1b/model.safetensors"))
    'hf://owner/name@0a1b'
    """
    match path.parts:
        case (*_, folder, "snapshots", commit, _) if folder.startswith("models--"):
            repo = folder.removeprefix("models--").replace("--", "/")
            return f"{SCHEME}{repo}@{commit}"
    return None


def pin(name: str) -> str:
    """A reference with the commit that its revision is now; other names as they are.

    Raises as `fetch`.
    """
    if not name.startswith(SCHEME) or COMMIT.fullmatch(parse(name)[1]):
        return name
    return str(origin(_find(name, CARD)))


def fetch(name: str) -> Path:
    """The weights of a reference in the hub's cache, their card beside them.

    Raises RemoteError for what is not there or may not be read, ImportError without the package.
    """
    return _find(str(origin(_find(name, CARD))), WEIGHTS)


def _find(name: str, file: str) -> Path:
    """A file in the cache, to which it is fetched; of a commit that is there nobody is asked."""
    api, (repo, revision) = connect(), parse(name)
    from huggingface_hub import try_to_load_from_cache

    with explained(name, file):
        known = COMMIT.fullmatch(revision) and try_to_load_from_cache(repo, file, revision=revision)
        if isinstance(known, str):
            return Path(known)
        return Path(api.hf_hub_download(
            repo, file, revision=revision, local_files_only=not _answers(api, repo, revision)))


def _answers(api: "HfApi", repo: str, revision: str) -> bool:
    """Whether the hub can be asked; that it does not have the revision is for `explained`."""
    from huggingface_hub.errors import (  # type: ignore[attr-defined]
        HfHubHTTPError,
        HTTPError,  # of the client that the package has chosen
        OfflineModeIsEnabled,
    )

    try:
        api.model_info(repo, revision=revision, timeout=PATIENCE)
    except HfHubHTTPError as error:
        if error.response.status_code < 500:
            raise
        return False
    except (HTTPError, OfflineModeIsEnabled):
        return False
    return True


def connect() -> "HfApi":
    """The hub; raises ImportError saying how to get its package."""
    try:
        from huggingface_hub import HfApi
    except ModuleNotFoundError:
        raise ImportError(
            "the hub needs huggingface_hub: pip install 'voxmend[hub]'") from None
    return HfApi(library_name="voxmend", library_version=__version__)


@contextmanager
def explained(name: str, file: str = "") -> Iterator[None]:
    """Where the hub is asked: what goes wrong there is a RemoteError of one line.

    Args:
        name: of the repository.
        file: that is asked for.
    """
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.GatedRepoError:
        reason = ("its owner grants access one by one: ask for it on its page, then give a token "
                  "by `hf auth login` or $HF_TOKEN")
    except errors.RevisionNotFoundError:
        reason = "the repository has no such revision; see its branches, tags and commits"
    except errors.RepositoryNotFoundError:
        reason = ("no such repository, or a private one; mind the spelling, or give a token that "
                  "may read it by `hf auth login` or $HF_TOKEN")
    except errors.LocalEntryNotFoundError as error:
        why, what = "does not answer", "connect"
        if constants.HF_HUB_OFFLINE:
            why, what = "is not asked", "unset HF_HUB_OFFLINE"
        elif error.__cause__:
            why = f"cannot give it ({_brief(error.__cause__)})"
        reason = (f"{file} is not in the cache {constants.HF_HUB_CACHE}, and {constants.ENDPOINT} "
                  f"{why}; {what} once, or copy the cache of a machine that has it")
    except errors.EntryNotFoundError:
        reason = (f"the repository holds no {file}; voxmend reads {WEIGHTS} and its card {CARD}, "
                  "as `voxmend push` writes them")
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        what = ("give another token by `hf auth login` or $HF_TOKEN" if status in (401, 403)
                else "try again later")
        reason = f"{constants.ENDPOINT} answers {status} ({_brief(error)}); {what}"
    except (errors.OfflineModeIsEnabled,
            errors.HTTPError) as error:  # type: ignore[attr-defined]
        reason = f"{constants.ENDPOINT} cannot be reached ({_brief(error)})"
    except errors.HFValidationError as error:
        reason = f"the hub knows no such names ({_brief(error)})"
    else:
        return
    raise RemoteError(f"{name}: {reason}")


def _brief(error: BaseException) -> str:
    said = getattr(error, "server_message", None) or str(error)
    return " ".join(said.split())[:150]
