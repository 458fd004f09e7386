"""Random problems that several tests let hypothesis draw."""

import itertools

from hypothesis import strategies as st


@st.composite
def clauses_over_variables(draw, max_variables, max_auxiliaries, max_size, max_clauses):
    """Clauses, variables of one to four states, auxiliary propositions."""
    sizes = draw(st.lists(st.sampled_from([1, 2, 2, 3, 4]), min_size=1, max_size=max_variables))
    numbers = itertools.count(1)
    variables = []
    for size in sizes:
        if size == 2:
            p = next(numbers)
            variables.append((-p, p))
        else:
            variables.append(tuple(next(numbers) for _ in range(size)))
    auxiliaries = [next(numbers) for _ in range(draw(st.integers(0, max_auxiliaries)))]
    literal = st.integers(1, next(numbers) - 1).flatmap(lambda p: st.sampled_from([p, -p]))
    clauses = st.lists(st.lists(literal, min_size=1, max_size=max_size), max_size=max_clauses)
    return draw(clauses), variables, auxiliaries
