"""Files broken at random, and options combined at random: every number is one trial."""

import io
import struct
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from . import containers
from .containers import CONTAINERS
from .damage import RATE, hum, noise, resampled

HEADER = 200  # bytes, where most mutations fall
WORDS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 0x00010000)
FILE_VERBS = ("mend IN OUT --dry-run", "mend IN OUT --dry-run", "mend IN OUT --steps 1",
              "enhance IN OUT", "degrade clip IN OUT")


@dataclass(frozen=True)
class Trial:
    """A command to try: its words, in which IN, OUT, … stand for paths; the files that it finds.

    Attributes:
        kind: what is tried, of which failures are counted.
        files: by name, below the trial's folder; of a name that ends in "/", a folder.
        text: what was done.
        each: a folder is worked on, of which every file may fail by itself.
    """

    kind: str
    words: tuple[str, ...]
    files: dict[str, bytes] = field(repr=False)
    text: str = ""
    each: bool = False


def sound(rate: int = RATE, channels: int = 1, seconds: float = 0.25) -> np.ndarray:
    """A buzz in noise that comes and goes, `[C, T]`."""
    length = round(seconds * RATE)
    wave = hum(length, 120) * (0.3 + np.sin(30 * np.arange(length) / RATE) ** 2)
    wave = 0.2 * wave / np.abs(wave).max() + 0.01 * noise(length)
    return np.stack([resampled(wave, RATE, rate)] * channels)


@cache
def whole(name: str) -> bytes:
    """A short recording in a container."""
    kind = CONTAINERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{kind.suffix}"
        containers.write(path, sound(kind.rate, min(kind.channels, 2)), kind)
        return path.read_bytes()


def mutated(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """A file with one to three faults, and their names."""
    out, told = bytearray(data), []
    for _ in range(rng.integers(1, 4)):
        end = HEADER if rng.random() < 0.8 else len(out)
        at = int(rng.integers(0, max(1, min(end, len(out)))))
        size = int(2 ** rng.uniform(0, 8))
        match kind := str(rng.choice(["cut", "bits", "word", "word", "insert", "delete", "zeros",
                                      "twice", "random"])):
            case "cut":
                del out[int(rng.integers(0, len(out) + 1)):]
            case "bits":
                for place in rng.integers(0, max(1, min(end, len(out))), 4):
                    if place < len(out):
                        out[place] ^= 1 << int(rng.integers(0, 8))
            case "word":
                order = "<I" if rng.random() < 0.5 else ">I"
                out[at:at + 4] = struct.pack(order, WORDS[rng.integers(len(WORDS))])
            case "insert":
                out[at:at] = rng.bytes(size)
            case "delete":
                del out[at:at + size]
            case "zeros":
                out[at:at + size] = bytes(min(size, max(0, len(out) - at)))
            case "twice":
                out += out[at:]
            case "random":
                out[at:at + size] = rng.bytes(min(size, max(0, len(out) - at)))
        told.append(f"{kind} at {at}")
    return bytes(out), ", ".join(told)


def file_trial(number: int) -> Trial:
    """A mutated file of the container whose turn it is."""
    rng = np.random.default_rng([19, number])
    name = [*CONTAINERS][number % len(CONTAINERS)]
    data, told = mutated(whole(name), rng)
    verb = FILE_VERBS[rng.integers(len(FILE_VERBS))]
    source = f"in{CONTAINERS[name].suffix}"
    words = tuple({"IN": f"@{source}", "OUT": "@out/x.wav"}.get(w, w) for w in verb.split())
    return Trial(name, words, {source: data, "out/": b""}, told)


def wav(wave: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> bytes:
    """The bytes of a wav."""
    file = io.BytesIO()
    soundfile.write(file, wave.T, rate, subtype, format="WAV")
    return file.getvalue()


@cache
def inputs() -> dict[str, bytes]:
    """Files that the options are tried on."""
    return {"a.wav": wav(sound()), "b.wav": wav(sound(channels=2)), "c.wav": wav(sound(8000), 8000),
            "silent.wav": wav(np.zeros((1, 4000))), "one.wav": wav(np.ones((1, 1)) / 2),
            "nan.wav": wav(np.full((1, 4000), np.nan), subtype="FLOAT"), "text.wav": b"words\n",
            "empty.wav": b"", "d.flac": whole("flac"), "e.mp3": whole("mp3"),
            "f.m4a": whole("m4a, AAC"), "notes.txt": b"words\n", "out/": b"", "none/": b"",
            "out/old.wav": wav(sound()), "folder/a.wav": wav(sound()),
            "folder/b.wav": wav(sound(channels=2))}


INS = ("@a.wav", "@a.wav", "@b.wav", "@c.wav", "@silent.wav", "@one.wav", "@nan.wav", "@text.wav",
       "@empty.wav", "@d.flac", "@e.mp3", "@f.m4a", "@notes.txt", "@missing.wav", "@folder",
       "@none", "", "-")
OUTS = ("@out/x.wav", "@out/x.wav", "@out/x.wav", "@out/x.flac", "@out/x.mp3", "@out/x.opus",
        "@out/x.m4a", "@out/x.xyz", "@out/x", "@out/old.wav", "@nowhere/x.wav", "@a.wav", "@out",
        "@out/new/", "", "@out/ü ñ.wav")
COMMON = {"--seed": ("0", "7", "-1", "x", "1e9", "99999999999999999999"),
          "--device": ("cpu", "auto", "cuda", "mps", "toaster", ""),
          "--precision": ("fp32", "bf16", "auto", "fp64"), "--overwrite": None}
RUNNING = {"--steps": ("1", "2", "0", "-1", "x", "1.5", "")}
PRIOR = {"--prior": ("speech16k", "nothing", "@text.wav", "@none", "enhancer16k", "")}
MENDING = {**COMMON, **RUNNING, **PRIOR, "--draws": ("1", "2", "0", "-3", "x"),
           "--plot": ("@out/p.png", "@out/p.jpg", "@nowhere/p.png", ""), "--salvage": None,
           "--headroom": ("0", "6", "-1", "99", "x")}
NUMBERS = ("auto", "0.3", "0", "-1", "nan", "inf", "1e9", "x", "", "L:0.5", "9:0.5", "1e-30")
METHODS = ("voxmend", "diffsep", "segan", "nonsense", "frame-separator", "conv-tasnet")
VERBS: dict[str, tuple[str, dict[str, tuple[str, ...] | None]]] = {
    "mend": ("IN OUT", {**MENDING, "--dry-run": None}),
    "declip": ("IN OUT", {**MENDING, "--level": NUMBERS}),
    "extend": ("IN OUT", {**MENDING, "--cutoff": (*NUMBERS, "4000", "100", "L:4000")}),
    "inpaint": ("IN OUT", {**MENDING, "--gaps": (*NUMBERS, "0.1-0.12", "0.2-0.1", "5-6", "L:0-0.1",
                                                 "0-0.25", "0.1-0.12,0.11-0.2")}),
    "denoise": ("IN OUT", {**MENDING, "--noise": (*NUMBERS, "0.01")}),
    "vocode": ("IN OUT", MENDING),
    "enhance": ("IN OUT", {**COMMON, **RUNNING, "--method": METHODS, "--keep-noise": None,
                           "--weights": ("nothing", "@text.wav", "speech16k")}),
    "dereverb": ("IN OUT", {**COMMON, "--keep-noise": None}),
    "refine": ("IN IN OUT", {**COMMON, **RUNNING, **PRIOR}),
    "separate": ("IN OUT", {**COMMON, "--speakers": ("2", "0", "3", "x"), "--method": METHODS,
                            "--enrol": ("@a.wav", "@text.wav", "@none")}),
    "degrade": ("KIND IN OUT", {"--sdr": NUMBERS, "--cutoff": (*NUMBERS, "4000"), "--snr": NUMBERS,
                                "--milliseconds": NUMBERS, "--every": NUMBERS,
                                "--bits": ("2", "0", "99", "x"), "--seed": COMMON["--seed"]}),
    "generate": ("OUT", {**COMMON, **RUNNING, "-n": ("1", "0", "-1", "x"),
                         "--seconds": ("0.1", "0.2", "0", "nan", "601", "-1")}),
    "speakers extract": ("IN -o NPZ", {"--dim": ("64", "65", "x"), "--device": COMMON["--device"],
                                       "--labels": ("@text.wav", "@notes.txt", "@missing")}),
    "info": ("", {"--nothing": None}),
}
KINDS = ("clip", "lowpass", "gaps", "noise", "quantise", "nonsense")


def option_trial(number: int) -> Trial:
    """A verb with inputs, an output and options, of which some make no sense."""
    rng = np.random.default_rng([91, number])
    pick = lambda values: str(values[rng.integers(len(values))])  # noqa: E731
    verb = [*VERBS][number % len(VERBS)]
    places, options = VERBS[verb]
    choices = {"IN": INS, "OUT": OUTS, "KIND": KINDS, "NPZ": ("@out/x.npz", "@out/x.txt")}
    words = [pick(choices[place]) if place in choices else place for place in places.split()]
    told = rng.permutation([*options])[:rng.integers(0, 4)]
    for option in map(str, told):
        values = options[option]
        words += [option] if values is None else [option, pick(values)]
    if rng.random() < 0.05:
        words.insert(int(rng.integers(len(words) + 1)), pick(("--nonsense", "@a.wav", "--", "-x")))
    text = " ".join((verb, *(word or "''" for word in words))).replace("@", "")
    return Trial("options", (*verb.split(), *words), inputs(), text,
                 each=bool({"@folder", ""} & {*words}) or verb.startswith("speakers"))
