"""The benchmark of encoders of speakers: equal error rates of pairs of short crops."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from scipy.signal import firwin2, lfilter

from .. import __version__, audio
from ..dsp.rms import rms
from ..dsp.stft import fbank
from ..models.precision import choose
from ..speakers.encoders import load_encoder
from ..speakers.verification import cut, spread, verification_error
from ..training.corpus import Corpus, audio_files, draw_noise, speaker
from .restoration import measured_folder
from .scoring import RATE, machine

SECONDS = (1, 2, 4)
CROPS = 5  # of a file
SNR_DB = 10


def mean_log_mel(crop: np.ndarray) -> np.ndarray:
    """The mean over the frames of `fbank`, without the level. Shape: `[T]` to `[80]`."""
    spectrum = fbank(torch.from_numpy(crop)[None])[0].mean(0).numpy()
    return spectrum - spectrum.mean()


def through_channel(crop: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A signal through a smooth filter whose gain at every kHz is drawn, with a deviation of 6 dB.

    Shape: `[T]` to `[T]`.
    """
    gains = 10 ** (generator.normal(0, 6, 9) / 20)
    return lfilter(firwin2(129, np.linspace(0, 1, 9), gains), 1, crop).astype(np.float32)


def in_noise(corpus: Corpus) -> Callable:
    """`(crop, generator) -> crop` in some noise of a corpus."""
    def change(crop: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        noise = draw_noise(corpus, len(crop), generator)
        return (crop + rms(crop) * 10 ** (-SNR_DB / 20) * noise).astype(np.float32)
    return change


def split_rows(files: list[Path], root: Path, embeds: dict[str, Callable], change: Callable,
               seed: int) -> list[dict]:
    """A row for every way to embed a crop: the equal error rate in % by the crops' length.

    `change` is what becomes of a crop before, `(crop, generator) -> crop`.
    """
    rows: list[dict] = [{"encoder": name} for name in embeds]
    for seconds in SECONDS:
        generator = np.random.default_rng(seed)
        crops, names = [], []
        for file in files:
            wave = audio.load(file, RATE).mean(0)
            pieces = spread(list(cut(wave, seconds * RATE)), CROPS)
            crops += [change(piece, generator) for piece in pieces]
            names += [speaker(file.relative_to(root))] * len(pieces)
        for row, embed in zip(rows, embeds.values(), strict=True):
            embeddings = np.stack([embed(crop) for crop in crops])
            error = verification_error(embeddings, np.array(names))
            row |= {"dim": embeddings.shape[1], f"{seconds} s": round(100 * error, 2)}
    return rows


def run(data: Path, encoders: Sequence[str], noise: Path | None = None, clips: int | None = None,
        seed: int = 0, device: str = "cpu", precision: str = "auto") -> dict:
    """Measures encoders beside `mean_log_mel`; the result can be written as JSON.

    Args:
        data: a folder of speech, or one that holds val/ or test/, which are measured each.
        encoders: as in `load_encoder`.
        noise: a folder of recordings of noise; its test/ is used where there is one.
        clips: only the first so many files of a folder.

    Raises ValueError where no pair of crops is of one speaker, or none of two.
    """
    loaded = [load_encoder(name, device) for name in encoders]
    for network in (network for encoder in loaded for network in encoder.networks):
        choose(network, precision)
    embeds = {"mean log-mel": mean_log_mel} | {e.name: e.embed for e in loaded}
    folders = [data / part for part in ("val", "test") if (data / part).is_dir()] or [data]
    result: dict = {"version": __version__, "machine": machine(), "seed": seed, "device": device,
              "encoders": {e.name: e.hash for e in loaded}, "cases": {}}
    with TemporaryDirectory() as cache:
        changes: dict[str, Callable] = {"as recorded": lambda crop, generator: crop,
                   "each through another channel": through_channel}
        if noise is not None:
            corpus = Corpus(measured_folder(noise), Path(cache), RATE)
            changes[f"each in other noise at {SNR_DB} dB"] = in_noise(corpus)
        for folder in folders:
            files = audio_files(folder)[:clips]
            for label, change in changes.items():
                result["cases"][f"{folder.name}, {len(files)} files, {label}"] = split_rows(
                    files, folder, embeds, change, seed)
    return result


def markdown(result: dict) -> str:
    """The tables of a result."""
    named = ", ".join(f"{name} ({digest})" for name, digest in result["encoders"].items())
    lines = [f"Equal error rate in %, at most {CROPS} crops of a file, {named}, seed "
             f"{result['seed']}, {result['device']}: {result['machine']}"]
    for case, rows in result["cases"].items():
        lines += ["", f"**{case}**", "", "| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0])
                  + "|"]
        lines += ["| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows]
    return "\n".join(lines)
