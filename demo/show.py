"""What the demo prints: a table of what was decided, and how to go on."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from marketplace_ai.models import Decision, Outcome

from .from_nothing import Step
from .postings import Sample, Summary

#: Rows of each outcome in the table: enough to see what it does.
ROWS = 6
COLORS = {
    Outcome.AUTOMATIC: "green",
    Outcome.AUTOMATIC_PARENT: "green",
    Outcome.REVIEW: "yellow",
    Outcome.NONE: "bright_black",
}


def table(decided: list[tuple[Sample, Decision]], console: Console) -> None:
    """Some postings of each outcome: title, what became of it, category, probability."""
    view = Table(title="What became of the new postings", title_justify="left", expand=True)
    view.add_column("Posting", no_wrap=True, overflow="ellipsis", ratio=3)
    view.add_column("Outcome", no_wrap=True, min_width=9)
    view.add_column("Category", no_wrap=True, overflow="ellipsis", ratio=2)
    view.add_column("Prob.", no_wrap=True, min_width=5, justify="right")
    for outcome in Outcome:
        some = [pair for pair in decided if pair[1].outcome == outcome][:ROWS]
        for sample, decision in some:
            probability = decision.probability
            view.add_row(
                sample.job.title,
                f"[{COLORS.get(outcome, 'default')}]{outcome.label}[/]",
                decision.category_name or "—",
                "" if probability is None else f"{probability:.2f}",
            )
        if some:
            view.add_section()
    console.print(view)


def summary(counts: Summary, console: Console) -> None:
    console.print(
        f"{counts.postings} postings: {counts.automatic} tagged automatically "
        f"({counts.automatic_correct} of them right), "
        f"{counts.automatic_parent} with a parent only, "
        f"{counts.review} to review, {counts.none} marked as fitting none. "
        f"Setup {counts.seconds_setup:.1f} s, tagging {counts.seconds_tagging:.1f} s."
    )


def learning_head(older: int, console: Console) -> None:
    console.print(
        f"\nNobody has answered anything yet. Now people answer {older} older postings, and after "
        "some of them\nthe classifier is fitted and proposes anew for the sample postings above:"
    )


def learning_step(step: Step, console: Console) -> None:
    """One line: how good the proposals are after so many answers."""
    console.print(
        f"{step.answers:>5} answers: first choice right "
        f"{step.first_choice_correct / step.with_category:.0%}, among the first three "
        f"{step.in_first_three / step.with_category:.0%}, automatic {step.automatic} "
        f"({step.automatic_correct} of them right)"
    )


def learning_end(console: Console) -> None:
    console.print(
        "These answers teach. What is tagged without a person must be proven on answers of the "
        "random audit,\nor on a file of labeled postings (fit_classifier --calibration FILE)."
    )


def invitation(address: str, login: str, password: str, console: Console) -> None:
    console.print(
        f"\nAdmin: {address}admin/   login: {login}   password: {password}\n"
        "Add a posting there and watch its category appear. Ctrl-C ends the demo."
    )
