"""What is made from results: pages, statistics, and files for other programs."""
