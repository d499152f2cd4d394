from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError

from marketplace_ai.conf import conf
from marketplace_ai.encoding import EncoderError, find_directory, is_source
from marketplace_ai.management.console import fail, print_json, refuse
from marketplace_ai.text.csv_files import TableError

if TYPE_CHECKING:
    from marketplace_ai.encoding.load import Found
    from marketplace_ai.encoding.onnx.export import Labelled


class Command(BaseCommand):
    help = (
        "Export an encoder for ONNX Runtime, the back end for machines without a GPU. It is "
        "compared with torch and refused where it does not agree. --int8 exports a second, faster "
        "one in 8 bits, which may cost half a point of first choice on labelled texts: those of "
        "FILE (columns category and text, or title and description), else the exemplars. "
        'Needs pip install "marketplace-ai[onnx]" and a minute or two.'
    )
    # Neither models nor database have a part in it, but where the exemplars are the texts.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--encoder",
            metavar="NAME_OR_DIR",
            help="'embedded', a directory, a hub id or a registered name; "
            "without it the active encoder, else that of MARKETPLACE_AI_ENCODER",
        )
        parser.add_argument("--int8", action="store_true", help="export in 8 bits as well")
        parser.add_argument("--labelled", metavar="FILE", help="CSV file of labelled texts")
        parser.add_argument(
            "--output",
            metavar="DIR",
            help="write below DIR instead of MARKETPLACE_AI_CACHE_DIR, "
            "to be copied into the cache folder of another machine",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["labelled"] and not options["int8"]:
            refuse("--labelled is what --int8 is measured on, which is not given.")
        found = self._find(options["encoder"])
        labelled = _labelled(options["labelled"]) if options["int8"] else None
        from marketplace_ai.encoding.onnx.export import export
        from marketplace_ai.encoding.onnx.exported import export_folder

        cache_dir = Path(options["output"]).expanduser() if options["output"] else conf.cache_dir
        try:
            made = export(
                found.path,
                cache_dir,
                labelled=labelled,
                links_within=found.links_within,
                progress=self._say,
            )
        except EncoderError as error:
            fail(str(error))
        figures = {
            kind: {
                "folder": str(export_folder(cache_dir, manifest.source_weights, kind)),
                **manifest.proof,
            }
            for kind, manifest in made.items()
        }
        if options["json"]:
            print_json(self, {"encoder": found.source, "exports": figures})
            return
        for kind, figure in figures.items():
            self.stdout.write(f"{kind}: {figure['folder']}")
            self.stdout.write(f"  smallest cosine: {figure['smallest_cosine']:.5f}")
            if kind == "int8":
                before = 100 * figure["first_choice_float32"]
                self.stdout.write(
                    f"  first choice on {figure['rows']:,} texts: {before:.1f}% in float32, "
                    f"{before - figure['points_lost']:.1f}% in int8"
                )
        self.stdout.write("manage.py doctor --tune says which back end is fastest here.")

    def _find(self, name: str | None) -> Found:
        revision = None
        if name is None or not is_source(name):
            name, revision = _registered(name)
        try:
            return find_directory(
                name, cache_dir=conf.cache_dir, revision=revision, progress=self._say
            )
        except EncoderError as error:
            refuse(str(error))

    def _say(self, line: str) -> None:
        self.stderr.write(line, style_func=str)


def _registered(name: str | None) -> tuple[str, str | None]:
    """Source and revision of a registered encoder; without a name of the active one, and where
    there is none, or no database, those of the setting."""
    from marketplace_ai.models import Encoder

    neither = f"--encoder {name}: neither 'embedded' nor an existing directory nor a hub id"
    encoder, reason = None, ""
    try:
        if name is None:
            encoder = Encoder.objects.active()
        else:
            encoder = Encoder.objects.filter(name=name).first()
    except DatabaseError as error:
        reason = str(error).strip().partition("\n")[0]
    if encoder is not None:
        return encoder.source, encoder.revision or None
    if name is not None:
        if reason:
            reason = f", and the database that may know the name cannot be asked ({reason})"
        refuse(f"{neither}{reason or ', and not registered either'}.")
    return conf.encoder, None


def _labelled(path: str | None) -> Labelled:
    if path is not None:
        from marketplace_ai.text.labeled_csv import read_rows

        try:
            rows = read_rows(path)
        except TableError as error:
            refuse(str(error))
        return [(t, c) for t, c in zip(rows.texts, rows.labels, strict=True) if c is not None]
    from marketplace_ai.models import Exemplar, ExemplarState

    voting = Exemplar.objects.filter(state=ExemplarState.ACTIVE, category__isnull=False)
    try:
        return [(text, str(category)) for text, category in voting.values_list("text", "category")]
    except DatabaseError as error:
        reason = str(error).strip().partition("\n")[0]
        refuse(
            f"The exemplars, which --int8 is measured on, cannot be read ({reason}): give "
            "--labelled FILE."
        )
