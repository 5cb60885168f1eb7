"""Processes: started, watched, restarted, and none left behind."""
