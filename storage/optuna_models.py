"""Optuna's tables as its own models have them, which know the types that are written."""

from __future__ import annotations

import sqlalchemy as sa
from optuna.storages._rdb import models

STUDIES: sa.Table = models.StudyModel.__table__
DIRECTIONS: sa.Table = models.StudyDirectionModel.__table__
STUDY_USER: sa.Table = models.StudyUserAttributeModel.__table__
STUDY_SYSTEM: sa.Table = models.StudySystemAttributeModel.__table__
TRIALS: sa.Table = models.TrialModel.__table__
PARAMS: sa.Table = models.TrialParamModel.__table__
VALUES: sa.Table = models.TrialValueModel.__table__
INTERMEDIATE: sa.Table = models.TrialIntermediateValueModel.__table__
ATTRIBUTES: sa.Table = models.TrialUserAttributeModel.__table__
