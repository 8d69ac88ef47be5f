"""Checkpoints that other projects published, as voxmend priors."""

import re
from pathlib import Path

import torch
from torch import Tensor

from . import hub
from .checkpoints import CheckpointError, read_checkpoint
from .files import check_free

# What UnDiff's release calls a module, and what voxmend does.
DIFFWAVE_NAMES = {"diffusion_embedding.": "embedding."}
FFCAE_NAMES = {
    "model.net.net.0.": "enter.", "model.net.net.1.0.model.1.": "down.",
    "model.net.net.1.0.model.2.": "blocks.", "model.net.net.1.0.model.3.": "up.",
    "model.net.net.2.": "leave.",
    "model.sigma_embedding.": "embedding.",
    ".l2l_layer.": ".local_to_local.", ".l2g_layer.": ".local_to_global.",
    ".g2l_layer.": ".global_to_local.", ".g2g_layer.": ".global_to_global.",
    ".local_bn_relu.": ".local_norm.", ".global_bn_relu.": ".global_norm."}
# A key that tells the network, whatever stands before it.
UNDIFF = {"input_projection.weight": ("DiffWave", DIFFWAVE_NAMES),
          "model.net.net.0.0.weight": ("FFCAE", FFCAE_NAMES)}
BUFFERS = ("gaussian", "running_mean", "running_var", "num_batches_tracked")


def _undiff_state(path: Path, checkpoint, ema: bool) -> tuple[str, dict[str, Tensor]]:
    """The network's name and its weights under voxmend's names."""
    outer = checkpoint if isinstance(checkpoint, dict) else {}
    state = outer.get("state_dict", outer)
    items = state.items() if isinstance(state, dict) else ()
    state = {str(k): t for k, t in items if isinstance(t, Tensor)}
    for key in state:
        telling = next((k for k in UNDIFF if f".{key}".endswith(f".{k}")), None)
        if telling:
            break
    else:
        raise CheckpointError(f"{path}: holds neither of UnDiff's networks: no key ends in "
                              + " or ".join(UNDIFF))
    name, names = UNDIFF[telling]
    prefix = key.removesuffix(telling)
    state = {k.removeprefix(prefix): t for k, t in state.items() if k.startswith(prefix)}
    if ema:
        state |= _averaged(path, outer, [k for k in state if not k.endswith(BUFFERS)])
    for theirs, ours in names.items():
        state = {k.replace(theirs, ours): t for k, t in state.items()}
    return name, state


def _averaged(path: Path, checkpoint: dict, parameters: list[str]) -> dict[str, Tensor]:
    """The averages of the parameters, which the checkpoint lists in the same order."""
    averages = next(iter(checkpoint.get("ema_params", [])), [])
    if len(averages) != len(parameters):
        raise CheckpointError(f"{path}: has {len(averages)} averages for {len(parameters)} "
                              "parameters; import it without averages")
    return dict(zip(parameters, averages))


def _undiff_config(name: str, state: dict[str, Tensor]) -> dict:
    """A network's size, read off its weights' names and shapes, and for the rest as published."""
    def count(stack):
        return 1 + max(int(n) for n in re.findall(rf"^{stack}\.(\d+)\.", "\n".join(state), re.M))

    if name == "DiffWave":
        channels = state["input_projection.weight"].shape[0]
        squeeze = state.get("residual_layers.0.se_skip.excitation.0.weight")
        return {"layers": count("residual_layers"), "channels": channels,
                "kernel": state["residual_layers.0.dilated_conv.weight"].shape[2],
                "dilation_cycle": 12,
                "reduction": None if squeeze is None else channels // squeeze.shape[0]}
    near = state["blocks.0.ffc1.local_to_local.weight"].shape[0]
    channels = state["enter.0.weight"].shape[0]
    return {"channels": channels, "blocks": count("blocks"),
            "global_ratio": 1 - near / (2 * channels), "n_fft": 1024, "hop": 256}


def _check(path: Path, state: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Raises CheckpointError for the first weight that is missing, misshapen or unknown."""
    for name, tensor in expected.items():
        if name not in state:
            raise CheckpointError(f"{path}: lacks {name}")
        if state[name].shape != tensor.shape:
            raise CheckpointError(f"{path}: {name} has shape {list(state[name].shape)}, expected "
                                  f"{list(tensor.shape)}")
    for name in state:
        if name not in expected:
            raise CheckpointError(f"{path}: has {name}, which the network does not know")


def import_undiff(path: Path, out: Path, ema: bool = False, overwrite: bool = False,
                  **config) -> dict:
    """Writes a prior from a checkpoint of UnDiff's DiffWave or FFC-AE, and returns its card.

    The weights stay in float32. UnDiff fixes the schedule (200 steps, β linear from 1e-4 to 0.02)
    and 16 kHz; the level of its training speech is not stated and taken as RMS 0.1.

    Args:
        path: `diffwave.ckpt`, `ffc_ae.ckpt`, or a bare state dict of the same.
        out: the prior, .safetensors; its card goes beside it.
        ema: take the averaged weights, which the release's inference does not.
        config: arguments of the network that shapes cannot tell (`dilation_cycle`; `n_fft`,
            `hop`), where they are not the published ones.

    Raises: CheckpointError, OSError; AudioError when `out` exists.
    """
    path, out = Path(path), Path(out)
    if out.suffix != ".safetensors":
        raise CheckpointError(f"{out}: give the prior a name that ends in .safetensors")
    for file in (out, out.with_suffix(".json")):
        check_free(file, overwrite)
    name, state = _undiff_state(path, read_checkpoint(path), ema)
    try:
        config = _undiff_config(name, state) | config
    except KeyError as error:
        raise CheckpointError(f"{path}: lacks {error.args[0]}") from None
    except (LookupError, ArithmeticError, ValueError):
        raise CheckpointError(f"{path}: its weights have shapes that no {name} has") from None
    with torch.device("meta"):
        network = hub.build_network(name, config)
    _check(path, state, network.state_dict())
    card = {"network": name, "config": config, "prediction": "epsilon",
            "betas": {"schedule": "linear", "steps": 200, "start": 1e-4, "end": 0.02},
            "sample_rate": 16000, "sigma_data": 0.1,
            "parameters": sum(p.numel() for p in network.parameters()),
            "source": {"project": "UnDiff (SamsungLabs)", "checkpoint": path.name,
                       "sha256": hub.file_hash(path), "averaged": ema},
            "licence": "that of the checkpoint"}
    hub.save_prior(out, state, card)
    return card
