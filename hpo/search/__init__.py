"""Rounds of random search whose ranges narrow around the best trials."""
