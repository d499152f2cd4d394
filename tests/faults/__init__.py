"""What breaks in life, broken on purpose: real processes are killed, frozen, cut off and starved.

After each fault the ledger (``tests.acceptance.ledger``) must hold: every committed posting
decided exactly once for each of its texts, or failed where people see it. docs/reliability.md
says what is guaranteed, and which bugs each test has caught.
"""
