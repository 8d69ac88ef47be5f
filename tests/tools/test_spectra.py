"""How far one corpus's long-term spectrum lies above another's."""

import numpy as np
import scipy.signal

import spectra
from voxmend import audio


def test_a_fall_is_told(tmp_path, capsys):
    """Noise of two speakers, and the same by a filter of scipy's, at half the level."""
    rng = np.random.default_rng(0)
    taps = scipy.signal.firwin2(255, [0, 7100, 7500, 8000], [1, 1, 0.1, 0.1], fs=16000)
    for who in "ab":
        wave = 0.1 * rng.standard_normal((1, 960000))
        for name, made in (("flat", wave), ("fallen", 0.5 * scipy.signal.lfilter(taps, 1, wave))):
            (tmp_path / name / who).mkdir(parents=True)
            audio.save(tmp_path / name / who / "a.wav", made, 16000)
    spectra.main(tmp_path / "fallen", tmp_path / "flat")
    cells = [line.strip("|").split("|") for line in capsys.readouterr().out.splitlines()[2:]]
    found = {int(hertz): float(value) for hertz, value in cells}
    places = [4000, 6000, 7625, 7750, 7875]
    gains = 20 * np.log10(np.abs(scipy.signal.freqz(taps, worN=places, fs=16000)[1]))
    np.testing.assert_allclose([found[hertz] for hertz in places], gains, atol=0.5)
    assert gains[-1] < -18
