"""Callbacks of scikit-learn, where the installed version has them (1.9 and later)."""

from sknesy.em import EMCallback, StopTraining

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks

    HAS_CALLBACKS = True
except ImportError:
    HAS_CALLBACKS = False

    class CallbackSupportMixin:
        """Stand-in for scikit-learn's mixin."""

    def with_callbacks(method):
        """Return the method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "watch_fit", "with_callbacks"]


def watch_fit(estimator, X, y, sample_weight, snapshot):
    """Open the task "fit" of scikit-learn's callbacks, and return what passes iterations on.

    `snapshot` takes runs and returns the attributes of an estimator fitted as far as they are.
    Returns None where no callback is set.
    """
    if not HAS_CALLBACKS:
        return None
    n_starts, n_iter = estimator.n_init, estimator.max_iter
    root = estimator._init_callback_context(max_subtasks=n_starts if n_starts > 1 else n_iter)
    if "_skl_callbacks" not in vars(estimator):
        return None
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    watcher = _FitWatcher(root, n_starts, n_iter, snapshot, (estimator, X, y, metadata))
    watcher.begin(root)
    return watcher


class _FitWatcher(EMCallback):
    """Watcher of EM that tells scikit-learn's callbacks of starts and their iterations.

    The task "fit" has the iterations as subtasks; several starts are tasks between.
    """

    def __init__(self, root, n_starts, max_iter, snapshot, data):
        self._root, self._n_starts, self._max_iter = root, n_starts, max_iter
        self._snapshot, self._data = snapshot, data
        self._starts, self._iterations = {}, {}

    def on_iteration_begin(self, run):
        """Open a task, and that of the start if this is its first."""
        parent = self._starts.get(run.start)
        if parent is None:
            parent = self._root
            if self._n_starts > 1:
                parent = self._root.subcontext("start", max_subtasks=self._max_iter)
                self.begin(parent)
            self._starts[run.start] = parent
        task = self._iterations[run.start] = parent.subcontext("iteration")
        self.begin(task)

    def on_iteration_end(self, run):
        """End the task, and stop if a callback wishes to."""
        if self._end(self._iterations.pop(run.start), [run]):
            raise StopTraining

    def finish(self, runs, kept):
        """End the tasks of the starts, and that of the fit."""
        if self._n_starts > 1:
            for run in runs:
                if run.start in self._starts:
                    self._end(self._starts[run.start], [run])
        self._end(self._root, kept)

    def begin(self, task):
        """Tell callbacks that a task begins."""
        estimator, X, y, metadata = self._data
        task.call_on_fit_task_begin(estimator=estimator, X=X, y=y, metadata=metadata)

    def _end(self, task, runs):
        """Tell callbacks that a task has ended; a snapshot is made for those that want it."""
        estimator, X, y, metadata = self._data
        return task.call_on_fit_task_end(
            estimator=estimator,
            X=X,
            y=y,
            metadata=metadata,
            reconstruction_attributes=lambda: self._snapshot(runs),
        )
