"""Optuna's dashboard behind a guard, with the story of each search beside its trials."""
