"""No peer is timed computing something else: before a row's rounds, every result of every peer is held against the
plain formulas of python/reference.py, on the operands and at the shape that are timed.

Results are compared by digest: their scalar product with a fixed pattern of random numbers, and their length. A vector
e of errors changes the product by about 0.58·‖e‖, wherever the errors are; it goes unseen with a probability of about
the tolerance over ‖e‖/‖result‖.
"""

# Of a result's length. Rounding in single precision over the longest rows leaves 10⁻⁶ to 10⁻⁵; a missing term, a gate
# in the wrong place or a bias added twice is above 10⁻².
TOLERANCE = 1e-4


def fault(answer, exact):
    """A sentence that says which result is wrong, or None."""
    found = answer.get("digests", {})
    if set(found) != set(exact):
        return f"it gave {', '.join(sorted(found)) or 'nothing'}, expected {', '.join(sorted(exact))}"
    for name, (projection, length) in exact.items():
        bound = TOLERANCE * length
        for got, wanted in zip(found[name], (projection, length)):
            if not abs(got - wanted) <= bound:
                return f"its {name} is wrong: a digest of {got:.7g}, expected {wanted:.7g} within {bound:.2g}"
    return None
