"""Parts that the graders of several exercises share: see docs/toolkit.md."""
