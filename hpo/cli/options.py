"""Options that several commands have."""

from __future__ import annotations

import click

storage_option = click.option(
    "--storage",
    envvar="HPO_STORAGE",
    default="sqlite:///hpo.db",
    show_default=True,
    metavar="URL",
    help="Where studies are kept; also $HPO_STORAGE.",
)

artifacts_option = click.option(
    "--artifacts",
    envvar="HPO_ARTIFACTS",
    metavar="WHERE",
    help="Folder or s3://BUCKET/PREFIX where networks are too; also $HPO_ARTIFACTS.",
)
