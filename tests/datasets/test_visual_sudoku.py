"""Visual sudoku: the rules say which grids are valid, and half of them are."""

import pickle

import numpy as np
import pytest

from sknesy.datasets import make_visual_sudoku


def obeys_the_rules(grid):
    """Whether rows, columns and boxes hold different digits, by plain loops."""
    size = round(len(grid) ** 0.5)
    side = round(size**0.5)
    for i in range(size):
        row = {grid[i * size + j] for j in range(size)}
        column = {grid[j * size + i] for j in range(size)}
        top, left = i // side * side, i % side * side
        box = {grid[(top + j // side) * size + left + j % side] for j in range(size)}
        if min(len(row), len(column), len(box)) < size:
            return False
    return True


def match(a, b):
    """Cells whose images two grids share, at the same place or at any."""
    return sum((a == b).all(axis=(1, 2))), len({x.tobytes() for x in a} & {x.tobytes() for x in b})


@pytest.fixture(scope="module")
def distinct_images():
    """1600 images of each digit 0 ... 9, all different; the first pixel is the digit."""
    images = np.random.default_rng(0).uniform(size=(16_000, 2, 2))
    digits = np.arange(16_000) % 10
    images[:, 0, 0] = digits
    return {"images": images, "digits": digits}


@pytest.mark.parametrize(("size", "lowest_digit"), [(4, 0), (4, 3), (9, 1)])
def test_labels_follow_from_the_true_symbols(size, lowest_digit):
    X, y, symbols, knowledge = make_visual_sudoku(
        12, size=size, lowest_digit=lowest_digit, random_state=0
    )
    assert X.shape == (12, size**2, 8, 8)
    assert knowledge.conclude(symbols).tolist() == y.tolist()
    assert [obeys_the_rules(grid) for grid in symbols.tolist()] == y.tolist()
    assert knowledge.symbol_states[0] == tuple(range(lowest_digit, lowest_digit + size))


@pytest.mark.parametrize("is_paired", [True, False])
@pytest.mark.parametrize(("n_samples", "n_valid"), [(40, 20), (41, 21), (1, 1)])
def test_half_of_the_grids_are_valid(n_samples, n_valid, is_paired):
    _, y, _, _ = make_visual_sudoku(n_samples, is_paired=is_paired, random_state=0)
    assert y.dtype == bool
    assert y.sum() == n_valid


@pytest.mark.parametrize(("size", "n_known"), [(4, 1), (4, 4), (4, 16), (9, 9)])
def test_known_cells_follow_from_the_true_symbols(size, n_known):
    _, y, symbols, knowledge = make_visual_sudoku(
        10, size=size, n_known=n_known, lowest_digit=1, random_state=0
    )
    assert y.shape == ((10,) if n_known == 1 else (10, n_known))
    assert all(obeys_the_rules(grid) for grid in symbols.tolist())
    assert np.array(knowledge.conclude(symbols).tolist()).tolist() == y.tolist()
    assert set(y.ravel().tolist()) <= set(range(1, size + 1))


def test_known_cells_are_on_the_diagonal():
    _, y, symbols, _ = make_visual_sudoku(5, size=9, n_known=9, random_state=0)
    assert (y == symbols.reshape(5, 9, 9).diagonal(axis1=1, axis2=2)).all()


def test_with_known_cells_a_grid_against_the_rules_is_ruled_out():
    _, _, symbols, knowledge = make_visual_sudoku(1, n_known=2, random_state=0)
    symbols[0, 0] = symbols[0, 1]
    assert knowledge.conclude(symbols).tolist() == [None]


def test_images_show_the_true_symbols(distinct_images):
    X, _, symbols, _ = make_visual_sudoku(60, lowest_digit=2, random_state=0, **distinct_images)
    assert (X[:, :, 0, 0] == symbols + 2).all()


def test_corrupted_grids_are_valid_ones_with_a_few_mistakes(distinct_images):
    X, y, symbols, _ = make_visual_sudoku(200, random_state=0, **distinct_images)
    changed, swapped = [], []
    for grid in np.flatnonzero(~y):
        matches = [match(X[grid], X[other]) for other in np.flatnonzero(y)]
        same_place, anywhere = max(matches)
        changed.append(16 - same_place)
        swapped.append(anywhere == 16)
    # half are made by swaps, half of all have one mistake only
    assert 35 <= sum(swapped) <= 65
    changes = [n // 2 if is_swap else n for n, is_swap in zip(changed, swapped, strict=True)]
    assert 35 <= changes.count(1) <= 65
    assert max(changes) <= 8


def test_grids_that_are_not_paired_share_no_images(distinct_images):
    X, _, _, _ = make_visual_sudoku(100, is_paired=False, random_state=0, **distinct_images)
    assert len(np.unique(X.reshape(-1, 4), axis=0)) == 1600


def test_images_are_used_again_only_when_all_were_used():
    images = np.arange(40.0).reshape(40, 1)
    X, _, _, _ = make_visual_sudoku(
        6, n_known=1, images=images, digits=np.arange(40) % 4, random_state=0
    )
    _, counts = np.unique(X, return_counts=True)
    assert len(counts) == 40
    assert set(counts.tolist()) == {2, 3}


def test_all_grids_of_four_occur():
    _, _, symbols, _ = make_visual_sudoku(3000, n_known=1, random_state=0)
    assert len(np.unique(symbols, axis=0)) == 288


def test_grids_of_nine_are_of_many_kinds():
    """No two are the same but for the names of the digits."""
    _, _, symbols, _ = make_visual_sudoku(50, size=9, n_known=1, random_state=0)
    renamed = np.stack([np.argsort(grid[:9])[grid] for grid in symbols])
    assert len(np.unique(renamed, axis=0)) == 50


def test_equal_seeds_give_equal_data():
    a, b = make_visual_sudoku(9, random_state=3), make_visual_sudoku(9, random_state=3)
    assert (a[0] == b[0]).all()
    assert (a[1] == b[1]).all()
    assert (a[0] != make_visual_sudoku(9, random_state=4)[0]).any()
    assert pickle.loads(pickle.dumps(a[3])) == b[3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_samples": 0}, "n_samples must be an int of at least 1, got 0"),
        ({"size": 6}, "size must be 4 or 9, got 6"),
        ({"n_known": 17}, r"n_known must be in 0 \.\.\. 16.* got 17"),
        ({"size": 9, "lowest_digit": 2}, r"0 \.\.\. 1, as 9 digits.* got 2"),
        ({"images": np.zeros((4, 2))}, "`images` needs `digits`"),
        ({"images": np.zeros((2, 2)), "digits": [0, 1]}, "got none that is 2"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_visual_sudoku(**arguments)
