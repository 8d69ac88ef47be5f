"""Tasks of one's own: whatever the Restorer does for a preset is a field of `Task`."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.gaussian import WhitePrior
from helpers.speech import voice
from voxmend import TASKS, Damage, Restorer, Task
from voxmend.diffusion.denoiser import Denoiser, EDMDenoiser
from voxmend.diffusion.guidance import (
    Imputation,
    MixtureLikelihood,
    NoisyObservation,
    Reconstruction,
    Unguided,
)
from voxmend.operators import Clip, Gap, Lowpass, Mixture, Operator, Quantise, WhiteNoise
from voxmend.restore.damage import Clipping
from voxmend.restore.drawing import Drawing
from voxmend.restore.tasks import correcting

DAMAGE = {"declip": Damage((Clipping(0.1),)), "extend": Damage(cutoff=3000.0),
          "inpaint": Damage(gaps=((0.2, 0.25),)), "denoise": Damage(noise=0.02),
          "mend": Damage((Clipping(0.1),), gaps=((0.2, 0.25),), cutoff=3000.0)}


def test_a_task_leaves_what_it_is_told_to():
    task = TASKS["mend"].leaving(["clipping", "hum"])
    damage = Damage((Clipping(0.1),), hum=50.0, noise=0.01, rms=0.1)
    left = Restorer(task, Identity()).relevant(damage)
    assert not left.clipping and not left.hum and left.noise == 0.01
    assert {*task.reports} == {*TASKS["mend"].reports}  # it still tells of them
    assert TASKS["mend"].leaving([]) == TASKS["mend"]
    with pytest.raises(ValueError, match="finds no reverberation"):
        TASKS["mend"].leaving(["reverberation"])


class Identity(Denoiser):
    """Believes everything: D(x; σ) = x."""

    receptive_field = 0
    hop = 1

    def forward(self, x, sigma):
        return x


class Halved(Operator):
    """Half as loud, without a projection."""

    linear = True

    def forward(self, x):
        return x / 2

    def start(self, y):
        return 2 * y


class Hiss(Operator):
    """White noise as a class of one's own."""

    linear = projects = identity = True
    noise_std = 0.1

    def forward(self, x):
        return x

    def project(self, x0, y):
        return y


def restorer(task, **options):
    return Restorer(task, Identity(), device="cpu", **options)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_known_by_its_fields_not_by_its_name(name, rate):
    """Renamed, and with an operator that is another object."""
    task, wave = TASKS[name], voice(0.4, rate, channels=2)
    operator = task.operator and (lambda scene: task.operator(scene))  # noqa: PLW0108, another one
    told = DAMAGE.get(name, Damage())
    one, other = (Restorer(kind, WhitePrior(0.1), steps=2, device="cpu")(wave, rate, told)
                  for kind in (task, replace(task, name="mine", operator=operator)))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("raises, expected", [(True, 16000), (False, 8000)])
def test_an_own_task_may_raise_the_rate(raises, expected):
    task = Task("own", lambda scene: Gap(torch.arange(scene.length) % 100 > 2),
                raises_rate=raises)
    assert restorer(task)(voice(1.0, 8000), 8000).shape == (1, expected)
    assert restorer(task)(voice(1.0, 48000), 48000).shape == (1, 48000)


@pytest.mark.parametrize("keeps, share", [(True, 1.0), (False, 0.0)])
def test_an_own_task_may_drop_what_is_above_the_band(keeps, share):
    rate = 48000
    tone = 0.05 * np.sin(2 * np.pi * 15000 * np.arange(rate) / rate).astype(np.float32)[None]
    task = Task("own", lambda scene: Quantise(0.001), keeps_band=keeps)
    made = restorer(task)(voice(1.0, rate) + tone, rate)
    heard = 2 * np.mean(made * tone) / 0.05**2
    assert heard == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_an_own_task_may_have_three_outputs(rate):
    task = Task("trio", lambda scene: Mixture(scene.sources), guidance=MixtureLikelihood(),
                steps=4, keeps_band=False, sources=3)
    wave = sum(voice(1.0, rate, seed=i) for i in range(3))
    trio = restorer(task)(wave[0], rate)
    assert trio.shape == (3, rate)
    if rate == 16000:
        np.testing.assert_allclose(trio.sum(0), wave[0], atol=0.03)
    stereo = restorer(task, draws=2)(np.concatenate([wave, wave]), rate)
    assert stereo.shape == (3, 2, rate)
    assert restorer(task, speakers=4)(wave[0], rate).shape == (4, rate)
    assert restorer(task)(0 * wave[0], rate).shape == (3, rate)


def test_the_sources_of_any_operator_have_noise_of_their_own():
    """Not only of a Mixture itself; with the same noise they would be the same signal."""
    task = Task("own", lambda scene: Clip(10.0) @ Mixture(2), keeps_band=False, sources=2, steps=2)
    one, other = restorer(task)(voice(0.5)[0], 16000)
    assert np.std(one - other) > 0.1 * np.std(one)


def test_sources_keep_their_order_at_a_raised_rate(monkeypatch):
    """25 s pass in two segments; of white noise only the same samples are alike."""
    sources = np.random.default_rng(0).normal(0, 0.1, (2, 400000)).astype(np.float32)

    def draw(self, requests):
        [asked] = requests
        low = asked.y[0].numpy()
        own = sources[:, asked.start:asked.start + low.shape[1]] * (low.std() / 0.14)
        return [torch.from_numpy(own[::-1].copy() if asked.start else own)[None]]

    monkeypatch.setattr(Drawing, "__call__", draw)
    task = replace(TASKS["separate"], raises_rate=True)
    made = restorer(task)(sources.sum(0)[::2], 8000)
    assert made.shape == sources.shape
    for row, source in zip(made, sources):
        assert np.corrcoef(row, source)[0, 1] > 0.95


def test_an_own_task_may_simulate_its_observation():
    seen = []

    def guidance(denoiser, operator, y):
        seen.append(y)
        return denoiser

    task = Task("own", lambda scene: Lowpass(2000.0), guidance=guidance)
    wave = voice(0.5)
    for simulates in (False, True):
        restorer(replace(task, simulates=simulates))(wave, 16000, Damage(rms=0.1))
    recording, observation = seen
    torch.testing.assert_close(recording[0] / recording.std(),
                               torch.from_numpy(wave / wave.std(ddof=1)))
    torch.testing.assert_close(observation, Lowpass(2000.0)(recording))


@pytest.mark.parametrize("native", [False, True])
def test_an_own_task_may_hold_at_the_recordings_rate(native):
    """Coarse codes at 44.1 kHz: the result lies in the cells that the recording tells."""
    rates = []

    def coarse(scene):
        rates.append(scene.sample_rate)
        return Quantise(0.05 * scene.scale)

    wave = Quantise(0.05)(torch.from_numpy(voice(0.5, 44100))).numpy()
    made = restorer(Task("own", coarse, native_rate=native))(wave, 44100)
    assert rates == ([44100, 16000] if native else [16000])
    assert (np.abs(made - wave).max() <= 0.0251) == native
    assert np.abs(made - wave).max() > 0.01


@pytest.mark.parametrize("operator", [Halved(), WhiteNoise(0.1)])
def test_what_has_no_exact_observation_is_not_imposed_at_the_recordings_rate(operator):
    task = Task("own", lambda scene: operator, native_rate=True, guidance=Reconstruction())
    wave = voice(0.5, 44100)
    made = restorer(task)(wave, 44100)
    assert made.shape == wave.shape and np.abs(made - wave).max() > 1e-3


def test_without_an_operator_the_prior_alone_is_drawn():
    """None of this segment is another thing than None at all."""
    wave = voice(0.5)
    task = Task("own", lambda scene: None, guidance=Unguided(), steps=2)
    np.testing.assert_array_equal(restorer(task)(wave, 16000), wave)
    assert np.abs(restorer(replace(task, operator=None))(wave, 16000) - wave).max() > 0.01


@pytest.mark.parametrize("operator", [Hiss(), WhiteNoise(0.06) @ WhiteNoise(0.08)])
def test_noise_of_an_own_class_has_the_exact_posterior(operator):
    """A white prior of RMS 0.1 in noise of that RMS: the mean is half of what is heard."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 16000)).astype(np.float32)
    task = Task("own", lambda scene: operator, guidance=NoisyObservation(Imputation()), steps=1)
    made = Restorer(task, WhitePrior(0.1), device="cpu")(noise, 16000, Damage(rms=0.1))
    assert np.abs(made - noise / 2).max() < 0.02


def test_a_told_value_that_would_not_count_is_refused():
    with pytest.raises(ValueError, match="steps would not count"):
        replace(TASKS["denoise"], told={"steps": 3})
    own = correcting(TASKS["denoise"], steps=3)
    assert own.told == {"steps": 3} and own.untold.steps == TASKS["denoise"].steps
    assert "steps" in TASKS["declip"].course(EDMDenoiser(torch.nn.Identity()))


def test_errors_are_plain():
    def mixture(scene):
        return Mixture(2)

    with pytest.raises(ValueError, match="keeps_band=False"):
        Task("own", mixture, sources=2)
    with pytest.raises(ValueError, match="at least 1 source"):
        Task("own", mixture, sources=0, keeps_band=False)
    with pytest.raises(ValueError, match="native_rate"):
        Task("own", mixture, sources=2, keeps_band=False, native_rate=True)
    with pytest.raises(ValueError, match="native_rate"):
        replace(TASKS["vocode"], native_rate=True)
    with pytest.raises(ValueError, match=r"'declip' separates no speakers"):
        restorer("declip", speakers=2)
    with pytest.raises(ValueError, match=r"'own'.* 2 channels, but sources=None"):
        restorer(Task("own", mixture))(voice(0.5), 16000)
    with pytest.raises(ValueError, match=r"'own'.* 1 channels, but sources=2"):
        restorer(Task("own", lambda s: None, sources=2, keeps_band=False))(voice(0.5), 16000)
