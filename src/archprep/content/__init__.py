"""Exercises as data: the catalog, manifests, other files, declared criteria, wrong answers."""
