"""Encoders in admin: what was compared, what would change, and both buttons."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from marketplace_ai.admin import base
from marketplace_ai.admin.encoders import predicted_changes
from marketplace_ai.admin.postings import JobPostingAdmin
from marketplace_ai.models import (
    Category,
    ClassifierVersion,
    Decision,
    Encoder,
    EncoderState,
    JobPosting,
    Outcome,
    Promotion,
    PromotionKind,
    ShadowDecision,
)
from marketplace_ai.versions import activation
from tests.integration.command_calls import call, failed
from tests.integration.promotion.factories import candidate, in_other_words, understands_synonyms
from tests.integration.worker_runs import fit

from .factories import HOSTILE, decide, messages_of, staff
from .test_lists import queries

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

LIST = "admin:marketplace_ai_encoder_changelist"


def page(encoder: Encoder, name: str = "change") -> str:
    return reverse(f"admin:marketplace_ai_encoder_{name}", args=[encoder.pk])


def html_of(client: Client, url: str) -> str:
    return " ".join(client.get(url).content.decode().split())


@pytest.fixture
def big(exemplars: None) -> Encoder:
    fit()
    active = Encoder.objects.active()
    assert active is not None
    return active


@pytest.fixture
def small(big: Encoder) -> Encoder:
    """Ready, and not compared yet."""
    return candidate()


@pytest.fixture
def compared(small: Encoder) -> Encoder:
    """Ready, compared, and as good."""
    call("activate_encoder", "small", dry_run=True)
    small.refresh_from_db()
    assert small.comparison["failed_checks"] == []
    return small


@pytest.fixture
def worse(small: Encoder, tmp_path: Path, monkeypatch: Any) -> Encoder:
    """Ready, compared, and worse: it does not know what other words mean."""
    understands_synonyms(monkeypatch, 64)
    failed("activate_encoder", "small", calibration=in_other_words(tmp_path))
    small.refresh_from_db()
    return small


def shadow(
    encoder: Encoder, job: JobPosting, category: Category | None, outcome: str = Outcome.REVIEW
) -> ShadowDecision:
    """What the candidate says of the text that was decided."""
    now = Decision.objects.get(posting=job, is_current=True)
    classifier = ClassifierVersion.objects.order_by("pk")[0]
    return ShadowDecision.objects.create(
        posting=job, encoder=encoder, classifier=classifier, category=category,
        category_key=category.slug if category else "",
        category_name=category.name if category else "",
        probability=0.7, outcome=outcome, text_digest=now.text_digest, decided_at=timezone.now(),
    )  # fmt: skip


@pytest.fixture
def shadowed(small: Encoder, catalog: dict[str, Category]) -> Encoder:
    """Six postings that were decided, and what the candidate says of them in the shadow."""
    painting, lawns = catalog["maling"], catalog["plen"]
    for number, (was, now) in enumerate(
        [
            ((painting, Outcome.REVIEW), (painting, Outcome.REVIEW)),
            ((painting, Outcome.REVIEW), (lawns, Outcome.REVIEW)),
            ((painting, Outcome.REVIEW), (painting, Outcome.AUTOMATIC)),
            ((painting, Outcome.CONFIRMED), (painting, Outcome.AUTOMATIC)),
            ((lawns, Outcome.AUTOMATIC), (None, Outcome.NONE)),
        ]
    ):
        job = JobPosting.objects.create(title=f"Oppdrag nummer {number}")
        decide(job, *was)
        shadow(small, job, *now)
    edited = JobPosting.objects.create(title="Oppdrag nummer 5")
    decide(edited, painting)
    row = shadow(small, edited, lawns)
    ShadowDecision.objects.filter(pk=row.pk).update(text_digest=b"another text")
    return small


class TestThePage:
    def test_the_comparison_is_a_readable_table(self, admin_client: Client, worse: Encoder) -> None:
        html = html_of(admin_client, page(worse))
        against = "Failed check: its first choice is right less often."
        for text in (
            against, "on the same 150 labeled postings", "First choice correct", "Painting",
            "title only", "up to 12 words", "Kinds of text", "−",  # noqa: RUF001
        ):  # fmt: skip
            assert text in html, text
        assert "regression" in admin_client.get(reverse(LIST)).content.decode()

    def test_one_that_is_as_good(self, admin_client: Client, compared: Encoder) -> None:
        html = html_of(admin_client, page(compared))
        assert "All checks passed." in html
        assert "exemplars, cross-validated" in html
        assert "rows are decided differently" in html
        assert "no regression" in admin_client.get(reverse(LIST)).content.decode()

    def test_history(self, admin_client: Client, compared: Encoder, big: Encoder) -> None:
        assert "No promotions yet." in admin_client.get(page(compared)).content.decode().replace(
            "&#x27;", "'"
        )
        call("activate_encoder", "small", force=True, reason=HOSTILE)
        call("rollback_encoder")
        for encoder in (compared, big):
            html = html_of(admin_client, page(encoder))
            assert "rolled back" in html and "promoted" in html and ">command<" in html
            assert HOSTILE not in html and "&lt;script&gt;" in html

    def test_what_is_lacking_is_told_while_it_is_built(
        self, admin_client: Client, small: Encoder
    ) -> None:
        Encoder.objects.filter(pk=small.pk).update(state=EncoderState.BUILDING)
        html = html_of(admin_client, page(small))
        assert "is still being built (0 exemplars without a vector" in html
        assert page(small, "promote") not in html

    def test_how_often_the_shadow_agrees(self, admin_client: Client, shadowed: Encoder) -> None:
        """Of five with the same text, one is the same, one the same as a person said."""
        html = html_of(admin_client, page(shadowed))
        assert (
            "6 shadow decisions; 40.0% of 5 agree with the decision of the active encoder" in html
        )

    def test_before_any_shadow(self, admin_client: Client, small: Encoder) -> None:
        html = html_of(admin_client, page(small))
        assert "no shadow decisions yet; start shadow mode: encoders --shadow small" in html
        assert "none is active; fit one: fit_classifier --encoder small" in html

    def test_few_queries(
        self, admin_client: Client, worse: Encoder, shadowed: Encoder, big: Encoder
    ) -> None:
        admin_client.get(page(worse))
        for encoder, most in ((worse, 18), (big, 16)):
            count, sql = queries(admin_client, page(encoder))
            assert count <= most, (encoder, count)
            assert '"artifact"' not in sql
        count, sql = queries(admin_client, reverse(LIST))
        candidate("tiny", "dummy:48")
        again, _ = queries(admin_client, reverse(LIST))
        assert again == count
        assert '"marketplace_ai_encoder"."comparison",' not in sql


class TestWhatWouldChange:
    def test_rows_of_the_comparison(self, admin_client: Client, worse: Encoder) -> None:
        html = html_of(admin_client, page(worse, "changes"))
        first = worse.comparison["changes"][0]
        assert first["text"] in html and first["label_name"] in html
        assert f"{worse.comparison['changed']} labeled rows are decided differently" in html
        assert "Page 1 of" in html
        pair = f"old={first['old']['label']}&new={first['new']['label']}"
        lines = admin_client.get(f"{page(worse, 'changes')}?of=rows&{pair}").context["lines"]
        shown = {(line["old"]["name"], line["new"]["name"]) for line in lines}
        assert shown == {(first["old"]["name"], first["new"]["name"])}

    def test_pages(self, admin_client: Client, worse: Encoder, monkeypatch: Any) -> None:
        monkeypatch.setattr(predicted_changes, "PER_PAGE", 7)
        changed = len(worse.comparison["changes"])
        seen = []
        for number in range(1, -(-changed // 7) + 1):
            found = admin_client.get(f"{page(worse, 'changes')}?of=rows&p={number}")
            seen += [line["text"] for line in found.context["lines"]]
        assert seen == [row["text"] for row in worse.comparison["changes"]]
        assert admin_client.get(f"{page(worse, 'changes')}?p=x").status_code == 200

    def test_postings_in_the_shadow(self, admin_client: Client, shadowed: Encoder) -> None:
        url = f"{page(shadowed, 'changes')}?of=shadow"
        found = admin_client.get(url)
        html = " ".join(found.content.decode().split())
        shown = [str(line["text"]) for line in found.context["lines"]]
        assert [text.split("nummer ")[1][0] for text in shown] == ["4", "2", "1"]
        assert "Of the last 6 shadow decisions" in html and "2 of these agree" in html
        pairs = {(p.old, p.new): p.number for p, *_ in found.context["pairs"]}
        assert pairs == {("maling", "plen"): 1, ("maling", "maling"): 1, ("plen", ""): 1}
        lines = admin_client.get(f"{url}&old=plen&new=").context["lines"]
        assert [str(line["text"]).split("nummer ")[1][0] for line in lines] == ["4"]
        assert "No changes match this selection." in html_of(admin_client, f"{url}&old=x")

    def test_only_the_last_ones_are_looked_at(
        self, admin_client: Client, shadowed: Encoder, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr("marketplace_ai.admin.encoders.shadow.LARGEST_COUNT", 3)
        found = admin_client.get(f"{page(shadowed, 'changes')}?of=shadow")
        assert len(found.context["lines"]) == 1
        assert base.LARGEST_COUNT == 10_000

    def test_nothing_there_says_which_command_to_run(
        self, admin_client: Client, small: Encoder
    ) -> None:
        assert "encoders --shadow small" in html_of(admin_client, page(small, "changes"))
        html = html_of(admin_client, f"{page(small, 'changes')}?of=rows")
        assert "activate_encoder small --calibration FILE --dry-run" in html

    def test_few_queries_however_many_postings(
        self, admin_client: Client, shadowed: Encoder, catalog: dict[str, Category]
    ) -> None:
        url = f"{page(shadowed, 'changes')}?of=shadow"
        admin_client.get(url)
        count, _ = queries(admin_client, url)
        for number in range(12):
            job = JobPosting.objects.create(title=f"Enda et {number}")
            decide(job, catalog["maling"])
            shadow(shadowed, job, catalog["rorlegger"])
        assert queries(admin_client, url)[0] == count <= 16

    def test_markup_in_a_posting_stays_text(
        self, admin_client: Client, shadowed: Encoder, catalog: dict[str, Category]
    ) -> None:
        job = JobPosting.objects.create(title=HOSTILE)
        decide(job, catalog["maling"])
        shadow(shadowed, job, catalog["plen"])
        html = html_of(admin_client, f"{page(shadowed, 'changes')}?of=shadow")
        assert HOSTILE not in html and "&lt;script&gt;" in html

    def test_only_postings_that_their_own_admin_shows(
        self, admin_client: Client, shadowed: Encoder, monkeypatch: Any
    ) -> None:
        shown = JobPosting.objects.filter(title__endswith="4")
        monkeypatch.setattr(JobPostingAdmin, "get_queryset", lambda self, request: shown)
        found = admin_client.get(f"{page(shadowed, 'changes')}?of=shadow")
        assert [str(line["text"]).split("nummer ")[1][0] for line in found.context["lines"]] == [
            "4"
        ]
        assert [pair.old for pair, *_ in found.context["pairs"]] == ["plen"]

    def test_who_may_see_it(self, client: Client, shadowed: Encoder) -> None:
        for rights, status in (
            (("view_encoder",), 403),
            (("view_decision",), 403),
            (("view_encoder", "view_decision"), 200),
        ):
            client.force_login(staff("-".join(rights), *rights))
            assert client.get(page(shadowed, "changes")).status_code == status


class TestPromoting:
    def test_ask_then_switch(
        self, admin_client: Client, admin_user: Any, compared: Encoder, big: Encoder
    ) -> None:
        assert page(compared, "promote") in html_of(admin_client, page(compared))
        asked = admin_client.get(page(compared, "promote"))
        assert "Make small the active encoder?" in asked.content.decode()
        assert Encoder.objects.active() == big
        seen = as_sent(asked)
        told = admin_client.post(page(compared, "promote"), seen, follow=True)
        assert messages_of(told) == [
            "The encoder small is active; workers switch with their next batch."
        ]
        assert Encoder.objects.active() == compared
        made = Promotion.objects.get()
        assert (made.kind, made.previous_encoder, made.switched_by) == (
            PromotionKind.PROMOTED, big, admin_user,
        )  # fmt: skip
        assert activation.active_version_id(compared) == compared.comparison["version"]
        assert "changes" not in made.comparison
        history = admin_client.get(page(compared, "history")).content.decode()
        assert "Activated." in history

    def test_its_active_classifier_is_replaced(
        self, admin_client: Client, compared: Encoder, big: Encoder
    ) -> None:
        """As after a rollback: the candidate has an active classifier of its own."""
        earlier = ClassifierVersion.objects.get(pk=compared.comparison["version"])
        earlier.pk, earlier.is_active = None, True
        earlier.save(force_insert=True)
        seen = as_sent(admin_client.get(page(compared, "promote")))
        told = admin_client.post(page(compared, "promote"), seen, follow=True)
        assert messages_of(told) == [
            "The encoder small is active; workers switch with their next batch."
        ]
        assert activation.active_version_id(compared) == compared.comparison["version"]

    @pytest.mark.parametrize(
        "case", ["not compared", "worse", "refitted", "gone", "building", "active"]
    )
    def test_where_there_is_no_button(
        self, admin_client: Client, compared: Encoder, big: Encoder, case: str
    ) -> None:
        encoder, said = compared, "--dry-run"
        if case == "not compared":
            Encoder.objects.filter(pk=compared.pk).update(comparison={})
        elif case == "worse":
            Encoder.objects.filter(pk=compared.pk).update(
                comparison={**compared.comparison, "failed_checks": ["accuracy_drop"]}
            )
            said = "--force --reason TEXT"
        elif case == "refitted":
            fit()
            said = "Another encoder or classifier has been activated"
        elif case == "gone":
            rows = ClassifierVersion.objects.filter(pk=compared.comparison["version"])
            rows.update(artifact=b"", is_discarded=True)
            said = "no longer stored"
        elif case == "building":
            Encoder.objects.filter(pk=compared.pk).update(state=EncoderState.BUILDING)
            said = "is still being built"
        else:
            encoder, said = big, "The encoder dummy is already active."
        html = html_of(admin_client, page(encoder))
        assert page(encoder, "promote") not in html
        assert said in html or case == "active"
        data = {"instead_of": big.pk, "version": compared.comparison["version"]}
        for answer in (
            admin_client.get(page(encoder, "promote"), follow=True),
            admin_client.post(page(encoder, "promote"), data, follow=True),
        ):
            assert said in messages_of(answer)[0]
        assert Encoder.objects.active() == big
        assert not Promotion.objects.exists()

    def test_what_was_not_seen_is_not_replaced(
        self, admin_client: Client, compared: Encoder, big: Encoder
    ) -> None:
        version = compared.comparison["version"]
        url = page(compared, "promote")
        other = admin_client.post(url, {"instead_of": 0, "version": version}, follow=True)
        assert messages_of(other) == [
            "The encoder dummy became active meanwhile, so small did not."
        ]
        response = admin_client.post(url, {"instead_of": big.pk, "version": 1}, follow=True)
        assert messages_of(response) == [
            "It was compared again in the meantime. Check the new comparison."
        ]
        assert Encoder.objects.active() == big

    def test_a_damaged_classifier_changes_nothing(
        self, admin_client: Client, compared: Encoder, big: Encoder
    ) -> None:
        rows = ClassifierVersion.objects.filter(pk=compared.comparison["version"])
        rows.update(artifact=b"damaged")
        data = {"instead_of": big.pk, "version": compared.comparison["version"]}
        (told,) = messages_of(admin_client.post(page(compared, "promote"), data, follow=True))
        assert told.startswith("The classifier of small cannot be loaded; nothing was changed")
        assert Encoder.objects.active() == big

    def test_who_may(self, client: Client, compared: Encoder, big: Encoder) -> None:
        data = {"instead_of": big.pk, "version": compared.comparison["version"]}
        client.force_login(staff("viewer", "view_encoder"))
        html = html_of(client, page(compared))
        assert page(compared, "promote") not in html and page(compared, "changes") not in html
        for name in ("promote", "rollback"):
            assert client.get(page(compared, name)).status_code == 403
            assert client.post(page(compared, name), data).status_code == 403
        assert Encoder.objects.active() == big
        client.force_login(staff("operator", "view_encoder", "change_encoder"))
        assert client.post(page(compared, "promote"), data).status_code == 302
        assert Encoder.objects.active() == compared
        assert client.post(page(compared), {"name": "other"}).status_code == 403

    def test_a_form_of_another_site_does_nothing(
        self, compared: Encoder, big: Encoder, admin_user: Any
    ) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(admin_user)
        data = {"instead_of": big.pk, "version": compared.comparison["version"]}
        assert client.post(page(compared, "promote"), data).status_code == 403
        assert client.post(page(big, "rollback"), data).status_code == 403
        assert Encoder.objects.active() == big

    def test_one_that_does_not_exist_is_not_found(self, admin_client: Client, db: Any) -> None:
        for name in ("promote", "rollback", "changes"):
            for key in ("999999", "x"):
                url = reverse(f"admin:marketplace_ai_encoder_{name}", args=[key])
                assert admin_client.get(url).status_code == 404


def as_sent(asked: Any) -> dict[str, Any]:
    """The hidden fields of a page that asks, as a browser sends them."""
    inputs = re.findall(r'<input type="hidden"[^>]*>', asked.content.decode())
    attributes = [dict(re.findall(r'(\w+)="([^"]*)"', each)) for each in inputs]
    return {
        each["name"]: each.get("value", "")
        for each in attributes
        if each["name"] != "csrfmiddlewaretoken"
    }


class TestRollingBack:
    def test_ask_then_go_back(
        self, admin_client: Client, admin_user: Any, compared: Encoder, big: Encoder
    ) -> None:
        call("activate_encoder", "small")
        assert page(compared, "rollback") in html_of(admin_client, page(compared))
        asked = admin_client.get(page(compared, "rollback"))
        assert "Roll back from small to dummy?" in asked.content.decode()
        seen = as_sent(asked)
        told = admin_client.post(page(compared, "rollback"), seen, follow=True)
        assert told.redirect_chain[0][0] == page(big)
        assert messages_of(told) == [
            "The encoder dummy is active again; workers switch with their next batch."
        ]
        assert Encoder.objects.active() == big
        made = Promotion.objects.latest("pk")
        assert (made.kind, made.switched_by) == (PromotionKind.ROLLED_BACK, admin_user)

    def test_there_is_no_button_without_a_way_back(
        self, admin_client: Client, compared: Encoder, big: Encoder
    ) -> None:
        assert page(big, "rollback") not in html_of(admin_client, page(big))
        told = admin_client.get(page(big, "rollback"), follow=True)
        assert messages_of(told) == [
            "No encoder was active before dummy: there is nothing to go back to."
        ]
        told = admin_client.get(page(compared, "rollback"), follow=True)
        assert messages_of(told) == ["The encoder small is not active."]

    def test_one_that_was_not_seen_stays(
        self, admin_client: Client, compared: Encoder, big: Encoder
    ) -> None:
        call("activate_encoder", "small")
        seen = as_sent(admin_client.get(page(compared, "rollback")))
        other = {**seen, "instead_of": big.pk}
        told = admin_client.post(page(compared, "rollback"), other, follow=True)
        assert "nothing to go back to" in messages_of(told)[0]
        assert Encoder.objects.active() == compared

    def test_a_classifier_that_was_not_seen_decides_nothing(
        self, admin_client: Client, compared: Encoder, big: Encoder
    ) -> None:
        """A fit for the other encoder came in between the page and the button."""
        promote = as_sent(admin_client.get(page(compared, "promote")))
        call("fit_classifier", encoder="small", force=True)
        told = admin_client.post(page(compared, "promote"), promote, follow=True)
        assert messages_of(told) and Encoder.objects.active() == big
        call("activate_encoder", "small", force=True, reason="to go back")
        rollback = as_sent(admin_client.get(page(compared, "rollback")))
        call("fit_classifier", encoder=big.name, force=True)
        told = admin_client.post(page(compared, "rollback"), rollback, follow=True)
        assert "Check this page again" in messages_of(told)[0]
        assert Encoder.objects.active() == compared

    def test_that_it_has_no_classifier_is_told(
        self, admin_client: Client, compared: Encoder, big: Encoder
    ) -> None:
        call("activate_encoder", "small")
        ClassifierVersion.objects.filter(encoder=big).update(is_active=False)
        html = html_of(admin_client, page(compared, "rollback"))
        assert "It has no active classifier" in html
