"""How disturbed speech is to a listener, as a loss: PESQ's model of hearing, differentiable."""

from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from scipy.signal import butter, freqz, sosfreqz
from torch import Tensor

from ..dsp.stft import STFT

RATE, WINDOW, HOP = 16000, 512, 256

# P.862's 49 bands: how many bins each has, its centre and width in Bark, what corrects its power
# density, and the threshold of hearing as a power.
BINS = (
    1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 3, 4,
    5, 4, 5, 6, 6, 7, 8, 9, 9, 12, 12, 15, 16, 18, 21, 25, 20)
CENTRES = (
    .079, .316, .637, .961, 1.290, 1.624, 1.963, 2.306, 2.653, 3.006, 3.363, 3.725, 4.092, 4.464,
    4.842, 5.224, 5.611, 6.003, 6.401, 6.804, 7.212, 7.626, 8.045, 8.469, 8.899, 9.335, 9.776,
    10.223, 10.676, 11.135, 11.600, 12.070, 12.547, 13.029, 13.518, 14.014, 14.515, 15.022, 15.536,
    16.057, 16.584, 17.117, 17.658, 18.205, 18.758, 19.319, 19.887, 20.461, 21.043)
WIDTHS = (
    .157, .318, .322, .327, .331, .336, .341, .345, .350, .355, .360, .365, .370, .375, .380, .385,
    .390, .395, .400, .406, .411, .416, .422, .427, .433, .439, .444, .450, .456, .462, .468, .474,
    .480, .486, .492, .498, .504, .511, .517, .524, .530, .537, .544, .550, .557, .564, .571, .578,
    .585)
CORRECTIONS = (
    100, 100, 100, 100, 100, 100, 100, 100, 50, 100, 100, 100, 100, 100, 53.05, 110, 117.99, 65,
    68.76, 70, 71.43, 75, 76.84, 80.97, 88.65, 63.86, 68.16, 72.55, 75.58, 58.38, 80.95, 64.14,
    54.38, 73.82, 64.44, 59.18, 65.52, 61.40, 58.14, 57.00, 64.13, 54.31, 61.11, 55.08, 56.85,
    55.63, 53.14, 54.99, 79.55)
THRESHOLDS = (
    5.129e7, 2454709.5, 70794.6, 4897.8, 1174.9, 389.0, 104.7, 45.71, 17.78, 9.772, 4.898, 3.090,
    1.905, 1.259, .977, .725, .562, .457, .389, .331, .295, .269, .257, .251, .251, .251, .251,
    .263, .288, .309, .339, .372, .398, .437, .468, .490, .501, .501, .513, .525, .525, .525, .513,
    .479, .427, .372, .363, .417, .537)
POWER_SCALE, LOUDNESS_SCALE, ZWICKER = 6.910853e-6, 0.1866055, 0.23


def check_rate(name: str, sample_rate: int) -> None:
    """Raises ValueError for a recipe of another rate than `disturbance` hears."""
    if sample_rate != RATE:
        raise ValueError(f"{name}: perceptual hears {RATE} Hz, not {sample_rate}; leave it at 0")


@lru_cache(maxsize=4)
@torch.inference_mode(False)
def _tables(device: torch.device) -> dict[str, Tensor]:
    """Filters of the 257 bins' power, and what else the bands have."""
    frequencies = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
    band = sosfreqz(butter(5, [325, 3250], "band", fs=RATE, output="sos"), frequencies, fs=RATE)[1]
    emphasis = freqz([2.740826, -5.4816519, 2.740826], [1, -1.9444777, 0.94597794], frequencies,
                     fs=RATE)[1]
    filters = np.zeros((len(frequencies), len(BINS)))
    for i, (low, high) in enumerate(pairwise(np.cumsum((0, *BINS)))):
        filters[low:high, i] = CORRECTIONS[i] * POWER_SCALE * WINDOW * 3 / 8
    filters[0] = 0
    centres = np.asarray(CENTRES)
    tables = {"band": np.abs(band) ** 2, "filters": filters * np.abs(emphasis)[:, None] ** 2,
              "thresholds": THRESHOLDS, "widths": WIDTHS,
              "exponents": ZWICKER * np.clip(6 / (centres + 2), 1, 2) ** 0.15}
    return {name: torch.tensor(np.asarray(x), dtype=torch.float32, device=device)
            for name, x in tables.items()}


def _audible(bark: Tensor, factor: float, thresholds: Tensor) -> Tensor:
    """What is above so many times the threshold of hearing."""
    return bark * (bark > factor * thresholds)


def _loudness(bark: Tensor, table: dict[str, Tensor]) -> Tensor:
    """Zwicker's loudness of each band, in sone."""
    threshold, power = table["thresholds"], table["exponents"]
    loud = (2 * threshold) ** power * ((0.5 + 0.5 * bark / threshold) ** power - 1)
    return LOUDNESS_SCALE * loud * (bark > threshold)


def _over_time(frames: Tensor) -> Tensor:
    """Root mean square over spans of 20 frames, half overlapped, of their 6-norms."""
    spans = frames.clamp(max=45).unfold(-1, min(20, frames.shape[-1]), 10)
    return (spans**6 + 1e-12).mean(-1).pow(1 / 3).mean(-1).sqrt()


def _equalised(deg: Tensor, ref: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
    """Both without what is not heard as damage: a colour for good, and slow changes of level."""
    speech = _audible(ref, 100, thresholds).sum(-1, keepdim=True) >= 1e7
    mean = [(_audible(x, 100, thresholds) * speech).mean(1, keepdim=True) for x in (deg, ref)]
    ref = ref * ((mean[0] + 1000) / (mean[1] + 1000)).clamp(0.01, 100)
    loud, found = (_audible(x, 1, thresholds).sum(-1, keepdim=True) + 5e3 for x in (ref, deg))
    ratio = loud / found
    ratio = torch.cat([ratio[:, :1], 0.8 * ratio[:, 1:] + 0.2 * ratio[:, :-1]], 1)
    return deg * ratio.clamp(3e-4, 5), ref


def disturbance(found: Tensor, clean: Tensor) -> Tensor:
    """What PESQ takes off its best score: 0.1·D + 0.0309·D_A, as ITU-T P.862 has them, at 16 kHz.

    D is the difference of loudness per Bark band and frame, beyond what is masked, D_A that where
    something was added, which disturbs more than what is missing. Left out are the alignment in
    time, and bad intervals heard again. Wide-band PESQ is 0.999 + 4/(1 + e^(3.8224 - 1.3669·m)),
    m being 4.5 less this. In fp32, under autocast as well.

    Shape: `[B, T]`, `[B, T]` to `[B]`.
    Source: ITU-T P.862 (2001), sections 10.2.1 to 10.2.11, and P.862.2 (2007).
    """
    table = _tables(found.device)
    power = STFT(WINDOW, HOP).forward(torch.stack([found, clean]).float())
    power = power.real.square() + power.imag.square()
    level = (power * table["band"]).mean(-1).mean(-1)[..., None, None]
    with torch.autocast(found.device.type, enabled=False):
        deg, ref = (power * (1e7 / (level + 1e-9)) @ table["filters"]).unbind(0)
    deg, ref = _equalised(deg, ref, table["thresholds"])

    heard, meant = _loudness(deg, table), _loudness(ref, table)
    apart = heard - meant
    apart = apart.sign() * (apart.abs() - 0.25 * torch.minimum(heard, meant)).clamp(min=0)
    apart = (apart * table["widths"])[..., 1:]
    added = ((deg + 50) / (ref + 50))[..., 1:] ** 1.2
    added = (added * (added >= 3)).clamp(max=12)
    loud = _audible(ref, 1, table["thresholds"]).sum(-1)
    weight = ((loud + 1e5) / 1e7) ** 0.04
    both = (apart.square().sum(-1) + 1e-12).sqrt() * table["widths"][1:].sum().sqrt()
    more = (apart * added).abs().sum(-1)
    return 0.1 * _over_time(both / weight) + 0.0309 * _over_time(more / weight)
