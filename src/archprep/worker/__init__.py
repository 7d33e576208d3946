"""What runs beside the candidate's code.

Standard library only: in the sandbox nothing else of archprep exists.
"""
