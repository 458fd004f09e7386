"""What is a label of which knowledge, and what is not."""

import pytest

from sknesy._validation import check_labels
from sknesy.exceptions import InconsistentLabelError


@pytest.mark.parametrize(
    ("labels", "cure"),
    [
        (
            ["pos", "neg"],
            r"'pos'.*\(labels: False, True\).*AnyOf\(names=\('neg', 'pos'\)\)",
        ),
        ([1, -1], r"y holds -1.* AnyOf\(names=\(-1, 1\)\): first the label for False"),
        ([1, -1, 2], r"y holds -1.* Check y or `knowledge`"),
    ],
)
def test_labels_of_two_answers_that_have_other_names_are_an_error_with_the_cure(labels, cure):
    with pytest.raises(InconsistentLabelError, match=cure):
        check_labels(labels, [False, True])
