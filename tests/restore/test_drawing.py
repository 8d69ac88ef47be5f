"""Draws of many segments as one batch are those of each by itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.gaussian import ListeningPrior
from helpers.speech import CONFIG, voice
from voxmend import TASKS, Damage, Restorer, audio
from voxmend import guidance as G
from voxmend import operators as O
from voxmend.diffusion.chunked import ChunkedDenoiser
from voxmend.diffusion.denoiser import EDMDenoiser
from voxmend.diffusion.samplers import SAMPLERS
from voxmend.diffusion.schedules import geometric_grid
from voxmend.diffusion.told import GuessDenoiser
from voxmend.models import batching, hub
from voxmend.operators import clip
from voxmend.restore import restorer as module
from voxmend.restore.damage import Clipping
from voxmend.restore.drawing import Drawing, Request

LENGTH = 12


@pytest.fixture(autouse=True)
def no_spade(monkeypatch):
    """A first guess in no time, which is not what is judged here."""
    monkeypatch.setattr(clip, "s_spade", lambda wave, threshold, *_, **__: np.where(
        np.abs(wave) < threshold, wave, 1.2 * wave))


def hole(*missing, length=LENGTH):
    return O.Gap(torch.ones(length).index_fill(0, torch.tensor(missing), 0))


# Two operators of each kind, as two segments of a recording have them.
PAIRS = {
    "clip": (O.Clip(0.6), O.Clip(0.3)), "gap": (hole(0, 5, 6), hole(3, 4)),
    "lowpass": (O.Lowpass(4000.0), O.Lowpass(2500.0)),
    "highpass": (O.Highpass(4000.0, width=4000.0), O.Highpass(3000.0, width=4000.0)),
    "mixture": (O.Mixture(2), O.Mixture(2)), "noise": (O.WhiteNoise(0.4), O.WhiteNoise(0.1)),
    "quantise": (O.Quantise(0.5), O.Quantise(0.25)),
    "noise@lowpass": (O.WhiteNoise(0.3) @ O.Lowpass(4000.0), O.WhiteNoise(0.2) @ O.Lowpass(2e3)),
    "gap@clip": (hole(0, 7) @ O.Clip(0.6), hole(2) @ O.Clip(0.5)),
}
METHODS = ("forward", "project", "residual", "adjoint", "start", "blank", "evidence")


def task(name="own", **fields):
    return replace(TASKS["inpaint"], name=name, operator=None, told=None, start="noisy", **fields)


@pytest.mark.parametrize("name", PAIRS)
def test_a_batch_of_operators_is_each_of_them(name):
    one, other = PAIRS[name]
    both = O.Each([one, other, other])
    rng = torch.Generator().manual_seed(0)
    x, y, x0 = torch.randn(3, 3, 2 if name == "mixture" else 1, LENGTH, generator=rng,
                           dtype=torch.float64)
    y = both(y)
    given = {"forward": (x,), "project": (x0, y), "residual": (x0, y), "adjoint": (y, x),
             "start": (y,), "blank": (x,), "evidence": (y,)}
    for method in METHODS:
        if (method == "project" and not both.projects) or (
                method == "adjoint" and not both.linear):
            continue
        found = getattr(both, method)(*given[method])
        parts = [getattr(operator, method)(*(t[i:i + 1] for t in given[method]))
                 for i, operator in enumerate((one, other, other))]
        if method == "evidence":
            assert (found is None) == (parts[0] is None)
            found, parts = (found.marks, [p.marks for p in parts]) if found else (x, [x])
        torch.testing.assert_close(found, torch.cat(parts), rtol=0, atol=0)


def test_the_same_operator_stays_itself():
    one = O.Clip(0.5)
    assert O.Each.of([one, one]) is one and O.Each.of([None, None]) is None
    assert isinstance(O.Each.of([one, O.Clip(0.4)]), O.Each)


@pytest.mark.parametrize("guidance", [name for name in G.GUIDANCES if name != "unguided"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_batch_is_its_items_under_every_sampler_and_guidance(sampler, guidance):
    """With operators, observations, noise and noise levels of their own."""
    tried, rng, prior = 0, torch.Generator().manual_seed(0), ListeningPrior.correlated(LENGTH)

    def run(operator, y, sigmas, noise):
        denoise = G.GUIDANCES[guidance]()(prior, operator, y)
        return SAMPLERS[sampler](denoise, 5 * noise, sigmas, lambda like: noise)

    for name, operators in PAIRS.items():
        grids = [geometric_grid(4, 20.0, low) for low in (0.02, 0.1)]
        x, noises = torch.randn(2, 2, 2 if name == "mixture" else 1, LENGTH, generator=rng,
                                dtype=torch.float64)
        y = torch.cat([operator(x[i:i + 1]) for i, operator in enumerate(operators)])
        try:
            alone = [run(operator, y[i:i + 1], grids[i], noises[i:i + 1])
                     for i, operator in enumerate(operators)]
        except G.GuidanceError:
            with pytest.raises(G.GuidanceError):
                run(O.Each(operators), y, torch.stack(grids, 1)[..., None], noises)
            continue
        together = run(O.Each(operators), y, torch.stack(grids, 1)[..., None], noises)
        torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-5)
        tried += 1
    assert tried


@pytest.fixture(scope="module")
def small():
    """A network of two signals and marks, which serves as either prior."""
    torch.manual_seed(0)
    network = hub.build_network("FrameConvNeXt", {**CONFIG, "inputs": 2, "marks": 2})
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network.eval().requires_grad_(False)


def requests(kind, lengths=(1600, 1600, 1100, 1600)):
    """Of segments with operators of their own, the third shorter."""
    made = {"clip": lambda i, n: O.Clip(0.05 + 0.02 * i), "noise": lambda i, n: O.WhiteNoise(
                0.02 * (i + 1)), "lowpass": lambda i, n: O.Lowpass(3000.0 + 500 * i),
            "gap": lambda i, n: hole(*range(100 + 10 * i, 400), length=n),
            "mixture": lambda i, n: O.Mixture(2), "none": lambda i, n: None}[kind]
    found = []
    for i, n in enumerate(lengths):
        wave = torch.from_numpy(voice(1.0, seed=i))[None, :, :n]
        operator = made(i, n)
        found.append(Request(wave if kind in ("none", "mixture", "noise") else operator(wave),
                             operator, 3000 * i))
    return found


@pytest.mark.parametrize("kind, guidance", [
    ("clip", G.Imputation()), ("clip", G.Reconstruction(0.5)), ("gap", G.Proximal()),
    ("gap", G.PiGDM()), ("lowpass", G.Reconstruction()), ("noise", G.NoisyObservation()),
    ("noise", G.Imputation()), ("mixture", G.MixtureLikelihood()), ("none", G.Unguided())])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_batch_of_a_network_is_its_items(small, kind, guidance, sampler):
    sources = 2 if kind == "mixture" else None
    prior = ChunkedDenoiser(GuessDenoiser(small), seconds=0.05)
    single = Drawing(task(guidance=guidance, sampler=SAMPLERS[sampler], steps=2, sources=sources,
                          keeps_band=not sources, native_rate=False), prior, draws=2)
    alone = single(requests(kind))
    for batch in (3, 64):
        together = replace(single, batch=batch)(requests(kind))
        for one, other in zip(alone, together, strict=True):
            assert one.shape == (2, sources or 1, one.shape[-1])
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    assert not torch.equal(alone[0][0], alone[0][1]) or kind == "noise"


def test_a_prior_that_is_told_is_told_of_each(small):
    """Of segments in which nothing is lost, guided as ever, beside those in which it is."""
    told = replace(TASKS["declip"], told={**TASKS["declip"].told})
    single = Drawing(told, GuessDenoiser(small))
    asked = requests("clip")
    asked[1] = replace(asked[1], operator=O.Clip(50.0))
    for one, other in zip(single(asked), replace(single, batch=8)(asked), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


class Counting(EDMDenoiser):
    """Notes how many signals are denoised at once; more than it holds are too many."""

    def __init__(self, network, most=64):
        super().__init__(network)
        self.most, self.sizes = most, []

    def forward(self, x, sigma):
        if len(x) > self.most:
            raise torch.OutOfMemoryError
        self.sizes.append(len(x))
        return super().forward(x, sigma)


@pytest.fixture
def counted(monkeypatch):
    """A denoiser, and segments of 2 s."""
    monkeypatch.setattr(module, "SEGMENT_SECONDS", 2)
    torch.manual_seed(0)
    network = hub.build_network("FrameConvNeXt", CONFIG)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return Counting(network.eval().requires_grad_(False))


@pytest.mark.parametrize("name, draws", [(name, 1) for name in TASKS
                                          if name not in ("generate", "vocode")] +
                         [("mend", 2), ("separate", 2)])
def test_a_recording_in_batches_is_the_same(counted, name, draws):
    """Stereo, of two segments, the last longer."""
    wave = voice(3.4, channels=2)
    told = Damage(rms=float(wave.std()), clipping=(Clipping(0.1),), gaps=((0.4, 0.42),),
                  cutoff=3000.0, noise=0.01)
    options = dict(prior=counted, steps=2, draws=draws, device="cpu")
    alone = Restorer(name, **options)(wave, 16000, told)
    assert set(counted.sizes) == {1}
    counted.sizes.clear()
    together = Restorer(name, batch=12, **options)(wave, 16000, told)
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    assert max(counted.sizes) == 2 * draws


@pytest.mark.parametrize("batch, segments", [(1, 1), (2, 1), (5, 2), (8, 4)])
def test_memory_is_that_of_a_batch(counted, batch, segments):
    """No more segments are read ahead than a batch of both channels holds."""
    read, wave = [], voice(10.0, channels=2)

    class Reader(audio.ArrayReader):
        def blocks(self):
            for first in range(0, wave.shape[1], 16000):
                read.append(first)
                yield wave[:, first:first + 16000]

    stream = Restorer("denoise", counted, device="cpu", batch=batch).stream(
        Reader(wave, 16000), tell(wave))
    read.clear()
    next(stream)
    assert len(read) <= segments + 3  # a segment of 2 s every second, and its overlap


def tell(wave):
    return Damage(rms=float(wave.std()), noise=0.01)


def test_where_memory_is_short_a_batch_is_halved(counted):
    wave, options = voice(6.4), dict(prior=counted, device="cpu")
    alone = Restorer("denoise", **options)(wave, 16000, tell(wave))
    counted.most = 2
    counted.sizes.clear()
    together = Restorer("denoise", batch=16, **options)(wave, 16000, tell(wave))
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    assert 2 in counted.sizes
    counted.most = 0
    with pytest.raises(torch.OutOfMemoryError):
        Restorer("denoise", batch=4, **options)(wave, 16000, tell(wave))


def test_vocoded_draws_pass_together(counted):
    mel = O.Mel()(torch.from_numpy(voice(1.6))[:, None])[0, 0].numpy()
    alone = Restorer("vocode", counted, steps=2, draws=3, device="cpu").from_mel(mel)
    together = Restorer("vocode", counted, steps=2, draws=3, device="cpu", batch=3).from_mel(mel)
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    assert max(counted.sizes) == 3


def test_auto_is_one_on_a_cpu_and_what_fits_on_a_gpu(monkeypatch):
    def fail():
        raise AssertionError("a CPU is not measured")

    assert batching.resolve("auto", "cpu", fail) == 1 and batching.resolve(7, "cpu", fail) == 7
    with pytest.raises(ValueError, match="batch=0: give a whole number from 1"):
        batching.resolve(0, "cpu", fail)
    gib = 2**30
    for each, free, expected in ((gib, 40 * gib, 20), (gib, gib, 1), (1000, 40 * gib, 32)):
        for name, value in {"memory_allocated": gib, "reset_peak_memory_stats": None,
                            "max_memory_allocated": gib + each, "empty_cache": None,
                            "mem_get_info": (free, 80 * gib)}.items():
            monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
        assert batching.resolve("auto", "cuda", lambda: None) == expected


@pytest.mark.parametrize("name", ["declip", "mend", "denoise", "separate", "generate"])
def test_without_an_operator_the_prior_alone_is_drawn(small, name):
    task, y = replace(TASKS[name], steps=2), torch.zeros(2, 1, 1600)
    alone = Restorer(task, GuessDenoiser(small)).draw(y, None)
    unguided = replace(task, operator=None, guidance=G.Unguided())
    torch.testing.assert_close(alone, Restorer(unguided, GuessDenoiser(small)).draw(y, None),
                               rtol=0, atol=0)
    assert alone.any() and torch.equal(alone[0], alone[1])


def test_items_may_have_operators_of_their_own(small):
    restorer = Restorer("inpaint", GuessDenoiser(small), steps=2)
    y = 0.1 * torch.randn(2, 1, 1600, generator=torch.Generator().manual_seed(0))
    gaps = [O.Gap.between([gap], 1600, 16000) for gap in ((0.02, 0.03), (0.05, 0.07))]
    drawn = restorer.draw(y, O.Each(gaps))
    for i, gap in enumerate(gaps):
        torch.testing.assert_close(drawn[i:i + 1], restorer.draw(y[i:i + 1], gap))


def test_what_a_loaded_prior_draws_is_of_single_precision():
    y = torch.zeros(1, 1, 1600, dtype=torch.float64)
    y[..., 400:] = 0.1 * torch.sin(torch.arange(1200.0))
    restorer, gap = Restorer("inpaint"), O.Gap(torch.arange(1600) >= 400)
    drawn = restorer.draw(y, gap)
    assert drawn.dtype == torch.float32
    torch.testing.assert_close(drawn, restorer.draw(y.float(), gap), rtol=0, atol=0)
