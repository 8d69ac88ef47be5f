"""The verbs of `voxmend speakers`: voices as embeddings. Heavy imports wait until a verb runs."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from .options import Count, File, check_least, check_seed
from .pages import Page

if TYPE_CHECKING:
    from ..speakers.embeddings import Embeddings as Found
    from ..speakers.voices import Voices

Npz = Annotated[Path, arg(name="out", aliases=["-o"], metavar="NPZ")]
Embeddings = Annotated[Path, Positional, arg(metavar="EMBEDDINGS")]
Model = Annotated[str, Positional, arg(metavar="[MODEL]")]
Number = Annotated[int, arg(name="number", aliases=["-n"])]
DEFAULT = "speakers704"


@dataclass(frozen=True)
class Drawn:
    """Options of the verbs that make voices."""

    out: Npz
    """Where their embeddings go: .npz."""
    n: Number = 100
    """How many voices to draw."""
    seed: int = 0
    """Same seed, same voices."""
    npy: File = None
    """Write the first voice alone, too, for a text-to-speech system: .npy, [dimensions]."""
    overwrite: bool = False
    """Replace outputs that exist already."""

    def check(self) -> None:
        """Raises ValueError, before minutes of work, for what no verb can do."""
        check_least(1, number=self.n)
        check_seed(self.seed)
        _check_free(self.out, ".npz", self.overwrite)
        if self.npy:
            _check_free(self.npy, ".npy", self.overwrite)

    def write(self, found: "Found") -> None:
        """Writes embeddings, and the first alone where that is asked for."""
        import numpy as np

        from .. import audio

        found.save(self.out, self.overwrite)
        if self.npy:
            with audio.atomic_path(self.npy, self.overwrite) as partial:
                np.save(partial, found.vectors[0])
            print(f"{self.npy}: {found.names[0]}, [{found.dim}]")


Drawing = Annotated[Drawn, arg(name="")]


def _check_free(path: Path, suffix: str, overwrite: bool) -> None:
    from .. import audio

    if path.suffix.lower() != suffix:
        raise ValueError(f"{path}: give a name that ends in {suffix}")
    audio.check_free(path, overwrite)


def extract(folder: Annotated[Path, Positional, arg(metavar="FOLDER")], out: Npz,
            dim: Literal[64, 128, 704] = 704,
            encoder: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")] = None,
            labels: File = None, device: str = "auto", overwrite: bool = False) -> int:
    """Speaker embeddings of a folder's recordings: who speaks.

    Args:
        folder: Recordings, each of one speaker.
        out: Where the embeddings go, with their names and labels: .npz.
        dim: Dimensions of an embedding: 64 or 128 of an ECAPA-TDNN, or 192 of a larger one and 512
            of an x-vector.
        encoder: Bundled names or .safetensors, several joined by "+", in the place of what --dim
            stands for.
        labels: CSV table with a column of files (path) and one of speakers (speaker), sexes (sex)
            or both; by default speakers are guessed from names and folders.
        device: auto, cpu, cuda or mps.
        overwrite: Replace an output that exists already.
    """
    from ..speakers import embeddings, encoders

    _check_free(out, ".npz", overwrite)
    known = embeddings.read_labels(labels) if labels else {}
    found, failed = embeddings.extract(
        folder, encoders.load_encoder(encoder or encoders.PRESETS[dim], device), known)
    found.save(out, overwrite)
    if labels:
        missing = sum(Path(name).stem not in known for name in found.names)
        if missing:
            print(f"voxmend: {labels}: says nothing of {missing} of the recordings",
                  file=sys.stderr)
    print(f"{out}: {len(found)} embeddings of {len(set(found.speakers))} speakers, "
          f"{found.dim} dimensions")
    return 2 if failed else 0


def train(source: Embeddings, out: Annotated[Path, arg(name="out", aliases=["-o"],
                                                       metavar="SAFETENSORS")],
          schedule: Literal["linear", "quadratic", "sigmoid", "cosine"] = "cosine",
          steps: int = 500, method: Literal["voxmend", "speakemb"] = "voxmend",
          loss: Literal["l1", "l2"] = "l1", iterations: Count = None, seed: int = 0,
          overwrite: bool = False) -> int:
    """Learn the distribution of embeddings by a diffusion model.

    All speakers count the same.

    Args:
        source: Embeddings: .npz.
        out: Where the model goes: .safetensors, and a card beside it.
        schedule: Of the noise; all but cosine rise from 1e-5 to 1e-2.
        steps: Of the schedule.
        method: voxmend, which begins at the Gaussian of the same mean and covariance, or speakemb,
            the paper's, which learns all from standardised embeddings.
        loss: Of the noise that the network finds: absolute (l1) or squared (l2).
        iterations: Updates of the network, of 128 embeddings each. Too many make copies: newness in
            the report of compare falls below 1. By default 1500 for 704 dimensions and fewer for
            fewer, in proportion to their square root.
        seed: Same seed, same model.
        overwrite: Replace an output that exists already.
    """
    from .. import audio
    from ..speakers import embeddings
    from ..speakers import voices as speakers

    check_least(2, steps=steps)
    check_least(1, iterations=iterations)
    check_seed(seed)
    if out.suffix != ".safetensors":
        raise ValueError(f"{out}: give a name that ends in .safetensors")
    for path in (out, out.with_suffix(".json")):
        audio.check_free(path, overwrite)
    found = embeddings.load(source)
    if len(found) < 10:
        raise ValueError(f"{source}: {len(found)} embeddings say too little; give 10 or more")
    model = speakers.train(found, method, schedule, steps, loss, iterations, seed)
    _tell_start(model)
    speakers.save(model, out)
    print(f"{out}: learnt from {len(found)} embeddings in {model.card['training']['seconds']} s; "
          f"draw from it with voxmend speakers generate {out}")
    return 0


def _tell_start(model: "Voices") -> None:
    from ..speakers.voices import LEFT

    if model.left > LEFT:
        print(f"voxmend: the schedule leaves {model.left:.0%} of the signal's variance at its last "
              "step; drawing starts from the data's variance, not from noise alone",
              file=sys.stderr)


def generate(model: Model = DEFAULT, *, common: Drawing) -> int:
    """Generate embeddings of new speakers, voices that nobody has.

    Args:
        model: A bundled model's name or a .safetensors.
    """
    from ..speakers import voices as speakers

    common.check()
    loaded = speakers.load(model)
    _tell_start(loaded)
    common.write(speakers.generate(loaded, common.n, common.seed))
    print(f"{common.out}: {common.n} voices, {loaded.space.dim} dimensions")
    return 0


def compare(originals: Embeddings, drawn: Annotated[Path, Positional, arg(metavar="DRAWN")],
            out: Annotated[Path, arg(name="out", aliases=["-o"], metavar="FOLDER")],
            held_out: Annotated[tuple[Path, ...],
                                arg(metavar="EMBEDDINGS ...", help_behavior_hint="")] = (),
            model: Annotated[str | None, arg(metavar="MODEL", help_behavior_hint="")] = None,
            seed: int = 0, overwrite: bool = False) -> int:
    """Compare generated voices with real ones, beside Gaussians.

    Writes a page and JSON.

    Args:
        originals: The embeddings that were learnt: .npz.
        drawn: Drawn voices: .npz.
        out: Folder for index.html and report.json.
        held_out: Embeddings of people who were not learnt: one .npz or several. Without them, the
            originals stand for real people.
        model: What the voices were drawn from, for its loss curve.
        seed: Same seed, same figures.
        overwrite: Replace outputs that exist already.
    """
    from .. import audio
    from ..speakers import embeddings, page
    from ..speakers import voices as speakers
    from . import folders

    check_seed(seed)
    sets = {path: embeddings.load(path) for path in (originals, drawn, *held_out)}
    for path in (drawn, *held_out):
        embeddings.check_same_encoder(sets[originals], sets[path], (originals, path))
    others = embeddings.join([sets[path] for path in held_out]) if held_out else None
    folders.make_folder(out)
    for name in ("index.html", "report.json"):
        audio.check_free(out / name, overwrite)
    curve = speakers.load(model).card["loss_curve"] if model else None
    result = page.write(out, sets[originals], sets[drawn], others, curve, seed,
                        overwrite, lambda what: print(f"{what} ...", file=sys.stderr))
    print("\n".join([*page.markdown(result), "", *page.summary(result)]))
    print(f"{out / 'index.html'}: open it in a browser")
    return 0


def steer(model: Model = DEFAULT, *, common: Drawing,
          axis: Annotated[str, arg(metavar="AXIS")], amount: float,
          voices: Annotated[Path | None, arg(metavar="EMBEDDINGS", help_behavior_hint="")] = None
          ) -> int:
    """Steer voices, generated or given, along an axis of the model.

    Args:
        model: A bundled model's name or a .safetensors.
        axis: A principal axis by its number from 1, or sex; see voxmend speakers axes.
        amount: By how many standard deviations of all voices; on the axis of sex, positive ones
            lead to women.
        voices: Steer these, .npz, instead of drawn ones, which are those that generate draws with
            the same --seed.
    """
    from dataclasses import replace

    from ..speakers import embeddings
    from ..speakers import voices as speakers

    common.check()
    loaded = speakers.load(model)
    loaded.space.direction(axis)
    given = embeddings.load(voices) if voices else speakers.generate(loaded, common.n, common.seed)
    if given.encoder != loaded.card["encoder"] or given.dim != loaded.space.dim:
        raise ValueError(f"{voices}: of {given.dim} dimensions by the encoder {given.encoder}, but "
                         f"{model} was made of {loaded.space.dim} by {loaded.card['encoder']}")
    turned = replace(given, vectors=loaded.space.steer(given.vectors, axis, amount), sexes=())
    common.write(turned)
    before, after = (loaded.space.positions(e.vectors, axis).mean() for e in (given, turned))
    print(f"{common.out}: {len(turned)} voices, brought from {before:+.2f} to {after:+.2f} "
          "standard deviations in the mean")
    return 0


def axes(model: Model = DEFAULT, n: Number = 10) -> int:
    """Show the axes along which voices can be steered.

    Args:
        model: A bundled model's name or a .safetensors.
        n: How many of the principal axes.
    """
    from ..speakers import voices as speakers

    check_least(1, number=n)
    space = speakers.load(model).space
    shares = space.variances / space.variances.sum()
    print("| axis | share of the variance | up to here | women less men, standard deviations |")
    print("|---|---|---|---|")
    for i in range(min(n, space.dim)):
        apart = f"{space.sex_shift[i]:+.2f}" if space.sex_shift[i] else "–"
        print(f"| {i + 1} | {shares[i]:.1%} | {shares[:i + 1].sum():.1%} | {apart} |")
    if space.sex_shift.any():
        print(f"| sex | | | {space.sex_shift.norm():+.2f} |")
    return 0


VERBS = {verb.__name__: verb for verb in (extract, train, generate, compare, steer, axes)}
PAGE = Page(
    "voxmend speakers", "[-h] VERB ...", "Speaker embeddings: extract, learn, generate, steer.",
    "voxmend speakers generate -o new.npz", {"": VERBS},
    "An embedding is a vector that says who speaks, for text-to-speech for instance.\n"
    "voxmend speakers VERB --help shows what a verb takes.")
