"""Weight sharing in training: supernets, and who picks their paths."""
