"""Evaluation on labeled files: figures, baselines and a report.

Needs neither a database nor Redis: files and an encoder in, numbers out.
"""
