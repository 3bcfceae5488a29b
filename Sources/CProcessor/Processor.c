#include "Processor.h"

#include <string.h>

#if defined(__x86_64__)

#include <cpuid.h>

static uint64_t saved_register_state(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return ((uint64_t)high << 32) | low;
}

uint32_t recurrence_processor_features(void) {
  uint32_t a, b, c, d, features = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  if (c & (1u << 28)) features |= RECURRENCE_AVX;
  if (c & (1u << 12)) features |= RECURRENCE_FMA;
  if (c & (1u << 29)) features |= RECURRENCE_F16C;
  if (c & (1u << 22)) features |= RECURRENCE_MOVBE;
  if (c & (1u << 23)) features |= RECURRENCE_POPCNT;
  if (c & (1u << 20)) features |= RECURRENCE_SSE42;
  if (c & (1u << 27)) {  // OSXSAVE: XGETBV exists
    uint64_t state = saved_register_state();
    if ((state & 0x06) == 0x06) features |= RECURRENCE_YMM_STATE;
    if ((state & 0xe6) == 0xe6) features |= RECURRENCE_ZMM_STATE;
  }
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    if (b & (1u << 5)) features |= RECURRENCE_AVX2;
    if (b & (1u << 3)) features |= RECURRENCE_BMI1;
    if (b & (1u << 8)) features |= RECURRENCE_BMI2;
    if (b & (1u << 16)) features |= RECURRENCE_AVX512F;
    if (b & (1u << 30)) features |= RECURRENCE_AVX512BW;
    if (b & (1u << 28)) features |= RECURRENCE_AVX512CD;
    if (b & (1u << 17)) features |= RECURRENCE_AVX512DQ;
    if (b & (1u << 31)) features |= RECURRENCE_AVX512VL;
  }
  if (__get_cpuid(0x80000001, &a, &b, &c, &d)) {
    if (c & (1u << 5)) features |= RECURRENCE_LZCNT;
  }
  return features;
}

void recurrence_processor_name(char name[49]) {
  uint32_t words[12];
  memset(name, 0, 49);
  for (uint32_t i = 0; i < 3; i++) {
    uint32_t *w = words + 4 * i;
    if (!__get_cpuid(0x80000002 + i, &w[0], &w[1], &w[2], &w[3])) return;
  }
  memcpy(name, words, 48);
}

#else

uint32_t recurrence_processor_features(void) { return 0; }

void recurrence_processor_name(char name[49]) { memset(name, 0, 49); }

#endif

#if defined(__x86_64__)

#include <xmmintrin.h>

enum { FLUSH = 0x8040 };  // flush to zero, denormals are zero
enum { INEXACT = 0x20 };  // an exception flag

// Setting the mode costs a stream's step a tenth of its time. An audio host has set it already.

uint64_t recurrence_flush_subnormals(void) {
  uint32_t mode = _mm_getcsr();
  if ((mode & FLUSH) != FLUSH) _mm_setcsr(mode | FLUSH);
  return mode;
}

void recurrence_restore_subnormals(uint64_t mode) {
  if ((mode & FLUSH) == FLUSH) return;
  // Exception flags too, but for the one of inexact results: cleared, it would be raised anew in every call, which costs
  // 40 ns. To read those that were raised meanwhile is to wait for every operation before.
  _mm_setcsr((uint32_t)mode | INEXACT);
}

#elif defined(__aarch64__)

uint64_t recurrence_flush_subnormals(void) {
  uint64_t mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  __asm__ volatile("msr fpcr, %0" : : "r"(mode | (1ull << 24)));
  return mode;
}

void recurrence_restore_subnormals(uint64_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }

#else

uint64_t recurrence_flush_subnormals(void) { return 0; }
void recurrence_restore_subnormals(uint64_t mode) { (void)mode; }

#endif

#include <sched.h>
#include <sys/mman.h>
#include <time.h>

void recurrence_yield(void) { sched_yield(); }

void recurrence_nap(void) {
  const struct timespec time = {.tv_sec = 0, .tv_nsec = 50000};
  nanosleep(&time, NULL);
}

void recurrence_advise_huge_pages(void *memory, uint64_t count) {
#if defined(MADV_HUGEPAGE)
  madvise(memory, count, MADV_HUGEPAGE);
#else
  (void)memory;
  (void)count;
#endif
}
