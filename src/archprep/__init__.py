"""archprep: practise and hold senior Python architect interviews."""

# Nothing is imported here: `python -m archprep` runs this file before it can take the
# working directory, which may hold a candidate's modules, off sys.path.
__version__ = "0.1.0"
