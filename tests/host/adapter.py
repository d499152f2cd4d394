from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marketplace_ai.adapter import JobAdapter

from .models import Job, Section


class HostAdapter(JobAdapter):
    text_columns = ("headline", "body")
    eligible_columns = ("status",)
    category_field = "section"
    set_by_field = None
    created_field = "posted_at"
    category_key_field = "code"
    category_parent_field = "above"

    def eligible(self, job: Any) -> bool:
        return bool(job.status == Job.Status.PUBLISHED)

    def clean(self, text: str) -> str:
        return re.sub(r"\b\d{8}\b", "", text)

    def make_job(self, title: str, description: str) -> Any:
        return Job(headline=title, body=description)

    def create_category(self, key: str, parent: Any | None, names: Mapping[str, str]) -> Any:
        section, _ = Section.objects.update_or_create(
            code=key, defaults={"ref": f"s-{key}", "above": parent, "label": names["name_nb"]}
        )
        return section
