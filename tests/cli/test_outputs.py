"""What the commands say of outputs that do not hold everything, and how loud they are."""

import numpy as np
import pytest

from helpers.media import encode, speechlike
from voxmend import audio
from voxmend.cli import main, outputs
from voxmend.cli.options import Calling, Handling

WAVE = 4 * np.clip(speechlike(1, 20_000), -0.3, 0.3)  # up to 1.2: 1.6 dB over full scale


def made(tmp_path, name, how=Handling(), source=".wav"):  # noqa: B008 - frozen
    path, out = tmp_path / f"in{source}", tmp_path / name
    out.unlink(missing_ok=True)
    audio.save(path, WAVE / 2, 16000, "PCM_16", overwrite=True)
    outputs.write([WAVE], outputs.writers(audio.Reader(path), [out]), how)
    return audio.Reader(out)


def test_a_wav_becomes_float_and_says_so(tmp_path, capsys):
    assert made(tmp_path, "out.wav").subtype == "FLOAT"
    said = capsys.readouterr().err
    assert said.startswith("voxmend: out.wav: peaks pass full scale by 1.6 dB")
    assert said.count("\n") == 1


def test_headroom_that_is_advised_is_enough(tmp_path, capsys):
    made(tmp_path, "out.flac")
    said = capsys.readouterr().err
    assert "went beyond full scale, by up to 1.6 dB, and were limited" in said
    advised = float(said.split("--headroom ")[1].split(",")[0])
    reader = made(tmp_path, "out.flac", Handling(headroom=advised))
    assert not capsys.readouterr().err and reader.subtype == "PCM_16"
    wave = np.concatenate(list(reader.blocks()), axis=1)
    np.testing.assert_allclose(wave, 10 ** (-advised / 20) * WAVE, atol=2**-15)
    assert made(tmp_path, "out.wav", Handling(headroom=advised)).subtype == "PCM_16"


def test_what_is_lost_is_one_line(tmp_path, capsys):
    encode(tmp_path / "in.m4a", speechlike(1, 9000), 16000, "aac", tags={"title": "A memo"})
    reader = audio.Reader(tmp_path / "in.m4a")
    out = tmp_path / "out.w64"
    outputs.write(reader.blocks(), outputs.writers(reader, [out]))
    assert capsys.readouterr().err == f"voxmend: {out.name}: tags not kept: .w64 cannot hold them\n"


@pytest.mark.parametrize("headroom", [-1, float("nan"), 100])
def test_impossible_headroom(headroom):
    with pytest.raises(ValueError, match="--headroom"):
        Calling(headroom=headroom).check()


def test_salvage_from_the_command_line(tmp_path, capsys):
    path = tmp_path / "a.wav"
    audio.save(path, speechlike(1, 20_000), 16000)
    data = path.read_bytes()
    path.write_bytes(data[:40] + bytes(4) + data[44:])
    assert main.main(["mend", "--dry-run", str(path)]) == 2
    assert "--salvage" in capsys.readouterr().err
    assert main.main(["mend", "--dry-run", "--salvage", str(path)]) == 0
