"""Public test sets as they lie on disk, measured as papers do, with what papers print.

    print(markdown(run("voicebank-demand", Path("VoiceBank-DEMAND"))))

Whole recordings are scored, at the rate that the protocol names. The published figures stand below
as reference: they were taken by others, on the whole set.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from .. import audio
from ..dsp import degrade
from ..dsp.rms import rms
from ..metrics import FIDELITY, table
from ..metrics.swap_rate import best_order
from ..models import hub
from ..models.precision import choose
from ..restore.damage import Damage
from ..restore.restorer import Restorer
from ..systems import deepfilternet, enhance, separator
from ..systems.diffiner import Refiner
from ..systems.weights import WEIGHTS, find_weights
from ..training.splits import DatasetError
from . import restoration, rivals, scoring
from .diffsep import pair, resample
from .judges import Panel
from .scoring import RATE, Example, Judges, fill, has_row, measure

SOUNDS = 5  # recordings that are kept to be heard
VCTK_TEST = ("p360", "p361", "p362", "p363", "p364", "p374", "p376", "s5")

SHARE = enhance.WEIGHTS[deepfilternet.NAME]  # of the refiner's change, in rows of their own


@dataclass(frozen=True)
class Protocol:
    """A test set.

    Args:
        task: "enhance", "extend" or "separate".
        read: its recordings by case: `(root, count) -> {case: examples}`, at `RATE`.
        rate: Hz that it is scored at.
        published: rows of others, with `source` naming where they stand.
    """

    task: str
    read: Callable[[Path, int | None], dict[str, list[Example]]]
    rate: int = RATE
    published: tuple[dict, ...] = ()
    source: str = ""


def partners(clean: Path, noisy: Path, key: Callable[[Path], str],
             count: int | None) -> list[tuple[Path, Path]]:
    """Files of two folders that belong together; raises DatasetError where some do not."""
    for folder in (clean, noisy):
        if not any(folder.glob("*.wav")) and not any(folder.glob("*.flac")):
            raise DatasetError(f"{folder}: no .wav or .flac files there; expected the test set as "
                               "it is unpacked")
    known = {key(file): file for file in sorted(clean.iterdir())}
    pairs = [(known.get(key(file)), file) for file in sorted(noisy.iterdir())
             if file.suffix in (".wav", ".flac")]
    lost = [file for one, file in pairs if one is None]
    if lost:
        raise DatasetError(f"{lost[0]}: its clean recording is missing in {clean}")
    return [(one, file) for one, file in pairs if one][:count]


def voicebank_demand(root: Path, count: int | None) -> dict[str, list[Example]]:
    """The test set, with transcripts where `testset_txt` is there; or folders clean and noisy."""
    names = [name for name in ("{}_testset_wav", "{}") if (root / name.format("noisy")).is_dir()]
    if not names:
        raise DatasetError(f"{root}: expected noisy_testset_wav and clean_testset_wav in it")
    clean, noisy = (root / names[0].format(what) for what in ("clean", "noisy"))

    def said(file: Path) -> str:
        text = root / "testset_txt" / f"{file.stem}.txt"
        return text.read_text().strip() if text.is_file() else ""

    return {"VoiceBank-DEMAND, test": [pair(one, other, said(one)) for one, other in partners(
        clean, noisy, lambda file: file.stem, count)]}


def dns_2020(root: Path, count: int | None) -> dict[str, list[Example]]:
    """The synthetic test set without reverberation, matched by `fileid_N`."""
    inner = root / "test_set" / "synthetic" / "no_reverb"
    folder = inner if inner.is_dir() else root

    def number(file: Path) -> str:
        found = re.search(r"fileid_\d+", file.stem)
        return found.group() if found else file.stem

    return {"DNS 2020, no reverb": [pair(*both) for both in partners(
        folder / "clean", folder / "noisy", number, count)]}


def vctk_16k(root: Path, count: int | None) -> dict[str, list[Example]]:
    """VCTK 0.92, eight speakers, first microphone, at 16 kHz, without what lies above 4 or 2 kHz.

    These are the settings 8 → 16 kHz and 4 → 16 kHz of AP-BWE.
    """
    files = [file for speaker in VCTK_TEST for file in sorted(
        (root / "wav48_silence_trimmed" / speaker).glob("*_mic1.flac"))][:count]
    if not files:
        raise DatasetError(f"{root}: expected wav48_silence_trimmed/{VCTK_TEST[0]}/*_mic1.flac and "
                           "further speakers: unpack VCTK-Corpus-0.92")
    waves = [audio.load(file, RATE).mean(0) for file in files]

    def narrow(wave: np.ndarray, cutoff: float) -> Example:
        damaged = degrade.lowpass(wave, cutoff, RATE)
        return Example(wave, damaged, Damage(cutoff=cutoff, rms=rms(damaged)))

    return {f"VCTK {2 * cutoff // 1000} to 16 kHz": [narrow(wave, cutoff) for wave in waves]
            for cutoff in (4000, 2000)}


def libri2mix(root: Path, count: int | None) -> dict[str, list[Example]]:
    """The test mixtures without noise (mix_clean), at 8 kHz, of the shorter voice's length."""
    inner = root / "wav8k" / "min" / "test"
    folder = inner if inner.is_dir() else root
    examples = []
    for mixture, first in partners(folder / "mix_clean", folder / "s1", lambda f: f.stem, count):
        voices = np.stack([audio.load(folder / name / first.name, RATE).mean(0)
                           for name in ("s1", "s2")])
        mixed = audio.fit(audio.load(mixture, RATE).mean(0)[None], voices.shape[1])[0]
        examples.append(Example(voices, mixed, Damage(rms=rms(mixed))))
    return {"Libri2Mix, test, mix_clean, 8 kHz": examples}


PROTOCOLS = {
    "voicebank-demand": Protocol("enhance", voicebank_demand, published=(
        {"method": "SGMSE+", "pesq_wb": 2.93, "si_sdr": 17.3},
        {"method": "CMGAN", "pesq_wb": 3.41}),
        source="Richter et al. 2023; Abdulatif et al. 2024"),
    "dns-2020": Protocol("enhance", dns_2020),
    "vctk-16k": Protocol("extend", vctk_16k, published=(
        {"method": "AP-BWE, 4 to 16 kHz", "lsd_hann": 9.6},
        {"method": "CIS-BWE, 4 to 16 kHz", "lsd_hann": 9.5}),
        source="Both by Tamiti et al. 2026, CIS-BWE, as ttamiti.github.io has them: LSD of log10 "
               "powers (0.96, 0.95), here in dB"),
    "libri2mix": Protocol("separate", libri2mix, 8000)}


class Scores:
    """Figures of an estimate at a protocol's rate, with its SI-SDR over that of the input."""

    def __init__(self, rate: int, panel: Panel | None):
        self.rate, self.panel, self.judges = rate, panel, Judges("dnsmos")

    def __call__(self, example: Example, estimate: np.ndarray) -> dict[str, float]:
        clean, found, heard = (resample(wave, RATE, self.rate) for wave in (
            example.clean, estimate, example.damaged))
        brought = Example(clean, heard, example.damage, said=example.said)
        scores = scoring.score(brought, found, self.rate) | self.judges(found, self.rate)
        if clean.ndim > 1:
            found = found[list(best_order(found, clean))]
            scores["si_sdr_gain"] = float(np.mean(
                [FIDELITY["si_sdr"](one, voice, self.rate) - FIDELITY["si_sdr"](
                    heard, voice, self.rate) for one, voice in zip(found, clean, strict=True)]))
        if self.panel:
            return scores | self.panel(brought, found, self.rate)
        return scores if clean.ndim > 1 else scores | {
            name: FIDELITY[name](found, clean, self.rate) for name in ("si_sdr", "lsd_hann")}


def methods(task: str, compared: bool, refined: bool, wanted: Callable[[str], bool],
            options: dict) -> Iterator[tuple[str, Callable, nn.Module | None]]:
    """What a task's table has: the input, ours, and with `compared` the rivals.

    Args:
        wanted: tells of a label whether its rows are.
    """
    if task == "extend":
        mender = Restorer("extend", hub.load_prior(hub.DEFAULT, options["device"]), **options)
        yield "input", lambda e: e.damaged, None
        yield "voxmend extend", lambda e: mender(e.damaged, RATE, e.damage), mender.prior
        return
    if task == "separate":
        apart = separator.load("separate", **options)
        yield "mixture", lambda e: np.stack([e.damaged] * 2), None
        yield "voxmend separate", lambda e: apart(e.damaged, RATE), None
        return
    ours = enhance.load("voxmend", **options)
    ends: dict[str, Callable] = {"voxmend enhance": lambda e: ours(e.damaged, RATE)[0]}
    if compared:
        ends |= rivals.installed("enhance", RATE)[0]
    yield "noisy", lambda e: e.damaged, None
    refiner = Refiner(**options) if refined else None
    for label, end in ((name, end) for name, end in ends.items() if wanted(name)):
        made, mended = dict[int, np.ndarray](), dict[int, np.ndarray]()
        yield label, remembered(end, made), None
        if refiner:
            yield f"{label} + refined", remembered(partial(refine, refiner, made), mended), None
            yield (f"{label} + refined by {SHARE:.0%}",
                   lambda e, made=made, mended=mended: SHARE * mended[id(e)]
                   + (1 - SHARE) * made[id(e)], None)


def remembered(method: Callable, kept: dict[int, np.ndarray]) -> Callable:
    """A method of examples that keeps what it made of each."""
    def keep(example: Example) -> np.ndarray:
        kept[id(example)] = np.asarray(method(example), np.float32)
        return kept[id(example)]

    return keep


def refine(refiner: Refiner, made: dict[int, np.ndarray], example: Example) -> np.ndarray:
    """What a refiner makes of an example that an enhancer has been at."""
    return refiner(example.damaged, made[id(example)], RATE)


def run(name: str, root: Path, clips: int | None = None, seed: int = 0, device: str = "cpu",
        progress: bool = True, save: Callable[[dict], None] = lambda result: None,
        precision: str = "auto", judges: bool = False, compared: bool = False,
        refined: bool = False, only: tuple[str, ...] = (), sounds: Path | None = None) -> dict:
    """Measures a protocol; the result can be written as JSON.

    Args:
        root: the corpus as it is unpacked.
        clips: only the first so many recordings.
        judges, compared: as in `diffsep.Comparison`.
        refined: whether every enhancer has two more rows, refined and refined by a share.
        only: as in `scoring.has_row`.
        sounds: folder for what every row makes of the first recordings, as `kept` has it.

    Raises DatasetError, which says what was expected where; ImportError for a missing metric.
    """
    scoring.check_metrics()
    protocol, panel = PROTOCOLS[name], Panel(device=device) if judges else None
    cases = protocol.read(Path(root), clips)
    count = len(next(iter(cases.values())))
    settled = choose(hub.load_prior(hub.DEFAULT, device), precision)
    own = [find_weights(*key) for key in WEIGHTS if key[0] == protocol.task][:1]
    result = {**restoration.heading(hub.DEFAULT, seed, count, device, settled), "seconds": None,
              "models": {hub.title(path): hub.file_hash(path) for path in own},
              "sample_rate": protocol.rate, "published": list(protocol.published),
              "source": protocol.source, "spread": judges}
    score = Scores(protocol.rate, panel)
    result["notes"] += score.judges.notes + (panel.notes if panel else [])
    if compared and protocol.task == "enhance":
        result["notes"] += rivals.installed("enhance", RATE)[1]
    options = {"seed": seed, "device": device, "precision": precision}

    def rows(case: str, examples: list[Example]) -> Iterator[dict]:
        for label, method, network in methods(protocol.task, compared, refined, wanted, options):
            if not wanted(label):
                continue
            heard = examples[:SOUNDS] if sounds else []
            run = kept(method, heard, Path(sounds or "") / slug(case) / slug(label))
            yield measure(examples, run, label, network, progress, score)

    def wanted(label: str) -> bool:
        return has_row(label, only)

    fill(result["cases"], {case: rows(case, some) for case, some in cases.items()},
         lambda: save(result))
    return result


def slug(title: str) -> str:
    """A title as the name of a file: `VCTK 8 to 16 kHz` becomes `vctk-8-to-16-khz`."""
    return re.sub(r"[^a-z0-9+.%]+", "-", title.lower()).strip("-")


def kept(method: Callable, examples: list[Example], folder: Path) -> Callable:
    """A method that also writes what it makes of some examples: `folder/1.flac` and so on."""
    numbers = {id(example): number for number, example in enumerate(examples, 1)}

    def write(example: Example) -> np.ndarray:
        made = method(example)
        if number := numbers.get(id(example)):
            folder.mkdir(parents=True, exist_ok=True)
            peak = max(1.0, float(np.abs(made).max()))
            audio.save(folder / f"{number}.flac", np.atleast_2d(made) / peak, RATE)
        return made

    return write


def markdown(result: dict) -> str:
    """The tables of a result, with the published figures below."""
    lines = [restoration.markdown(result)]
    if result["published"]:
        lines += ["", "**as published**", "", *table(result["published"]), "", result["source"]]
    return "\n".join(lines)
