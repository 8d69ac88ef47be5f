"""WV-MOS: an opinion score predicted by a fine-tuned wav2vec 2.0."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._common import WeightsError, extra, find_weights, load_state_dict, mono_16k

DEFAULT = Path("~/.cache/wv_mos/wv_mos.ckpt")  # where the package wvmos keeps it


def build(**config: Any) -> Any:
    """wav2vec 2.0 and a head of two layers, with random weights and without any download.

    Args:
        config: what differs from wav2vec2-base, in the words of transformers' Wav2Vec2Config.
    """
    from torch import nn

    transformers = extra("transformers", "wvmos")
    encoder = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**config))
    head = nn.Sequential(nn.Linear(encoder.config.hidden_size, 128), nn.ReLU(), nn.Dropout(0.1),
                         nn.Linear(128, 1))
    return nn.ModuleDict({"encoder": encoder, "dense": head}).eval()


@lru_cache
def load(path: Path, **config: Any) -> Any:
    """The model of a checkpoint whose keys begin with `model.`, as `build`; raises WeightsError."""
    model = build(**config)
    state = {key.removeprefix("model."): value for key, value in load_state_dict(path).items()}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path}: not the weights of WV-MOS ({reason})") from None
    return model


def predict(model: Any, wave: np.ndarray) -> float:
    """The score of a clip at 16 kHz, brought to mean 0 and variance 1. Shape: `[T]`."""
    import torch

    x = torch.from_numpy((wave - wave.mean()) / (wave.var() + 1e-7) ** 0.5).float()
    with torch.inference_mode():
        return model["dense"](model["encoder"](x[None]).last_hidden_state).mean().item()


def wvmos(estimate: ArrayLike, sample_rate: int,
          weights: str | Path | None = None) -> dict[str, float]:
    """Predicted mean opinion score, about 1 to 5; higher is better.

    The mean over frames of a two-layer head on wav2vec2-base, both tuned on listening tests; the
    level of the clip does not count. (Andreev et al. 2022, HiFi++)

    Args:
        weights: the published checkpoint; default `$VOXMEND_WVMOS` or ~/.cache/wv_mos/wv_mos.ckpt.

    Returns:
        the score as `wvmos`.

    Shape: `[T]`.

    Raises ValueError for a signal that is not finite, not 1-D or shorter than 25 ms, WeightsError
    for weights that are missing or others, ImportError without transformers.
    """
    wave = mono_16k(estimate, sample_rate, shortest=400)
    path = find_weights(weights, "VOXMEND_WVMOS", DEFAULT,
                        "fetch wav2vec2.ckpt of zenodo.org/record/6201162 and save it there")
    return {"wvmos": predict(load(path), wave)}
