"""A marketplace of its own: other models, other names, other keys than the shipped ones.

``way_of_a_posting.py`` holds its tests. They need the whole process under ``tests.host_settings``,
so tests/integration/models/test_host_models.py runs them in one of their own.
"""
