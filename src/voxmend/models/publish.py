"""Weights brought to the Hugging Face Hub, with the page that a repository shows of a model.

    NAME.safetensors, NAME.json ─ loaded once, to be sure ─ one commit:
    model.safetensors, model.json, README.md
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..networks import networks
from . import hub, remote

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

HOME = "https://github.com/voxmend/voxmend"
FIGURES = ("_db", "_percent")  # how the names of what a card has measured end
LICENCES = {"apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0",
            "cc-by-nc-sa-4.0", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "lgpl-3.0", "agpl-3.0",
            "mpl-2.0", "openrail", "unlicense"}  # of those that the hub knows

# How weights are used, by what their cards call `prediction`.
USES = {None: "mend IN OUT --prior {}", "guess": "mend IN OUT --prior {}",
        "epsilon": "declip IN OUT --method undiff --prior {}",
        "two-stage": "denoise IN OUT --prior {}", "told": "enhance IN OUT --weights {}",
        "speech": "enhance IN OUT --method segan --weights {}",
        "sources": "separate IN OUTDIR --method {method} --weights {}",
        "score": "{task} IN OUT --method diffsep --weights {}",
        "differences": "{task} IN OUT --method diffsep --weights {}",
        "regeneration": "separate IN OUTDIR --method diffsep --weights {}",
        "spectrogram": "refine NOISY ENHANCED OUT --prior {}",
        "embedding": "speakers extract FOLDER -o EMBEDDINGS.npz --encoder {}",
        "voices": "speakers generate {} -o VOICES.npz"}


def push_to_hub(name_or_path: str | Path, repo: str, private: bool = False,
                revision: str | None = None) -> str:
    """Brings weights, their card and a page to a repository, which is made if there is none.

    It takes a token that may write, as of `hf auth login` or `$HF_TOKEN`.

    Args:
        name_or_path: a bundled name or a .safetensors.
        repo: `OWNER/NAME`.
        private: whether a new repository is.
        revision: the branch; by default main.

    Returns what loads them from then on, `hf://OWNER/NAME@COMMIT`.

    Raises `hub.PriorError` for weights that do not load, `remote.RemoteError` for what the hub
    does not allow, ImportError without the package huggingface_hub.
    """
    name, path = remote.reference(repo, revision), hub.find_prior(str(name_or_path))
    api, card = remote.connect(), hub.read_card(path)
    if card.get("prediction") != "voices":  # whose file holds more than the network
        hub.load_network(path, card)
    with remote.explained(name):
        from huggingface_hub import CommitOperationAdd, get_token

        if not get_token():
            raise remote.RemoteError(f"{name}: to write takes a token; give one by `hf auth login` "
                                     "or $HF_TOKEN")
        repo, branch = remote.parse(name)
        files: dict[str, str | bytes] = {
            remote.WEIGHTS: str(path), remote.CARD: path.with_suffix(".json").read_bytes(),
            "README.md": page(card, path, repo).encode()}
        api.create_repo(repo, private=private or None, exist_ok=True)
        done = api.create_commit(repo, [CommitOperationAdd(*file) for file in files.items()],
                                 commit_message=f"Add {path.stem}", revision=branch)
    return remote.reference(repo, done.oid)


def page(card: dict[str, Any], path: Path, repo: str) -> str:
    """The README.md of a model: metadata, what it is for, how to use it, its figures.

    Its figures are what the card has measured, in the metadata as `model-index`.
    """
    from huggingface_hub import ModelCardData

    licence = str(card.get("licence", "unknown"))
    known = licence.lower() in LICENCES
    data = ModelCardData(
        license=licence.lower() if known else "other", license_name=None if known else licence,
        library_name="voxmend", pipeline_tag=_pipeline(card), tags=["audio", "speech", "voxmend"],
        model_name=path.stem, eval_results=list(_results(card)) or None)
    use = USES.get(card.get("prediction"), "info {}").format(
        remote.reference(repo), task=card.get("task", "separate"),
        method="conv-tasnet" if card["network"] == "ConvTasNet" else "frame-separator")
    module = _module(card["network"])
    imports = f"VOXMEND_NETWORKS={module} " if module else ""
    needs = (f"Its network is of the package `{module.partition('.')[0]}`, which has to be "
             "installed, and which `VOXMEND_NETWORKS` has imported.\n\n") if module else ""
    rows = [f"| {result.metric_name} | {result.metric_value:g} |" for result in _results(card)]
    figures = "\n".join(["| measured | |", "|---|---|", *rows, ""] if rows else [])
    facts = {"network": card["network"], "parameters": card.get("parameters"),
             "sample rate": card.get("sample_rate"), "trained on": card.get("data"),
             "licence": licence, "corrects": _corrected(card), "SHA-256": hub.file_hash(path) + "…"}
    about = "\n".join(f"- {name}: {value}" for name, value in facts.items() if value is not None)
    return f"""---
{data.to_yaml()}
---

# {path.stem}

Weights for [voxmend]({HOME}), which restores speech.

```
pip install 'voxmend[hub]'
{imports}voxmend {use}
```

{needs}{about}

{figures}
All that is known of it stands in `{remote.CARD}`:

```json
{json.dumps({k: v for k, v in card.items() if k != "loss_curve"}, indent=2)}
```
"""


def _corrected(card: dict[str, Any]) -> str | None:
    """The weights that others correct, which whoever uses them has to have as well."""
    for kind in ("first", "separator"):
        if kind in card:
            digest = card.get(f"{kind}_sha256", "unsaid")
            return (f"`{card[kind]}` (SHA-256 {digest}…), which has to be bundled with voxmend or "
                    "to lie beside it")
    return None


def _module(network: str) -> str | None:
    """The module of a network of somebody else's; None of one that voxmend brings."""
    module, _, name = network.partition(":")
    if not name:
        module = getattr(networks().get(network), "__module__", __name__)
    return None if module.partition(".")[0] == __name__.partition(".")[0] else module


def _pipeline(card: dict[str, Any]) -> str:
    speakers = card.get("prediction") in ("embedding", "voices")
    return "feature-extraction" if speakers else "audio-to-audio"


def _results(card: dict[str, Any]) -> Iterator["EvalResult"]:
    """What a card has measured, one by one."""
    from huggingface_hub import EvalResult

    for kind, told in card.items():
        if not kind.endswith(FIGURES):
            continue
        name, _, unit = kind.replace("_", " ").rpartition(" ")
        unit = {"db": "dB", "percent": "%"}[unit]
        for condition, value in _leaves(told):
            yield EvalResult(
                task_type=_pipeline(card), dataset_type="speech", metric_type=kind,
                dataset_name="speakers kept from training", metric_value=value,
                metric_name=f"{name}, {unit}" + (f": {condition}" if condition else ""))


def _leaves(told: Any, above: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a nested dictionary, each with the keys that lead to it."""
    if isinstance(told, dict):
        for key, value in told.items():
            yield from _leaves(value, f"{above}, {key}" if above else str(key))
    elif isinstance(told, int | float):
        yield above, told
