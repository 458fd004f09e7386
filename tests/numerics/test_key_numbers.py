"""Numbers of keys, held against a dictionary, and stable order against numpy's."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sknesy.numerics.key_numbers import KeyNumbers
from sknesy.numerics.rows import sort_stably


@settings(max_examples=50, deadline=None)
@given(
    n_different=st.integers(1, 300),
    sizes=st.lists(st.integers(0, 400), max_size=6),
    n_first_words=st.integers(1, 300),
    seed=st.integers(0, 999),
)
def test_keys_are_numbered_in_the_order_in_which_they_come_up(
    n_different, sizes, n_first_words, seed
):
    rng = np.random.default_rng(seed)
    keys = rng.integers(0, 1 << 63, (n_different, 2), dtype=np.uint64)
    keys[:, 0] = keys[rng.integers(0, min(n_first_words, n_different), n_different), 0]
    known, expected = KeyNumbers(), {}
    for size in sizes:
        batch = keys[rng.integers(0, n_different, size)]
        numbers, new = known.number(batch)
        for i, key in enumerate(map(tuple, batch.tolist())):
            assert (i in new) == (key not in expected)
            assert numbers[i] == expected.setdefault(key, len(expected))
        assert len(known) == len(expected)


@given(st.lists(st.integers(0, 2**31 - 1) | st.integers(0, 3), max_size=50))
def test_stable_order_is_that_of_numpy(keys):
    keys = np.array(keys, dtype=np.int64)
    assert sort_stably(keys).tolist() == np.argsort(keys, kind="stable").tolist()
