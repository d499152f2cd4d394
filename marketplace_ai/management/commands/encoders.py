from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from marketplace_ai.encoders import status
from marketplace_ai.management.console import DatabaseCommand, print_json, usage_error
from marketplace_ai.management.encoder_options import registered_name
from marketplace_ai.models import Encoder, EncoderState
from marketplace_ai.promotion import shadow_mode
from marketplace_ai.queue import stats


class Command(DatabaseCommand):
    help = (
        "Show all encoders: which one is active, how far others are built and what is queued. "
        "With --shadow a candidate also predicts for new postings, without effect, so that its "
        "predictions can be compared before it is activated."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        switch = parser.add_mutually_exclusive_group()
        switch.add_argument("--shadow", metavar="NAME", help="turn shadow mode on")
        switch.add_argument("--no-shadow", metavar="NAME", help="turn shadow mode off")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        for name, on in ((options["shadow"], True), (options["no_shadow"], False)):
            if name is not None:
                return self._switch(name, on, as_json=options["json"])
        statuses = status.all_statuses()
        if options["json"]:
            print_json(
                self, {"encoders": [encoder_status.as_dict() for encoder_status in statuses]}
            )
        elif not statuses:
            self.stdout.write(
                "No encoder is registered yet: the first worker registers the one of "
                "MARKETPLACE_AI_ENCODER."
            )
        for encoder_status in [] if options["json"] else statuses:
            self.stdout.write("\n".join(lines(encoder_status)))
        return None

    def _switch(self, name: str, on: bool, *, as_json: bool) -> None:
        encoder = Encoder.objects.filter(name=registered_name(name)).first()
        if encoder is None:
            usage_error(
                f"There is no encoder {name!r}. Run manage.py encoders to see those there are."
            )
        try:
            shadow_mode.set_shadow_mode(encoder, on)
        except shadow_mode.ShadowError as error:
            usage_error(str(error))
        if as_json:
            print_json(self, {"encoder": encoder.name, "shadow": encoder.is_shadowing})
        elif on:
            self.stdout.write(f"{name} decides in the shadow what comes in from now on.")
        else:
            self.stdout.write(f"{name} no longer decides in the shadow; its answers stay.")


def lines(encoder_status: status.EncoderStatus) -> list[str]:
    """The status of an encoder as lines for the terminal."""
    encoder = encoder_status.encoder
    head = f"{encoder.name}: {encoder.get_state_display()}, {encoder.dimension} dimensions"
    if encoder.is_shadowing:
        head += ", decides in the shadow"
    if encoder.state == EncoderState.RETIRED:
        return [f"{head}, retired {encoder.retired_at:%Y-%m-%d %H:%M}"]
    if encoder.activated_at:
        head += f", activated {encoder.activated_at:%Y-%m-%d %H:%M}"
    about = "about " if encoder_status.estimated else ""
    output = [
        head,
        f"  vectors: {about}{_share(encoder_status.postings)} of the postings, "
        f"{_share(encoder_status.exemplars)} of the exemplars",
        f"  classifier: {encoder_status.classifier or 'none is active for it'}",
    ]
    if encoder_status.queued or encoder_status.failed:
        queued, failed = (
            stats.format_count(encoder_status.queued),
            stats.format_count(encoder_status.failed),
        )
        output.append(f"  in the queue: {queued}, and {failed} failed")
    if encoder_status.scan is not None and encoder_status.progress is not None:
        progress = encoder_status.progress
        left = "" if progress.left is None else f", {progress.left} left at {progress.rate:,.0f}/s"
        stopped = " (stopped)" if encoder_status.scan.stopped_at else ""
        output.append(f"  backfill: {progress.done:,} of {progress.total:,}{left}{stopped}")
    if encoder.last_error:
        output.append(f"  trouble: {encoder.last_error}")
    return output


def _share(counts: tuple[int, int]) -> str:
    count, total = counts
    share = f" ({count / total:.0%})" if total else ""
    return f"{count:,} of {total:,}{share}"
