from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.db import DatabaseError

from marketplace_ai.conf import conf
from marketplace_ai.encoding import EncoderError, find_directory, is_source
from marketplace_ai.management.console import FileCommand, print_json, runtime_error, usage_error
from marketplace_ai.management.skip_bad import add_skip_bad, refuse
from marketplace_ai.text.csv_files import TableError

if TYPE_CHECKING:
    from marketplace_ai.encoding.onnx.export import LabeledTexts
    from marketplace_ai.encoding.sources import ModelPath


class Command(FileCommand):
    help = (
        "Export an encoder for ONNX Runtime, the back end for machines without a GPU. The export "
        "is compared with torch and refused if it does not agree. --int8 adds a second, faster "
        "export in 8 bits, which may cost half a point of first choices on labeled texts: those "
        "of FILE (columns category and text, or title and description), else the exemplars. "
        'Needs pip install "marketplace-ai[onnx]" and a minute or two.'
    )
    # Neither models nor database are needed, unless the exemplars are the labeled texts.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--encoder",
            metavar="NAME_OR_DIR",
            help="'bundled', a directory, a hub id or a registered name; "
            "without it the active encoder, else that of MARKETPLACE_AI_ENCODER",
        )
        parser.add_argument("--int8", action="store_true", help="export in 8 bits as well")
        parser.add_argument(
            "--labeled", "--labelled", metavar="FILE", help="labeled texts: CSV or .xlsx"
        )
        parser.add_argument(
            "--output",
            metavar="DIR",
            help="write below DIR instead of MARKETPLACE_AI_CACHE_DIR, "
            "to be copied into the cache folder of another machine",
        )
        add_skip_bad(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["labeled"] and not options["int8"]:
            usage_error("--labeled is what --int8 is measured on, which is not given.")
        model = self._find_model(options["encoder"])
        labeled = _labeled_texts(options) if options["int8"] else None
        from marketplace_ai.encoding.onnx.export import export
        from marketplace_ai.encoding.onnx.exported import export_folder

        cache_dir = Path(options["output"]).expanduser() if options["output"] else conf.cache_dir
        try:
            manifests = export(
                model.path,
                cache_dir,
                labeled=labeled,
                links_within=model.links_within,
                progress=self.say,
            )
        except EncoderError as error:
            runtime_error(str(error))
        exports = {
            kind: {
                "folder": str(export_folder(cache_dir, manifest.source_weights, kind)),
                **manifest.parity,
            }
            for kind, manifest in manifests.items()
        }
        if options["json"]:
            print_json(self, {"encoder": model.source, "exports": exports})
        else:
            self._report(exports)

    def _report(self, exports: dict[Any, dict[str, Any]]) -> None:
        for kind, figures in exports.items():
            self.stdout.write(f"{kind}: {figures['folder']}")
            self.stdout.write(f"  smallest cosine: {figures['smallest_cosine']:.5f}")
            if kind == "int8":
                before = 100 * figures["first_choice_float32"]
                self.stdout.write(
                    f"  first choice on {figures['rows']:,} texts: {before:.1f}% in float32, "
                    f"{before - figures['points_lost']:.1f}% in int8"
                )
        self.stdout.write("manage.py doctor --tune says which back end is fastest here.")

    def _find_model(self, name: str | None) -> ModelPath:
        revision = None
        if name is None or not is_source(name):
            name, revision = _registered(name)
        try:
            return find_directory(
                name, cache_dir=conf.cache_dir, revision=revision, progress=self.say
            )
        except EncoderError as error:
            usage_error(str(error))


def _registered(name: str | None) -> tuple[str, str | None]:
    """Source and revision of the encoder registered as ``name``.

    Without a name those of the active encoder or, if there is none or no database, of the
    setting.
    """
    from marketplace_ai.models import Encoder

    neither = f"--encoder {name}: neither 'bundled' nor an existing directory nor a hub id"
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
        usage_error(f"{neither}{reason or ', and not registered either'}.")
    return conf.encoder, None


def _labeled_texts(options: dict[str, Any]) -> LabeledTexts:
    """(text, category) of a CSV file's rows, or of the exemplars if there is no file."""
    path = options["labeled"]
    if path is not None:
        from marketplace_ai.text.labeled_csv import read_rows

        try:
            rows = read_rows(path, skip_bad=options["skip_bad"])
        except TableError as error:
            refuse(error, options)
        return [(t, c) for t, c in zip(rows.texts, rows.labels, strict=True) if c is not None]
    from marketplace_ai.models import Exemplar, ExemplarState

    exemplars = Exemplar.objects.filter(state=ExemplarState.ACTIVE, category__isnull=False)
    try:
        return [
            (text, str(category)) for text, category in exemplars.values_list("text", "category")
        ]
    except DatabaseError as error:
        reason = str(error).strip().partition("\n")[0]
        usage_error(
            f"The exemplars, which --int8 is measured on, cannot be read ({reason}): give "
            "--labeled FILE."
        )
