"""Clusters that stacks are brought to: engines that exist, behind joblib."""
