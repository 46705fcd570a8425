"""Optuna's tables, by the few columns that are read.

Its own models take longer to import than a look takes.
"""

from __future__ import annotations

import sqlalchemy as sa

STUDIES = sa.table("studies", sa.column("study_id"), sa.column("study_name"))
DIRECTIONS = sa.table(
    "study_directions", sa.column("study_id"), sa.column("objective"), sa.column("direction")
)
STUDY_USER = sa.table(
    "study_user_attributes", sa.column("study_id"), sa.column("key"), sa.column("value_json")
)
STUDY_SYSTEM = sa.table(
    "study_system_attributes", sa.column("study_id"), sa.column("key"), sa.column("value_json")
)
TRIALS = sa.table(
    "trials",
    sa.column("trial_id"),
    sa.column("number"),
    sa.column("study_id"),
    sa.column("state"),
    sa.column("datetime_start", sa.DateTime()),
    sa.column("datetime_complete", sa.DateTime()),
)
VALUES = sa.table(
    "trial_values",
    sa.column("trial_id"),
    sa.column("objective"),
    sa.column("value"),
    sa.column("value_type"),
)
PARAMS = sa.table(
    "trial_params",
    sa.column("param_id"),
    sa.column("trial_id"),
    sa.column("param_name"),
    sa.column("param_value"),
    sa.column("distribution_json"),
)
ATTRIBUTES = sa.table(
    "trial_user_attributes", sa.column("trial_id"), sa.column("key"), sa.column("value_json")
)
