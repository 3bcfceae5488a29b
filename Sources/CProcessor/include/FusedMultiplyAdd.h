// a·b + c with one rounding, for the vectors that the including module's instruction set has.
//
// Swift's `addingProduct` on a SIMD type reaches the optimiser lane by lane, to be put together again by its search for
// parallel scalars. Where many feed each other, the search gives up in the middle and leaves halves and quarters of
// vectors. This says the vector operation itself.

#ifndef RECURRENCE_FUSED_MULTIPLY_ADD_H
#define RECURRENCE_FUSED_MULTIPLY_ADD_H

#define RECURRENCE_FMA(scalar, name, lanes)                                                              \
  typedef scalar recurrence_##name __attribute__((ext_vector_type(lanes)));                              \
  static inline __attribute__((always_inline)) recurrence_##name recurrence_fma_##name(                  \
      recurrence_##name a, recurrence_##name b, recurrence_##name c) {                                   \
    return __builtin_elementwise_fma(a, b, c);                                                           \
  }

#if defined(__AVX512F__)
RECURRENCE_FMA(float, f32x16, 16)
RECURRENCE_FMA(double, f64x8, 8)
#endif
#if defined(__FMA__)
RECURRENCE_FMA(float, f32x8, 8)
RECURRENCE_FMA(double, f64x4, 4)
#endif
#if defined(__aarch64__)
RECURRENCE_FMA(float, f32x4, 4)
RECURRENCE_FMA(double, f64x2, 2)
#endif

#undef RECURRENCE_FMA

#endif
