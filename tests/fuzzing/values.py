"""Expressions of strange values, and of nearly right ones, as text."""

SCALARS = (
    """
None | True | False | 0 | 1 | -1 | 2 | 3 | 7 | 0.5 | -0.5 | 1.0 | -0.0 | 1e308 | 5e-324 | 1e-30
float("nan") | float("inf") | -float("inf") | 10**30 | -(10**30) | 2**63 | 1 + 2j | "" | "a" | "1"
"auto" | "nan" | "\\0" | b"x" | bytearray(b"ab") | np.float32(1.5) | np.float64("nan") | np.int8(3)
np.uint64(2**64 - 1) | np.bool_(True) | np.str_("a") | np.datetime64("2020-01-01")
np.datetime64("NaT", "D") | np.timedelta64(3, "D") | pd.NA | pd.NaT | pd.Timestamp("2020-01-01")
Decimal("1.5") | Decimal("NaN") | Fraction(1, 2) | object() | ... | NotImplemented | int | len
(lambda *a: None) | (lambda *a: a) | () | [] | {} | set() | frozenset() | range(3) | range(0)
range(10**18) | [1, 2] | (1, 2) | (0,) | [0.5, 0.5] | [[1, 2], [3]] | {1, 2} | {"a": 1}
frozenset({1}) | [None] | [float("nan")] | np.array([]) | np.array(1) | np.array([1, 2])
np.array([0.25, 0.75]) | np.array(["a", "b"]) | np.zeros((2, 0)) | np.eye(3) | np.ma.masked
np.ma.array([1, 2], mask=[0, 1]) | torch.tensor(1) | torch.tensor([1.0, 2.0]) | slice(None)
iter([1, 2]) | itertools.count() | (i for i in range(3)) | [()] | [[]] | ((),) | [{1}, {2}]
np.array([None, 1], dtype=object) | pd.Series([1, 2]) | pd.DataFrame({"a": [1, 2]}) | Exception
Exception("x") | np.random.default_rng(0) | np.random.RandomState(0) | np | type | memoryview(b"ab")
[True, False] | ["a", "b"] | [("a", 1)] | "abc" | [10**30] | [-1] | np.array([[1, 2], [3, 4]])
np.array([1, 2])[::-1] | collections.deque([1, 2]) | {1: 2}.keys() | {1: 2}.items() | array.array("d", [1])
np.zeros(2, dtype=[("a", "i4")]) | sp.csr_array(np.eye(3)) | datetime.date(2020, 1, 1) | uuid.UUID(int=3)
""".replace("\n", " | ")
    .strip(" |")
    .split(" | ")
)

WRAPS = [
    "{}",
    "{}",
    "{}",
    "[{}]",
    "({},)",
    "[{}] * 2",
    "[{}] * 6",
    "{{'a': {}}}",
    "np.array([{}] * 2, dtype=object)",
    "[[{}, 1]] * 2",
    "lambda *a: {}",
    "[1, {}]",
]

X = (
    """
X | X | X.tolist() | X.reshape(6, -1) | X[:0] | X[:1] | X[0] | X[0, 0] | X[:4] | X[:, :1]
X.astype(np.float16) | X.astype(">f8") | X.astype(object) | X.astype(str) | X.astype("S") | X.astype(complex)
X > 0 | X.astype(np.int8) | (X * 1e6).astype(np.int64) | X.astype(np.int64).astype(np.uint64)
np.abs(X).astype(np.uint16) | (X * 1e12).astype(np.int64) | np.where(X > 1, np.nan, X) | np.where(X > 1, np.inf, X)
X * 1e300 | X * 1e38 | X * 1e-300 | np.asfortranarray(X) | X[::-1] | X[:, ::-1] | X[..., ::-1]
torch.tensor(X) | torch.tensor(X, requires_grad=True) | torch.tensor(X).to_sparse() | torch.tensor(X).half()
torch.tensor(X).bfloat16() | torch.tensor(X).to(torch.complex64) | torch.tensor(X, device="meta") | torch.tensor(X).reshape(6, -1)
torch.tensor(X) > 0 | torch.nested.nested_tensor(list(torch.tensor(X))) | sp.csr_matrix(X.reshape(6, -1)) | sp.coo_array(X.reshape(6, -1))
sp.dok_array(X.reshape(6, -1)) | np.matrix(X.reshape(6, -1)) | np.ma.masked_greater(X, 1) | np.ma.masked_greater(X.reshape(6, -1), 1) | np.ma.array(X)
pd.DataFrame(X.reshape(6, -1)) | pd.DataFrame(X.reshape(6, -1)).astype("Float64").mask(X.reshape(6, -1) > 1)
pd.DataFrame(X.reshape(6, -1).astype(int)).astype("Int64") | pd.DataFrame(X.reshape(6, -1)).astype("string")
pd.DataFrame(X.reshape(6, -1)).astype("category") | pd.DataFrame(X.reshape(6, -1) > 0).astype("boolean") | pd.DataFrame(np.abs(X.reshape(6, -1)).astype(np.uint16))
pd.DataFrame(X.reshape(6, -1), columns=list("aaaaaa")) | pd.DataFrame(X.reshape(6, -1), columns=list("abcdef")) | pd.DataFrame({"a": [1] * 6, "b": ["x"] * 6})
pd.DataFrame(np.full((6, 6), "2020-01-01", "M8[ns]")) | pd.DataFrame(X.reshape(6, -1), columns=[1, "a", 2, "b", None, 3])
pd.DataFrame(pd.to_datetime(["2020-01-01"] * 6).tz_localize("UTC")) | pd.DataFrame(np.full((6, 6), 3, "m8[ns]"))
np.full(X.shape, "2020-01-01", "M8[D]") | np.full((6, 6), "2020-01-01", "M8[D]") | np.full(X.shape, 3, "m8[s]") | np.zeros(6, dtype=[("a", "f4")])
np.rec.array(np.zeros(6, dtype=[("a", "f4")])) | list(X) | tuple(X) | [x[: 1 + i % 2] for i, x in enumerate(X)] | iter(X) | (x for x in X)
memoryview(X) | X.tobytes() | {"X": X} | {} | {"x": X} | {"X": X, "z": X[:, :, :1]} | {1: X} | {"X": X[:3]} | {"X": None} | np.empty((6, 2, 0))
np.empty((6, 0, 3)) | X[..., None] | X[:, :, :, None, None] | np.float64(3) | np.broadcast_to(1.0, (6, 2, 3)) | collections.deque(X) | pd.Series(list(X))
pd.Series(X[:, 0, 0]) | np.array(list(map(str, range(6)))) | [None] * 6 | [[None, None]] * 6 | X.astype(object) + [None] * 0 | np.where(X > 1, None, X)
np.where(X > 1, "a", X.astype(object)) | [torch.tensor(x) for x in X] | [x.tolist() for x in X] | [sp.csr_array(x) for x in X] | [pd.DataFrame(x) for x in X]
[np.ma.masked_greater(x, 1) for x in X] | [np.full(x.shape, "2020-01-01", "M8[D]") for x in X] | [x.astype(complex) for x in X] | [x[:0] for x in X] | [x[:1] for x in X] | [x.reshape(-1) for x in X]
[{"X": x} for x in X] | pd.Index(range(6)) | pd.MultiIndex.from_product([[1, 2], [1, 2, 3]]) | X.astype(np.longdouble) | "abcdef" | range(6) | torch.utils.data.TensorDataset(torch.tensor(X))
np.repeat(X, 3, axis=0) | X.astype(np.int64) | X.astype(np.int64).reshape(6, -1) | np.lib.stride_tricks.sliding_window_view(np.arange(9.0), 4)[:6] | X.astype("V8")
""".replace("\n", " | ")
    .strip(" |")
    .split(" | ")
)

Y = (
    """
y | y | y.tolist() | y[:, None] | np.stack([y, y], 1) | y[:0] | y[:3] | y.astype(float) | y + 0.5 | y.astype(str) | y.astype(bytes) | y > 1 | y.astype(complex)
[None] * 6 | [None, *y[1:]] | np.where(y > 1, np.nan, y) | [float("nan"), *y[1:]] | [{1, 2}] * 6 | [{1}, *y[1:]] | [frozenset({1, 2}), *y[1:]] | [set(), *y[1:]] | [{99}, *y[1:]] | [{1, None}, *y[1:]]
[{1, float("nan")}, *y[1:]] | [{1, (2,)}, *y[1:]] | [[1, 2], *y[1:]] | [(1, 2), *y[1:]] | [[1]] * 6 | [[1, 2], [1]] * 3 | [99, *y[1:]] | [-1, *y[1:]] | [2**70, *y[1:]] | [1e400, *y[1:]] | [1.0000001, *y[1:]]
np.ma.masked_greater(y, 1) | np.ma.masked_all(6) | np.ma.array(y) | pd.Series(y) | pd.Series(y, index=list("fedcba")) | pd.Series(y).astype("category") | pd.Series(y).astype("Int64") | pd.Series(y).astype("Int64").mask(y > 1) | pd.Series(y).astype("string")
pd.DataFrame({"a": y}) | pd.DataFrame({"a": y, "b": y}) | torch.tensor(y) | torch.tensor(y).float() | torch.tensor(y) > 1 | torch.tensor(y).to_sparse() | torch.tensor(y, device="meta") | list(torch.tensor(y)) | torch.tensor(y + 0.5, requires_grad=True)
y.astype(object) | y.astype(np.int8) | y.astype(np.uint64) | y.astype(np.float16) | y.astype(">i8") | y[::-1] | np.matrix(y) | np.matrix(y).T | sp.csr_array(y[:, None]) | sp.coo_array(y[None]) | iter(y) | (i for i in y) | dict(enumerate(y)) | set(y.tolist())
{i: int(v) for i, v in enumerate(y)}.values() | "012345" | b"012345" | 3 | None | range(6) | np.array(3) | np.full(6, "2020-01-01", "M8[D]") | np.full(6, "NaT", "M8[D]") | pd.to_datetime(["2020-01-01"] * 6) | [object()] * 6 | [[]] * 6 | [()] * 6 | [{}] * 6 | [{1: 0.5}] * 6 | [{1: 0.5, 2: 0.5}] * 6
[np.array(v) for v in y] | [np.array([v]) for v in y] | [np.array([v, v]) for v in y] | [np.datetime64("NaT", "D"), *y[1:]] | [pd.NA, *y[1:]] | [pd.NaT, *y[1:]] | [np.ma.masked, *y[1:]] | [Decimal(1), *y[1:]] | [Fraction(1), *y[1:]] | [True, *y[1:]] | ["1", *y[1:]] | [1 + 0j, *y[1:]] | [b"1", *y[1:]]
np.eye(5)[y % 5] | np.eye(5, dtype=bool)[y % 5] | np.eye(5)[y % 5] / 2 | -np.eye(5)[y % 5] | np.full((6, 5), 0.2) | np.zeros((6, 5)) | np.full((6, 5), np.nan) | np.eye(5)[y % 5] > 2 | y.reshape(2, 3) | y.reshape(1, 6) | y[:, None, None] | np.zeros(6, dtype=[("a", "i4")]) | [Exception("x")] * 6 | [int] * 6 | [slice(1)] * 6 | [range(3)] * 6 | [lambda: 1] * 6
pd.Categorical(y) | pd.arrays.IntervalArray.from_breaks(range(7)) | pd.arrays.SparseArray(y) | collections.deque(y) | y.astype(np.longdouble) | [Exception, *y[1:]] | np.where(y > 1, None, y) | np.array([{1}, *y[1:]], dtype=object) | [[None, 1]] * 6 | [[{1}, 1]] * 6 | [(None, 1)] * 6
""".replace("\n", " | ")
    .strip(" |")
    .split(" | ")
)

Z = (
    """
None | Z | Z.tolist() | Z[:, :1] | Z[:3] | Z[0] | Z + 5 | Z.astype(float) | Z.astype(str) | np.where(Z > 1, None, Z) | np.where(Z > 1, np.nan, Z) | [None] * 6 | [[None, None]] * 6 | [[{0, 1}, None]] * 6 | [[set(), 0]] * 6 | [[{9}, 0]] * 6 | [[0], [1, 2]] * 3
np.ma.masked_greater(Z, 1) | pd.DataFrame(Z) | pd.DataFrame(Z).astype("Int64").mask(Z > 1) | torch.tensor(Z) | list(Z) | [None, *Z[1:]] | [(0, 1)] * 6 | [{0, 1}] * 6 | {0: Z} | "abcdef" | sp.csr_array(Z) | Z[..., None] | np.zeros((6, 0)) | np.array(3) | [[object(), 0]] * 6 | [[[0], 0]] * 6 | [[pd.NA, pd.NaT]] * 6
np.full((6, 2), "2020-01-01", "M8[D]") | Z > 0 | Z.astype(complex) | iter(Z) | [np.ma.masked_greater(z, 1) for z in Z] | [torch.tensor(z) for z in Z] | [[frozenset({0, 1}), frozenset({0})]] * 6 | [[{0, float("nan")}, 0]] * 6 | [[0, 0]] * 6
""".replace("\n", " | ")
    .strip(" |")
    .split(" | ")
)

WEIGHT = (
    """
None | np.ones(6) | np.zeros(6) | np.full(6, 1e308) | np.full(6, 5e-324) | -np.ones(6) | [1, 0, 0, 0, 0, 0] | np.full(6, np.nan) | np.full(6, np.inf) | 2 | 0 | "a" | ["a"] * 6 | np.ones(5) | np.ones((6, 1)) | np.ones((6, 2)) | [None] * 6 | [1, None, 1, 1, 1, 1] | torch.ones(6)
pd.Series(np.ones(6)) | [True] * 6 | np.ones(6, dtype=complex) | np.ma.masked_greater(np.arange(6.0), 3) | np.ones(6, dtype=object) | sp.csr_array(np.ones((6, 1))) | np.full(6, "2020", "M8[Y]") | [10**400] * 6 | np.array(1.0) | [] | {} | iter([1] * 6) | [[1]] * 6 | [1e-320, 1, 1, 1, 1, 1] | pd.Series([1] * 6).astype("Int64") | [1e-308, 1e308, 1, 1, 1, 1] | np.arange(6).astype(np.uint8)
""".replace("\n", " | ")
    .strip(" |")
    .split(" | ")
)
