"""Knowledge on top of a model: its probabilities of symbols, given that the knowledge is true."""

from typing import Any

import numpy.typing as npt

from sknesy.inference._conditioner import Conditioner
from sknesy.inference._posterior import Posterior
from sknesy.inference._probabilities import count_symbols
from sknesy.knowledge import Knowledge

__all__ = ["condition", "decide"]


def condition(
    knowledge: Knowledge,
    proba: Any,
    y: Any = None,
    symbols: Any = None,
    *,
    inference: Any = "auto",
    smoothing: float = 0.0,
) -> Posterior:
    """Compute what probabilities of symbols become, given knowledge.

    Any model may have made the probabilities. With p(s = v | x) of each symbol, the posterior is
    that of worlds w drawn from  prod_s p(s = w_s | x), given that the knowledge holds of w, that it
    gives the label in y, and that the known symbols are right.

    Parameters
    ----------
    knowledge : Knowledge
        What relates the symbols; of any number of symbols, it is taken for as many as `proba` has.
    proba : array-like, or list of array-like
        The probabilities of the states, in the order of ``knowledge.symbol_states``. An array of
        shape (n_samples, n_symbols, n_states), 0 for padding where symbols have unlike numbers of
        states; a list of arrays of shape (n_samples, n_states), one a symbol, as scikit-learn's
        models of several outputs return; or, where all symbols have the states False and True, an
        array of shape (n_samples, n_symbols) of p(True).
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
        The label of each sample, in the form of `EMNeSyClassifier.fit`: a label, a set of labels,
        or None where it is unknown. Without y, the rules hold: the label is
        ``knowledge.label_if_satisfied`` in all samples, or unknown where that is None.
    symbols : array-like of shape (n_samples, n_symbols), optional
        Symbols that are known, in the form of `EMNeSyClassifier.fit`.
    inference : InferenceEngine or "auto", default="auto"
        The engine; "auto" takes the one that suits the knowledge, see `AutoEngine`.
    smoothing : float, default=0.0
        Share of the uniform distribution that is mixed into the probabilities of each symbol, from
        0 to 1. Above 0 no state is impossible, whatever the model says.

    Returns
    -------
    Posterior
        With numpy arrays, float64. ``log_evidence`` (n_samples,) is the log-probability, in nats,
        that independent draws from `proba` agree with the knowledge, y and `symbols`.
        ``symbol_marginals`` (n_samples, n_symbols, n_states) are the probabilities of the
        states given that; 0 for padding. ``output_marginals`` (n_samples, n_outputs,
        n_output_states) are those of the output states, sorted by name.

    Raises
    ------
    TypeError, ValueError
        When an argument is not what it must be.
    InvalidKnowledgeError
        When no world satisfies the rules.
    InconsistentLabelError
        When no world that has a probability agrees with what is known of a sample.
    UnsupportedKnowledgeError, IntractableError
        When the engine cannot evaluate the knowledge.

    Warns
    -----
    ApproximationWarning
        When an approximate engine found no world for some samples; their marginals are 0.

    See Also
    --------
    decide : The states of all symbols together.
    Conditioner : The same for many batches, compiled once.
    sknesy.ConstrainedClassifier : The same around an estimator of scikit-learn.

    Notes
    -----
    Probabilities are normalised in float64; sums may be off by 1e-3. Engines that draw worlds do so
    with the seed 0. Each call compiles the knowledge; pass many samples at once, or keep a
    `Conditioner`.

    Independent draws count what symbols have in common once for each symbol. Marginals that obey
    the rules already, as those of classifiers that average whole rows of labels do, are changed,
    and not always for the better.

    Examples
    --------
    A model finds "cat" likely, and "animal" less so. Each cat is an animal:

    >>> from sknesy.inference import condition
    >>> from sknesy.knowledge import ClauseKnowledge
    >>> rules = ClauseKnowledge([[-1, 2]], symbols=[[1], [2]])
    >>> posterior = condition(rules, [[0.9, 0.4]])
    >>> posterior.symbol_marginals[:, :, 1].round(3)
    array([[0.783, 0.87 ]])
    >>> posterior.log_evidence.round(3)
    array([-0.777])

    The same with the label that the rule is broken:

    >>> condition(rules, [[0.9, 0.4]], y=[False]).symbol_marginals[:, :, 1]
    array([[1., 0.]])
    """
    conditioner = Conditioner(knowledge, inference, count_symbols(proba))
    return conditioner.posterior(proba, y, symbols, smoothing=smoothing)


def decide(
    knowledge: Knowledge,
    proba: Any,
    y: Any = None,
    symbols: Any = None,
    *,
    decision: str = "marginals",
    inference: Any = "auto",
    smoothing: float = 0.0,
) -> npt.NDArray[Any]:
    """Choose the states of all symbols together, such that the knowledge holds of them.

    Parameters
    ----------
    knowledge : Knowledge
        What relates the symbols, as in `condition`.
    proba : array-like, or list of array-like
        The probabilities of the states, as in `condition`.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
        The label of each sample, as in `condition`; without y, the rules hold.
    symbols : array-like of shape (n_samples, n_symbols), optional
        Symbols that are known, as in `condition`.
    decision : {"marginals", "world"}, default="marginals"
        "marginals" takes the possible world of which most symbols are right on average: it
        maximises the sum of the probabilities of its states, given the knowledge. "world" takes the
        most probable world: the one that is most often right as a whole.
    inference : InferenceEngine or "auto", default="auto"
        The engine, as in `condition`.
    smoothing : float, default=0.0
        Share of the uniform distribution in the probabilities, as in `condition`.

    Returns
    -------
    ndarray of shape (n_samples, n_symbols)
        Names of states, one world a sample; of dtype object if the names have no common type.

    Raises
    ------
    TypeError, ValueError
        When an argument is not what it must be.
    InvalidKnowledgeError
        When no world satisfies the rules.
    InconsistentLabelError
        When no world that has a probability agrees with what is known of a sample.
    UnsupportedKnowledgeError, IntractableError
        When the engine cannot evaluate the knowledge.

    See Also
    --------
    condition : The probabilities.

    Notes
    -----
    Choose "marginals" for scores that count single symbols, "world" for whole rows.

    Where the engine finds no most probable worlds, as belief propagation, `ModeEngine` searches.

    Examples
    --------
    >>> from sknesy.inference import decide
    >>> from sknesy.knowledge import ClauseKnowledge
    >>> rules = ClauseKnowledge([[-1, 2]], symbols=[[1], [2]])  # each cat is an animal
    >>> decide(rules, [[0.9, 0.4], [0.2, 0.4]])
    array([[ True,  True],
           [False, False]])

    At most one symbol is True. That it is the second is the most probable world, with .47, and yet
    each symbol is False more often than True:

    >>> from sknesy.knowledge import AtMost
    >>> decide(AtMost(1), [[0.6, 0.7, 0.1]], decision="world")
    array([[False,  True, False]])
    >>> decide(AtMost(1), [[0.6, 0.7, 0.1]], decision="marginals")
    array([[False, False, False]])
    """
    conditioner = Conditioner(knowledge, inference, count_symbols(proba))
    return conditioner.decide(proba, y, symbols, decision=decision, smoothing=smoothing)
