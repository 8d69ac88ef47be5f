"""Guidance: turns the prior's denoiser into the posterior's, D̃(x; σ | y) ≈ E[x₀ | x_σ = x, y].

A guidance is a small frozen object; `guidance(denoiser, operator, y)` returns a function
`(x, sigma) -> x0_hat` that any sampler runs. All of them treat batch items apart: norms and
gradients are per item. A pair that makes no sense raises `GuidanceError`.

Notation: D = D(x; σ) the prior's estimate, r² = σ²σ_d²/(σ² + σ_d²) its variance under a white
Gaussian prior of RMS σ_d.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..operators import Evidence, Operator
from .denoiser import Denoiser, broadcast
from .samplers import Denoise
from .told import GuessDenoiser


class GuidanceError(TypeError):
    """This guidance cannot serve this operator; says which can."""


def _variance(denoiser: Denoiser, sigma: Tensor, x: Tensor) -> Tensor:
    sigma = broadcast(sigma, x).square()
    return sigma * denoiser.sigma_data**2 / (sigma + denoiser.sigma_data**2)


def _noise_std(operator: Operator, x: Tensor) -> Tensor | float:
    """σ_y, ready to broadcast over x."""
    std = operator.noise_std
    return broadcast(std, x) if isinstance(std, Tensor) else std


def _with_gradient(denoiser: Denoiser, x: Tensor, sigma: Tensor,
                   loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """D(x; σ) and the gradient with respect to x of Σ_items loss(D)."""
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        x0 = denoiser(x, sigma)
        if not x0.requires_grad:
            raise GuidanceError("this guidance needs the prior's gradient, which it does not give "
                                "(no_grad?); use Imputation or Proximal")
        return x0.detach(), torch.autograd.grad(loss(x0), x)[0]


def _rms(x: Tensor) -> Tensor:
    """Root mean square of every batch item, ready to broadcast."""
    return x.square().flatten(1).mean(1).sqrt().view(-1, *(1,) * (x.ndim - 1))


@dataclass(frozen=True)
class Unguided:
    """The prior alone: D̃ = D."""

    def __call__(self, denoiser: Denoiser, operator: Operator | None, y: Tensor | None) -> Denoise:
        return denoiser


@dataclass(frozen=True)
class Imputation:
    """Replaces what y tells: D̃ = D + w·(P(D) − D), P the operator's projection.

    w = r²/(r² + σ_y²) relaxes the replacement where the observation is noisy; w = 1 otherwise.
    Exact for gaps under priors with independent samples. Source: UnDiff, eq. 7.
    """

    def __call__(self, denoiser: Denoiser, operator: Operator, y: Tensor) -> Denoise:
        if not operator.projects:
            raise GuidanceError(f"imputation needs a projection, which {operator!r} lacks "
                                "(`projects`); use Reconstruction")

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            x0 = denoiser(x, sigma)
            variance = _variance(denoiser, sigma, x)
            weight = variance / (variance + _noise_std(operator, x) ** 2)
            return x0 + weight * (operator.project(x0, y) - x0)

        return denoise


@dataclass(frozen=True)
class Reconstruction:
    """Gradient of the residual through the network, D̃ = D − ξ·σ·g/RMS(g), then imputation.

    g = ∇_x ‖residual(D(x; σ), y)‖₂ for every item by itself.
    Source: UnDiff, eq. 6 and the step-size rule of section 2.2, written for x_σ.

    Args:
        xi: step, as a fraction of σ.
        impute: whether the operator's projection follows the step.
    """

    xi: float = 0.1
    impute: bool = True

    def __call__(self, denoiser: Denoiser, operator: Operator, y: Tensor) -> Denoise:
        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            def loss(x0: Tensor) -> Tensor:
                residual = operator.residual(x0, y)
                return (residual.square().flatten(1).sum(1) + 1e-12).sqrt().sum()

            x0, gradient = _with_gradient(denoiser, x, sigma, loss)
            step = self.xi * broadcast(sigma, x) / (_rms(gradient) + 1e-8)
            x0 = x0 - step * gradient
            if self.impute and operator.projects:
                variance = _variance(denoiser, sigma, x)
                weight = variance / (variance + _noise_std(operator, x) ** 2)
                x0 = x0 + weight * (operator.project(x0, y) - x0)
            return x0

        return denoise


@dataclass(frozen=True)
class MixtureLikelihood:
    """Analytic likelihood of a mixture, D̃_k = D_k + (y − Σ_j x_j)/K; no network gradient.

    The likelihood N(y; Σ_j x_{j,σ}, Kσ²) is exact for a prior much wider than the noise.
    Source: UnDiff, eq. 10, written for x_σ.
    """

    def __call__(self, denoiser: Denoiser, operator: Operator, y: Tensor) -> Denoise:
        if not operator.sums_sources:
            raise GuidanceError(f"the mixture likelihood needs a Mixture, not {operator!r}")

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            return denoiser(x, sigma) + (y - x.sum(1, keepdim=True)) / x.shape[1]

        return denoise


def _listening(denoiser: Denoiser) -> Callable[[Tensor], Denoise]:
    """The posterior's denoiser of a prior that listens, given a recording, which may be a guess."""
    prior: Any = denoiser.innermost
    if isinstance(prior, GuessDenoiser):
        return lambda recording: prior.told(Evidence.of(recording))
    if not hasattr(prior, "told"):
        raise GuidanceError("this prior does not listen to recordings; use MixtureLikelihood")
    told: Callable[[Tensor], Denoise] = prior.told
    return told


@dataclass(frozen=True)
class ToldMixture:
    """Tells a prior that listens, of each source, the mixture less the estimates of the others.

    D̃ = P(D̂), D̂_k = D(x_k, σ; y − Σ_{j≠k} D(x_j, σ)), P the projection on the mixture. What is told
    is source k in the errors of the other estimates, a noisy recording of it. If the prior knows
    how these are distributed, D̂ is the posterior mean, as under Gaussian priors.

    Two calls of the network, the first of which is told nothing.
    """

    def __call__(self, denoiser: Denoiser, operator: Operator, y: Tensor) -> Denoise:
        if not (operator.sums_sources and operator.projects):
            raise GuidanceError(f"a mixture is told of a Mixture with a projection, not of "
                                f"{operator!r}")
        told = _listening(denoiser)

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            alone = denoiser(x, sigma)
            others = alone.sum(1, keepdim=True) - alone
            return operator.project(told(y - others)(x, sigma), y)

        return denoise


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of every batch item, ready to broadcast."""
    return (a * b).flatten(1).sum(1).view(-1, *(1,) * (a.ndim - 1))


def conjugate_gradients(apply: Callable[[Tensor], Tensor], b: Tensor, iterations: int = 50,
                        tolerance: float = 1e-6) -> Tensor:
    """Solves apply(u) = b for a symmetric positive definite map, every batch item by itself.

    Shape: b `[B, …]` to the same. Source: Hestenes & Stiefel 1952.
    """
    u, r = torch.zeros_like(b), b
    p, energy = r, _dot(r, r)
    goal = tolerance**2 * energy
    for _ in range(iterations):
        if bool((energy <= goal).all()):
            break
        moved = apply(p)
        running = energy > goal  # a solved item stands still, whatever its neighbours do
        step = torch.where(running, energy / _dot(p, moved).clamp(min=1e-30), 0.0)
        u, r = u + step * p, r - step * moved
        previous, energy = energy, _dot(r, r)
        p = torch.where(running, r + energy / previous.clamp(min=1e-30) * p, p)
    return u


def _linear_solve(operator: Operator, y: Tensor, x0: Tensor, variance: Tensor) -> Tensor:
    """Aᵀ(A r² Aᵀ + σ_y²)⁻¹(y − A x0), with a small ridge where the observation is exact."""
    most = broadcast(variance.flatten(1).amax(1), y) if variance.ndim else float(variance)
    ridge = _noise_std(operator, y) ** 2 + 1e-6 * most  # of every item by itself

    def apply(u: Tensor) -> Tensor:
        return operator.forward(variance * operator.adjoint(u, x0)) + ridge * u

    return operator.adjoint(conjugate_gradients(apply, y - operator.forward(x0)), x0)


def _require_linear(operator: Operator, name: str) -> None:
    if not operator.linear:
        raise GuidanceError(f"{name} needs a linear operator, not {operator!r}; "
                            "use Reconstruction, or Imputation of one that projects")


@dataclass(frozen=True)
class Proximal:
    """Least squares between prior and observation: argmin ‖x − D‖²/r² + ‖y − Ax‖²/σ_y².

    D̃ = D + r²Aᵀ(A r² Aᵀ + σ_y²)⁻¹(y − AD), by conjugate gradients. Exact for white Gaussian
    priors. Source: Zhu et al. 2023, "DiffPIR", eq. 12.
    """

    def __call__(self, denoiser: Denoiser, operator: Operator, y: Tensor) -> Denoise:
        _require_linear(operator, "the proximal step")

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            x0 = denoiser(x, sigma)
            variance = _variance(denoiser, sigma, x)
            return x0 + variance * _linear_solve(operator, y, x0, variance)

        return denoise


@dataclass(frozen=True)
class PiGDM:
    """Pseudo-inverse guidance through the network: D̃ = D + ασ²JᵀAᵀ(A r² Aᵀ + σ_y²)⁻¹(y − AD).

    J = ∂D/∂x; exact for white Gaussian priors, where α = 1. Speech varies far more along some
    directions than r² says, and there the step overshoots: α ≤ 1 is as much of it, for every item,
    as brings AD̃ nearest to y. Source: Song et al. 2023, "ΠGDM", eq. 7.
    """

    def __call__(self, denoiser: Denoiser, operator: Operator, y: Tensor) -> Denoise:
        _require_linear(operator, "ΠGDM")

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            def loss(x0: Tensor) -> Tensor:
                pull = _linear_solve(operator, y, x0.detach(), _variance(denoiser, sigma, x))
                return (pull * x0).sum()

            x0, gradient = _with_gradient(denoiser, x, sigma, loss)
            step = broadcast(sigma, x).square() * gradient
            moved = operator.forward(step)
            share = _dot(y - operator.forward(x0), moved) / _dot(moved, moved).clamp(min=1e-30)
            return x0 + broadcast(share.flatten().clamp(0, 1), step) * step

        return denoise


@dataclass(frozen=True)
class NoisyObservation:
    """A whole signal in white noise: D̃(x; σ | y) = D(x_c; σ_c), exact under any prior.

    x_c = (x/σ² + y/σ_y²)σ_c², 1/σ_c² = 1/σ² + 1/σ_y²: two noisy looks at the signal are worth one
    look with less noise.

    Args:
        otherwise: the guidance for other operators; None refuses them.
    """

    otherwise: Callable | None = None

    def serves(self, operator: Operator) -> bool:
        """Whether what is observed is a whole signal in white noise."""
        return operator.identity and bool(torch.as_tensor(operator.noise_std).min() > 0)

    def __call__(self, denoiser: Denoiser, operator: Operator, y: Tensor) -> Denoise:
        if not self.serves(operator):
            if self.otherwise:
                return self.otherwise(denoiser, operator, y)
            raise GuidanceError(f"NoisyObservation needs WhiteNoise alone, not {operator!r}; "
                                "use Reconstruction, or Imputation of one that projects")

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            precision, known = broadcast(sigma, x) ** -2, _noise_std(operator, x) ** -2
            total = precision + known
            sigma = total**-0.5
            return denoiser((precision * x + known * y) / total,
                            sigma.squeeze(-1) if sigma.ndim else sigma)

        return denoise


GUIDANCES = {"unguided": Unguided, "imputation": Imputation, "reconstruction": Reconstruction,
             "mixture": MixtureLikelihood, "told": ToldMixture, "proximal": Proximal,
             "pigdm": PiGDM, "noisy": NoisyObservation}
