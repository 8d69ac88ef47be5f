"""Corpora as they lie on disk, split as in the papers of UnDiff (section 4.1) and DiffSep."""

from dataclasses import dataclass
from pathlib import Path

VOICEBANK_VALIDATION = ("p226", "p287")
VCTK_SPEAKERS = ("p361", "p362", "p363", "p364", "p374", "p376")
VCTK_SENTENCES = tuple(f"{n:03}" for n in range(1, 9))
LJSPEECH_VALIDATION = """
    001-0028 001-0068 002-0149 002-0157 002-0167 003-0042 003-0307 004-0169 004-0233 005-0101
    005-0108 005-0202 005-0234 005-0248 006-0001 006-0018 006-0034 006-0078 007-0217 007-0243
    008-0087 008-0131 008-0140 008-0158 008-0174 010-0047 010-0061 010-0105 010-0233 010-0234
    010-0258 010-0262 010-0270 010-0293 011-0009 011-0256 012-0044 012-0145 013-0020 013-0077
    013-0228 014-0020 014-0054 014-0101 014-0103 014-0263 014-0272 014-0311 015-0197 016-0089
    016-0407 016-0443 017-0033 017-0038 018-0018 018-0119 018-0280 019-0178 019-0240 021-0049
    021-0155 022-0046 022-0173 024-0087 024-0110 024-0119 025-0091 026-0029 026-0039 026-0064
    026-0105 026-0137 027-0006 028-0134 028-0138 028-0189 028-0281 029-0188 030-0098 031-0007
    031-0091 031-0227 032-0100 032-0165 032-0198 033-0046 033-0072 033-0135 034-0083 034-0179
    035-0125 035-0162 035-0189 035-0208 036-0216 037-0093 037-0157 037-0178 037-0219 037-0222
    038-0017 038-0052 038-0077 038-0161 038-0212 039-0103 039-0149 040-0107 040-0119 040-0161
    040-0169 041-0098 042-0017 042-0070 042-0161 043-0147 043-0178 043-0183 043-0185 044-0057
    044-0109 045-0081 045-0147 045-0204 046-0193 046-0244 047-0059 047-0142 048-0035 048-0063
    048-0104 048-0187 048-0271 049-0031 049-0059 049-0174 050-0049 050-0113 050-0150 050-0189
    050-0269 050-0270 050-0271 050-0272 050-0273 050-0274 050-0275 050-0276 050-0277 050-0278
"""


class DatasetError(ValueError):
    """A corpus that does not look as it should: one line that says what was expected where."""


Files = list[Path] | dict[str, list[Path]]


@dataclass(frozen=True)
class Split:
    """The files of a corpus by what they are for, each list sorted.

    Of mixtures these are lists that belong together: mix, s1 and s2, or noisy and clean.
    """

    train: Files
    validation: Files
    test: Files


def vctk(root: str | Path) -> Split:
    """VCTK (0.92 or 0.80) without six speakers and eight sentences; the first microphone where two.

    `test` holds sentences 001 to 008 of the speakers p361, p362, p363, p364, p374 and p376 (48
    files), `validation` the same sentences of the others, `train` the others' other sentences; what
    else the six say is not used. UnDiff names neither speakers nor sentences; these are in the
    lists that its authors published with HiFi++ (Andreev et al. 2022), which fit its numbers.

    Raises DatasetError for a folder without VCTK in it, or without those speakers.
    """
    root = Path(root)
    files = (sorted(root.glob("wav48_silence_trimmed/*/*_mic1.flac"))
             or sorted(root.glob("wav48/*/*_*.wav")))
    if not files:
        raise DatasetError(f"{root}: expected wav48_silence_trimmed/p225/p225_001_mic1.flac or "
                           "wav48/p225/p225_001.wav, and so on, in this folder")
    missing = sorted(set(VCTK_SPEAKERS) - {file.parent.name for file in files})
    if missing:
        raise DatasetError(f"{files[0].parents[1]}: the speakers {', '.join(missing)}, which the "
                           "test takes, are missing: unpack all of VCTK")
    held_out = [file for file in files if file.stem.split("_")[1] in VCTK_SENTENCES]
    test = [file for file in held_out if file.parent.name in VCTK_SPEAKERS]
    return Split(train=[file for file in files if file.parent.name not in VCTK_SPEAKERS
                        and file.stem.split("_")[1] not in VCTK_SENTENCES],
                 validation=[file for file in held_out if file not in test], test=test)


def ljspeech(root: str | Path) -> Split:
    """LJ Speech 1.1 with HiFi-GAN's 150 validation clips, as UnDiff takes it: 12950 to train on.

    There is no third part: the validation clips are the test too, as in the paper.

    Raises DatasetError for a folder without LJ Speech in it, or without those clips.
    """
    files = sorted(Path(root).glob("wavs/LJ*.wav"))
    if not files:
        raise DatasetError(f"{root}: expected wavs/LJ001-0001.wav and so on in this folder")
    names = {f"LJ{number}" for number in LJSPEECH_VALIDATION.split()}
    missing = sorted(names - {file.stem for file in files})
    if missing:
        raise DatasetError(f"{files[0].parent}: {missing[0]}.wav, which validation takes, is "
                           f"missing ({len(missing)} in all): unpack all of LJ Speech 1.1")
    validation = [file for file in files if file.stem in names]
    return Split(train=[file for file in files if file.stem not in names], validation=validation,
                 test=validation)


def _together(root: Path, folders: dict[str, str]) -> dict[str, list[Path]]:
    """Files of the same names in several folders.

    Args:
        folders: what they are to what they are called.

    Raises DatasetError for a folder without a .wav and for names that only some have.
    """
    files = {what: sorted((root / name).glob("*.wav")) for what, name in folders.items()}
    names = [{file.name for file in found} for found in files.values()]
    for (what, found), have in zip(files.items(), names, strict=True):
        if not found:
            raise DatasetError(f"{root / folders[what]}: no .wav files there; expected "
                               f"{', '.join(folders.values())} in {root}")
        if lost := sorted(set.union(*names) - have):
            raise DatasetError(f"{root / folders[what]}: {lost[0]} is missing ({len(lost)} in all):"
                               " unpack or make the corpus again")
    return files


def _innermost(root: str | Path, holds: str, *places: str) -> Path:
    """The folder that holds another: `root` itself or one of `places` in it; or DatasetError."""
    for folder in (Path(root), *(Path(root) / place for place in places)):
        if (folder / holds).is_dir():
            return folder
    raise DatasetError(f"{root}: expected {holds} or {places[0]}/{holds} in this folder")


def wsj0_2mix(root: str | Path) -> Split:
    """WSJ0-2mix, as its scripts make it: tr to train on, cv to validate, tt to test.

    `root` is the folder that has these, such as wav8k/min; from one above, wav8k/min is taken, as
    in DiffSep.

    Raises DatasetError for another folder and where a part is missing.
    """
    folder = _innermost(root, "tr", "wav8k/min", "2speakers/wav8k/min")
    voices = {"mix": "mix", "s1": "s1", "s2": "s2"}
    return Split(*(_together(folder / part, voices) for part in ("tr", "cv", "tt")))


def libri2mix(root: str | Path) -> Split:
    """Libri2Mix without noise (mix_clean): train-100 and train-360 or one of them, dev and test.

    `root` is the folder that has these, such as wav8k/min; from one above, wav8k/min is taken, as
    in DiffSep.

    Raises DatasetError for another folder and where a part is missing.
    """
    folder = _innermost(root, "dev", "wav8k/min", "Libri2Mix/wav8k/min")
    voices = {"mix": "mix_clean", "s1": "s1", "s2": "s2"}
    train = [_together(part, voices) for part in sorted(folder.glob("train-*"))]
    if not train:
        raise DatasetError(f"{folder}: expected train-100, train-360 or both in this folder")
    return Split({what: [file for part in train for file in part[what]] for what in voices},
                 _together(folder / "dev", voices), _together(folder / "test", voices))


def voicebank_demand(root: str | Path) -> Split:
    """VoiceBank-DEMAND of 28 speakers, of whom p226 and p287 are for validation.

    The corpus has no validation part; this is that of SGMSE+ (Richter et al. 2023).

    Raises DatasetError where a part or one of the two is missing.
    """
    train, test = (_together(Path(root), {"noisy": f"noisy_{part}_wav",
                                          "clean": f"clean_{part}_wav"})
                   for part in ("trainset_28spk", "testset"))

    def of(held_out: bool) -> dict[str, list[Path]]:
        return {what: [f for f in files
                       if (f.name.split("_")[0] in VOICEBANK_VALIDATION) == held_out]
                for what, files in train.items()}

    validation = of(True)
    if not validation["noisy"]:
        raise DatasetError(f"{root}: the speakers {' and '.join(VOICEBANK_VALIDATION)}, which "
                           "validation takes, are missing: unpack all of VoiceBank-DEMAND")
    return Split(of(False), validation, test)


CORPORA = {"vctk": vctk, "ljspeech": ljspeech, "wsj0-2mix": wsj0_2mix, "libri2mix": libri2mix,
           "voicebank-demand": voicebank_demand}


def count(files: Files) -> int:
    """How many recordings, or mixtures."""
    return len(next(iter(files.values())) if isinstance(files, dict) else files)


def link_split(split: Split, folder: str | Path) -> None:
    """Makes `folder` with train/, val/ and test/ of symbolic links, for training and `bench`.

    In each, lists that belong together get folders of their own: mix/, s1/ and so on.

    Raises DatasetError if the folder exists already.
    """
    folder = Path(folder)
    if folder.exists():
        raise DatasetError(f"{folder}: exists already: choose another name")
    for name, files in (("train", split.train), ("val", split.validation), ("test", split.test)):
        for what, found in (files if isinstance(files, dict) else {"": files}).items():
            (folder / name / what).mkdir(parents=True)
            for file in found:
                (folder / name / what / file.name).symlink_to(file.resolve())
