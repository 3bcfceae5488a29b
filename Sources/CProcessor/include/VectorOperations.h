// Operations on whole vectors that Swift says lane by lane, for the vectors of the including module's instruction set.
//
// `addingProduct`, `evenHalf` and `oddHalf` of a SIMD type reach the optimiser as operations on lanes, to be put together
// again by its search for parallel scalars. Where many feed each other, or come from memory, the search gives up in the
// middle and leaves halves and quarters of vectors. These say what is meant.

#ifndef RECURRENCE_VECTOR_OPERATIONS_H
#define RECURRENCE_VECTOR_OPERATIONS_H

#define RECURRENCE_INLINE static inline __attribute__((always_inline))

// Lanes of even and of odd index of a followed by b.
#define RECURRENCE_UNZIP(scalar, name, lanes)                                                                       \
  typedef scalar recurrence_##name __attribute__((ext_vector_type(lanes)));                                         \
  RECURRENCE_INLINE recurrence_##name recurrence_even_##name(recurrence_##name a, recurrence_##name b) {            \
    return __builtin_shufflevector(a, b, RECURRENCE_EVENS_##lanes);                                                 \
  }                                                                                                                 \
  RECURRENCE_INLINE recurrence_##name recurrence_odd_##name(recurrence_##name a, recurrence_##name b) {             \
    return __builtin_shufflevector(a, b, RECURRENCE_ODDS_##lanes);                                                  \
  }

// a·b + c with one rounding.
#define RECURRENCE_FMA(name)                                                                                        \
  RECURRENCE_INLINE recurrence_##name recurrence_fma_##name(                                                        \
      recurrence_##name a, recurrence_##name b, recurrence_##name c) {                                              \
    return __builtin_elementwise_fma(a, b, c);                                                                      \
  }

// √a, lane by lane. Swift's `squareRoot()` takes one lane at a time.
#define RECURRENCE_SQRT(name)                                                                                       \
  RECURRENCE_INLINE recurrence_##name recurrence_sqrt_##name(recurrence_##name a) {                                 \
    return __builtin_elementwise_sqrt(a);                                                                           \
  }

// The first `count` lanes, 0 ≤ count ≤ lanes, read or written by an instruction that touches no other memory. Lanes that
// are not read are +0.
#define RECURRENCE_MASKED(scalar, name)                                                                             \
  RECURRENCE_INLINE recurrence_##name recurrence_load_part_##name(const scalar *source, long count) {               \
    typedef scalar vector __attribute__((vector_size(64)));                                                         \
    return (recurrence_##name)RECURRENCE_MASKED_LOAD_##name(                                                        \
        (const void *)source, (vector){0}, (1u << count) - 1);                                                    \
  }                                                                                                                 \
  RECURRENCE_INLINE void recurrence_store_part_##name(                                                              \
      scalar *destination, recurrence_##name value, long count) {                                                   \
    typedef scalar vector __attribute__((vector_size(64)));                                                         \
    RECURRENCE_MASKED_STORE_##name((void *)destination, (vector)value, (1u << count) - 1);                        \
  }

#define RECURRENCE_EVENS_2 0, 2
#define RECURRENCE_ODDS_2 1, 3
#define RECURRENCE_EVENS_4 0, 2, 4, 6
#define RECURRENCE_ODDS_4 1, 3, 5, 7
#define RECURRENCE_EVENS_8 0, 2, 4, 6, 8, 10, 12, 14
#define RECURRENCE_ODDS_8 1, 3, 5, 7, 9, 11, 13, 15
#define RECURRENCE_EVENS_16 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define RECURRENCE_ODDS_16 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31

RECURRENCE_UNZIP(float, f32x4, 4)
RECURRENCE_SQRT(f32x4)
RECURRENCE_UNZIP(double, f64x2, 2)
RECURRENCE_SQRT(f64x2)
#if defined(__aarch64__)
RECURRENCE_FMA(f32x4)
RECURRENCE_FMA(f64x2)
#endif

#if defined(__FMA__)
RECURRENCE_UNZIP(float, f32x8, 8)
RECURRENCE_SQRT(f32x8)
RECURRENCE_UNZIP(double, f64x4, 4)
RECURRENCE_SQRT(f64x4)
RECURRENCE_FMA(f32x8)
RECURRENCE_FMA(f64x4)
#endif

#if defined(__AVX512F__)
RECURRENCE_UNZIP(float, f32x16, 16)
RECURRENCE_SQRT(f32x16)
RECURRENCE_UNZIP(double, f64x8, 8)
RECURRENCE_SQRT(f64x8)
RECURRENCE_FMA(f32x16)
RECURRENCE_FMA(f64x8)
#define RECURRENCE_MASKED_LOAD_f32x16 __builtin_ia32_loadups512_mask
#define RECURRENCE_MASKED_LOAD_f64x8 __builtin_ia32_loadupd512_mask
#define RECURRENCE_MASKED_STORE_f32x16 __builtin_ia32_storeups512_mask
#define RECURRENCE_MASKED_STORE_f64x8 __builtin_ia32_storeupd512_mask
RECURRENCE_MASKED(float, f32x16)
RECURRENCE_MASKED(double, f64x8)
#endif

#endif
