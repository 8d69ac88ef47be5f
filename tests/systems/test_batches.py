"""Systems whose segments pass a network together give what they give one by one."""

from functools import partial

import numpy as np
import pytest
import torch

from helpers.commands import run
from helpers.diffsep import exact_model
from helpers.pools import Here
from helpers.speech import CONFIG, voice
from voxmend import Damage, Restorer
from voxmend.audio import ArrayReader
from voxmend.cli import sharing
from voxmend.cli.jobs import Work
from voxmend.diffusion.told import Listener, ToldDenoiser
from voxmend.models import hub
from voxmend.restore import restorer
from voxmend.systems import diffiner, separator
from voxmend.systems.conversation import Conversation
from voxmend.systems.diffiner import Refiner
from voxmend.systems.separator import Separator, by_diffsep, by_listener

RATE = 16000


def wave(seconds=6.3):
    """Stereo, whose second channel is silent at first."""
    both = voice(seconds, channels=2)
    both[1, :3 * RATE] = 0
    return both


def networks():
    torch.manual_seed(0)
    network = hub.build_network("FrameConvNeXt", {**CONFIG, "inputs": 2})
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return {"listener": (by_listener(Listener(ToldDenoiser(network.eval().requires_grad_(False)),
                                              seed=3)), True),
            "diffsep": (by_diffsep(exact_model(), "ancestral", 2, 3), False)}


@pytest.mark.parametrize("name", ["listener", "diffsep"])
def test_a_separator_in_batches_is_the_same(name):
    """Segments of 4 s that share 2 s, the last one longer."""
    apart, enhances = networks()[name]
    sizes = []

    def noted(mixture, starts, callback):
        sizes.append(len(mixture))
        return apart(mixture, starts, callback)

    options = dict(enhances=enhances, segment=4.0)
    alone = Separator(noted, 2, RATE, **options)(wave(), RATE)
    assert max(sizes) == 2
    together = Separator(noted, 2, RATE, batch=8, **options)(wave(), RATE)
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    assert np.abs(alone).max() > 0.1


def test_a_conversation_in_batches_is_the_same():
    def embed(track):
        vector = np.abs(np.fft.rfft(track, 512))[:64]
        return vector / np.linalg.norm(vector)

    def made(batch):
        return Conversation(Separator(by_diffsep(exact_model(), "ancestral", 2, 3), 2, RATE,
                                      segment=4.0, batch=batch), embed)

    np.testing.assert_allclose(made(8)(wave(), RATE), made(1)(wave(), RATE), rtol=0, atol=1e-5)


def test_a_refiner_in_batches_is_the_same(prior, monkeypatch):
    monkeypatch.setattr(diffiner, "SEGMENT_SECONDS", 2)
    noisy = wave(3.7)
    noisy[1, :RATE] = 0
    enhanced = 0.8 * noisy
    made = [Refiner(prior=prior, steps=2, device="cpu", batch=batch)(noisy, enhanced, RATE)
            for batch in (1, 8)]
    np.testing.assert_allclose(made[1], made[0], rtol=0, atol=1e-5)
    assert np.abs(made[0] - enhanced).max() > 1e-3


def test_progress_goes_on_to_the_end():
    seen = []
    apart, _ = networks()["diffsep"]
    run = Separator(apart, 2, RATE, steps=2, segment=4.0, batch=8)
    list(run.stream(ArrayReader(wave(), RATE), seen.append))
    assert seen == [4 * RATE, wave().shape[1]]  # the end of each segment


def test_weights_are_loaded_with_a_batch():
    made = separator.load("separate", "conv-tasnet", device="cpu", batch=3)
    assert made.batch == 3 and separator.load("separate", "conv-tasnet", device="cpu").batch == 1


def work_of(prior):
    return Work(None, (Restorer("denoise", prior, device="cpu", batch=4).stream,))


def loaded_of(prior):
    return sharing.Loaded(None, work_of(prior), False)


def test_workers_take_segments_in_batches(prior, monkeypatch):
    monkeypatch.setattr(restorer, "SEGMENT_SECONDS", 2)
    reader, told = ArrayReader(wave(), RATE), Damage(rms=0.1, noise=0.01)
    alone = Restorer("denoise", prior, device="cpu")
    work = work_of(prior)
    with Here(2, partial(loaded_of, prior), sharing.answer, 1) as pool:
        shared = sharing.Spread(pool, work)(work.streams[0], reader, told)
        made = np.concatenate(list(shared), axis=1)
    expected = np.concatenate(list(alone.stream(reader, told)), axis=1)
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-5)
    assert [len(message.parts) for message in pool.messages] == [2, 2, 1]


@pytest.mark.parametrize("verb", ["denoise", "refine", "separate"])
def test_the_command_takes_a_batch(verb, prior, wav, tmp_path, capsys):
    """Its size is no reason to do a file again."""
    (tmp_path / "in").mkdir()
    wav("in/a.wav", wave(1.0))
    inputs = [tmp_path / "in"] * (2 if verb == "refine" else 1)
    extra = ["--method", "conv-tasnet"] if verb == "separate" else ["--prior", prior]
    args = [verb, *inputs, tmp_path / "out", *extra, *(["--steps", 1] if verb == "refine" else [])]
    code, text = run(capsys, *args, "--batch", 4)
    assert code == 0, text.err
    assert "finished already" in run(capsys, *args, "--batch", "auto")[1].out


@pytest.mark.parametrize("batch", ["0", "-3", "many"])
def test_no_batch_is_one_line(batch, wav, tmp_path, capsys):
    code, text = run(capsys, "denoise", wav(), tmp_path / "out.wav", "--batch", batch)
    assert code == 2 and text.err.count("\n") == 1 and "--batch" in text.err
