"""Words and spellings that the project's prose avoids, each with what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterator

INSTEAD: dict[str, str] = {
    r"stand(s|ing)?|stood": "exists, is in place, is kept, depends on, existing (rows)",
    r"where(?!=)": "if, when; for a place: in which",
    r"say(s|ing)?|said": "reports, shows, states, sets, declares",
    r"tell(s|ing)?|told": "reports, explains, distinguishes",
    r"(no|any|some|every)body|no one|who(m)?ever|whatever|whichever|wherever": "the passive, or the name of the actor",
    r"(go|goes|going|gone|went) on": "continue, resume; readers and writers are not blocked",
    r"so that": "so; to; therefore",
    r"(for|in|of|at) a moment|a moment('s)?": "briefly (catalogue change, milliseconds)",
    r"of (its|their|his|her|your|our) own|of (yours|ours|theirs|mine)": "own, separate, your, their",
    r"besides?": "next to, alongside, in addition to",
    r"meanwhile": "in the meantime, concurrently",
    r"twins?": "shadow column, shadow table",
    r"(in|out of) step": "in sync, out of sync",
    r"(has|have|had|having) to": "must",
    r"(is|are|was|were) to": "must, should, will",
    r"may not": "cannot, must not, might not",
    r"forg[eo]t(s|ten|ting)?": "discard, delete the progress of",
    r"(tak(e|es|en|ing)|took|bring(s|ing)?|brought|giv(e|es|en|ing)|gave) (it |them |this |that )?back": (
        "roll back, restore, revert"
    ),
    r"anew|over again|no more|any ?more": "again, no longer, at most",
    r"gone|goes": "dropped, removed, ended, runs",
    r"mend(s|ed|ing)?|put(s|ting)? right": "fix",
    r"ways? back|way down|one way": "downgrade, reverse migration, irreversible",
    r"by (it|them)sel(f|ves)|by (its|their) own": "separately, automatically, natively",
    r"want(s|ed|ing)?|wish(es|ed)?": "requires, needs, expects; to",
    r"ask(s|ed|ing)?": "queries, requests, prompts",
    r"(is|are|be) content|believ(e|es|ed|ing)|learn(s|ed|t)?": "succeeds, assumes, reads",
    r"without (an )?end|for ever|at hand|in hand": "indefinitely, forever, available, current",
    r"let(s|ting)? (it |them )?go": "release, delete",
    r"(rows|those|ones) (that|which) (come|came)|rows to come": "new rows",
    r"deeds?": "task, operation",
    r"foret(ell|old)\w*|fores(ee|aw|een)\w*|forecast\w*": "plan, predict, dry run",
    r"letters?": "characters; lower-case",
    r"for good": "permanently",
    r"(?<!there\s)(is|are|was|were) no(?! longer\b)": "is not a, there is no",
    r"beware": "warning",
    r"as well as not|see(s|n)? to it|is there as|whence|thereby|thereof|wherein|whereby|hereby": "plain English",
    # One spelling of English: British, as in "catalogue" and "licence". "Materialized view" is SQL.
    r"colors?|colored|behaviors?|licenses?|catalogs?|favor\w*|neighbors?|honor(s|ed)?": "the British spelling",
    r"(normal|serial|initial|optim|organ|recogn|real|summar|minim|maxim|special|general|canonical|final|custom|synchron|"
    r"material(?!ized view)|local|author|token|categor|parametr)iz(e|es|ed|er|ers|ing|ation|ations)": "-ise, -isation",
}

# Two words may be on two lines.
PATTERNS = {
    re.compile(rf"\b(?:{pattern})\b".replace(" ", r"\s+"), re.I): instead for pattern, instead in INSTEAD.items()
}


def avoided(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the place of each avoided word in a text, the word, and what to write instead."""
    for pattern, instead in PATTERNS.items():
        for found in pattern.finditer(text):
            # WHERE is SQL, and SAY would be a name.
            if not found[0].isupper():
                yield found.start(), found[0], instead
