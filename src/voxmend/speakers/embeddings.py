"""Embeddings of speakers on disk: extracted from recordings, with names and labels, in one .npz."""

import csv
import re
import sys
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from tqdm import tqdm

from .. import audio
from ..training.corpus import audio_files, speaker
from .encoders import Encoder

SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}
COLUMNS = {"file": ("path", "file", "filename", "name", "utterance"),
           "speaker": ("speaker", "speaker_id", "speakerid", "id"),
           "sex": ("sex", "gender")}


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings of one encoder.

    Args:
        vectors: `[N, D]`, float32.
        names: of each, as of the recording it is of.
        encoder: the encoder's hash.
        parts: dimensions of the encoder's networks, whose outputs stand one after another.
        speakers: who each is of; empty where nobody knows.
        sexes: F, M or an empty string for each; empty where nobody knows.
    """

    vectors: np.ndarray
    names: tuple[str, ...]
    encoder: str
    parts: tuple[int, ...]
    speakers: tuple[str, ...] = ()
    sexes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dim(self) -> int:
        return self.vectors.shape[1]

    @property
    def people(self) -> np.ndarray:
        """Who each is of, where nobody knows each of another. Shape: `[N]`, of str."""
        return np.array(self.speakers or self.names)

    @property
    def weights(self) -> np.ndarray:
        """The weight of each so that all speakers count the same. Shape: `[N]`, of sum 1."""
        _, who, counts = np.unique(self.people, return_inverse=True, return_counts=True)
        return 1 / (len(counts) * counts[who])

    def take(self, rows: np.ndarray) -> "Embeddings":
        """Some of them, by their numbers."""
        pick = lambda values: tuple(values[i] for i in rows) if values else ()  # noqa: E731
        return Embeddings(self.vectors[rows], pick(self.names), self.encoder, self.parts,
                          pick(self.speakers), pick(self.sexes))

    def save(self, path: Path, overwrite: bool = False) -> None:
        """Writes an .npz; raises AudioError where it cannot be put."""
        with audio.atomic_path(path, overwrite) as partial, partial.open("wb") as file:
            np.savez(file, embeddings=self.vectors.astype(np.float32), names=np.array(self.names),
                     encoder=np.array(self.encoder), parts=np.array(self.parts),
                     speakers=np.array(self.speakers, str), sexes=np.array(self.sexes, str))


def load(path: Path) -> Embeddings:
    """The embeddings of an .npz; raises AudioError for a file that is missing or none of ours."""
    if not Path(path).is_file():
        raise audio.AudioError(f"{path}: no such file: check the name")
    try:
        with np.load(path, allow_pickle=False) as stored:
            vectors, names = stored["embeddings"], stored["names"]
            labels = [tuple(stored[k].tolist()) if k in stored else () for k in ("speakers",
                                                                                "sexes")]
            found = Embeddings(vectors, tuple(names.tolist()), str(stored["encoder"]),
                               tuple(stored["parts"].tolist()), *labels)
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile):
        raise audio.AudioError(f"{path}: no embeddings; voxmend speakers extract makes them from "
                               "recordings") from None
    columns = [found.names, *filter(None, labels)]
    if (vectors.ndim != 2 or vectors.dtype.kind != "f" or sum(found.parts) != vectors.shape[1]
            or any(len(column) != len(vectors) for column in columns)):
        raise audio.AudioError(f"{path}: its arrays do not fit each other; extract it again")
    if not len(vectors) or not np.isfinite(vectors).all():
        raise audio.AudioError(f"{path}: empty, or holds NaN or infinity; extract it again")
    return found


def join(sets: Sequence[Embeddings]) -> Embeddings:
    """Several sets of one encoder as one; labels that only some have are dropped."""
    columns = [sum((getattr(s, name) for s in sets), ()) if all(getattr(s, name) for s in sets)
               else () for name in ("names", "speakers", "sexes")]
    return Embeddings(np.concatenate([s.vectors for s in sets]), columns[0], sets[0].encoder,
                      sets[0].parts, *columns[1:])


def check_same_encoder(one: Embeddings, other: Embeddings, names: tuple[Path, Path]) -> None:
    """Raises ValueError for embeddings that no distance is defined between."""
    if one.encoder != other.encoder or one.dim != other.dim:
        raise ValueError(f"{names[1]}: of {other.dim} dimensions by the encoder {other.encoder}, "
                         f"but {names[0]} has {one.dim} by {one.encoder}; extract both alike")


def read_labels(path: Path) -> dict[str, tuple[str, str]]:
    """Speaker and sex of each file of a CSV table, by the file's name without folder and suffix.

    The columns are found by their names, as in `COLUMNS`; one of files is needed, the others may be
    missing. Raises AudioError for a table without it or one that contradicts itself.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            header = {name.strip().lower(): name for name in table.fieldnames or () if name}
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise audio.AudioError(f"{path}: cannot be read as a CSV table ({error})") from None
    columns = {key: next((header[n] for n in names if n in header), None)
               for key, names in COLUMNS.items()}
    if columns["file"] is None or not (columns["speaker"] or columns["sex"]):
        raise audio.AudioError(f"{path}: its first line must name a column of files (path) and "
                               "one of speakers or sexes (speaker, sex)")
    labels: dict[str, tuple[str, str]] = {}
    for row in rows:
        who, sex = (str(row.get(columns[key]) or "").strip() for key in ("speaker", "sex"))
        stem = re.split(r"[/\\]", row[columns["file"]] or "")[-1].rpartition(".")
        stem = stem[0] or stem[2]
        label = (who, SEXES.get(sex.lower(), ""))
        if labels.setdefault(stem, label) != label:
            raise audio.AudioError(f"{path}: {stem} stands there twice, with different labels; "
                                   "files need names of their own")
    return labels


def extract(folder: Path, encoder: Encoder, labels: dict[str, tuple[str, str]] | None = None,
            progress: bool = True) -> tuple[Embeddings, int]:
    """One embedding for every recording of a folder, and how many recordings failed.

    A bad file is named in a line on stderr and left out. Of channels there is one `mixdown`.

    Args:
        encoder: as `encoders.load_encoder` gives it.
        labels: speaker and sex by name, as from `read_labels`; a speaker who is not there is
            guessed from the file's name and folder (`corpus.speaker`).

    Raises AudioError for a folder without recordings and where none is left.
    """
    files, labels = audio_files(folder), labels or {}
    vectors, kept = [], []
    for file in tqdm(files, desc="extract", unit="file",
                     disable=not (progress and sys.stderr.isatty())):
        try:
            wave = audio.mixdown(audio.load(file, encoder.sample_rate))
            vectors.append(encoder.embed(wave))
        except ValueError as error:  # AudioError among them
            known = "" if str(file) in str(error) else f"{file}: "
            print(f"voxmend: {known}{error}", file=sys.stderr)
            continue
        kept.append(file.relative_to(folder))
    if not kept:
        raise audio.AudioError(f"{folder}: of no recording there an embedding could be made")
    speakers, sexes = zip(*_labelled(kept, labels), strict=True)
    parts = tuple(cast("int", network.dim) for network in encoder.networks)
    found = Embeddings(np.stack(vectors), tuple(map(str, kept)), encoder.hash, parts, speakers,
                       sexes if any(sexes) else ())
    return found, len(files) - len(kept)


def _labelled(files: Iterable[Path], labels: dict) -> Iterable[tuple[str, str]]:
    for file in files:
        who, sex = labels.get(file.stem, ("", ""))
        yield who or speaker(file), sex
