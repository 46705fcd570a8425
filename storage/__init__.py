"""Databases and files of a study; knows no network and no ensemble."""
