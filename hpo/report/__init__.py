"""Pictures of what a storage holds, from plain records only."""
