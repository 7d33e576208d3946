"""The results folder: locked while it is written, valid at every moment."""
