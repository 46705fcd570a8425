"""All checks of a data set, in the order in which they are told."""

from __future__ import annotations

from itertools import chain

from hpo.checking.cells import check_content, check_missing, check_new_categories
from hpo.checking.classes import check_classes
from hpo.checking.columns import features
from hpo.checking.duplicates import check_contradictions, check_duplicates
from hpo.checking.finding import Finding
from hpo.checking.giveaway import check_giveaway
from hpo.checking.identifiers import check_identifiers
from hpo.checking.relations import check_relations
from hpo.checking.subject import Subject
from hpo.data.remarks import remarks


def check_data(subject: Subject) -> list[Finding]:
    """What is found in the rows and columns.

    Targets of test rows are not looked at, and their features only beside those of other rows:
    nothing is scored on them.
    """
    dataset = subject.dataset
    table, columns = dataset.features, list(features(dataset.features))
    told = {*remarks(table)}  # found again below
    notes = [Finding("note", "reading", each) for each in dataset.warnings if each not in told]
    return [
        *notes,
        *chain(
            check_duplicates(subject),
            check_giveaway(subject),
            check_identifiers(columns) if columns else (),
            check_relations(subject, columns) if columns else (),
            check_content(table),
            check_missing(columns, table.n_rows),
            check_new_categories(subject, columns),
            check_contradictions(subject),
            check_classes(subject),
        ),
    ]


def suspicions(subject: Subject) -> list[Finding]:
    """What a search should say before it begins: warnings and problems that it knows not yet.

    Of 10,000 rows and a dozen columns this takes a few hundredths of a second.
    """
    columns = list(features(subject.dataset.features))
    found = chain(
        check_duplicates(subject),
        check_giveaway(subject),
        check_identifiers(columns),
        check_relations(subject, columns),
        check_new_categories(subject, columns),
    )
    return [each for each in found if each.level in {"warning", "problem"}]
