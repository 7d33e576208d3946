"""The results of `grade` as pages in the browser, where interviewers mark and comment."""
