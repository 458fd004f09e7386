"""Data sets: true symbols satisfy the knowledge, images are used once."""

import pickle

import numpy as np
import pytest

from sknesy.datasets import DigitSum, load_mnist, make_digit_sum
from sknesy.knowledge import DigitAddition


@pytest.mark.parametrize(("n_digits", "n_numbers"), [(1, 2), (2, 2), (1, 3), (3, 1)])
def test_labels_follow_from_the_true_symbols(n_digits, n_numbers):
    X, y, symbols, knowledge = make_digit_sum(
        20, n_digits=n_digits, n_numbers=n_numbers, random_state=0
    )
    assert X.shape == (20, n_digits * n_numbers, 8, 8)
    assert knowledge.conclude(symbols).tolist() == y.tolist()
    assert knowledge.n_symbols == symbols.shape[1]


@pytest.mark.parametrize(("n_digits", "n_numbers"), [(3, 3), (18, 2), (19, 1), (20, 2), (400, 2)])
def test_sums_of_any_size_are_exact_and_the_knowledge_gives_them(n_digits, n_numbers):
    X, y, symbols, knowledge = make_digit_sum(
        2, n_digits=n_digits, n_numbers=n_numbers, random_state=0
    )
    numbers = symbols.reshape(2, n_numbers, n_digits).tolist()
    expected = [sum(int("".join(map(str, number))) for number in row) for row in numbers]
    assert y.tolist() == expected
    assert knowledge == DigitAddition(n_digits, n_numbers=n_numbers)
    rows = knowledge.split_labels(y).tolist()
    assert [list(row) for row in knowledge.conclude(symbols)] == rows


def test_numbers_are_read_from_the_left():
    assert DigitSum(2)(1, 2, 3, 4) == 12 + 34


def test_each_image_is_used_once():
    images = np.arange(10.0)[:, None]
    X, y, symbols, _ = make_digit_sum(images=images, digits=np.arange(10), random_state=0)
    assert sorted(X.ravel()) == list(range(10))
    assert (X[:, :, 0] == symbols).all()


def test_images_of_the_caller_keep_their_order():
    X, _, _, _ = make_digit_sum(3, images=np.arange(10.0)[:, None], digits=np.arange(10))
    assert X.ravel().tolist() == [0, 1, 2, 3, 4, 5]


def test_equal_seeds_give_equal_data():
    a, b = make_digit_sum(9, random_state=3), make_digit_sum(9, random_state=3)
    assert (a[0] == b[0]).all()
    assert pickle.loads(pickle.dumps(a[3])) == b[3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_samples": 899}, "must be in 1 ... 898.* got 899"),
        ({"n_samples": 0}, "got 0"),
        ({"n_digits": 0}, "n_digits must be an int of at least 1, got 0"),
        ({"n_numbers": 1.5}, "n_numbers must be an int of at least 1, got 1.5"),
        ({"images": np.zeros((2, 3)), "digits": [1, 10]}, r"0 \.\.\. 9, got 10"),
        ({"images": np.zeros((4, 2))}, "`images` needs `digits`"),
        ({"digits": [1, 2]}, "`digits` needs `images`"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_digit_sum(**arguments)


def test_mnist_is_read_from_a_file_or_the_environment(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 6), ("test", 2)):
        arrays[f"x_{part}"] = rng.integers(256, size=(n, 28, 28)).astype(np.uint8)
        arrays[f"y_{part}"] = rng.integers(10, size=n).astype(np.uint8)
    np.savez(tmp_path / "mnist.npz", **arrays)
    monkeypatch.setenv("SKNESY_MNIST", str(tmp_path / "mnist.npz"))
    for loaded in (load_mnist(), load_mnist(tmp_path / "mnist.npz")):
        x_train, y_train, x_test, y_test = loaded
        assert x_train.shape == (6, 28, 28)
        assert x_train.dtype == np.float32
        np.testing.assert_allclose(x_test * 255, arrays["x_test"], rtol=1e-6)
        assert y_test.tolist() == arrays["y_test"].tolist()
