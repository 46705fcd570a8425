"""What the random streams of a study are for.

A random state is the study's seed, one of these words, and what the purpose needs; so no two
purposes share a stream. `hpo.search.narrowing` has the words below 100.
"""

MEMBER = 101
"""With a trial's number: the initial values of its network."""

ROW_ORDER = 102
"""The order of rows, the same for every trial."""

REPLICATES = 103
"""The bootstrap that estimates the winner's expected score."""

REPEAT = 104
"""With a trial's number and that of the repeat: the initial values of a network trained again."""

FOLDS = 105
"""Which rows each of the repeats does not see."""

CROSS_VALIDATION = 107
"""Which rows each of a trial's networks does not see."""

SAMPLER = 106
"""The seed of one of Optuna's samplers."""

BAG = 108
"""With a fold: the rows that the networks of a bag are trained on, and their initial values."""

BOOST = 109
"""With a fold and a stage: the initial values of a network that is boosted."""
