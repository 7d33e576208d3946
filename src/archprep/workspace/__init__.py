"""The candidate's folder, its frozen copy (the submission), and the stored attempts."""
