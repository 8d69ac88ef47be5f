"""What a restored signal is judged by: one metric, one file, one function of the same name.

Every metric is `function(estimate, reference, sample_rate) -> float` on mono 1-D arrays.
"""

from collections.abc import Mapping
from importlib import import_module


class _Metrics(Mapping):
    """Metrics by name; each is imported when it is first looked up."""

    names = ("si_snr", "lsd", "estoi", "pesq_wb")

    def __getitem__(self, name: str):
        if name not in self.names:
            raise KeyError(f"no metric {name!r}; there are {', '.join(self.names)}")
        return getattr(import_module(f"{__name__}.{name}"), name)

    def __iter__(self):
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


METRICS = _Metrics()
