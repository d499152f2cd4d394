"""What can be wrong, and its cure: the findings behind ``doctor``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

from django.core import checks
from django.db import Error as DatabaseError
from django.db import connections
from django.utils import timezone

from marketplace_ai.audit import stops
from marketplace_ai.checks import check_database
from marketplace_ai.conf import conf
from marketplace_ai.db import vector_type
from marketplace_ai.db.alias import alias
from marketplace_ai.doctor.candidates import candidates
from marketplace_ai.doctor.finding import Finding
from marketplace_ai.encoders import search_index
from marketplace_ai.encoding import EncoderError, backend_registry, canonical_source, gpu
from marketplace_ai.exemplars import descriptions, rescrub
from marketplace_ai.models import (
    AuditedPosting,
    ClassifierVersion,
    Decision,
    Encoder,
    EncoderState,
    Exemplar,
    ExemplarSource,
    ExemplarState,
    Outcome,
    QueuedPosting,
    ScanPurpose,
    TableScan,
)
from marketplace_ai.queue import backfill, liveness_probe, scans, stats, trigger, wake_up

#: A fresh posting that waits longer than this has no worker that keeps up.
SLOW = dt.timedelta(minutes=1)
#: A turn of a drainer that takes longer than its batch may take and this hangs, in seconds:
#: before the batch it may have new exemplars to encode, or another encoder to load.
PATIENCE = 300.0
#: A transaction that is open longer than this makes the queue's dead rows pile up.
LONG_TRANSACTION = dt.timedelta(minutes=10)
#: An audited posting that waits longer than this has nobody who looks.
UNANSWERED = dt.timedelta(days=7)
#: Exemplars that are read for personal data: some tenths of a second.
EXEMPLARS_READ = 20_000
#: Workers follow the version in force within a batch; by then each has had one.
FOLLOWED = dt.timedelta(minutes=5)
#: Decisions as young as this say what workers do now.
RECENT = dt.timedelta(minutes=10)
#: Stops of automation that are named.
STOPS_NAMED = 5


def examine() -> Iterator[Finding]:
    """All findings, services first; what hangs on a dead database is left out."""
    database = _database()
    yield database
    yield _broker()
    checked = list(_system_checks(database.ok))
    yield from checked
    # With a broken adapter or model nothing below could be read.
    if not database.ok or not all(finding.ok for finding in checked):
        return
    if QueuedPosting._meta.db_table not in connections[alias()].introspection.table_names():
        yield Finding("tables", False, "The app's tables are not there.", "Run manage.py migrate.")
        return
    parts: list[Callable[[], Iterator[Finding]]] = [
        _triggers,
        _workers,
        _queue,
        _walks,
        _horizon,
        _encoder,
        candidates,
        _search_index,
        _device,
        _classifier,
        _personal_data,
        _deciding,
        _audit,
        _stops,
    ]
    for part in parts:
        try:
            yield from part()
        except DatabaseError as error:
            yield Finding(
                part.__name__.strip("_"), False, " ".join(str(error).split()),
                "Run manage.py migrate.",
            )  # fmt: skip


def examine_worker() -> Finding:
    """The liveness of this machine's worker: one query, for the health check of a worker's
    container."""
    try:
        iteration = liveness_probe.current_iteration()
    except DatabaseError as error:
        return Finding(
            "worker", False, " ".join(str(error).split()),
            "Start PostgreSQL, or correct DATABASES.",
        )  # fmt: skip
    if iteration is None:
        message, cure = "No worker is running on this machine.", "See the worker's log."
    elif iteration.is_first:
        message = f"It has been starting for {iteration.seconds:.0f} s."
        cure = "Wait until it has loaded its encoder and encoded new exemplars; see its log."
    elif iteration.seconds > conf.encode_timeout + PATIENCE:
        message, cure = f"It hangs for {iteration.seconds:.0f} s.", "Start the worker anew."
    else:
        return Finding("worker", True, f"Its loop iteration began {iteration.seconds:.0f} s ago.")
    return Finding("worker", False, message, cure)


def _database() -> Finding:
    connection = connections[alias()]
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('server_version'), "
                "(SELECT extversion FROM pg_extension WHERE extname = 'vector')"
            )
            version, vector = cursor.fetchone()
    except DatabaseError as error:
        return Finding(
            "database", False, " ".join(str(error).split()),
            "Start PostgreSQL, or correct DATABASES.",
        )  # fmt: skip
    message = f"PostgreSQL {version}, pgvector {vector or 'not installed'}"
    return Finding(
        "database", vector is not None, message, "" if vector else "Run manage.py migrate."
    )


def _broker() -> Finding:
    from celery import current_app

    try:
        with current_app.connection_for_write(
            transport_options=dict(wake_up.TRANSPORT)
        ) as connection:
            connection.ensure_connection(max_retries=0, timeout=1)
    except Exception as error:  # noqa: BLE001 (whatever a transport raises means: not there)
        return Finding(
            "broker", False, f"The broker cannot be reached: {error}",
            "Start Redis. Until then postings are found by polling, and interactive tasks wait.",
        )  # fmt: skip
    return Finding("broker", True, f"{current_app.conf.broker_url.split('@')[-1]} answers")


def _system_checks(with_database: bool) -> Iterator[Finding]:
    messages = checks.run_checks(tags=["marketplace_ai"])
    if with_database:
        messages += check_database(databases=[alias()])
    for message in messages:
        yield Finding(
            str(message.id), message.level < checks.ERROR, str(message.msg), str(message.hint or "")
        )


def _triggers() -> Iterator[Finding]:
    for found in trigger.status():
        cure = {
            "installed": "",
            "disabled": f"ALTER TABLE {found.table} ENABLE TRIGGER {found.name}",
        }.get(found.state, "Run manage.py migrate: it installs the triggers.")
        yield Finding(
            "trigger", found.state == "installed",
            f"{found.name} on {found.table} is {found.state}", cure,
        )  # fmt: skip


def _workers() -> Iterator[Finding]:
    alive = stats.worker_names()
    if alive:
        yield Finding("worker", True, f"{len(alive)} running: {', '.join(alive)}")
    else:
        yield Finding(
            "worker", False, "No worker is running.",
            "Start a Celery worker (celery -A PROJECT worker), or manage.py process_pending.",
        )  # fmt: skip


def _queue() -> Iterator[Finding]:
    state = stats.queue_health()
    logged, pending, claimed, aside = map(
        stats.format_count, (state.logged, state.pending, state.claimed, state.set_aside)
    )
    message = (
        f"{logged} new changes, {pending} pending ({claimed} being worked on), "
        f"the oldest fresh one for {state.oldest.total_seconds():.0f} s"
    )
    late = state.oldest > SLOW
    yield Finding(
        "queue", not late, message, "Start more workers, or look at their log." if late else ""
    )
    if state.set_aside:
        yield Finding(
            "set aside", False, f"{aside} postings were set aside after failures.",
            "See their errors in admin under Queued postings, and put them back from there.",
        )  # fmt: skip
    if state.rescans:
        yield Finding(
            "rescan", False,
            "A trigger could not say which postings changed (its warning is in PostgreSQL's log).",
            "Run manage.py migrate, then manage.py backfill_embeddings.",
        )  # fmt: skip


def _walks() -> Iterator[Finding]:
    for walk in TableScan.objects.unfinished().select_related("encoder").order_by("pk"):
        if walk.encoder is not None and walk.encoder.state != EncoderState.ACTIVE:
            continue  # a candidate's, told with it
        known = scans.progress(walk, backfill.queued_rows()[: stats.LARGEST_COUNT].count())
        about = "about " if walk.is_estimated else ""
        left = "" if known.left is None else f", {known.left} left at {known.rate:,.0f}/s"
        message = f"{known.done:,} of {about}{known.total:,} postings{left}"
        if walk.purpose == ScanPurpose.RECONCILE:
            yield Finding("reconcile", True, f"Looking for what was missed: {message}")
        elif walk.stopped_at:
            yield Finding(
                "backfill", True, f"Stopped after {message}",
                "Run manage.py backfill_embeddings as it was run, to go on with it.",
            )  # fmt: skip
        else:
            yield Finding("backfill", True, message)


def _horizon() -> Iterator[Finding]:
    found = stats.oldest_transaction(LONG_TRANSACTION)
    if found is not None:
        yield Finding(
            "vacuum", False,
            f"A transaction of {found.user} ({found.application or 'unnamed'}, process "
            f"{found.pid}) is open for {found.age.total_seconds() / 60:.0f} minutes: dead rows "
            "cannot be cleared away, and claims become slower.",
            f"End it where it was begun, or by SELECT pg_terminate_backend({found.pid}).",
        )  # fmt: skip


def _encoder() -> Iterator[Finding]:
    active = Encoder.objects.active()
    if active is None:
        yield Finding(
            "encoder", True, "None is registered yet.",
            f"The first worker registers {conf.encoder!r}.",
        )  # fmt: skip
        return
    yield Finding("encoder", True, f"{active.name} ({active.dimension} dimensions) is active")
    configured = (canonical_source(conf.encoder), str(Path(conf.encoder).expanduser().absolute()))
    if canonical_source(active.source) not in configured:
        yield Finding(
            "encoder setting", True,
            f"MARKETPLACE_AI_ENCODER names {conf.encoder!r}, but {active.name!r} is active.",
            "The active one decides. Register and activate the other, or correct the setting.",
        )  # fmt: skip


def _search_index() -> Iterator[Finding]:
    """Missing it fails nothing: what is decided asks the exemplars, which are exact."""
    active = Encoder.objects.active()
    if active is None or active.dimension > vector_type.MAX_INDEXED_DIMENSION:
        return
    found = search_index.state(active)
    said = {
        search_index.State.READY: "is there.",
        search_index.State.BUILDING: "is being built.",
        search_index.State.BROKEN_OFF: "was broken off while it was built, and is not used.",
        search_index.State.MISSING: "is missing: a search over all postings reads every vector.",
    }[found]
    there = found in (search_index.State.READY, search_index.State.BUILDING)
    yield Finding(
        "search index", True, f"That of {active.name} {said}",
        "" if there else "Run manage.py build_search_index; where a backfill runs, behind it.",
    )  # fmt: skip


def _device() -> Iterator[Finding]:
    if not backend_registry.is_reference(conf.backend):
        yield Finding(
            "back end", True, f"The back end {conf.backend!r} rounds vectors.",
            "If the classifier was fitted before that, run manage.py fit_classifier again.",
        )  # fmt: skip
    if not gpu.has_driver():
        return
    try:
        for message, cure in gpu.advice(gpu.detect_gpus(), conf.backend, conf.dtype):
            yield Finding("gpu", True, message, cure)
    except (ImportError, EncoderError) as error:
        yield Finding("gpu", True, f"The GPU was not looked at: {error}")


def _classifier() -> Iterator[Finding]:
    voting = Exemplar.objects.filter(state=ExemplarState.ACTIVE)
    count = voting.exclude(source=ExemplarSource.DESCRIPTION).count()
    if not count:
        yield Finding(
            "exemplars", False, "There are no exemplars.",
            "Run manage.py import_exemplars FILE, or import_exemplars --from-jobs.",
        )  # fmt: skip
        return
    message = f"{count} vote"
    if lonely := descriptions.alone():
        message += f"; categories with nothing but their description: {lonely}"
    yield Finding("exemplars", True, message)
    version = _in_force()
    if version is None:
        yield Finding(
            "classifier", False, "None is fitted: every posting goes to review.",
            "Run manage.py fit_classifier --calibration FILE.",
        )  # fmt: skip
    elif version.calibrated_on == ClassifierVersion.Calibration.EXEMPLARS:
        yield Finding(
            "classifier", True,
            f"Version {version.pk} is calibrated by cross-validation on exemplars, which are no "
            "sample of what comes in.",
            "Run manage.py fit_classifier --calibration FILE with labelled postings.",
        )  # fmt: skip
    else:
        calibrated = ClassifierVersion.Calibration(version.calibrated_on)
        on = "audited" if calibrated is ClassifierVersion.Calibration.AUDITS else "labelled"
        message = f"Version {version.pk} is in force, calibrated on {on} postings"
        yield Finding("classifier", True, message)


def _personal_data() -> Iterator[Finding]:
    """Of the newest exemplars, those that scrubbing would change: they were stored before."""
    found = rescrub.look(EXEMPLARS_READ)
    if not found.looked_at:
        return
    of = f"{found.found} of the {found.looked_at} newest exemplars"
    yield Finding(
        "personal data", not found.found,
        f"{of} hold phone numbers, addresses or the like.",
        "Run manage.py scrub_stored, then fit_classifier." if found.found else "",
    )  # fmt: skip


def _deciding() -> Iterator[Finding]:
    """A worker that cannot use the version in force goes on with the one that it has, whose
    promise is no longer tested."""
    version = _in_force()
    if version is None:
        return
    now = timezone.now()
    since = max((version.activated_at or version.created_at) + FOLLOWED, now - RECENT)
    others = (
        Decision.objects.filter(decided_at__gt=since, encoder=version.encoder_id)
        .exclude(outcome__in=(Outcome.CONFIRMED, Outcome.CORRECTED))  # a person's
        .exclude(classifier=version)
    )
    found = others.order_by("-decided_at").values_list("classifier_id").first()
    if found is not None:
        by = f"by version {found[0]}" if found[0] else "without a classifier"
        yield Finding(
            "deciding", False,
            f"Version {version.pk} is in force, but postings were decided {by} in the last "
            f"{RECENT.total_seconds() / 60:.0f} minutes, and nothing watches those.",
            "See the workers' log. Where the version cannot be used, put another one in force "
            "(manage.py use_classifier) or fit again; else start the workers anew.",
        )  # fmt: skip


def _audit() -> Iterator[Finding]:
    waiting = AuditedPosting.objects.unanswered()
    number = waiting.order_by()[: stats.LARGEST_COUNT + 1].count()
    oldest = waiting.order_by("drawn_at", "pk").values_list("drawn_at", flat=True).first()
    late = oldest is not None and timezone.now() - oldest > UNANSWERED
    message = (
        f"{conf.audit_sample_rate:.2%} of all postings are drawn, {stats.format_count(number)} wait"
    )
    cure = ""
    if late:
        cure = "Have somebody answer them in admin under Audit: until then nothing watches them."
    elif not conf.audit_sample_rate:
        cure = "Set MARKETPLACE_AI_AUDIT_SAMPLE_RATE: without an audit nothing watches the promise."
    yield Finding("audit", True, message, cure)


def _stops() -> Iterator[Finding]:
    version = _in_force()
    if version is None:
        return
    standing = list(stops.standing(version.pk).order_by("pk")[: STOPS_NAMED + 1])
    if standing:
        names = [stop.category_key or f"rule {stop.rule}" for stop in standing[:STOPS_NAMED]]
        more = " and more" if len(standing) > STOPS_NAMED else ""
        yield Finding(
            "automation", False,
            f"Automation has stopped: {', '.join(names)}{more}. Those postings go to review.",
            "See why in admin under Automation; then resume it there, or fit again.",
        )  # fmt: skip


def _in_force() -> ClassifierVersion | None:
    return ClassifierVersion.objects.active(Encoder.objects.active())
