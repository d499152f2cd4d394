"""A marketplace with its own models, names and keys instead of the shipped ones.

``posting_flow.py`` holds its tests. They need the whole process under ``tests.host_settings``,
so tests/integration/models/test_host_models.py runs them in a separate process.
"""
