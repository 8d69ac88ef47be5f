"""Audio files in and out."""
import numpy as np
import soundfile, soxr

def load(path, sample_rate):
    wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if rate != sample_rate:
        wave = soxr.resample(wave, rate, sample_rate, "HQ")
    return np.ascontiguousarray(wave.T)
