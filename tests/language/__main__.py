"""``python -m tests.language [PATH ...]`` prints the avoided words in these files, or in all of the project."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from tests.language.prose import ROOT, passages
from tests.language.words import avoided

counts: Counter[str] = Counter()
for passage in passages([Path(path).resolve() for path in sys.argv[1:]] or [ROOT]):
    for place, word, instead in sorted(avoided(passage.text)):
        line = passage.line + passage.text.count("\n", 0, place)
        around = " ".join(passage.text[max(0, place - 50) : place + 50].split())
        print(f"{passage.path}:{line}: {word!r} ({instead}): {around}")
        counts[" ".join(word.lower().split())] += 1
print(
    f"{sum(counts.values())} in all: {', '.join(f'{word} {count}' for word, count in counts.most_common())}",
    file=sys.stderr,
)
