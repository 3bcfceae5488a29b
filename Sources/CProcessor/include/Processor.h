// What Swift cannot say to the processor: questions about its features, and instructions that have no name in Swift.
// Nothing else belongs here.

#ifndef RECURRENCE_PROCESSOR_H
#define RECURRENCE_PROCESSOR_H

#include <stdint.h>

// One bit for each condition of an instruction-set level. The *_STATE bits say that the operating system saves the
// register state (XGETBV); without them the instructions fault, whatever CPUID says.
enum {
  RECURRENCE_AVX = 1u << 0,
  RECURRENCE_AVX2 = 1u << 1,
  RECURRENCE_FMA = 1u << 2,
  RECURRENCE_BMI1 = 1u << 3,
  RECURRENCE_BMI2 = 1u << 4,
  RECURRENCE_F16C = 1u << 5,
  RECURRENCE_LZCNT = 1u << 6,
  RECURRENCE_MOVBE = 1u << 7,
  RECURRENCE_POPCNT = 1u << 8,
  RECURRENCE_SSE42 = 1u << 9,
  RECURRENCE_AVX512F = 1u << 10,
  RECURRENCE_AVX512BW = 1u << 11,
  RECURRENCE_AVX512CD = 1u << 12,
  RECURRENCE_AVX512DQ = 1u << 13,
  RECURRENCE_AVX512VL = 1u << 14,
  RECURRENCE_YMM_STATE = 1u << 15,
  RECURRENCE_ZMM_STATE = 1u << 16,
};

// The bits that hold on this processor; 0 on architectures other than x86-64.
uint32_t recurrence_processor_features(void);

// The processor's name for itself, NUL-terminated, at most 49 bytes with the NUL; empty where it has none.
void recurrence_processor_name(char name[49]);

// Makes subnormal operands and results zero on this thread. Returns the mode before, for recurrence_restore_subnormals.
// Restoring a mode that did not flush restores exception flags too, where they are part of it (x86), but for that of
// inexact results, which is raised. Calls, not inlined: arithmetic must not move across them.
uint64_t recurrence_flush_subnormals(void);
void recurrence_restore_subnormals(uint64_t mode);

// Tells the processor that this thread spins.
static inline void recurrence_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Lets another thread have this processor.
void recurrence_yield(void);
// Lets all others have it, for some 50 µs.
void recurrence_nap(void);

// Sets bytes. The ways that Swift has of saying so visit every byte, with a call for each, in a debug build.
static inline void recurrence_set_bytes(void *memory, uint8_t value, uint64_t count) {
  __builtin_memset(memory, value, count);
}

// Asks for pages as large as there are, where the system gives them to who asks. Without effect elsewhere.
void recurrence_advise_huge_pages(void *memory, uint64_t count);

// Asks for the cache line at `address`, which need not be valid memory, to be brought near.
static inline void recurrence_prefetch(const void *address) { __builtin_prefetch(address, 0, 3); }
// The same, but no nearer than the second-level cache.
static inline void recurrence_prefetch_l2(const void *address) { __builtin_prefetch(address, 0, 2); }

#endif
