"""Interviews: kits go out, submissions come back and are graded, results are written.

Imports point down this list:

batch         grades submissions in parallel, resumes, regrades
reports       pages, statistics and exports made from results
results       the results folder on disk
submissions   what candidates sent back, none of it trusted
kits          what candidates get, and how they submit it
zips          reading zips from anyone, writing reproducible ones
"""
