"""Arguments of the Restorer, of tasks and of damage: what cannot be is named in one line."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from helpers.speech import CONFIG, voice
from voxmend import TASKS, Damage, Restorer, Task, guidance, samplers, undiff
from voxmend.diffusion.denoiser import Denoiser
from voxmend.diffusion.told import GuessDenoiser
from voxmend.networks.convnext import FrameConvNeXt
from voxmend.operators import Clip, Gap
from voxmend.restore.analysis import analyse
from voxmend.restore.damage import Clipping
from voxmend.restore.tasks import compose, found_clipping, found_damage


class Identity(Denoiser):
    """Believes everything: D(x; σ) = x."""

    receptive_field = 0
    hop = 1

    def forward(self, x, sigma):
        return x


def correcting():
    """A prior that corrects first guesses, and has nothing to say yet."""
    network = FrameConvNeXt(**CONFIG | {"inputs": 2, "marks": 2})
    return GuessDenoiser(network).requires_grad_(False)


@pytest.mark.parametrize("option", [
    {"steps": 0}, {"steps": -1}, {"steps": 1.5}, {"draws": 0}, {"draws": 2.5}, {"seed": -1},
    {"seed": 1.5}, {"batch": 0}, {"batch": 2.5}, {"prior": torch.nn.Linear(1, 1)},
    {"prior": 3}, {"task": None}, {"task": Task}, {"device": "gpu"}, {"device": None}])
def test_an_option_that_cannot_be_is_named(option):
    [name] = option
    with pytest.raises(ValueError, match=f"^{name}[ =].*(give|use)"):
        Restorer(**{"task": "declip", "prior": correcting(), "device": "cpu"} | option)


def test_steps_of_a_task_with_levels_of_its_own_are_refused():
    task = undiff.PAPER["declip"]
    with pytest.raises(ValueError, match="levels of its own: leave out steps"):
        Restorer(task, Identity(), steps=10)
    assert Restorer(task, Identity()).entry["steps"] == 200


@pytest.mark.parametrize("damage", [0.3, "clipping", {"clipping": 0.3}, [None]])
def test_damage_that_is_none_is_named(damage):
    with pytest.raises(ValueError, match="^damage=.*give"):
        Restorer("declip", Identity())(voice(0.2), 16000, damage)


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_a_device_may_have_a_name(device):
    assert Restorer("declip", Identity(), device=device).device.type == "cpu"


def test_an_own_prior_draws_nothing_by_itself():
    """Dropout is for training: same seed, same result."""
    class Dropping(Identity):
        def forward(self, x, sigma):
            return torch.nn.functional.dropout(x, 0.5, self.training)

    restorer = Restorer(replace(TASKS["denoise"], sigma_max=0.1), Dropping())
    noisy = voice(0.5)
    runs = [restorer(noisy, 16000, Damage(noise=0.05, rms=0.1)) for _ in range(2)]
    np.testing.assert_array_equal(*runs)


@pytest.mark.parametrize("made", [lambda x: x[..., :-1], lambda x: x.double(), lambda x: (x,)])
def test_a_prior_that_makes_something_else_is_named(made):
    class Other(Identity):
        def forward(self, x, sigma):
            return made(x)

    with pytest.raises(ValueError, match="the prior made .* of "):
        Restorer("declip", Other())(voice(0.2), 16000, Damage((Clipping(0.1),)))


def test_a_prior_without_a_gradient_is_named():
    class Hidden(Identity):
        @torch.no_grad()
        def forward(self, x, sigma):
            return 1 * x

    with pytest.raises(TypeError, match="needs the prior's gradient"):
        Restorer("mend", Hidden())(voice(0.2), 16000, Damage((Clipping(0.1),)))


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_nothing_of_no_length_is_generated(seconds):
    with pytest.raises(ValueError, match="^seconds=.*give more than 0"):
        Restorer("generate", Identity()).generate(seconds)


def test_any_task_s_prior_generates():
    alone = Restorer("generate", Identity(), steps=2).generate(0.2)
    assert alone.shape == (1, 3200)
    assert Restorer("declip", Identity(), steps=2).generate(0.2).shape == (1, 3200)


@pytest.mark.parametrize("mel, said", [
    (np.ones((79, 9)), "shape"), (np.ones(80), "shape"), (np.ones((80, 1)), "2 frames"),
    (np.ones((80, 0)), "shape"), (-np.ones((80, 9)), "magnitudes"),
    (np.full((80, 9), np.nan), "NaN")])
def test_a_mel_spectrogram_that_is_none_is_named(mel, said):
    with pytest.raises(ValueError, match=f"^mel.*{said}"):
        Restorer("vocode", Identity()).from_mel(mel)


def test_a_mel_spectrogram_may_be_a_list_of_doubles():
    restorer = Restorer("vocode", Identity(), steps=1)
    mel = np.random.default_rng(0).uniform(0, 1, (80, 9))
    np.testing.assert_array_equal(restorer.from_mel(mel.tolist()), restorer.from_mel(mel))
    with pytest.raises(ValueError, match="'declip'.*give 'vocode'"):
        Restorer("declip", Identity()).from_mel(mel)


@pytest.mark.parametrize("field", [
    {"start": "gues"}, {"steps": 0}, {"steps": 2.5}, {"finds": ("cliping",)}, {"finds": "noise"},
    {"names": ("echo",)}, {"sigma_max": 0.001}, {"sigma_min": 0.0}, {"sigma_max": float("inf")},
    {"speeds": (1.0, 0.3)}, {"guidance": guidance.Imputation}, {"guidance": "imputation"},
    {"sampler": "heun"}, {"operator": 3}, {"levels": [1.0, 0.0]}])
def test_a_task_s_field_that_cannot_be_is_named(field):
    with pytest.raises(ValueError, match=f"{next(iter(field))}.*"):
        replace(Task("own", lambda scene: Clip(0.1)), **field)


def test_what_a_task_s_parts_make_is_looked_at():
    def short(denoise, x, *others):
        return x[..., :-1]

    wave, damage = voice(0.2), Damage((Clipping(0.1),))
    with pytest.raises(ValueError, match="its operator is 3: give an Operator"):
        Restorer(Task("own", lambda scene: 3), Identity())(wave, 16000)
    with pytest.raises(ValueError, match="its sampler made"):
        Restorer(replace(TASKS["declip"], sampler=short), Identity())(wave, 16000, damage)
    with pytest.raises(ValueError, match="^kinds='clipping': give a tuple"):
        TASKS["mend"].leaving("clipping")


@pytest.mark.parametrize("field", [
    {"noise": float("nan")}, {"noise": -1.0}, {"cutoff": "4000"}, {"hum": 440}, {"clicks": -1},
    {"clipping": 0.3}, {"clipping": (0.3,)}, {"clipping": Clipping(0.3)}, {"gaps": (0.1, 0.12)},
    {"gaps": ((0.2, 0.1),)}, {"ends": ((0.2, 0.1),)}, {"ends": [(1,)]}, {"gaps": [("a", "b")]},
    {"cutoff": 1000.0, "low_cutoff": 3000.0}])
def test_damage_that_cannot_be_is_refused(field):
    with pytest.raises(ValueError, match="give"):
        Damage(**field)


@pytest.mark.parametrize("field", [
    {"level": float("nan")}, {"level": -1}, {"start": 1, "end": 0.5}, {"start": -1}, {"side": 5},
    {"tolerance": 1.0}, {"offset": float("inf")}, {"level": "a"}, {"end": None}])
def test_clipping_that_cannot_be_is_refused(field):
    with pytest.raises(ValueError, match="^clipping.*give"):
        Clipping(**{"level": 0.1} | field)


def test_numbers_and_lists_of_any_library_will_do():
    damage = Damage([Clipping(np.float32(0.3))], gaps=np.array([[0.1, 0.2]]),
                    rms=torch.tensor(0.1), noise=np.array(0.01))
    assert damage and damage.gaps == ((0.1, 0.2),) and isinstance(damage.clipping, tuple)
    assert Clip(np.array(0.3)).level == 0.3
    wave = voice(0.2)
    np.testing.assert_array_equal(Restorer("declip", Identity())(wave, np.array(16000), [damage]),
                                  Restorer("declip", Identity())(wave, 16000, damage))


@pytest.mark.parametrize("shape", [(), (1, 1, 9)])
def test_what_is_no_recording_is_refused(shape):
    with pytest.raises(ValueError, match="give it as .channels, samples"):
        Restorer("declip", Identity())(np.full(shape, 0.1, np.float32), 16000)


def test_channels_last_are_refused():
    """Before anything is looked at, of which there would be thousands."""
    with pytest.raises(ValueError, match="4000 channels, at most 16"):
        analyse([np.zeros((4000, 2), np.float32)], 16000)


@pytest.mark.parametrize("rate", ["16000", None, [16000], 16000.5])
def test_a_rate_that_is_none_is_named(rate):
    with pytest.raises(ValueError, match="Hz: give a whole number"):
        Restorer("declip", Identity())(voice(0.2), rate)


@pytest.mark.parametrize("form", [found_damage, partial(found_damage),
                                  lambda s: compose(None, found_clipping(s))])
def test_an_own_operator_of_what_was_found_is_of_the_centred_recording(form):
    wave = voice(1.0) + np.float32(0.2)
    clipped, told = wave.clip(0.1, 0.3), Damage((Clipping(0.1, offset=0.2),), rms=0.1)
    expected = Restorer("declip", Identity(), steps=1)(clipped, 16000, told)
    made = Restorer(replace(TASKS["declip"], operator=form), Identity(), steps=1)
    np.testing.assert_array_equal(made(clipped, 16000, told), expected)


def test_an_own_operator_fills_what_is_missing():
    """Of a task that takes noise away, too, in which what is mute stays so."""
    wave = voice(1.0)
    wave[:, 8000:9000] = 0
    present = torch.ones(16000).index_fill(0, torch.arange(8000, 9000), 0)
    for name in ("inpaint", "mend"):
        task = replace(TASKS[name], operator=lambda scene: Gap(present), told=None,
                       guidance=guidance.Imputation(), steps=1)
        made = Restorer(task, Identity())(wave, 16000, Damage(rms=0.1))
        assert made[:, 8000:9000].any()


def test_guidance_needs_no_operator():
    def mine(denoiser, operator, y):
        return lambda x, sigma: 0 * x + 0.05

    task = Task("own", None, guidance=mine, steps=1)
    made = Restorer(task, Identity())(voice(0.2), 16000, Damage(rms=0.1))
    assert np.ptp(made) < 1e-6 < made.min()


@pytest.mark.parametrize("offset", [0.0, 0.05])
def test_an_own_operator_knows_levels_of_the_recording(offset):
    """Clipped at 0.1 about nothing, whatever the mean of the voice."""
    clipped = (voice(1.0) + np.float32(offset)).clip(-0.1, 0.1)
    task = replace(TASKS["declip"], operator=lambda scene: Clip(0.1 * scene.scale), told=None,
                   sampler=samplers.euler, steps=1)
    made = Restorer(task, Identity())(clipped, 16000, Damage(rms=0.1))
    sound = np.abs(clipped) < 0.099
    np.testing.assert_allclose(made[sound], clipped[sound], atol=1e-4)
    assert (np.abs(made[~sound]) >= 0.099).all()
