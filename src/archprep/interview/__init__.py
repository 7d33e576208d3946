"""Interviews: kits are handed out, what comes back is graded, and results are written.

kit, handin          what candidates get, and how they hand it in
archive, received    a folder of submissions that nobody may trust
batch, results       graded in parallel, written as it goes, resumed
statistics, exports, pages    what is made of the results
"""
