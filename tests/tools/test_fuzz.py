"""Broken files and random options end as they should: a few of what tools/fuzz.py tries."""

import numpy as np
import pytest

import fuzz
from cases import mutations
from cases.command import Outcome
from cases.mutations import Trial

FAILED = (45, 74, 122, 141, 190, 285, 430, 478, 772)  # once


@pytest.mark.parametrize("number", (*range(0, 45, 2), *FAILED))
def test_broken_files(number, tmp_path):
    assert not fuzz.attempt(mutations.file_trial(number), tmp_path).fault


@pytest.mark.parametrize("number", (*range(13), 43))
def test_random_options(number, tmp_path):
    assert not fuzz.attempt(mutations.option_trial(number), tmp_path).fault


def test_a_number_is_always_the_same_trial():
    assert mutations.file_trial(5) == mutations.file_trial(5)
    assert mutations.option_trial(5) == mutations.option_trial(5)
    data = mutations.whole("flac")
    assert mutations.mutated(data, np.random.default_rng(1)) != mutations.mutated(
        data, np.random.default_rng(2))


@pytest.mark.parametrize(("code", "errors", "traceback", "new", "expected"), [
    (0, (), "", {"out/x.wav": ""}, ""),
    (2, ("voxmend: no",), "", {}, ""),
    (2, ("voxmend: no",), "", {"out/x.wav": ""}, "left over after an error"),
    (2, (), "", {}, "0 lines on stderr"),
    (2, ("voxmend: no", "voxmend: never"), "", {}, "2 lines on stderr"),
    (2, ("decoder: no",), "", {}, "a line of others"),
    (1, (), "", {}, "exit code 1"),
    (None, (), "Traceback\nKeyError: 3", {}, "traceback: KeyError: 3"),
    (0, (), "", {"out/.voxmend-1.wav": ""}, "left over"),
])
def test_what_counts_as_a_fault(code, errors, traceback, new, expected):
    trial, before = Trial("wav", ("mend", "@in.wav", "@out/x.wav"), {}), {"in.wav": "1"}
    found = fuzz.fault(trial, Outcome(code, b"", errors, traceback), before, {**before, **new})
    assert found.startswith(expected) and bool(found) == bool(expected)


def test_an_input_that_changes_is_a_fault():
    trial, done = Trial("wav", ("mend", "@in.wav", "@out/x.wav"), {}), Outcome(0, b"", ())
    assert "other.wav" in fuzz.fault(trial, done, {"other.wav": "1"}, {"other.wav": "2"})
