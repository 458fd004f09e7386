"""Steps before an estimator: transformers of symbols, and bags made of rows."""

from sknesy.preprocessing._bags import bags_from_groups, rows_from_bags
from sknesy.preprocessing._each_symbol import EachSymbol

__all__ = ["EachSymbol", "bags_from_groups", "rows_from_bags"]
