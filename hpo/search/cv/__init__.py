"""The narrowing search for any scikit-learn estimator, scored by cross-validation."""

from hpo.search.cv.estimator import NarrowingSearchCV

__all__ = ["NarrowingSearchCV"]
