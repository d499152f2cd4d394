from __future__ import annotations

from typing import Any

from demo import processes, screenshots
from demo.management.commands.demo import ADMIN
from demo.services.command import BASE_DIR, ROOT
from marketplace_ai.management.console import DatabaseCommand, usage_error


class Command(DatabaseCommand):
    help = "Take the documentation's pictures of the demo; its postings must be there."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            shown = screenshots.pictures()
            screenshots.browser()
            port = processes.free_port()
            address = f"http://127.0.0.1:{port}"
            with processes.started(processes.web(port), ROOT / "web.log"):
                screenshots.wait_for(address)
                with screenshots.signed_in(address, ADMIN, ADMIN) as page:
                    folder = BASE_DIR / "docs" / "images"
                    for file in screenshots.take(page, address, shown, folder):
                        self.stdout.write(f"{file.relative_to(BASE_DIR)}")
        except (LookupError, OSError) as error:
            usage_error(str(error))
