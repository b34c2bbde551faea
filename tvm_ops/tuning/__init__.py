"""Tuning: the log, the search, the workers that build and measure, and the session that joins them."""
