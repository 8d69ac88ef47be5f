"""What a restored signal is judged by: one metric, one file, one function of the same name.

| mapping | compares | function |
|---|---|---|
| `METRICS` | a clip with its original | `(estimate, reference, sample_rate) -> float` |
| `QUALITY` | a clip with nothing | `(estimate, sample_rate) -> dict[str, float]` |
| `SEPARATION` | voices `[K, T]` with theirs | `(estimates, references, sample_rate) -> float` |
| `DISTRIBUTION` | a set of clips with another | `(estimates, references, sample_rate) -> float` |

Clips are mono 1-D arrays; sets are lists of clips, of any number and lengths.
"""

from collections.abc import Mapping
from importlib import import_module


class _Metrics(Mapping):
    """Metrics by name; each is imported when it is first looked up."""

    def __init__(self, *names: str):
        self.names = names

    def __getitem__(self, name: str):
        if name not in self.names:
            raise KeyError(f"no metric {name!r}; there are {', '.join(self.names)}")
        return getattr(import_module(f"{__name__}.{name}"), name)

    def __iter__(self):
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


METRICS = _Metrics("si_snr", "lsd", "estoi", "pesq_wb", "pesq_nb")
SEPARATION = _Metrics("swap_rate")
QUALITY = _Metrics("dnsmos", "wvmos")
DISTRIBUTION = _Metrics("frechet_logmel", "fdsd")
