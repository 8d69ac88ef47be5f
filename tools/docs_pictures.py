"""Draws the pictures that explain the idea: `python tools/docs_pictures.py FOLDER`.

levels.png: a prior's denoiser at three noise levels; schedules.svg: what is left of the signal;
noise-map.png: what Diffiner takes for the noise; mixing.svg: DiffSep's process.
"""

import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure

from docs_sounds import CLIP, RATE, SECONDS, street
from voxmend import audio, classical, load_prior
from voxmend.benchmarks import plots
from voxmend.diffusion.processes import MixingSDE
from voxmend.diffusion.schedules import build_betas, linear_betas


def levels(folder: Path) -> None:
    """x = x₀ + σn and D(x, σ), for speech of RMS 0.1."""
    prior, clean = load_prior(), torch.from_numpy(audio.load(CLIP, RATE)[0][:2 * RATE])
    clean = clean * prior.sigma_data / clean.std()
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    waves = {}
    for sigma in (0.5, 0.1, 0.02):
        noisy = clean + sigma * noise
        with torch.no_grad():
            denoised = prior(noisy[None, None], torch.tensor(sigma))[0, 0]
        waves |= {f"x, σ = {sigma}": noisy.numpy(), f"D(x, {sigma})": denoised.numpy()}
    plots.spectrograms(waves, RATE, folder / "levels.png")


def schedules(folder: Path) -> None:
    """√ᾱ over the steps of UnDiff's schedule and of SpeakEMB's four."""
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axis = figure.subplots()
    told = {"UnDiff, linear, 200 steps": linear_betas(200)}
    for name in ("linear", "quadratic", "sigmoid", "cosine"):
        card = {"schedule": name, "steps": 500}
        told[f"SpeakEMB, {name}, 500"] = build_betas(
            card if name == "cosine" else card | {"start": 1e-5, "end": 1e-2})
    for name, betas in told.items():
        left = torch.cumprod(1 - betas.double(), 0).sqrt()
        axis.plot(torch.linspace(0, 1, len(left)), left, label=name)
    axis.set(xlabel="t / T", ylabel="√ᾱ, share of the signal's amplitude that is left",
             ylim=(0, 1.02))
    axis.legend()
    axis.grid(alpha=0.3)
    figure.savefig(folder / "schedules.svg")


def noise_map(folder: Path) -> None:
    """What an enhancer took away beside the noise that was there."""
    clean = audio.load(CLIP, RATE)[0][:SECONDS * RATE]
    noisy = street(clean)
    enhanced = classical.log_mmse_denoise(noisy, RATE)
    plots.spectrograms({"noisy, Y": noisy, "log-MMSE, Ŝ": enhanced, "taken away, Y − Ŝ":
                        noisy - enhanced, "the true noise": noisy - clean}, RATE,
                       folder / "noise-map.png")


def mixing(folder: Path) -> None:
    """Mean and noise of two sources on their way to the mixture, and the levels of the noise."""
    process, t = MixingSDE(), torch.linspace(0, 1, 101)
    mean = process.mean(torch.tensor([[[1.0], [-0.4]]]).expand(len(t), -1, -1), t)[..., 0]
    common, difference = process.variances(t)
    spread = ((common + difference) / 2).sqrt()  # of each source: L Lᵀ = λ₁ P + λ₂ P̄
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for source, colour in enumerate(("tab:blue", "tab:red")):
        path = mean[:, source]
        left.plot(t, path, color=colour, label=f"source {source + 1}")
        left.fill_between(t, path - spread, path + spread, color=colour, alpha=0.15)
    left.set(xlabel="t", ylabel="μ_t ± one standard deviation")
    right.plot(t, common.sqrt(), label="√λ₁, of the mean")
    right.plot(t, difference.sqrt(), label="√λ₂, of the difference")
    right.plot(t, torch.exp(-process.gamma * t), "--", label="difference left, exp(−γt)")
    right.set(xlabel="t")
    for axis in (left, right):
        axis.legend()
        axis.grid(alpha=0.3)
    figure.savefig(folder / "mixing.svg")


def main(folder: Path) -> None:
    """Draws all of them."""
    for draw in (levels, schedules, noise_map, mixing):
        draw(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
