"""Batches cut from a corpus on a device: the files' samples, at every speed, as balance says."""

import numpy as np
import pytest
import torch

from helpers.speech import voice
from voxmend import audio
from voxmend.training.corpus import Corpus
from voxmend.training.pool import Draws, Pool

RATE = 8000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Three speakers with 4, 2 and 1 s, the last in two files."""
    folder = tmp_path_factory.mktemp("speech")
    for name, seconds, seed in (("a/1", 4.0, 1), ("b/1", 2.0, 2), ("c/1", 0.5, 3), ("c/2", 0.5, 4)):
        (folder / name).parent.mkdir(exist_ok=True)
        audio.save(folder / f"{name}.wav", voice(seconds, RATE, seed=seed), RATE)
    return Corpus(folder, tmp_path_factory.mktemp("cache"), RATE)


def test_the_same_seed_gives_the_same_crops(corpus):
    pool, seen = Pool(corpus, "cpu", (0.9, 1.0)), []
    for seed in ((0, 1), (0, 1), (1, 1), (0, 2)):
        draws = Draws(5, "cpu", *seed)
        seen.append(pool.cut(pool.pick(draws), 1000, draws))
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2]) and not torch.equal(seen[0], seen[3])


def test_crops_come_from_the_files(corpus):
    pool, draws = Pool(corpus, "cpu"), Draws(40, "cpu", 0)
    files = pool.pick(draws)
    crops = pool.cut(files, 1000, draws).numpy()
    assert set(files.tolist()) == {0, 1, 2, 3}
    for file, crop in zip(files, crops):
        whole = corpus[file]
        begins = np.flatnonzero(np.abs(whole[:-999] - crop[0]) < 1e-6)
        assert any(np.allclose(whole[k:k + 1000], crop, atol=1e-6) for k in begins)


def test_beyond_a_file_there_are_zeros(corpus):
    pool, draws = Pool(corpus, "cpu"), Draws(4, "cpu", 0)
    crops = pool.cut(torch.arange(4), 5 * RATE, draws).numpy()
    for file, crop in enumerate(crops):
        whole = corpus[file]
        np.testing.assert_allclose(crop[:len(whole)], whole, atol=1e-6)
        assert not crop[len(whole):].any()


def test_crops_begin_anywhere(corpus):
    pool, draws = Pool(corpus, "cpu"), Draws(300, "cpu", 0)
    crops = pool.cut(torch.full((300,), 2), RATE // 2 - 9, draws)
    begins = {next(k for k in range(10) if np.allclose(corpus[2][k:k + 50], crop[:50], atol=1e-6))
              for crop in crops.numpy()}
    assert begins == set(range(10))


def test_speeds_are_files_of_their_own(corpus):
    speeds = (0.8, 1.0, 1.25)
    pool = Pool(corpus, "cpu", speeds)
    assert len(pool.rms) == len(pool.owner) == 12
    np.testing.assert_allclose(pool.rms, np.tile(corpus.rms, 3), rtol=1e-6)
    assert pool.owner.tolist() == [0, 1, 2, 2] * 3
    for number, speed in enumerate(speeds):
        file, draws = 4 * number + 1, Draws(1, "cpu", 0)
        seconds = (pool.ends[file] - pool.starts[file]).item() / RATE
        assert seconds == pytest.approx(2.0 / speed, abs=1e-3)
        crop = pool.cut(torch.tensor([file]), 2 * RATE, draws)[0].numpy()[:int(1.5 * RATE)]
        expected = audio.resample(corpus[1][None], round(speed * RATE), RATE)[0]
        error = min(np.abs(crop - expected[k:k + len(crop)]).max()
                    for k in range(len(expected) - len(crop) + 1))
        assert error < 0.02  # its neighbours in the corpus ring where it begins


@pytest.mark.parametrize("balance, shares", [
    (1.0, [4 / 7, 2 / 7, 1 / 7]), (0.0, [1 / 3, 1 / 3, 1 / 3]),
    (0.5, [2 / (3 + 2**0.5), 2**0.5 / (3 + 2**0.5), 1 / (3 + 2**0.5)])])
def test_balance(balance, shares, corpus):
    """A speaker of length L is heard in proportion to L^balance."""
    pool = Pool(corpus, "cpu", (1.0, 1.1), balance)
    owners = pool.owner[pool.pick(Draws(4000, "cpu", 0))]
    np.testing.assert_allclose(np.bincount(owners) / 4000, shares, atol=0.03)


def test_draws_are_what_they_say():
    draws = Draws(20000, "cpu", 5)
    assert draws.uniform(2, 3).shape == (20000, 1) and draws.uniform(0, 1, 4).shape == (20000, 4)
    low = draws.log_uniform(0.1, 10)
    assert low.min() >= 0.1 and low.max() <= 10 and (low < 1).float().mean() == pytest.approx(
        0.5, abs=0.02)
    counts = torch.bincount(draws.integers(1, 4)[:, 0], minlength=5) / 20000
    np.testing.assert_allclose(counts, [0, 0.25, 0.25, 0.25, 0.25], atol=0.02)
    assert draws.chance(0.3).float().mean() == pytest.approx(0.3, abs=0.02)
    normal = draws.normal(3)
    assert normal.mean().abs() < 0.02 and normal.std() == pytest.approx(1, abs=0.02)


def test_crops_have_the_level_that_is_asked_for(corpus):
    """Of a whole file it is its RMS; the gain varies it, and both polarities come up."""
    pool, draws = Pool(corpus, "cpu"), Draws(60, "cpu", 0)
    longest = int((pool.ends - pool.starts).max())
    energy = pool.crops(longest, 0.1, 0.0, draws).square().sum(1)
    lengths = torch.tensor([4.0, 2.0, 0.5]) * RATE
    near = (energy[:, None] / 0.01 / lengths - 1).abs().min(1).values
    assert near.max() < 0.01
    louder = pool.crops(longest, 0.1, 6.0, draws).square().sum(1)
    assert louder.std() > 2 * energy.std()
    signs = Draws(100, "cpu", 1).sign()
    assert set(signs.flatten().tolist()) == {-1.0, 1.0} and abs(signs.mean()) < 0.3
