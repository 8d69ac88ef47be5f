"""Public test sets on miniature trees: files are matched, scored at their rate, or refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from helpers.commands import run
from helpers.speech import voice
from voxmend import audio
from voxmend.benchmarks import protocols
from voxmend.benchmarks.scoring import RATE
from voxmend.metrics import METRICS

NOISE = 0.05 * np.random.default_rng(0).normal(size=8000).astype(np.float32)


def write(path, wave, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.save(path, np.atleast_2d(wave), rate, None if path.suffix == ".flac" else "FLOAT")


def voicebank(root):
    for number in (1, 2):
        speech = voice(0.5, seed=number)[0]
        write(root / "clean_testset_wav" / f"p232_00{number}.wav", speech)
        write(root / "noisy_testset_wav" / f"p232_00{number}.wav", speech + number * NOISE)
    (root / "testset_txt").mkdir()
    (root / "testset_txt" / "p232_002.txt").write_text("Two words.\n")


def dns(root):
    folder = root / "test_set" / "synthetic" / "no_reverb"
    for number in (7, 12):
        speech = voice(0.5, seed=number)[0]
        write(folder / "clean" / f"clean_fileid_{number}.wav", speech)
        write(folder / "noisy" / f"clnsp_{20 - number}_snr5_fileid_{number}.wav", speech + NOISE)


def vctk(root):
    for speaker in ("p225", "p361"):
        for microphone in (1, 2):
            write(root / "wav48_silence_trimmed" / speaker / f"{speaker}_001_mic{microphone}.flac",
                  voice(0.5, rate=48000)[0], 48000)


def libri2mix(root):
    voices = [voice(0.5, rate=8000, seed=seed)[0] for seed in (1, 2)]
    for name, wave in zip(("s1", "s2", "mix_clean"), (*voices, sum(voices)), strict=True):
        write(root / "wav8k" / "min" / "test" / name / "a_b.wav", wave, 8000)


TREES = {"voicebank-demand": voicebank, "dns-2020": dns, "vctk-16k": vctk, "libri2mix": libri2mix}


def read(name, root, count=None):
    return protocols.PROTOCOLS[name].read(root, count)


def test_every_set_has_a_tree():
    assert TREES.keys() == protocols.PROTOCOLS.keys()


def test_pairs_are_those_of_one_name_with_their_transcript(tmp_path):
    voicebank(tmp_path)
    (examples,) = read("voicebank-demand", tmp_path).values()
    assert [example.said for example in examples] == ["", "Two words."]
    for number, example in enumerate(examples, 1):
        np.testing.assert_allclose(example.damaged - example.clean, number * NOISE, atol=1e-5)
    assert len(read("voicebank-demand", tmp_path, 1)["VoiceBank-DEMAND, test"]) == 1


def test_dns_pairs_are_those_of_one_file_id(tmp_path):
    dns(tmp_path)
    (examples,) = read("dns-2020", tmp_path).values()
    assert len(examples) == 2
    for example in examples:
        np.testing.assert_allclose(example.damaged - example.clean, NOISE, atol=1e-5)


def test_vctk_is_narrowed_twice_and_of_the_test_speakers_alone(tmp_path):
    vctk(tmp_path)
    cases = read("vctk-16k", tmp_path)
    assert list(cases) == ["VCTK 8 to 16 kHz", "VCTK 4 to 16 kHz"]
    for cutoff, (example,) in zip((4000, 2000), cases.values(), strict=True):
        spectrum = np.abs(np.fft.rfft(example.damaged)) ** 2
        above = np.arange(len(spectrum)) * RATE / len(example.damaged) > 1.05 * cutoff
        assert example.damage.cutoff == cutoff and len(example.clean) == 8000
        assert spectrum[above].sum() < 1e-4 * spectrum.sum()


def test_mixtures_are_scored_at_8_khz_over_the_mixture(tmp_path):
    libri2mix(tmp_path)
    (example,), = read("libri2mix", tmp_path).values()
    score = protocols.Scores(8000, None)
    score.judges = lambda wave, rate: {}
    mixture = np.stack([example.damaged] * 2)
    assert score(example, mixture)["si_sdr_gain"] == pytest.approx(0, abs=0.1)
    assert score(example, example.clean[::-1])["si_sdr_gain"] > 60


def test_an_offset_counts_in_the_mixture_and_in_the_voices(tmp_path):
    """SI-SDR has it as an error, so what is left as it was gains nothing; judges or not."""
    libri2mix(tmp_path)
    (example,), = read("libri2mix", tmp_path).values()
    example = replace(example, damaged=example.damaged + 0.1)
    for panel in (None, lambda *_: {"words_changed": 0.0}):
        score = protocols.Scores(8000, panel)
        score.judges = lambda wave, rate: {}
        found = score(example, np.stack([example.damaged] * 2))
        assert found["si_sdr_gain"] == pytest.approx(0, abs=0.1)


def test_a_table_has_its_rows_and_what_was_published(tmp_path, monkeypatch, capsys):
    for package in ("pesq", "pystoi"):
        pytest.importorskip(package)
    voicebank(tmp_path / "data")
    monkeypatch.setenv("VOXMEND_DNSMOS", str(tmp_path / "nowhere"))
    monkeypatch.setattr(protocols, "methods", lambda *_: [("noisy", lambda e: e.damaged, None)])
    out = tmp_path / "out.json"
    code, text = run(capsys, "bench", "protocol", "voicebank-demand", "--data", tmp_path / "data",
                     "--out", out)
    assert code == 0, text.err
    (row,), = json.loads(out.read_text())["cases"].values()
    examples = read("voicebank-demand", tmp_path / "data")["VoiceBank-DEMAND, test"]
    expected = np.mean([METRICS["si_snr"](e.damaged, e.clean) for e in examples])
    assert row["si_snr"] == pytest.approx(expected, abs=1e-3)
    assert "2 whole recordings" in text.out and "SGMSE+ | 2.93 | 17.30" in text.out


def test_others_figures_of_bandwidth_extension_are_in_db():
    """Published as distances of log10 powers, 0.96 and 0.95."""
    protocol = protocols.PROTOCOLS["vctk-16k"]
    text = protocols.markdown({
        **dict.fromkeys(("clips", "seconds", "prior", "sha256", "seed", "device", "machine")),
        "cases": {}, "published": protocol.published, "source": protocol.source})
    assert "| method | LSD 2048 dB |" in text and "0.96, 0.95" in text
    assert "| AP-BWE, 4 to 16 kHz | 9.60 |" in text and "| CIS-BWE, 4 to 16 kHz | 9.50 |" in text


@pytest.mark.parametrize("name", TREES)
def test_another_folder_is_refused_in_one_line(name, tmp_path, capsys):
    code, text = run(capsys, "bench", "protocol", name, "--data", tmp_path)
    assert code == 2 and str(tmp_path) in text.err and text.err.count("\n") == 1, text.err


def test_a_missing_partner_is_named(tmp_path):
    voicebank(tmp_path)
    (tmp_path / "clean_testset_wav" / "p232_001.wav").unlink()
    with pytest.raises(ValueError, match=r"p232_001\.wav: its clean recording is missing"):
        read("voicebank-demand", tmp_path)
