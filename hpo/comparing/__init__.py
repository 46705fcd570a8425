"""The same network with one thing changed, and whether that is more than noise between seeds."""
