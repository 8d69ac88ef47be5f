"""Encoders of speakers in use: from a recording of any length to a vector that says who speaks.

    wave ─ pieces of at most 10 s ─ network ─ unit length ─ mean ─ unit length ─ embedding
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from ..models import hub

PIECE_SECONDS, SHORTEST_SECONDS = 10, 0.3
SILENCE = 1e-4  # RMS as a share of full scale, −80 dB

# Bundled encoders that together give so many dimensions.
PRESETS = {64: ("ecapa64",), 128: ("ecapa128",), 704: ("ecapa", "xvector")}


@dataclass(frozen=True)
class Encoder:
    """`load_encoder("ecapa").embed(wave) -> embedding`.

    Embeddings of one network have length one: training looks at their directions only. Those of
    several stand one after another, so that their cosine is the mean of the networks' cosines.

    Args:
        networks: from `[B, 1, T]` at 16 kHz to `[B, dim]`, each with a `dim`.
        name: of the weights, joined by "+".
        hash: `hub.file_hash` of the weights, joined by "+".
    """

    networks: tuple[nn.Module, ...]
    name: str
    hash: str

    sample_rate = 16000

    @property
    def dim(self) -> int:
        """The embedding's number of dimensions."""
        return sum(cast("int", network.dim) for network in self.networks)

    @torch.no_grad()
    def embed(self, wave: np.ndarray) -> np.ndarray:
        """Who speaks in a recording at `sample_rate`.

        A long one is taken in pieces of equal length, of which silent ones do not count.

        Shape: `[T]` to `[dim]`, float32. Raises ValueError for another shape, NaN or infinity,
        less than 0.3 s, and silence.
        """
        wave = np.asarray(wave, np.float32)
        if wave.ndim != 1:
            raise ValueError(f"an encoder of speakers takes a mono signal, not {list(wave.shape)}")
        if len(wave) < SHORTEST_SECONDS * self.sample_rate:
            raise ValueError(f"{len(wave) / self.sample_rate:.2f} s is too short to tell who "
                             f"speaks; give {SHORTEST_SECONDS} s or more")
        if not np.isfinite(wave).all():
            raise ValueError("an encoder of speakers takes a signal without NaN or infinity")
        pieces = np.array_split(wave, -(-len(wave) // (PIECE_SECONDS * self.sample_rate)))
        heard = [piece for piece in pieces if np.sqrt(np.mean(piece**2)) > SILENCE]
        if not heard:
            raise ValueError("silence: nobody speaks there")
        return np.concatenate([self._direction(network, heard) for network in self.networks])

    @staticmethod
    def _direction(network: nn.Module, pieces: Sequence[np.ndarray]) -> np.ndarray:
        device = next(network.parameters()).device
        total = 0
        for piece in pieces:
            embedding = network(torch.from_numpy(piece)[None, None].to(device))[0].cpu().numpy()
            total = total + embedding / np.linalg.norm(embedding)
        return np.asarray(total / np.linalg.norm(total))


def load_encoder(name: str | Path | Sequence[str | Path] = PRESETS[704],
                 device: str = "auto") -> Encoder:
    """The encoder of a name as of `hub.find_prior`, or of several of them side by side.

    Several are a sequence, or one name joined by "+", as `Encoder.name` has it.

    Raises `hub.PriorError`, a ValueError.
    """
    parts = str(name).split("+") if isinstance(name, str | Path) else name
    place = str(hub.pick_device(device))
    paths = [hub.find_prior(str(part), ("embedding",), "encoder") for part in parts]
    networks = []
    for path in paths:
        card = hub.read_card(path)
        if card.get("prediction") != "embedding" or card.get("sample_rate") != 16000:
            raise hub.PriorError(f"{path}: no encoder of speakers at 16 kHz; train one by "
                                 "recipes/speakemb/ecapa.py, or import one of SpeechBrain's")
        networks.append(hub.load_network(path, card, place))
    return Encoder(tuple(networks), "+".join(hub.title(path) for path in paths),
                   "+".join(hub.file_hash(path) for path in paths))
