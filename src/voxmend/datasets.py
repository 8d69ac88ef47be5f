"""Corpora as they lie on disk, split as in the UnDiff paper (section 4.1)."""

from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Split:
    """The files of a corpus by what they are for, each list sorted."""

    train: list[Path]
    validation: list[Path]
    test: list[Path]


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


CORPORA = {"vctk": vctk, "ljspeech": ljspeech}


def link_split(split: Split, folder: str | Path) -> None:
    """Makes `folder` with train/, val/ and test/ of symbolic links, for training and `bench`.

    Raises DatasetError if the folder exists already.
    """
    folder = Path(folder)
    if folder.exists():
        raise DatasetError(f"{folder}: exists already: choose another name")
    for name, files in (("train", split.train), ("val", split.validation), ("test", split.test)):
        (folder / name).mkdir(parents=True)
        for file in files:
            (folder / name / file.name).symlink_to(file.resolve())
