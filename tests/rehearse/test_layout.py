"""Numbers of rows: different in each key, however keys share columns, and however few values these have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from safeops.databases.definitions import Table
from safeops.naming import Name
from safeops.rehearse.layout import Layout, Slot, lay_out, most_rows

CAPACITIES = st.sampled_from([2, 3, 5, 9, 30, 100, 10**6])
DISTINCT = st.sampled_from([2, 7, 30, 100])
KEYS = st.lists(st.frozensets(st.sampled_from("abcde"), min_size=1), min_size=1, max_size=4, unique=True)


@given(
    sizes=st.lists(st.tuples(CAPACITIES, DISTINCT), min_size=5, max_size=5),
    keys=KEYS,
    rows=st.sampled_from([10, 30, 100]),
)
def test_rows_differ_in_every_key(sizes: list[tuple[int, int]], keys: list[frozenset[str]], rows: int) -> None:
    slots = [
        Slot({name: lambda number: number}, capacity, distinct, seed=place)
        for place, (name, (capacity, distinct)) in enumerate(zip("abcde", sizes, strict=True))
    ]
    layout = Layout(Name("t"), Table(Name("t"), {}), rows, slots)
    keys.sort(key=lambda key: (len(key), sorted(key)))
    layout.rows = most_rows(layout, keys)
    layout.rows = lay_out(layout, keys, lambda number, by: f"({number} // {by})")
    assert layout.rows > 0
    made = [{name: eval(layout.value(name, str(row))) for name in "abcde"} for row in range(layout.rows)]
    assert all(row[name] < slot.capacity for row in made for slot in slots for name in slot.columns)
    for key in keys:
        assert len({tuple(row[name] for name in sorted(key)) for row in made}) == layout.rows
