"""Signals a project can listen to."""

from django.dispatch import Signal

#: Sent by a worker after the commit that recorded a batch of decisions. Categories are written by
#: one UPDATE, so the job model's ``save()`` and its signals are not involved: use this one instead.
#:
#: Arguments:
#:     job_ids: list of primary keys of the postings that were decided.
#:     applied: list of those whose category was written.
#:
#: An exception in a receiver is logged and does not undo the decisions.
#:
#: Example::
#:
#:     @receiver(jobs_decided)
#:     def reindex(sender, job_ids, applied, **kwargs):
#:         search_index.update(applied)
jobs_decided = Signal()

#: Sent after the commit that stopped automation because audited postings refuted the guarantee.
#: Until a person resumes it, those postings go to review.
#:
#: Arguments:
#:     stop: the ``AutomationStop``.
#:
#: Example::
#:
#:     @receiver(automation_stopped)
#:     def alert(sender, stop, **kwargs):
#:         mail_admins("Automation stopped", f"{stop}: {stop.errors} errors in {stop.rows}")
automation_stopped = Signal()
