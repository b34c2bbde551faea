"""Tuning: the log, the search, the workers that build and measure, the session that joins them."""
