"""Networks on disk: safetensors with a JSON card beside them, found by name or path, and devices.

Systems make models of the bare networks; of priors of waveforms, which all share, it is done here.
"""

import hashlib
import json
import textwrap
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..audio import atomic_path
from ..audio.errors import encoding
from ..diffusion.denoiser import Denoiser, EDMDenoiser, EpsilonDenoiser
from ..diffusion.schedules import build_betas
from ..diffusion.told import GuessDenoiser, ToldDenoiser
from ..diffusion.two_stage import TwoStageDenoiser
from ..networks import NetworkError, find_network
from . import remote

WEIGHTS = Path(__file__).parent.parent / "weights"
DEFAULT = "speech16k"


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """The device of a name; `auto` takes CUDA, then MPS, then the CPU.

    Raises ValueError for one that this machine lacks.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(),
               "mps": torch.backends.mps.is_available()}
    name = str(name)
    if name == "auto":
        name = next(d for d in ("cuda", "mps", "cpu") if present[d])
    if not present.get(name.split(":")[0], False):
        raise ValueError(f"device {name!r} is not available here; use --device cpu")
    return torch.device(name)


def build_network(name: str, config: dict, imports: bool = False) -> nn.Module:
    """A network by its name, as in `find_network`; raises ValueError for an unknown one."""
    network = find_network(name, imports)
    try:
        return network(**config)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None


def save_prior(path: Path, state: dict[str, Tensor], card: dict) -> None:
    """Writes `path` (.safetensors) and its card `path` with suffix .json, each atomically.

    `state` holds the parameters and those buffers that are drawn or learnt.
    """
    path = Path(path)
    with atomic_path(path, overwrite=True) as partial:
        # not save_file, whose files nobody else may read
        content = save({n: t.detach().cpu().contiguous() for n, t in state.items()})
        with encoding(path):
            partial.write_bytes(content)
    with atomic_path(path.with_suffix(".json"), overwrite=True) as partial, (
            encoding(path.with_suffix(".json"))):
        partial.write_text(json.dumps(card, indent=2) + "\n")


class PriorError(ValueError):
    """A prior that cannot be loaded: one line that names the file and says what to do."""


def find_prior(name_or_path: str | Path, predictions: Container[str | None] | None = None,
               kind: str = "prior") -> Path:
    """The weights file of a bundled prior's name, of a path, or of `hf://OWNER/NAME[@REVISION]`.

    Args:
        predictions: what cards say of weights that are offered where there is none; None of all.
        kind: what it is to be, in words.

    Raises PriorError, of the last as `remote.fetch`.
    """
    if str(name_or_path).startswith(remote.SCHEME):
        return remote.fetch(str(name_or_path))
    for candidate in (Path(name_or_path), WEIGHTS / f"{name_or_path}.safetensors"):
        if candidate.suffix == ".safetensors" and candidate.is_file():
            return candidate
    bundled = ", ".join(sorted(
        path.stem for path in WEIGHTS.glob("*.safetensors") if predictions is None
        or read_card(path).get("prediction") in predictions)) or "none"
    raise PriorError(f"{name_or_path}: no such {kind}; give a .safetensors file, "
                     f"{remote.SCHEME}OWNER/NAME, or: {bundled}")


def read_card(path: Path) -> dict:
    """The JSON card beside a weights file; raises PriorError when missing or broken."""
    card = Path(path).with_suffix(".json")
    try:
        content = json.loads(card.read_text())
    except FileNotFoundError:
        raise PriorError(f"{card}: the card that belongs to {path} is missing") from None
    except (ValueError, OSError) as error:
        raise PriorError(f"{card}: the card cannot be read ({error})") from None
    if not (isinstance(content, dict) and isinstance(content.get("network"), str)
            and isinstance(content.get("config"), dict)
            and isinstance(content.get("prediction"), str | None)):
        raise PriorError(f"{card}: no card of a prior, which names its network and config")
    return content


def title(path: Path) -> str:
    """What a sidecar calls weights: their stem, or on a hub their repository and commit."""
    return remote.origin(path) or path.stem


def file_hash(path: Path) -> str:
    """SHA-256 of a file, first 16 hexadecimal digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Where a model is made of weights and card: what goes wrong there is a PriorError."""
    try:
        yield
    except PriorError:
        raise
    except NetworkError as error:
        raise PriorError(f"{path}: {error}") from None
    except (SafetensorError, OSError, RuntimeError, LookupError, ArithmeticError, TypeError,
            ValueError) as error:
        reason = textwrap.shorten(str(error), 200)
        raise PriorError(f"{path}: the weights are damaged or do not fit their card ({reason}); "
                         "train or fetch them again") from None


def begin_with(network: nn.Module, name_or_path: str) -> None:
    """Gives a network the weights of one like it; those that only it has stay as they are.

    So a network is trained further on other data, and a larger one begins with what a part of it
    has learnt. Weights are those of a bundled name or a path.

    Raises PriorError for a name that is unknown, a file that is damaged, and one whose weights
    are not all in the network.
    """
    path = find_prior(name_or_path)
    try:
        homeless = network.load_state_dict(load_file(str(path)), strict=False).unexpected_keys
        reason = f"the network has no {homeless[0]}" if homeless else None
    except (SafetensorError, OSError, RuntimeError) as error:
        reason = textwrap.shorten(str(error), 200)
    if reason:
        raise PriorError(f"{path}: {type(network).__name__} cannot begin with it ({reason})")


def load_network(path: Path, card: dict, device: str = "cpu") -> nn.Module:
    """The bare network of a card, in float32, ready for inference; raises PriorError.

    Its first weights, of which none stay, are drawn without moving anybody's random state.
    """
    with fitting(path), torch.random.fork_rng(devices=[]):
        network = build_network(card["network"], card["config"])
        network.load_state_dict(load_file(str(path)))
    vars(network)["precision"] = "fp32"  # for `precision.choose`
    return network.requires_grad_(False).eval().to(device)


def find_companion(path: Path, name: str, digest: str | None, what: str) -> Path:
    """The weights that others work with: beside them, or as `find_prior` has it.

    Args:
        path: of those others.
        digest: the `file_hash` that they must have.
        what: they are, in words.

    Raises PriorError, also for others of that name.
    """
    beside = path.with_name(f"{name}.safetensors")
    try:
        found = beside if beside.is_file() else find_prior(name)
    except PriorError:
        raise PriorError(f"{path}: corrects what {what} {name} makes; put {name}.safetensors and "
                         "its card beside it") from None
    if digest and digest != (other := file_hash(found)):
        raise PriorError(f"{path}: corrects {what} {name} of SHA-256 {digest}, but {found} has "
                         f"{other}; put the one that it was trained with beside it")
    return found


def _edm(network: nn.Module, card: dict, path: Path,
         kind: type[EDMDenoiser] = EDMDenoiser) -> EDMDenoiser:
    return kind(network, int(card["sample_rate"]), *(
        float(card[name]) for name in ("sigma_min", "sigma_max", "sigma_data")))


def _epsilon(network: nn.Module, card: dict, path: Path) -> EpsilonDenoiser:
    return EpsilonDenoiser(network, build_betas(card["betas"]), int(card["sample_rate"]),
                           float(card["sigma_data"]))


def _two_stage(network: nn.Module, card: dict, path: Path) -> TwoStageDenoiser:
    first = find_companion(path, card["first"], card.get("first_sha256"), "the prior")
    if read_card(first).get("prediction") not in (None, "told", "guess"):
        raise PriorError(f"{path}: corrects the prior {card['first']}, which is none of EDM's kind")
    prior: Any = load_prior(first)
    return TwoStageDenoiser(prior, network)


# Priors of waveforms, and what other weights are for, by what their cards call `prediction`.
PRIORS: dict[str | None, Callable[[nn.Module, dict, Path], Denoiser]] = {
    None: _edm, "told": partial(_edm, kind=ToldDenoiser),
    "guess": partial(_edm, kind=GuessDenoiser), "epsilon": _epsilon, "two-stage": _two_stage}
OTHERS = {**dict.fromkeys(("sources", "score", "differences", "regeneration", "speech"),
                          "a separator, not a prior; separate and enhance take it as --weights"),
          "embedding": "an encoder of speakers, not a prior; give it as --encoder",
          "voices": "a model of voices, not a prior; voxmend speakers takes it",
          "spectrogram": "a prior of spectrograms; only refine takes it"}


def load_prior(name_or_path: str | Path = DEFAULT, device: str | torch.device = "cpu") -> Denoiser:
    """A prior of waveforms by name or path; raises PriorError, and ValueError as `pick_device`."""
    place = pick_device(device)
    path = find_prior(name_or_path, PRIORS)
    card = read_card(path)
    prediction = card.get("prediction")
    if prediction not in PRIORS:
        other = OTHERS.get(str(prediction), f"predicts {prediction}, no prior")
        raise PriorError(f"{path}: {other}")
    with fitting(path):
        return PRIORS[prediction](load_network(path, card), card, path).eval().to(place)
