"""How a network hears a recording: the mean over its polarities and speeds.

What is said stays the same, but a network errs differently, so that the mean errs less, as that of
an ensemble does (test-time augmentation). A card's `sampling` says what suits its weights.
"""

from collections.abc import Callable, Sequence
from itertools import permutations

import torch
from torch import Tensor, nn

from ..diffusion.speeds import at_speed, brought_back


def heard_as(separate: Callable[[Tensor], Tensor], polarities: int = 1,
             speeds: Sequence[float] = (1.0,),
             ordered: bool = False) -> Callable[[Tensor], Tensor]:
    """The mean over all polarities and speeds, as in `over_polarities` and `over_speeds`."""
    return lambda mixture: over_speeds(
        lambda heard: over_polarities(separate, heard, polarities, ordered),
        mixture, speeds, ordered)


def hearing(card: dict) -> dict:
    """How weights suit to hear a mixture, as their card says: options of `heard_as`."""
    suited = card.get("sampling", {})
    return {"polarities": suited.get("polarities", 1), "speeds": suited.get("speeds", [1.0])}


def over_polarities(separate: Callable[[Tensor], Tensor], mixture: Tensor, polarities: int,
                    ordered: bool = False) -> Tensor:
    """The sources of a mixture, of two polarities the mean of them and of minus those of minus it.

    The polarity of a recording cannot be heard and says nothing of its sources, but a network errs
    differently in either: its errors become smaller in the mean, as in that of an ensemble.

    Args:
        polarities: 1 or 2.
        ordered: the sources have an order of their own, as speech and noise; else those of minus
            the mixture are taken in the order nearest to the others'.

    Shape: `[B, 1, T]` to `[B, K, T]`. Raises ValueError for another number of polarities.
    """
    if polarities not in (1, 2):
        raise ValueError(f"a recording has two polarities, not {polarities!r}")
    sources = separate(mixture)
    if polarities == 1:
        return sources
    turned = -separate(-mixture)
    return (sources + (turned if ordered else in_order_of(turned, sources))) / 2


def over_speeds(separate: Callable[[Tensor], Tensor], mixture: Tensor, speeds: Sequence[float],
                ordered: bool = False) -> Tensor:
    """The sources of a mixture, the mean over those of it at several speeds, brought back.

    Whoever speaks 3 % faster, and as much higher, says the same, but a network errs differently.
    What resampling takes away, as near half the sample rate, is that of the first speed's sources.

    Args:
        speeds: times as fast, to a thousandth; at 1 the mixture is heard as it is.
        ordered: as in `over_polarities`; else in the order nearest to the others' at the first.

    Shape: `[B, 1, T]` to `[B, K, T]`.
    """
    found: list[Tensor] = []
    for speed in speeds:
        sources = _at_speed(separate, mixture, speed)
        if found:
            sources = sources if ordered else in_order_of(sources, found[0])
            sources = sources + found[0] - _at_speed(nn.Identity(), found[0], speed)
        found.append(sources)
    return torch.stack(found).mean(0)


def _at_speed(separate: Callable[[Tensor], Tensor], mixture: Tensor, speed: float) -> Tensor:
    """The sources of a mixture that is played so many times as fast, brought back."""
    return brought_back(separate(at_speed(mixture, speed)), speed, mixture.shape[-1])


def in_order_of(voices: Tensor, others: Tensor) -> Tensor:
    """Voices in the order π that is nearest to that of others, max_π Σ_k ⟨other_k, voice_π(k)⟩.

    Shape: `[B, K, T]`, `[B, K, T]` to the first's shape.
    """
    order = best_order(torch.einsum("bjt,bkt->bjk", voices, others))[1]
    return voices.gather(1, order.unsqueeze(-1).expand_as(voices))


def best_order(pairs: Tensor) -> tuple[Tensor, Tensor]:
    """The best mean of a figure of pairs over all orders π of the first, of (π(k), k), and that π.

    Shape: `[B, K, K]` to `[B]` and `[B, K]`.
    """
    voices = range(pairs.shape[1])
    orders = torch.tensor(list(permutations(voices)), device=pairs.device)
    means = pairs[:, orders, torch.tensor(voices, device=pairs.device)].mean(-1)
    best, place = means.max(-1)
    return best, orders[place]
