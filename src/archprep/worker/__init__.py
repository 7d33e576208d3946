"""The code that runs in the sandbox, together with the candidate's.

Imports the standard library only: the rest of archprep is not visible in the sandbox.
"""
