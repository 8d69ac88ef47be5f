"""Sets of vectors compared by nearest neighbours: precision, recall and the distance to copies."""

import numpy as np

from ._common import extra


def neighbour_distances(queries: np.ndarray, points: np.ndarray | None = None,
                        k: int = 1) -> np.ndarray:
    """Euclidean distance of each query to its k-th nearest point, or else to its k-th other query.

    Shape: `[N, D]`, `[M, D]` to `[N]`. Raises ValueError where there are too few.
    """
    there = len(queries) - 1 if points is None else len(points)
    if there < k:
        raise ValueError(f"a neighbour by the number {k} of {there}")
    nearest = extra("sklearn.neighbors", "speakers").NearestNeighbors(n_neighbors=k)
    if points is None:
        return nearest.fit(queries).kneighbors(None)[0][:, -1]
    return nearest.fit(points).kneighbors(queries)[0][:, -1]


def precision_recall(generated: np.ndarray, real: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Shares of the generated vectors among the real ones, and of real ones among the generated.

    A vector is among a set if it is as near to one of the set as that one's k-th neighbour there.
    Sets should be of equal size. (Kynkäänniemi et al. 2019, eq. 1 and 2)

    Shape: `[N, D]`, `[M, D]` to two floats in 0…1.
    """
    pairwise = extra("sklearn.metrics", "speakers").pairwise_distances(generated, real)
    precision = (pairwise <= neighbour_distances(real, k=k)).any(1).mean()
    recall = (neighbour_distances(generated, k=k) >= pairwise.T).any(1).mean()
    return float(precision), float(recall)


def copy_ratio(generated: np.ndarray, training: np.ndarray,
               held_out: np.ndarray | None = None) -> float:
    """How far the generated vectors are from the training set, as a multiple of held-out ones.

    The median distance to the nearest training vector, over that of the held-out vectors: 0 for
    copies, 1 where generated vectors are as new as held-out ones. (Meehan et al. 2020, section 2,
    who compare the same distances by ranks)

    Args:
        held_out: without it, training vectors have their distance to the others of the set.

    Shape: `[N, D]`, `[M, D]`, `[K, D]` to a float.
    """
    far = np.median(neighbour_distances(training) if held_out is None
                    else neighbour_distances(held_out, training))
    return float(np.median(neighbour_distances(generated, training)) / far)


def spread_ratio(generated: np.ndarray, held_out: np.ndarray) -> float:
    """How far generated vectors are from each other, as a multiple of held-out ones.

    The ratio of the median distances to the nearest other one of the set, of which 0 tells of
    repetitions. Sets should be of equal size.

    Shape: `[N, D]`, `[M, D]` to a float.
    """
    far = np.median(neighbour_distances(held_out))
    return float(np.median(neighbour_distances(generated)) / far)
