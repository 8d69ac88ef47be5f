"""Checkpoints that other projects published, as priors, separators and encoders of voxmend."""

import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..audio import check_free
from . import hub
from .pickled import CheckpointError, read_checkpoint

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
# What Diffiner's release calls a module, and what voxmend does; in this order.
DIFFINER_NAMES = {
    ".in_layers.0.": ".norm1.", ".in_layers.2.": ".conv1.", ".emb_layers.1.": ".time.",
    ".out_layers.0.": ".norm2.", ".out_layers.3.": ".conv2.", ".skip_connection.": ".shortcut.",
    ".op.": ".conv.", ".proj_out.": ".leave.", "time_embed.": "embed.", "input_blocks.": "down.",
    "middle_block.": "middle.", "output_blocks.": "up.", "out.": "leave."}
BUFFERS = ("gaussian", "running_mean", "running_var", "num_batches_tracked")

# The parts of a module of NCSN++ in the order in which the release and `NCSNpp` have them.
NCSNPP_PARTS = ("GroupNorm_0", "Conv_0", "Dense_0", "GroupNorm_1", "Conv_1", "Conv_2",
                "NIN_0", "NIN_1", "NIN_2", "NIN_3", "W", "weight", "b", "bias")
# DiffSep's two models: sample rate in Hz, and whether the noise follows the mixture's level.
DIFFSEP = {"separate": (8000, False), "enhance": (16000, True)}

# SpeechBrain's encoders: the network, and a key of no other one.
SPEECHBRAIN = {"ecapa": ("ECAPATDNN", "asp_bn.norm.weight"),
               "xvector": ("XVector", "blocks.16.w.weight")}


def _read(path: Path, out: Path, overwrite: bool) -> dict:
    """A checkpoint's dictionary, once it is clear that `out` can be written."""
    if out.suffix != ".safetensors":
        raise CheckpointError(f"{out}: give the weights a name that ends in .safetensors")
    for file in (out, out.with_suffix(".json")):
        check_free(file, overwrite)
    checkpoint = read_checkpoint(path)
    return checkpoint if isinstance(checkpoint, dict) else {}


def _tensors(checkpoint: dict) -> dict[str, Tensor]:
    """The tensors of a state dict, bare or inside a training checkpoint."""
    state = checkpoint.get("state_dict", checkpoint)
    items = state.items() if isinstance(state, dict) else ()
    return {str(k): t for k, t in items if isinstance(t, Tensor)}


def _undiff_state(path: Path, checkpoint: dict, ema: bool) -> tuple[str, dict[str, Tensor]]:
    """The network's name and its weights under voxmend's names."""
    state = _tensors(checkpoint)
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
        told = checkpoint.get("ema_params")
        state |= _averaged(path, told[0] if isinstance(told, list) and told else [],
                           [k for k in state if not k.endswith(BUFFERS)])
    for theirs, ours in names.items():
        state = {k.replace(theirs, ours): t for k, t in state.items()}
    return name, state


def _averaged(path: Path, told: Any, parameters: list[str]) -> dict[str, Tensor]:
    """The averages of the parameters, which a checkpoint lists in the same order."""
    averages = [t for t in told if isinstance(t, Tensor)] if isinstance(told, list) else []
    if len(averages) != len(parameters):
        raise CheckpointError(f"{path}: has {len(averages)} averages for {len(parameters)} "
                              "parameters")
    return dict(zip(parameters, averages, strict=True))


def _undiff_config(name: str, state: dict[str, Tensor]) -> dict:
    """A network's size, read off its weights' names and shapes, and for the rest as published."""
    def count(stack: str) -> int:
        return 1 + max(int(n) for n in re.findall(rf"^{stack}\.(\d+)\.", "\n".join(state),
                                                re.MULTILINE))

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


def _network_of(path: Path, name: str, state: dict[str, Tensor], read_config: Callable,
                told: dict) -> tuple[dict, nn.Module]:
    """The size of a network, read off its weights' shapes and told, and one that has it.

    It is on the meta device. Raises CheckpointError where there is no network of such weights.
    """
    try:
        config = read_config(name, state) | told
        with torch.device("meta"):
            return config, hub.build_network(name, config)
    except KeyError as error:
        raise CheckpointError(f"{path}: lacks {error.args[0]}") from None
    except (LookupError, ArithmeticError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: its weights have shapes that no {name} has "
                              f"({textwrap.shorten(str(error), 100)})") from None


def import_undiff(path: Path, out: Path, ema: bool = False, overwrite: bool = False,
                  **config: Any) -> dict:
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
    name, state = _undiff_state(path, _read(path, out, overwrite), ema)
    config, network = _network_of(path, name, state, _undiff_config, config)
    _check(path, state, network.state_dict())
    return _save(path, out, network, state, {
        "network": name, "config": config, "prediction": "epsilon",
        "betas": {"schedule": "linear", "steps": 200, "start": 1e-4, "end": 0.02},
        "sample_rate": 16000, "sigma_data": 0.1}, "UnDiff (SamsungLabs)", ema)


def _save(path: Path, out: Path, network: nn.Module, state: dict[str, Tensor], card: dict,
          project: str, averaged: bool) -> dict:
    """Writes weights and their card, which says where they come from, and returns the card."""
    card |= {"parameters": sum(p.numel() for p in network.parameters()),
             "source": {"project": project, "checkpoint": path.name,
                        "sha256": hub.file_hash(path), "averaged": averaged},
             "licence": "that of the checkpoint"}
    hub.save_prior(out, state, card)
    return card


def _ncsnpp_place(key: str) -> tuple[int, list[int]]:
    """Where a tensor stands in the release's NCSN++; the output layer comes first."""
    module, _, part = key.removeprefix("all_modules.").partition(".")
    try:
        number = -1 if module == "output_layer" else int(module)
        return number, [NCSNPP_PARTS.index(p) for p in part.split(".")]
    except ValueError:
        raise CheckpointError(f"has {key}, which no NCSN++ has") from None


def _diffsep_state(path: Path, checkpoint: dict) -> tuple[dict[str, Tensor], bool]:
    """The weights by the release's names, in its order, and whether they are averages."""
    state = _tensors(checkpoint)
    telling = "output_layer.weight"
    prefix = next((k.removesuffix(telling) for k in state if k.endswith(telling)), None)
    if prefix is None:
        raise CheckpointError(f"{path}: holds no DiffSep: no key ends in {telling}")
    state = {k.removeprefix(prefix): t for k, t in state.items() if k.startswith(prefix)}
    try:
        keys = sorted(state, key=_ncsnpp_place)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    ema = checkpoint.get("ema")
    averages = ema.get("shadow_params", []) if isinstance(ema, dict) else []
    if averages:  # older ones without the frequencies, which are not trained
        frozen = {"all_modules.0.W"} if len(averages) < len(keys) else ()
        state |= _averaged(path, averages, [k for k in keys if k not in frozen])
    return {k: state[k] for k in keys}, bool(averages)


def _diffsep_config(name: str, state: dict[str, Tensor]) -> dict:
    """An NCSN++'s size, read off its weights' shapes."""
    return {"sources": len(state["output_layer.bias"]) // 2,
            "channels": len(state["all_modules.3.bias"])}


def import_diffsep(path: Path, out: Path, task: str = "separate", overwrite: bool = False,
                   **config: Any) -> dict:
    """Writes a model from a checkpoint of DiffSep, with its averaged weights, and returns its card.

    Args:
        path: `checkpoint.pt`, or a bare state dict.
        out: the model, .safetensors; its card goes beside it.
        task: "separate" (8 kHz) or "enhance" (16 kHz), which the weights do not tell.
        config: arguments of `NCSNpp` where they are not the published ones; `sources` and
            `channels` are read off the weights.

    Raises: CheckpointError, OSError; AudioError when `out` exists.
    """
    path, out = Path(path), Path(out)
    state, averaged = _diffsep_state(path, _read(path, out, overwrite))
    config, network = _network_of(path, "NCSNpp", state, _diffsep_config, config)
    expected = network.state_dict()
    if len(state) != len(expected):
        raise CheckpointError(f"{path}: has {len(state)} weights, where an NCSN++ of "
                              f"{config['channels']} channels has {len(expected)}")
    state = {name: t.T if ".NIN_" in k and k.endswith(".W") else t
             for name, (k, t) in zip(expected, state.items(), strict=True)}
    _check(path, state, expected)
    sample_rate, local_noise = DIFFSEP[task]
    process = {"sources": config["sources"], "gamma": 2.0, "sigma_min": 0.05, "sigma_max": 0.5}
    return _save(path, out, network, state, {
        "network": "NCSNpp", "config": config, "prediction": "score", "task": task,
        "process": process, "local_noise": local_noise, "sample_rate": sample_rate},
        "DiffSep (fakufaku)", averaged)


def _speechbrain_config(name: str, state: dict[str, Tensor]) -> dict:
    """An encoder's size, read off its weights' shapes."""
    def shape(layer: str) -> torch.Size:
        return state[f"{layer}.weight"].shape

    if name == "XVector":
        channels, mels, _ = shape("blocks.0")
        return {"mels": mels, "channels": channels, "mixed": shape("blocks.12")[0],
                "dim": shape("fc")[0]}
    channels, mels, _ = shape("blocks.0.conv")
    return {"mels": mels, "channels": channels, "mixed": shape("mfa.conv")[0],
            "attention": shape("asp.conv")[1], "squeeze": shape("blocks.1.se_block.conv1")[0],
            "scale": channels // shape("blocks.1.res2net_block.blocks.0.conv")[0],
            "dim": shape("fc")[0]}


def import_speechbrain(path: Path, out: Path, kind: str = "ecapa", overwrite: bool = False) -> dict:
    """Writes an encoder of speakers from a checkpoint of SpeechBrain, and returns its card.

    Args:
        path: `embedding_model.ckpt` of spkrec-ecapa-voxceleb or spkrec-xvect-voxceleb, of any size.
        out: the encoder, .safetensors; its card goes beside it.
        kind: a key of `SPEECHBRAIN`.

    Raises: CheckpointError, OSError; AudioError when `out` exists.
    """
    path, out = Path(path), Path(out)
    state = _tensors(_read(path, out, overwrite))
    name, telling = SPEECHBRAIN[kind]
    if telling not in state:
        other = next((k for k, (_, key) in SPEECHBRAIN.items() if key in state), None)
        hint = f"; import it as speechbrain-{other}" if other else ""
        raise CheckpointError(f"{path}: holds no {name} of SpeechBrain: it has no {telling}{hint}")
    # there every layer sits in another module, whose name stands before the last
    state = {re.sub(r"[^.]+\.([^.]+)$", r"\1", key): t for key, t in state.items()}
    if name == "XVector":
        state = {key.replace("blocks.16.", "fc."): t for key, t in state.items()}
    config, network = _network_of(path, name, state, _speechbrain_config, {})
    _check(path, state, network.state_dict())
    return _save(path, out, network, state, {
        "network": name, "config": config, "prediction": "embedding", "dim": config["dim"],
        "sample_rate": 16000}, "SpeechBrain", averaged=False)


def _diffiner_config(name: str, state: dict[str, Tensor]) -> dict:
    """The U-Net's size, read off its weights' names and shapes."""
    channels, told = state["embed.0.weight"].shape[1], state["down.1.0.time.weight"]
    numbers = sorted(int(found[1]) for key in state
                     if (found := re.fullmatch(r"down\.(\d+)\.0\.time\.weight", key)))
    widths = [len(state[f"down.{n}.0.conv2.bias"]) for n in numbers]
    levels = 1 + sum(bool(re.fullmatch(r"down\.\d+\.0\.conv\.weight", key)) for key in state)
    blocks = len(widths) // levels
    attention = {2 ** (i // blocks) for i, n in enumerate(numbers)
                 if f"down.{n}.1.qkv.weight" in state}
    return {"channels": channels, "multiples": [width // channels for width in widths[::blocks]],
            "blocks": blocks, "attention": sorted(attention),
            "scale_shift": len(told) == 2 * widths[0]}


def import_diffiner(path: Path, out: Path, overwrite: bool = False, **config: Any) -> dict:
    """Writes a prior of spectra from a checkpoint of Diffiner's U-Net, and returns its card.

    The schedule is the release's (4000 steps, β linear from 2.5e-5 to 0.005), as are its spectra:
    16 kHz, Hann 512/256, without the constant. Its bins are 9.8 times those of `bins.Bins`, hence
    the level: that of VoiceBank's speech, RMS 0.076, times 9.8.

    Args:
        path: `pretrained_diffiner_onVB.pt`, a bare state dict.
        out: the prior, .safetensors; its card goes beside it.
        config: arguments of `DDPMUNet` that shapes cannot tell (`heads`), where they are not the
            published ones.

    Raises: CheckpointError, OSError; AudioError when `out` exists.
    """
    path, out = Path(path), Path(out)
    state = _tensors(_read(path, out, overwrite))
    if "time_embed.0.weight" not in state:
        raise CheckpointError(f"{path}: holds no Diffiner: no time_embed.0.weight")
    for theirs, ours in DIFFINER_NAMES.items():
        state = {k.replace(theirs, ours): t for k, t in state.items()}
    config, network = _network_of(path, "DDPMUNet", state, _diffiner_config, config)
    _check(path, state, network.state_dict())
    return _save(path, out, network, state, {
        "network": "DDPMUNet", "config": config, "prediction": "spectrogram",
        "betas": {"schedule": "linear", "steps": 4000, "start": 2.5e-5, "end": 0.005},
        "sample_rate": 16000, "sigma_data": 0.74}, "Diffiner (Sony)", False)
