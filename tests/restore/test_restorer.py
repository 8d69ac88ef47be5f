"""The Restorer: rates, channels, level, silence, seeds, draws, long recordings."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.signal import butter, correlate, sosfilt, welch

from helpers.gaussian import WhitePrior
from helpers.speech import CONFIG, voice
from voxmend import TASKS, Damage, Restorer, audio, restore
from voxmend.diffusion.chunked import ChunkedDenoiser
from voxmend.diffusion.denoiser import Denoiser, EDMDenoiser
from voxmend.diffusion.guidance import Imputation
from voxmend.diffusion.samplers import euler
from voxmend.diffusion.schedules import karras_grid
from voxmend.diffusion.told import GuessDenoiser
from voxmend.dsp import degrade
from voxmend.metrics.si_snr import si_snr
from voxmend.networks.convnext import FrameConvNeXt
from voxmend.operators import Gap
from voxmend.restore import restorer as module
from voxmend.restore import tasks
from voxmend.restore.analysis import analyse
from voxmend.restore.damage import Clipping
from voxmend.restore.drawing import Drawing, Request

DAMAGE = {"declip": {"clipping": (Clipping(0.1),)}, "extend": {"cutoff": 3000.0},
          "inpaint": {"gaps": ((0.5, 0.55),)}, "denoise": {"noise": 0.02},
          "mend": {"clipping": (Clipping(0.1),), "gaps": ((0.5, 0.55),), "cutoff": 3000.0}}


class Identity(Denoiser):
    """Believes everything: D(x; σ) = x."""

    receptive_field = 0
    hop = 1

    def forward(self, x, sigma):
        return x


def damage(task, wave):
    return Damage(rms=float(np.sqrt(np.mean(wave**2))), **DAMAGE.get(task, {}))


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("task", DAMAGE)
def test_rate_channels_and_length_are_kept(task, rate, prior):
    wave = voice(1.0, rate, channels=2)
    mended = Restorer(task, str(prior), steps=2, device="cpu")(wave, rate, damage(task, wave))
    expected = 2 if task == "extend" and rate == 8000 else 1
    assert mended.shape == (2, expected * wave.shape[1])
    assert np.isfinite(mended).all() and mended.dtype == np.float32


def test_the_band_above_the_prior_is_kept(prior):
    rate = 48000
    wave = voice(1.0, rate)
    tone = 0.05 * np.sin(2 * np.pi * 15000 * np.arange(rate) / rate).astype(np.float32)
    told = damage("inpaint", wave)
    restorer = Restorer("inpaint", str(prior), steps=2, device="cpu")
    with_tone, without = restorer(wave + tone, rate, told), restorer(wave, rate, told)
    changed = np.abs(with_tone - without - tone)[0, 2000:-2000]
    gap = slice(round(0.495 * rate) - 2000, round(0.555 * rate) - 2000)
    assert np.delete(changed, gap).max() < 2e-3


def test_white_noise_above_the_prior_is_filtered(prior):
    """mend keeps what there is above 8 kHz, but not the hiss."""
    rate, rng = 48000, np.random.default_rng(0)
    wave = voice(3, rate, channels=1) + 0.01 * rng.standard_normal((1, 3 * rate))
    mended = Restorer("mend", str(prior), device="cpu")(
        wave.astype(np.float32), rate, Damage(noise=0.01, rms=float(wave.std())))
    above = [np.sum(np.abs(np.fft.rfft(x))[..., 3 * 9000:] ** 2) for x in (wave, mended)]
    assert above[1] < 0.1 * above[0]


@pytest.mark.parametrize("offset", [0.0, 0.2])
@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
def test_a_recording_is_declipped_as_well_at_any_rate(rate, offset):
    """Resampling moves clipped samples off the level: they must be mended before it."""
    time = np.arange(rate) / rate
    clean = sum(np.sin(2 * np.pi * f * time + f) for f in (200.0, 450.0, 900.0, 1700.0))
    clean = (0.1 * clean * np.sin(np.pi * time) ** 2).astype(np.float32)
    level = 0.4 * np.abs(clean).max()
    clipped = clean.clip(-level, level)
    told = Damage((Clipping(level, offset=offset),))
    mended = Restorer("declip", Identity(), device="cpu")(clipped + offset, rate, told) - offset
    assert si_snr(clipped, clean) < 20
    assert si_snr(mended, clean) > si_snr(clipped, clean) + 10


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_gap_is_filled_from_the_period_before_it_at_any_rate(rate):
    """A harmonic sound with a period of 7 ms, longer than a few formants would need."""
    phase = 2 * np.pi * np.arange(rate // 2) / (0.007 * rate)
    wave = torch.from_numpy(sum(np.cos(k * phase + k * k) for k in range(1, 26)))[None, None]
    hole = Gap.between([(0.2, 0.22)], rate // 2, rate)
    filled = hole.start(hole(wave))
    assert (filled - wave)[..., ~hole.present].std() < 0.1 * wave.std()


def test_a_raised_recording_may_be_clipped_too(prior):
    """What it says of its own samples says nothing of those between them."""
    task = replace(TASKS["extend"], finds=("clipping", "cutoff"))
    wave = degrade.clip(voice(0.5, 8000), 0.1)
    mended = Restorer(task, str(prior), steps=2, device="cpu")(wave, 8000, Damage((Clipping(0.1),)))
    assert mended.shape == (1, 8000) and np.abs(mended).max() > 0.12


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_noise_is_as_dense_at_the_priors_rate(rate):
    """Of white noise resampling keeps the density, not the level: here, that of 1 to 3 kHz."""
    noise = np.random.default_rng(0).normal(size=(1, 20 * rate)).astype(np.float32)
    low = audio.resample(noise, rate, 16000)[0]
    told = tasks.found_damage(
        tasks.Scene(Damage(noise=1.0), 1.0, 0, len(low), 16000, rate, rate))
    frequencies, density = welch(low, 16000)
    in_band = density[(frequencies > 1000) & (frequencies < 3000)].mean()
    assert in_band * 8000 == pytest.approx(told.noise_std**2, rel=0.05)


@pytest.mark.parametrize("task", ["denoise", "mend"])
def test_nothing_is_lost_where_nothing_is_mended(task):
    wave = np.random.default_rng(0).normal(0, 0.1, (1, 48000)).astype(np.float32)
    same = Restorer(task, Identity(), device="cpu")(wave, 48000, Damage(rms=0.1))
    np.testing.assert_allclose(same, wave, atol=1e-6)


def test_told_damage_needs_no_level(prior):
    restorer = Restorer("declip", str(prior), steps=2, device="cpu")
    wave = degrade.clip(voice(0.5), 0.1)
    rms = float(np.sqrt(np.mean(wave.astype(np.float64) ** 2)))
    np.testing.assert_allclose(restorer(wave, 16000, Damage((Clipping(0.1),))),
                               restorer(wave, 16000, Damage((Clipping(0.1),), rms=rms)))


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_samples_outside_the_damage_are_kept(prior, rate):
    wave = voice(1.0, rate)
    broken, present = degrade.gaps(wave, rate)
    mended = Restorer("inpaint", str(prior), steps=2, device="cpu")(broken, rate)
    np.testing.assert_allclose(mended[:, present], broken[:, present], atol=1e-6)
    assert np.abs(mended[:, ~present]).max() > 0
    level = degrade.clip_level_for_sdr(wave, 5)
    clipped = degrade.clip(wave, level)
    declipped = Restorer("declip", str(prior), steps=2, device="cpu")(
        clipped, rate, Damage((Clipping(level),), rms=0.1))
    kept = np.abs(clipped) < 0.99 * level
    np.testing.assert_allclose(declipped[kept], clipped[kept], atol=1e-6)
    assert (np.abs(declipped[~kept]) >= 0.99 * level).all()


def test_progress_is_told_after_every_call_of_the_prior(prior):
    wave, rate, told = voice(2, 8000, channels=2), 8000, []
    restorer = Restorer("inpaint", prior, steps=4, draws=2)
    reader = audio.ArrayReader(wave, rate)
    list(restorer.stream(reader, Damage(**DAMAGE["inpaint"]), progress=told.append))
    calls = 2 * 2 * 4  # channels, draws and steps
    assert told[:-1] == [wave.shape[1] * call // calls for call in range(1, calls + 1)]
    assert told[-1] == wave.shape[1]
    assert not restorer.prior._forward_hooks  # none is left behind


def test_level_is_kept(prior):
    """Mending a recording that is 30 dB softer gives the same, 30 dB softer."""
    gain = 10 ** (-30 / 20)
    dull = degrade.lowpass(voice(1.0), 3000, 16000)
    told, softer = (Damage(cutoff=3000.0, rms=0.1 * g) for g in (1.0, gain))
    restorer = Restorer("extend", str(prior), steps=2, device="cpu")
    np.testing.assert_allclose(restorer(gain * dull, 16000, softer) / gain,
                               restorer(dull, 16000, told), atol=2e-4)


@pytest.mark.parametrize("task", [t for t in TASKS if t not in ("generate", "separate")])
def test_silence_stays_silence(task, prior):
    mended = Restorer(task, str(prior), steps=2, device="cpu")(np.zeros((1, 5000)), 16000)
    assert not mended.any() and mended.shape == (1, 5000)


@pytest.mark.parametrize("task", ["declip", "denoise", "mend"])
def test_a_channel_that_holds_a_constant_is_left(task):
    wave = np.stack([voice(0.5)[0], np.full(8000, 0.01, np.float32)])
    mended = Restorer(task, Identity(), steps=1)(wave, 16000)
    np.testing.assert_array_equal(mended[1], wave[1])


@pytest.mark.parametrize("task, rate", [("denoise", 16000), ("mend", 44100)])
def test_muted_stretches_stay_muted_in_noise(task, rate):
    """But for the gaps that are to be filled."""
    rng = np.random.default_rng(0)
    wave = voice(3.0, rate) + 0.02 * rng.standard_normal((1, 3 * rate)).astype(np.float32)
    wave[:, rate:2 * rate] = 0
    wave[:, 5 * rate // 2:5 * rate // 2 + rate // 20] = 0
    gaps = ((0.99, 2.01), (2.5, 2.55)) if task == "mend" else ()
    told = Damage(noise=0.02, rms=0.1, gaps=gaps)
    mended = Restorer(task, WhitePrior(0.1), steps=2)(wave, rate, told)
    assert not mended[:, rate:2 * rate].any() and mended[:, :rate].any()
    assert mended[:, 5 * rate // 2:5 * rate // 2 + rate // 20].any() == (task == "mend")


def test_same_seed_same_result_other_seed_other_result(prior):
    wave, told = voice(1.0), Damage(gaps=((0.3, 0.4),), cutoff=3000.0, rms=0.1)
    one, two, other = (Restorer("mend", str(prior), steps=3, seed=s, device="cpu")(
        wave, 16000, told) for s in (5, 5, 6))
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 1e-4


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_draws_give_mean_and_uncertainty(prior, rate):
    wave, told = voice(0.5, rate), Damage(gaps=((0.2, 0.3),), rms=0.1)
    restorer = Restorer("inpaint", str(prior), steps=3, draws=3, device="cpu")
    reader = audio.ArrayReader(wave, rate)
    mean, std = np.concatenate(list(restorer.stream(reader, told)), axis=1)
    start, end = round(0.2 * rate), round(0.3 * rate)
    assert std[start:end].mean() > 1e-4 and std.min() >= 0
    assert std[:start].max() < 1e-6 and std[end:].max() < 1e-6
    np.testing.assert_allclose(restorer(wave, rate, told)[0], mean)


def test_the_draws_of_a_mixture_agree_on_the_order_of_the_voices(monkeypatch):
    voices = np.stack([voice(1.0, seed=1)[0], np.random.default_rng(0).normal(0, 0.1, 16000)])
    voices = voices.astype(np.float32)

    def draw(self, requests):
        scaled = voices * (requests[0].y.numpy().std() / voices.sum(0).std())
        return [torch.from_numpy(np.stack([scaled, scaled[::-1], 1.5 * scaled[::-1]]))]

    monkeypatch.setattr(Drawing, "__call__", draw)
    restorer = Restorer("separate", Identity(), draws=3, device="cpu")
    mean = restorer(voices.sum(0), 16000)
    np.testing.assert_allclose(mean, voices * 3.5 / 3, rtol=1e-3, atol=1e-6)


def test_segments_made_in_any_order_agree_on_the_order_of_the_voices(monkeypatch):
    """Of a draw that has it the other way round in every second segment, and of many draws."""
    rng = np.random.default_rng(0)
    voices = np.stack([voice(70.0, seed=1)[0], rng.normal(0, 0.1, 70 * 16000)]).astype(np.float32)

    def draw(self, requests):
        y, start = requests[0].y, requests[0].start
        part = voices[:, start:start + y.shape[-1]]
        scaled = part * (y.numpy().std() / part.sum(0).std())
        turned = scaled[::-1] if start // (19 * 16000) % 2 else scaled
        return [torch.from_numpy(np.stack([turned, 1.5 * turned[::-1]]))]

    def backwards(function, parts):
        return iter([function(chunk, start) for start, chunk in [*parts][::-1]][::-1])

    monkeypatch.setattr(Drawing, "__call__", draw)
    restorer = Restorer("separate", Identity(), draws=2, device="cpu")
    reader = audio.ArrayReader(voices.sum(0, keepdims=True), 16000)
    found = np.concatenate([*restorer.stream(reader, spread=backwards)], axis=1)
    np.testing.assert_allclose(found[:2], 1.25 * voices, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found[2:], np.abs(voices) * np.std([1, 1.5], ddof=1), rtol=1e-2,
                               atol=1e-5)


def test_separate_gives_voices_that_sum_to_the_mixture():
    wave = voice(1.0) + voice(1.0, seed=1)
    voices = Restorer("separate", Identity(), steps=4, device="cpu")(wave[0], 16000)
    assert voices.shape == (2, wave.shape[1])
    np.testing.assert_allclose(voices.sum(0), wave[0], atol=0.02)


def test_mel_of_vocoded_speech_is_near_the_given_one(prior):
    from voxmend.operators import Mel
    wave = torch.from_numpy(voice(1.0))[None]
    mel = Mel()(wave)[0, 0].numpy()
    made = Restorer("vocode", Identity(), steps=4, device="cpu").from_mel(mel)
    again = Mel()(torch.from_numpy(made)[None])[0, 0].numpy()
    assert np.linalg.norm(again - mel) < 0.3 * np.linalg.norm(mel)
    mean, std = Restorer("vocode", Identity(), steps=4, draws=3, device="cpu").from_mel(mel)
    assert mean.shape == std.shape == made[0].shape and 0 < std.mean() < np.abs(mean).mean()


def test_long_recordings_have_no_seam(prior):
    """45 s pass in segments; near their borders the result is that of one long segment."""
    wave = np.tile(voice(5.0), 9)
    broken, _ = degrade.gaps(wave, 16000, 50, 400)
    restorer = Restorer("inpaint", str(prior), steps=3, device="cpu")
    told = analyse([broken], 16000)
    cut = restorer(broken, 16000, told)
    segment, module.SEGMENT_SECONDS = module.SEGMENT_SECONDS, 60
    try:
        whole = restorer(broken, 16000, told)
    finally:
        module.SEGMENT_SECONDS = segment
    assert np.abs(cut - whole).max() < 1e-3 * np.abs(whole).max() + 1e-4


def test_chunked_restoration_equals_whole(prior):
    restorer = Restorer("inpaint", str(prior), device="cpu")
    assert isinstance(restorer.prior, ChunkedDenoiser)
    x = torch.randn(1, 1, 16000 * 25, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = restorer.prior.denoiser(x, 0.1)
        torch.testing.assert_close(restorer.prior(x, 0.1), whole, rtol=0, atol=1e-4)


def test_white_noise_alone_has_the_exact_posterior_unless_told_otherwise():
    """A white prior of RMS 0.1 in noise of that RMS: the posterior mean is half of what is heard.

    The other guidance, imputation at σ = 0.5, has another mean.
    """
    noise = np.random.default_rng(0).standard_normal((1, 16000)).astype(np.float32)
    heard = 0.1 * 2**0.5 * noise
    exact, imputed = (Restorer(task, WhitePrior(0.1), device="cpu")(heard, 16000, Damage(noise=0.1))
                      for task in (TASKS["denoise"],
                                   replace(TASKS["denoise"], guidance=Imputation())))
    assert np.abs(exact - heard / 2).max() < 0.02 < np.abs(imputed - heard / 2).max()


@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_noise_scale_raises_the_variance_of_samples(scale):
    """On x ~ N(0, v), where D(x; σ) = s x with s = v/(v + σ²), DDPM's step has a closed form.

    x' = s x_σ + r (1 − s) x_σ + scale σ'√(1 − r) z with r = σ'²/σ².
    """
    v, levels = 0.01, karras_grid(16, 2.0, 0.05).tolist()
    variance = levels[0] ** 2
    for sigma, lower in pairwise(levels):
        s, r = v / (v + sigma**2), (lower / sigma) ** 2
        variance = (s + r * (1 - s)) ** 2 * variance + scale**2 * lower**2 * (1 - r)
    task = replace(TASKS["generate"], noise_scale=scale, steps=16, sigma_min=0.05)
    made = Restorer(task, WhitePrior(0.1), device="cpu").generate(10.0)
    assert made.var() == pytest.approx(variance, rel=0.02)


def test_errors_are_plain():
    with pytest.raises(ValueError, match="unknown task"):
        Restorer("polish")
    with pytest.raises(ValueError, match="no such prior"):
        Restorer("declip", prior="none")
    with pytest.raises(ValueError, match="NaN|infinite"):
        restore(np.full(2000, np.nan, np.float32), 16000, "declip", prior=Identity())


def correcting():
    """A prior that corrects first guesses, and has nothing to say yet."""
    network = FrameConvNeXt(**CONFIG | {"inputs": 2, "marks": 2})
    return GuessDenoiser(network).requires_grad_(False)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("task", ["declip", "inpaint"])
def test_a_prior_that_corrects_guesses_starts_at_them(task, rate):
    """Of its one call little noise is left, and what is known stays as it is."""
    wave = voice(1.0, rate)
    told = damage(task, wave)
    scene = tasks.Scene(told, 1.0, 0, wave.shape[1], rate, rate, rate)
    operator = tasks.found_damage(scene)
    y = operator(torch.from_numpy(wave)[:, None])
    evidence = operator.evidence(y)
    mended = Restorer(task, correcting(), device="cpu")(y[:, 0].numpy(), rate, told)
    level = float(np.std(wave))
    known = ~evidence.marks[:, 0].any(1).numpy()
    np.testing.assert_allclose(mended[known], y[:, 0].numpy()[known], atol=2e-3 * level)
    error = mended - evidence.guess[:, 0].numpy()
    assert np.std(error) < (0.08 if rate == 16000 else 0.15) * level
    assert Restorer(task, correcting(), steps=3, device="cpu")(
        y[:, 0].numpy(), rate, told).shape == wave.shape


@pytest.mark.parametrize("task", ["declip", "inpaint", "extend", "mend"])
def test_a_task_says_how_many_calls_a_prior_takes(task):
    wave = voice(1.0)
    told = damage("declip" if task == "mend" else task, wave)
    for prior in (correcting(), EDMDenoiser(FrameConvNeXt(**CONFIG)).requires_grad_(False)):
        calls: list[int] = []
        handle = prior.network.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        restorer = Restorer(task, prior, device="cpu", batch=1)
        restorer(wave, 16000, told)
        handle.remove()
        done = TASKS[task].for_prior(prior)
        assert done.steps == restorer.entry["steps"]
        assert len(calls) == done.steps + len(done.speeds) - 1
        assert tuple(restorer.entry.get("speeds", [1.0])) == done.speeds
        assert restorer.entry["sampler"] == TASKS[task].for_prior(prior).sampler.__name__
        plain = restorer.entry.get("without_evidence", restorer.entry)
        assert plain["steps"] == TASKS[task].untold.steps


def test_fields_that_were_replaced_hold_for_a_prior_that_is_told():
    """Whichever they are, with the others as the task has them."""
    wave, calls = voice(1.0), []
    told = damage("declip", wave)

    def sampler(denoiser, x, sigmas, noise):
        calls.append(len(sigmas) - 1)
        return euler(denoiser, x, sigmas, noise)

    def guidance(denoiser, operator, y):
        calls.append("guided")
        return denoiser

    for fields, seen in (({"sampler": sampler}, [1]), ({"sampler": sampler, "steps": 5}, [5]),
                         ({"guidance": guidance}, ["guided"])):
        restorer = Restorer(replace(TASKS["declip"], **fields), correcting(), device="cpu")
        restorer(wave, 16000, told)
        assert calls == seen
        assert restorer.entry["steps"] == (seen[0] if "sampler" in fields else 1)
        calls.clear()
    restorer = Restorer(replace(TASKS["declip"], sampler=sampler), correcting(), device="cpu",
                        steps=8)  # as many as where nothing is told
    restorer(wave, 16000, told)
    assert calls == [8]


@pytest.mark.parametrize("name", ["declip", "extend", "inpaint", "mend"])
def test_a_field_may_be_given_any_value(name):
    """Also that which it has where nothing, or where something, is told."""
    task, prior = TASKS[name], correcting()
    for course in (task.plain, task.told):
        for field, value in course.items():
            given = replace(task, **{field: value})
            for done in (given.untold, given.for_prior(prior)):
                assert getattr(done, field) == value
    some = replace(task, told={"steps": 3}).for_prior(prior)  # the rest as where nothing is told
    assert some.steps == 3 and some.sampler is task.untold.sampler
    restorer = Restorer(replace(task, steps=task.untold.steps), prior, device="cpu")
    assert restorer.entry["steps"] == task.untold.steps
    assert Restorer(task, prior, steps=1, device="cpu").entry["steps"] == 1


@pytest.mark.parametrize("rate", [8000, 12000])
def test_noise_of_a_lower_rate_is_white_to_a_prior(rate):
    """What a prior hears is as dense above the recording's band as within, in either segment."""
    prior, heard = EDMDenoiser(FrameConvNeXt(**CONFIG)).requires_grad_(False), []
    prior.register_forward_pre_hook(lambda _, given: heard.append(given[0][0, 0].numpy()))
    noise = 0.05 * np.random.default_rng(0).standard_normal((1, 25 * rate), np.float32)
    for task in ("denoise", "mend"):
        heard.clear()
        restorer = Restorer(replace(TASKS[task], steps=1), prior, device="cpu", batch=1)
        made = restorer(noise, rate, Damage(noise=0.05, rms=0.05))
        assert made.shape == noise.shape
        half = len(heard) // 2  # pieces of each segment
        high = butter(8, 0.6 * rate, "high", fs=16000, output="sos")
        last, first = (sosfilt(high, wave) for wave in heard[half - 1:half + 1])
        alike = np.abs(correlate(last, first))  # the segments overlap, and hear the same there
        assert alike.max() > 20 * np.sqrt(np.mean(alike**2))
        for wave in heard:
            hertz, power = welch(wave, 16000, nperseg=512)
            level = power[(hertz > 200) & (hertz < 0.45 * rate)].mean()
            assert power[(hertz > 0.55 * rate) & (hertz < 7800)].mean() == pytest.approx(
                level, rel=0.1)


def test_a_prior_that_gives_no_numbers_is_named():
    prior = WhitePrior(0.1)
    prior.forward = lambda x, sigma, *_: x * float("nan")
    with pytest.raises(ValueError, match="'denoise': the prior gives NaN"):
        Restorer("denoise", prior, device="cpu")(voice(1.0), 16000, Damage(noise=0.01))


def test_a_gap_beyond_the_end_is_refused():
    """Where gaps are filled."""
    late = Damage(gaps=((7.0, 8.0),), noise=0.01)
    assert Restorer("denoise", correcting(), device="cpu")(voice(1.0), 16000, late).any()
    with pytest.raises(ValueError, match="lies beyond the end at 1.00 s"):
        Restorer("inpaint", correcting(), device="cpu")(
            voice(1.0), 16000, late)


def test_a_whole_rate_may_be_a_float():
    restorer, wave = Restorer("mend", correcting(), device="cpu"), voice(0.5)
    np.testing.assert_array_equal(restorer(wave, 16000.0), restorer(wave, 16000))
    with pytest.raises(audio.AudioError, match="whole number"):
        restorer(wave, 16000.5)


def test_loading_a_prior_draws_nothing_of_the_global_generator(prior):
    before = torch.random.get_rng_state()
    Restorer("mend", str(prior), device="cpu")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_gap_is_at_its_place_in_every_segment():
    """Of a task that names one: what is intact stays as it is, in all segments."""
    task = replace(TASKS["inpaint"], operator=lambda scene: Gap.between(
        [(0.5, 0.6)], scene.length, scene.sample_rate, scene.start))
    wave = np.tile(voice(1.0), 45)
    mended = Restorer(task, correcting(), device="cpu")(wave, 16000, Damage())
    changed = np.flatnonzero(np.abs(mended - wave)[0] > 1e-6) / 16000
    assert 0.5 <= changed.min() < changed.max() <= 0.6


def test_what_a_prior_is_told():
    """A band that is left, too, but nothing of silence, nor of what makes no evidence."""
    band, y = tasks.Lowpass(3000.0), torch.zeros(1, 1, 4096)
    for task in ("mend", "extend"):
        drawing = Restorer(task, correcting(), device="cpu").drawing
        for operator in (band, tasks.Highpass(200.0), tasks.Clip(0.1) @ band):
            assert drawing.evidence(Request(y, operator)) is None
            assert drawing.evidence(Request(y + 1, operator)) is not None
        assert drawing.evidence(Request(y + 1, tasks.WhiteNoise(0.1))) is None
    assert Restorer("denoise", correcting(), device="cpu").drawing.evidence(
        Request(y + 1, band)) is None
