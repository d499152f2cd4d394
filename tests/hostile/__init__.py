"""What people write, send and hand over with ill will, or without knowing: texts, forms, models.

docs/reliability.md says what is guaranteed, and what each test was seen to catch. How long the
tests take, and the seed of their choices, is ``tests.faults.scale``.
"""
