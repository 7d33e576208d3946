"""The exercises as data: catalog, manifests, declared criteria, wrong answers."""
