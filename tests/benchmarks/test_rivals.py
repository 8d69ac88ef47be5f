"""Adapters of other tools: rate, delay and length are kept, and what is missing is said."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

from helpers.speech import voice
from voxmend import audio, demo
from voxmend.benchmarks import rivals
from voxmend.benchmarks.rivals import NAMES, Rival
from voxmend.benchmarks.scoring import Example
from voxmend.restore.damage import Damage

RATE = 16000
CLEAN = Path(demo.__file__).with_name("clean.flac")  # real speech: tools take away what is none
ALL = [rival for task in ("enhance", "dereverb") for rival in rivals.rivals(task)]


def lag(one, other):
    """Samples by which `other` is late."""
    size = 2 * len(one)
    product = np.fft.irfft(np.fft.rfft(one, size).conj() * np.fft.rfft(other, size))
    best = int(product.argmax())
    return best if best < len(one) else best - size


@pytest.mark.parametrize("own, delay", [(48000, 960), (16000, 0), (8000, 3)])
def test_a_tool_that_only_delays_gives_back_what_it_got(own, delay):
    """Whatever its rate, as far as that rate hears."""
    def late(wave):
        return np.concatenate([np.zeros(delay), wave])[:len(wave)]

    wave = voice(0.5)[0]
    back = Rival("Late", "numpy", "BSD", own, lambda: late, delay).run(RATE)(wave)
    heard = audio.resample(audio.resample(wave[None], RATE, own), own, RATE)[0]
    assert back.shape == wave.shape and lag(wave, back) == 0
    np.testing.assert_allclose(back[800:-800], heard[800:-800], atol=2e-3)


def test_what_is_missing_is_said_and_the_others_run(monkeypatch):
    here = Rival("Here", "numpy", "BSD", RATE, lambda: lambda wave: wave)
    gone = Rival("Gone", "no-such-package", "MIT", RATE, lambda: lambda wave: wave,
                 advice="pip install gone")

    def broken():
        raise ModuleNotFoundError("No module named 'half'", name="half")

    half = Rival("Half", "numpy", "MIT", RATE, broken)
    monkeypatch.setattr(rivals, "rivals", lambda task: iter([here, gone, half]))
    found, notes = rivals.installed("enhance", RATE)
    assert list(found) == [f"Here (numpy {version('numpy')}, BSD)"]
    wave = voice(0.1)[0]
    heard = next(iter(found.values()))(Example(wave, wave, Damage()))
    np.testing.assert_array_equal(heard, wave)
    assert notes == ["Left out: Gone, since no-such-package is missing: pip install gone",
                     "Left out: Half, since half is missing: pip install 'voxmend[rivals]'"]


def test_every_adapter_names_its_tool():
    assert len(ALL) == len(NAMES)
    for rival in ALL:
        assert rival.title and rival.licence and rival.advice.startswith("pip install")


@pytest.mark.parametrize("rival", ALL, ids=lambda rival: rival.title)
def test_installed_tools_keep_speech_where_it_is(rival):
    try:
        version(rival.package)
        run = rival.run(RATE)
    except (ImportError, PackageNotFoundError):
        pytest.skip(f"{rival.package} is not installed")
    wave = audio.load(CLEAN, RATE)[0, :2 * RATE]
    noisy = wave + 0.003 * np.random.default_rng(0).normal(size=wave.shape).astype(np.float32)
    made = run(noisy)
    assert made.shape == wave.shape and np.isfinite(made).all()
    assert abs(lag(wave, made)) <= 1
