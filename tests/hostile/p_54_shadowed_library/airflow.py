print("SHADOWED", __name__)
raise SystemExit(0)
