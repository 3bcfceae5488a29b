#ifndef CFUZZER_H
#define CFUZZER_H

#include <stddef.h>
#include <stdint.h>

/// libFuzzer's loop: takes its options from the arguments, and calls `test` with one input after the other.
int LLVMFuzzerRunDriver(int *count, char ***arguments, int (*test)(const uint8_t *bytes, size_t count));

/// Begins to count memory that is allocated. Returns 0 where no sanitizer can.
int fuzzer_watch_memory(void);

/// Forgets the peak so far.
void fuzzer_begin_peak(void);

/// The most bytes that were allocated at once since `fuzzer_begin_peak`, without those that were there before.
int64_t fuzzer_peak(void);

#endif
