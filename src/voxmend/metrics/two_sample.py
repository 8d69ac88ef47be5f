"""Classifier two-sample test: can a classifier tell generated vectors from real ones?"""

import numpy as np

from ._common import extra


def two_sample_accuracy(generated: np.ndarray, real: np.ndarray, seed: int = 0) -> float:
    """Accuracy on unseen vectors of a classifier that learns to tell two sets apart.

    A support vector machine with a Gaussian kernel on standardised vectors, in five-fold cross
    validation: 0.5 for sets of one distribution, 1 for sets that never meet. Sets should be of
    equal size. (Lopez-Paz & Oquab 2017)

    Shape: `[N, D]`, `[M, D]` to a float.
    """
    selection = extra("sklearn.model_selection", "speakers")
    machine = extra("sklearn.svm", "speakers").SVC()
    scaler = extra("sklearn.preprocessing", "speakers").StandardScaler()
    classifier = extra("sklearn.pipeline", "speakers").make_pipeline(scaler, machine)
    folds = selection.StratifiedKFold(5, shuffle=True, random_state=seed)
    labels = np.repeat([0, 1], [len(generated), len(real)])
    vectors = np.concatenate([generated, real])
    return float(selection.cross_val_score(classifier, vectors, labels, cv=folds).mean())
