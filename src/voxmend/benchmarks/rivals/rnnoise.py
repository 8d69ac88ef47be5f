"""RNNoise (Valin 2018): the library that pyrnnoise ships, called frame by frame.

It is two frames late: by the overlap of its windows, and by a frame that its network looks ahead.

Its Python side is passed by, since it rounds to 16 bits and imports packages that are not needed.
"""

import ctypes
from importlib.metadata import files

import numpy as np

from . import Enhance, Rival

FLOATS = ctypes.POINTER(ctypes.c_float)
FULL_SCALE = 32768.0  # it works on samples of this scale


def load() -> Enhance:
    """The library, a fresh state for every signal."""
    shipped = [file for file in files("pyrnnoise") or ()
               if file.stem.endswith("rnnoise") and file.suffix in (".so", ".dll", ".dylib")]
    library = ctypes.CDLL(str(shipped[0].locate()))
    library.rnnoise_create.restype = ctypes.c_void_p
    library.rnnoise_create.argtypes = [ctypes.c_void_p]
    library.rnnoise_destroy.argtypes = [ctypes.c_void_p]
    library.rnnoise_process_frame.restype = ctypes.c_float
    library.rnnoise_process_frame.argtypes = [ctypes.c_void_p, FLOATS, FLOATS]
    frame = library.rnnoise_get_frame_size()

    def enhance(wave: np.ndarray) -> np.ndarray:
        state = library.rnnoise_create(None)
        out = np.ascontiguousarray(np.pad(wave, (0, -len(wave) % frame)) * FULL_SCALE, np.float32)
        for start in range(0, len(out), frame):
            here = out[start:start + frame].ctypes.data_as(FLOATS)
            library.rnnoise_process_frame(state, here, here)
        library.rnnoise_destroy(state)
        return out[:len(wave)] / FULL_SCALE

    return enhance


RIVAL = Rival("RNNoise", "pyrnnoise", "Apache-2.0, library BSD-3", 48000, load, delay=960)
