"""What coding took from the top of a corpus's band, given back."""

import sys

import numpy as np
import pytest

import equalise
from voxmend import audio


def tone(hertz, level=0.05):
    return level * np.sin(2 * np.pi * hertz * np.arange(32000) / 16000)[None]


@pytest.mark.parametrize("hertz, gain", [(300, 0), (7000, 0), (7500, 8), (7750, 13), (7900, 13.3)])
def test_a_tone_is_lifted(hertz, gain):
    inner = slice(4000, -4000)
    found = equalise.equalised(tone(hertz))[:, inner]
    np.testing.assert_allclose(found, 10 ** (gain / 20) * tone(hertz)[:, inner], atol=1e-3)


def test_what_would_pass_full_scale_is_lowered():
    loud = equalise.equalised(tone(7750, 0.5))
    assert np.abs(loud).max() == pytest.approx(1)


def test_a_folder_is_equalised_once(tmp_path, monkeypatch):
    (tmp_path / "in" / "a").mkdir(parents=True)
    audio.save(tmp_path / "in" / "a" / "b.wav", tone(7750), 16000)
    monkeypatch.setattr(sys, "argv", ["equalise", str(tmp_path / "in"), str(tmp_path / "out")])
    equalise.main()
    target = tmp_path / "out" / "a" / "b.flac"
    peak = np.abs(audio.load(target, 16000)).max()
    assert peak == pytest.approx(0.05 * 10 ** (13 / 20), rel=0.02)
    made = target.stat().st_mtime_ns
    equalise.main()
    assert target.stat().st_mtime_ns == made
