"""Stacks of multilayer perceptrons in NumPy; the first axis of every array is the member."""

from hpo.nn.activations import Activation
from hpo.nn.architecture import Architecture, Head
from hpo.nn.augmentation import Augmentation, augment
from hpo.nn.checks import learning_rate_range, overfit_small_batch
from hpo.nn.folds import train_folds
from hpo.nn.gradients import gradient_check
from hpo.nn.losses import Loss
from hpo.nn.members import Members, Rows, TrainingSettings
from hpo.nn.network import predict
from hpo.nn.optimizers import Optimizer
from hpo.nn.registration import register_activation, register_loss, register_optimizer
from hpo.nn.schedules import Schedule
from hpo.nn.training import Start, Trained, train
from hpo.nn.transfer import transferred

__all__ = [
    "Activation",
    "Architecture",
    "Augmentation",
    "Head",
    "Loss",
    "Members",
    "Optimizer",
    "Rows",
    "Schedule",
    "Start",
    "Trained",
    "TrainingSettings",
    "augment",
    "gradient_check",
    "learning_rate_range",
    "overfit_small_batch",
    "predict",
    "register_activation",
    "register_loss",
    "register_optimizer",
    "train",
    "train_folds",
    "transferred",
]
