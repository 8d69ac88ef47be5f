"""The verbs that take recordings apart: voices, and speech from noise."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from tyro.conf import Positional, arg

from .options import (
    Count,
    Drawing,
    File,
    In,
    Method,
    Once,
    Out,
    OutDir,
    Plain,
    load_restorer,
    load_separator,
)

if TYPE_CHECKING:
    from ..restore.restorer import Restorer
    from ..systems.conversation import Conversation
    from ..systems.separator import Separator

Sampler = Literal["predictor_corrector", "euler", "heun", "dpmpp_2m", "ancestral"]
Trained = Literal["frame-separator", "diffsep", "conv-tasnet"]  # to separate


def separate(source: In, outdir: OutDir, common: Drawing, speakers: Count = None,
             method: Trained | Method = "frame-separator",
             weights: File = None, sampler: Sampler | None = None, enrol: File = None) -> int:
    """Source separation: take the voices of a mixture apart.

    Each channel of a recording is separated by itself, and a voice's channels are put together
    again. Each output has the input's rate; above the band of prior or weights it holds nothing.
    By default noise goes to neither voice.

    Args:
        source: A recording, or a folder of recordings.
        outdir: Folder for speaker1.wav, speaker2.wav, ...; for a folder, for one such for each.
        speakers: How many voices there are; by default as many as the weights separate, or 2.
        method: A network trained to separate: a ConvNeXt over STFT frames with attention
            (frame-separator), DiffSep (diffsep) or Conv-TasNet (conv-tasnet). Or the prior, which
            was not: voxmend, or UnDiff as its paper states the task (undiff) or as its release runs
            it (undiff-release), both by every step of the prior's schedule, or 200 where it has
            none.
        weights: Of a trained network: a bundled name or a .safetensors; by default the bundled one
            of the method's name.
        sampler: Of diffsep, for a single draw, in 30 steps unless told. By default what suits the
            weights: the bundled ones hear the recording once in either polarity, imported ones are
            sampled as in their paper, with two network calls in each of 30 steps.
        enrol: A recording of somebody, best of 4 s or more: only the voice that is most alike is
            written, as speaker1.wav. Of a trained network.
    """
    from . import files

    separator: Restorer | Conversation
    if method in get_args(Trained):
        separator = _converse(load_separator("separate", method, weights, sampler, common), enrol,
                              common.device)
        if speakers not in (None, separator.sources):
            raise ValueError(f"--speakers {speakers}: these weights separate {separator.sources}; "
                             "--method voxmend takes 2 to 4")
        speakers = 1 if enrol else separator.sources
    else:
        speakers = speakers or 2
        if not 2 <= speakers <= 4:
            raise ValueError(f"--speakers {speakers}: give 2, 3 or 4")
        if weights or sampler or enrol:
            raise ValueError(f"--method {method}: takes a --prior; leave out --weights, --sampler "
                             "and --enrol, which belong to networks trained to separate")
        separator = load_restorer("separate", common, method, speakers=speakers)
    items: Iterable[tuple[Path, Path]] = [(source, outdir)]
    if source.is_dir():
        items = files.unfinished(source, outdir, common.overwrite, speakers)
    return files.each(source, items, lambda file, folder: files.separate_file(
        file, folder, separator, speakers, common.overwrite, common.handling))


def _converse(separator: "Separator", enrol: Path | None, device: str) -> "Conversation":
    """A separator whose people keep their places, the one of a recording first."""
    from .. import audio
    from ..speakers.encoders import load_encoder
    from ..systems.conversation import RATE, Conversation

    encoder = load_encoder("ecapa", device)
    told = {"encoder": encoder.name, "encoder_sha256": encoder.hash}
    if not enrol:
        return Conversation(separator, encoder.embed, told=told)
    ears, wave = load_encoder(device=device), audio.load(enrol, RATE).mean(0)
    told |= {"enrol": enrol.name, "enrol_encoder": ears.name, "enrol_encoder_sha256": ears.hash}
    try:
        reference = ears.embed(wave)
    except ValueError as error:
        raise ValueError(f"--enrol {enrol}: {error}") from None
    return Conversation(separator, encoder.embed, reference, ears.embed, told)


def enhance(source: In, target: Out, common: Plain,
            method: Literal["voxmend", "diffsep", "segan", "voxmend+refine", "diffsep+refine",
                            "segan+refine"] = "voxmend",
            weights: File = None, sampler: Sampler | None = None, keep_noise: bool = False) -> int:
    """Speech enhancement: remove any noise, and reverberation.

    Above 8 kHz nothing is kept: the network was trained on noisy speech, and half its sample rate
    is the limit. Each channel of a recording is enhanced by itself, all with the same random
    numbers.

    Args:
        source: A recording, or a folder of recordings.
        target: Where the result goes; a folder if the input is one.
        method: A prior that is told the recording (voxmend), in one call; DiffSep (diffsep) or
            SEGAN (segan). With +refine what it makes is refined, as voxmend refine does.
        weights: A bundled name or a .safetensors; by default the method's bundled ones.
        sampler: Of DiffSep, for a single draw, in 30 steps unless told. By default what suits the
            weights: the bundled ones hear the recording once in either polarity, imported ones are
            sampled as in their paper, with two network calls in each of 30 steps.
        keep_noise: Write what was taken away beside OUT, as NAME.noise: both add up to IN.
    """
    from ..systems.diffiner import Refiner
    from . import files

    enhancer, _, refines = method.partition("+")
    separator = load_separator("enhance", enhancer, weights, sampler, common)
    refiner = None
    if refines:
        refiner = Refiner(seed=common.seed, device=common.device, precision=common.precision)
    return files.each(source, files.pairs(source, target, common.overwrite),
                      lambda file, out: files.enhance_file(file, out, separator, keep_noise,
                                                           common.overwrite, refiner,
                                                           common.handling))


def dereverb(source: In, target: Out, common: Once, weights: File = None,
             keep_noise: bool = False) -> int:
    """Dereverberation: remove a room's echo, and noise.

    What stays is the direct path, as by a microphone at the mouth. It is what enhance does by the
    same network. Above 8 kHz nothing is kept.

    Args:
        source: A recording, or a folder of recordings.
        target: Where the result goes; a folder if the input is one.
        weights: A prior that listens: a bundled name or a .safetensors.
        keep_noise: Write what was taken away beside OUT, as NAME.noise: both add up to IN.
    """
    from . import files

    separator = load_separator("dereverb", "voxmend", weights, None, common)
    return files.each(source, files.pairs(source, target, common.overwrite),
                      lambda file, out: files.enhance_file(file, out, separator, keep_noise,
                                                           common.overwrite,
                                                           how=common.handling))


def refine(noisy: Annotated[Path, Positional, arg(metavar="NOISY")],
           enhanced: Annotated[Path, Positional, arg(metavar="ENHANCED")], target: Out,
           common: Drawing,
           method: Literal["voxmend", "diffiner", "diffiner+", "diffiner-release",
                           "diffiner+-release"] = "voxmend") -> int:
    """Refine any enhancer's output by a prior (Diffiner).

    What the enhancer took away tells how much noise there is at every time and frequency. Above
    8 kHz ENHANCED is kept. It may have another sample rate than NOISY and begin 20 ms apart from
    it; OUT has the rate, channels and length of NOISY.

    Args:
        noisy: A recording, or a folder of recordings.
        enhanced: What became of it; for a folder, one with files of the same names.
        target: Where the result goes; a folder if the input is one.
        method: Diffiner or Diffiner+, as in the paper or (-release) as its release runs it, in 200
            steps; or Diffiner that keeps nearer to NOISY (voxmend), in 6.
    """
    from ..systems.diffiner import Refiner
    from . import files

    common.check()
    if noisy.is_dir() != enhanced.is_dir() and noisy.exists():
        raise ValueError(f"{enhanced}: name two recordings or two folders")
    refiner = Refiner(method, common.prior, common.steps, common.seed, common.device,
                       common.precision)

    def work(file: Path, out: Path) -> None:
        other = enhanced / file.relative_to(noisy) if noisy.is_dir() else enhanced
        files.refine_file(file, other, out, refiner, common.overwrite, common.handling)

    return files.each(noisy, files.pairs(noisy, target, common.overwrite), work)


VERBS = {verb.__name__: verb for verb in (enhance, dereverb, refine, separate)}
