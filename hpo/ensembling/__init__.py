"""Ensembles of a study's networks and of scikit-learn's learners: built, chosen, kept."""
