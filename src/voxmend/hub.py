"""Priors on disk: fp16 safetensors with a JSON card beside them, found by name or path."""

import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .denoiser import EDMDenoiser

WEIGHTS = Path(__file__).parent / "weights"
DEFAULT = "speech16k"


def build_network(name: str, config: dict) -> nn.Module:
    """A network by the name that cards and recipes use; raises ValueError for an unknown one."""
    from .networks.conv_tasnet import ConvTasNet
    from .networks.convnext import FrameConvNeXt

    networks = {"FrameConvNeXt": FrameConvNeXt, "ConvTasNet": ConvTasNet}
    if name not in networks:
        raise ValueError(f"unknown network {name!r}; known: {', '.join(networks)}")
    return networks[name](**config)


def save_prior(path: Path, state: dict[str, Tensor], card: dict) -> None:
    """Writes `path` (.safetensors, fp16) and its card `path` with suffix .json, each atomically."""
    path = Path(path)
    partial = path.with_suffix(".part")
    save_file({n: t.detach().to("cpu", torch.float16).contiguous() for n, t in state.items()},
              str(partial))
    os.replace(partial, path)
    partial.write_text(json.dumps(card, indent=2) + "\n")
    os.replace(partial, path.with_suffix(".json"))


class PriorError(ValueError):
    """A prior that cannot be loaded: one line that names the file and says what to do."""


def find_prior(name_or_path: str) -> Path:
    """The weights file of a bundled prior's name or of a path; raises PriorError."""
    for candidate in (Path(name_or_path), WEIGHTS / f"{name_or_path}.safetensors"):
        if candidate.suffix == ".safetensors" and candidate.is_file():
            return candidate
    bundled = ", ".join(sorted(p.stem for p in WEIGHTS.glob("*.safetensors"))) or "none"
    raise PriorError(f"{name_or_path}: no such prior; give a .safetensors file or: {bundled}")


def read_card(path: Path) -> dict:
    """The JSON card beside a weights file; raises PriorError when missing or broken."""
    card = Path(path).with_suffix(".json")
    try:
        return json.loads(card.read_text())
    except FileNotFoundError:
        raise PriorError(f"{card}: the card that belongs to {path} is missing") from None
    except (ValueError, OSError) as error:
        raise PriorError(f"{card}: the card cannot be read ({error})") from None


def file_hash(path: Path) -> str:
    """SHA-256 of a file, first 16 hexadecimal digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def load_prior(name_or_path: str = DEFAULT, device: str = "cpu") -> EDMDenoiser:
    """A prior by name or path, in float32, ready for inference; raises PriorError."""
    path = find_prior(name_or_path)
    card = read_card(path)
    try:
        network = build_network(card["network"], card["config"])
        state = {n: t.float() for n, t in load_file(str(path)).items()}
        buffers = dict(network.named_buffers())
        network.load_state_dict({**buffers, **state})
        prior = EDMDenoiser(network, card["sample_rate"], card["sigma_min"], card["sigma_max"],
                            card["sigma_data"])
    except (SafetensorError, OSError, RuntimeError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise PriorError(f"{path}: the weights are damaged or do not fit their card ({reason}); "
                         "fetch them again") from None
    prior.requires_grad_(False)
    return prior.eval().to(device)
