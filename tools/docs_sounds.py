"""Makes what the site lets be heard and seen: the bundled clip, damaged and restored.

    python tools/docs_sounds.py FOLDER

For every task of `CASES` it leaves TASK-N.flac, TASK.png (their spectrograms) and an entry of
sounds.json: title, file and, where there is an original, SI-SNR and LSD of every sound.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from scipy.signal import resample_poly

import voxmend
from voxmend import audio, classical
from voxmend.benchmarks import plots
from voxmend.benchmarks.restoration import mel_of
from voxmend.diffusion.guidance import ToldMixture
from voxmend.dsp import degrade
from voxmend.metrics.lsd import lsd
from voxmend.metrics.si_snr import si_snr
from voxmend.restore.tasks import TASKS
from voxmend.systems import separator
from voxmend.systems.diffiner import Refiner
from voxmend.training.damages import reverberant
from voxmend.training.pool import Draws

RATE, SECONDS = 16000, 4
CLIP = Path(voxmend.__file__).parent / "demo" / "clean.flac"
Sounds = dict[str, np.ndarray]  # titles and signals [T]; the first is the original, if there is one


def declip(clean: np.ndarray) -> Sounds:
    """Peaks cut off at an SDR of 3 dB."""
    level = degrade.clip_level_for_sdr(clean, 3)
    clipped = degrade.clip(clean, level)
    return {"original": clean, "clipped, 3 dB": clipped,
            "S-SPADE": classical.s_spade(clipped, level),
            "restored": voxmend.restore(clipped, RATE, "declip")}


def extend(clean: np.ndarray) -> Sounds:
    """Nothing above 2 kHz."""
    narrow = degrade.lowpass(clean, 2000, RATE)
    return {"original": clean, "nothing above 2 kHz": narrow,
            "mirroring": classical.spectral_mirror(narrow, 2000, RATE),
            "restored": voxmend.restore(narrow, RATE, "extend")}


def inpaint(clean: np.ndarray) -> Sounds:
    """Gaps of 50 ms, twice a second."""
    holes, kept = degrade.gaps(clean, RATE)
    return {"original": clean, "gaps of 50 ms": holes,
            "autoregressive": classical.ar_interpolate(holes, ~kept),
            "restored": voxmend.restore(holes, RATE, "inpaint")}


def denoise(clean: np.ndarray) -> Sounds:
    """White noise at 10 dB."""
    noisy = degrade.white_noise(clean, 10, 0)
    return {"original": clean, "white noise, 10 dB": noisy,
            "Wiener": classical.wiener_denoise(noisy, float(np.std(noisy - clean)), RATE),
            "restored": voxmend.restore(noisy, RATE, "denoise")}


def mend(clean: np.ndarray) -> Sounds:
    """The bundled damaged clip: band, clipping and gaps."""
    damaged = audio.load(CLIP.with_name("damaged.flac"), RATE)[0][:len(clean)]
    return {"original": clean, "band, clipping, gaps": damaged,
            "restored": voxmend.restore(damaged, RATE)}


def street(clean: np.ndarray) -> np.ndarray:
    """The clip at 5 dB in noise that swells twice a second, low frequencies most, as of traffic."""
    generator = np.random.default_rng(0)
    size, hertz = len(clean), np.fft.rfftfreq(len(clean), 1 / RATE)
    tilt = np.maximum(hertz, 100) ** -0.75
    hiss = np.fft.irfft(np.fft.rfft(generator.standard_normal(size)) * tilt, size)
    swell = 1 + 0.8 * np.sin(2 * np.pi * 2 * np.arange(size) / RATE)
    noise = hiss * swell
    return (clean + noise * np.std(clean) / np.std(noise) * 10 ** (-5 / 20)).astype(np.float32)


def enhance(clean: np.ndarray) -> Sounds:
    """Noise that is not stationary, at 5 dB."""
    noisy = street(clean)
    return {"original": clean, "noise that swells, 5 dB": noisy,
            "log-MMSE": classical.log_mmse_denoise(noisy, RATE),
            "enhanced": voxmend.enhance(noisy, RATE)}


def dereverb(clean: np.ndarray) -> Sounds:
    """A synthetic room."""
    wet = reverberant(torch.from_numpy(clean)[None], Draws(1, "cpu", 3), RATE, (0.6, 0.6))
    wet = wet[0].numpy()
    return {"original": clean, "room, T60 0.6 s": wet,
            "dereverberated": separator.load("dereverb")(wet, RATE)[0]}


def refine(clean: np.ndarray) -> Sounds:
    """What a classical enhancer made of noisy speech, refined."""
    noisy = street(clean)
    enhanced = classical.log_mmse_denoise(noisy, RATE)
    return {"original": clean, "noise that swells, 5 dB": noisy, "log-MMSE": enhanced,
            "log-MMSE, refined": Refiner()(noisy, enhanced, RATE)}


def two_voices(clean: np.ndarray) -> np.ndarray:
    """The clip and a lower voice, which is its second half slowed down by a quarter."""
    rest = audio.load(CLIP, RATE)[0][len(clean):]
    low = resample_poly(rest, 5, 4)[:len(clean)].astype(np.float32)
    return clean + low * np.std(clean) / np.std(low)


def by_likeness(voices: np.ndarray, clean: np.ndarray, by: str = "") -> Sounds:
    """Two voices, the one that is more like the clip first."""
    voices = sorted(voices, key=lambda voice: -si_snr(voice, clean))
    return {f"{place} voice{by}": voice
            for place, voice in zip(("first", "second"), voices, strict=True)}


def separate(clean: np.ndarray) -> Sounds:
    """Two voices by the network that is best."""
    mixture = two_voices(clean)
    voices = separator.load("separate", "frame-separator")(mixture, RATE)
    return {"original": clean, "two voices": mixture, **by_likeness(voices, clean)}


def separation(clean: np.ndarray) -> Sounds:
    """The same by every system: the networks, and the prior, which is told or not."""
    mixture = two_voices(clean)
    sounds = {"original": clean, "two voices": mixture}
    for method in ("frame-separator", "diffsep", "conv-tasnet"):
        voices = separator.load("separate", method)(mixture, RATE)
        sounds |= by_likeness(voices, clean, f", {method}")
    told = replace(TASKS["separate"], guidance=ToldMixture())
    for by, task, prior in (("UnDiff", "separate", "speech16k"), ("told", told, "enhancer16k")):
        sounds |= by_likeness(voxmend.Restorer(task, prior)(mixture, RATE), clean, f", {by}")
    return sounds


def vocode(clean: np.ndarray) -> Sounds:
    """Speech from a mel-spectrogram of the clip."""
    mel = mel_of(clean)
    return {"original": clean, "Griffin-Lim": classical.mel_griffin_lim(mel, fixed=0),
            "Griffin-Lim, bi-level": classical.mel_griffin_lim(mel),
            "vocoded": voxmend.Restorer("vocode").from_mel(mel)[0]}


def generate(clean: np.ndarray) -> Sounds:
    """Two draws from the prior."""
    prior = voxmend.Restorer("generate")
    return {f"draw {number + 1}": prior.generate(SECONDS, number)[0] for number in range(2)}


CASES: dict[str, Callable[[np.ndarray], Sounds]] = {
    made.__name__: made for made in (mend, declip, extend, inpaint, denoise, enhance, dereverb,
                                     refine, separate, separation, vocode, generate)}


def write(task: str, sounds: Sounds, folder: Path) -> list[dict]:
    """Writes a task's sounds and picture; returns what sounds.json has of them."""
    size = min(map(len, sounds.values()))
    waves = {title: np.asarray(wave, np.float32)[:size] for title, wave in sounds.items()}
    original, entries = waves.get("original"), []
    for number, (title, wave) in enumerate(waves.items()):
        loudest = max(float(np.abs(wave).max()), 0.999)  # restored peaks may pass full scale
        file = folder / f"{task}-{number}.flac"
        soundfile.write(file, wave / loudest, RATE, subtype="PCM_16")
        entries.append({"title": title, "file": file.name})
        if original is not None and wave is not original and not title.startswith("second"):
            entries[-1] |= {"si_snr": si_snr(wave, original), "lsd": lsd(wave, original, RATE)}
    plots.spectrograms(waves, RATE, folder / f"{task}.png")
    return entries


def main(folder: Path, tasks: list[str]) -> None:
    """Makes the sounds of all tasks, or of those named."""
    folder.mkdir(parents=True, exist_ok=True)
    clean = audio.load(CLIP, RATE)[0][:SECONDS * RATE]
    made = {task: write(task, CASES[task](clean), folder) for task in tasks or CASES}
    (folder / "sounds.json").write_text(json.dumps(made, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
