"""Signals that a host may listen to."""

from django.dispatch import Signal

#: Sent after the commit that recorded decisions, with ``job_ids`` (a list of primary keys)
#: and ``applied`` (those of them whose category the machine wrote). Decisions are written
#: set-based, so the job model's own ``save()`` and signals are not involved.
jobs_decided = Signal()

#: Sent after the commit that stopped automation because audited postings refuted the promise,
#: with ``stop`` (an AutomationStop). Until a person resumes it those postings go to review.
automation_stopped = Signal()
