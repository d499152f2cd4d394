"""When to fit again and what came of it: decisions are tested, a fit is run, both are logged."""
