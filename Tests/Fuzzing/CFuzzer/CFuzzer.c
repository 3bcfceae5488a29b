#include "CFuzzer.h"

#include <stdatomic.h>

// Of the sanitizer's runtime.
extern int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void *, size_t),
                                                     void (*freed)(const volatile void *));
extern size_t __sanitizer_get_allocated_size(const volatile void *memory);

static _Atomic int64_t live, peak;

static void allocated(const volatile void *memory, size_t size) {
  (void)memory;
  int64_t now = atomic_fetch_add_explicit(&live, (int64_t)size, memory_order_relaxed) + (int64_t)size;
  if (now > atomic_load_explicit(&peak, memory_order_relaxed)) {
    atomic_store_explicit(&peak, now, memory_order_relaxed);
  }
}

static void freed(const volatile void *memory) {
  if (!memory) { return; }
  atomic_fetch_sub_explicit(&live, (int64_t)__sanitizer_get_allocated_size(memory), memory_order_relaxed);
}

int fuzzer_watch_memory(void) { return __sanitizer_install_malloc_and_free_hooks(allocated, freed); }

void fuzzer_begin_peak(void) {
  atomic_store_explicit(&live, 0, memory_order_relaxed);
  atomic_store_explicit(&peak, 0, memory_order_relaxed);
}

int64_t fuzzer_peak(void) { return atomic_load_explicit(&peak, memory_order_relaxed); }
