"""The order of the examples within a section of the gallery: what is simple comes first."""

ORDER = """
    digit_sums look_at_a_fit grid_search
    bags proportions candidates noisy_labels annotators noisy_numbers
    few_symbols identifiability open_symbols
    clause_rules cpmpy_sudoku alignment diagram black_box
    boosting_bags rules_on_forest two_kinds hierarchy map_paths
    long_addition mnist_addition
""".split()


class Taught:
    """Sort key of file names; those that the list above lacks come last, by name."""

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __call__(self, filename):
        """Return the place of an example, such as plot_bags.py."""
        name = str(filename).removesuffix(".py").removeprefix("plot_")
        return ORDER.index(name) if name in ORDER else len(ORDER), name

    def __repr__(self):
        """Return a text without an address, so that nothing is built again for it."""
        return "<Taught>"
