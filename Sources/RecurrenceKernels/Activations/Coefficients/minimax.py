#!/usr/bin/env python3
"""Prints the Swift constants of the activation functions, with the error each set achieves.

Method: weighted minimax approximation by the exchange algorithm of E. Remez (1934) as set out in
J.-M. Muller, "Elementary Functions", 3rd ed., chapter 3, run on a fine Chebyshev grid in 60-digit arithmetic.
Rounding all coefficients of the ideal polynomial at once can cost several units of the error; here the coefficient of
highest degree is rounded first, the remaining ones are fitted again with it held fixed, and so on down to the lowest
(the idea of N. Brisebarre and S. Chevillard, "Efficient polynomial L-infinity approximations", ARITH 18, 2007,
without the lattice). In this order the powers still to be fitted are always 1 .. x^k, for which the alternation
theorem holds on an interval around zero too.

Every set has the shape  f(x) = x + x^k * q(v),  so that f(x) -> x exactly as x -> 0; q is what is fitted, weighted so
that the error is the relative error of f; of 2 tanh(r/2), the absolute error.

Usage: python3 minimax.py        (needs mpmath; runs for under a minute)
"""
from mpmath import mp, mpf, matrix, lu_solve, expm1, tanh, atanh, log, cos, pi, exp

mp.dps = 60


def round_to(value, bits):
    """Nearest number with `bits` significant bits, ties to even; exponents are far from the limits."""
    if value == 0:
        return mpf(0)
    mantissa, exponent = mp.frexp(value)
    return mp.ldexp(mp.nint(mp.ldexp(mantissa, bits)), int(exponent) - bits)


def hexadecimal(value, bits):
    """Swift literal of a number that `round_to` returned."""
    sign = "-" if value < 0 else ""
    mantissa, exponent = mp.frexp(abs(value))
    digits = (bits - 1 + 3) // 4
    integer = int(mp.ldexp(mantissa * 2 - 1, 4 * digits))
    fraction = f"{integer:0{digits}x}".rstrip("0")
    return f"{sign}0x1{'.' if fraction else ''}{fraction}p{int(exponent) - 1}"


def value(c, x):
    """Horner's scheme, lowest degree first."""
    sum = mpf(0)
    for coefficient in reversed(c):
        sum = sum * x + coefficient
    return sum


def remez(target, weight, degree, grid):
    """Coefficients of the weighted minimax fit of `target` by a polynomial on `grid`, and its error."""
    count = degree + 1
    f = [target(x) for x in grid]
    w = [weight(x) for x in grid]
    phi = [[x**j for j in range(count)] for x in grid]
    size = len(grid)
    reference = [round(i * (size - 1) / count) for i in range(count + 1)]
    for _ in range(30):
        a, rhs = matrix(count + 1, count + 1), matrix(count + 1, 1)
        for row, i in enumerate(reference):
            for j in range(count):
                a[row, j] = phi[i][j]
            a[row, count] = (-1) ** row / w[i]
            rhs[row] = f[i]
        solution = lu_solve(a, rhs)
        c = [solution[j] for j in range(count)]
        error = [w[i] * (f[i] - value(c, grid[i])) for i in range(size)]
        # One extremum from each run of equal sign; the alternating sequence of count + 1 with the largest ones.
        runs = []
        for i in range(size):
            if runs and (error[i] > 0) == (error[runs[-1]] > 0):
                if abs(error[i]) > abs(error[runs[-1]]):
                    runs[-1] = i
            else:
                runs.append(i)
        while len(runs) > count + 1:
            if abs(error[runs[0]]) < abs(error[runs[-1]]):
                runs.pop(0)
            else:
                runs.pop()
        largest = max(abs(e) for e in error)
        if len(runs) < count + 1 or runs == reference:
            break
        reference = runs
        if largest <= abs(solution[count]) * (1 + mpf(10) ** -6):
            break
    return c, largest


def fit(name, target, weight, degree, low, high, bits, points=400):
    """Fits q of the given degree on [low, high], rounds it and prints it, lowest degree first."""
    grid = [(low + high) / 2 - (high - low) / 2 * cos(pi * (2 * i + 1) / (2 * points)) for i in range(points)]
    c, ideal = remez(target, weight, degree, grid)
    for last in range(degree, 0, -1):
        c[last] = round_to(c[last], bits)
        fixed = [mpf(0)] * last + c[last:]
        lower, _ = remez(lambda x: target(x) - value(fixed, x), weight, last - 1, grid)
        c = lower + fixed[last:]
    fixed = [round_to(c[0], bits)] + c[1:]
    achieved = max(abs(weight(x) * (target(x) - value(fixed, x))) for x in grid)
    print(f"// {name}, degree {degree} on [{mp.nstr(low, 5)}, {mp.nstr(high, 5)}]: error 2^{mp.nstr(log(achieved, 2), 5)}"
          f" (2^{mp.nstr(log(ideal, 2), 5)} before rounding).")
    print("[" + ", ".join(hexadecimal(c, bits) for c in fixed) + "]")


def split(name, value, high_bits, bits):
    """value = high + low, high with `high_bits` significant bits."""
    high = round_to(value, high_bits)
    low = round_to(value - high, bits)
    print(f"// {name} = high + low; high has {high_bits} significant bits.")
    print(f"{hexadecimal(high, bits)}, {hexadecimal(low, bits)}")


def main():
    ln2 = log(mpf(2))
    margin = mpf(1.002)  # the computed quotient may round across a breakpoint
    for name, bits, high_bits, degrees in (("Float", 24, 15, (4, 2, 1, 4)), ("Double", 53, 32, (9, 6, 5, 9))):
        e, t, s, l = degrees
        print(f"// ---- {name} ----")
        split("ln 2", ln2, high_bits, bits)
        rounded = round_to(ln2, bits)
        print(f"// ln 2, and ln 2 less that\n{hexadecimal(rounded, bits)}, {hexadecimal(round_to(ln2 - rounded, bits), bits)}")
        print(f"// 1 / ln 2 and 2 / ln 2\n{hexadecimal(round_to(1 / ln2, bits), bits)}, {hexadecimal(round_to(2 / ln2, bits), bits)}")
        half = ln2 / 2 * margin
        fit("expm1(r) = r + r^2 q(r)", lambda r: (expm1(r) - r) / r**2, lambda r: abs(r**2 / expm1(r)), e, -half, half, bits)
        # tanh breaks at (n + 1/2 + bias) ln 2 / 2 with bias 0.3125, so b <= 0.8125 ln 2 / 2.
        top = (mpf(0.8125) * ln2 / 2 * margin) ** 2
        fit("tanh(b) = b + b^3 q(b^2)", lambda u: (tanh(mp.sqrt(u)) / mp.sqrt(u) - 1) / u,
            lambda u: u * mp.sqrt(u) / tanh(mp.sqrt(u)), t, mpf(0), top, bits)
        fit("2 tanh(r/2) = r + r^3 q(r^2)", lambda u: (2 * tanh(mp.sqrt(u) / 2) / mp.sqrt(u) - 1) / u,
            lambda u: u * mp.sqrt(u), s, mpf(0), half**2, bits)
        fit("2 atanh(s/2) = s + s^3 q(s^2)", lambda v: (2 * atanh(mp.sqrt(v) / 2) / mp.sqrt(v) - 1) / v,
            lambda v: v * mp.sqrt(v) / (2 * atanh(mp.sqrt(v) / 2)), l, mpf(0), mpf(4) / 9 * margin, bits)


if __name__ == "__main__":
    main()
