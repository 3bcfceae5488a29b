// Counts the calls that a process makes to the C library's allocator, for tests that promise there are none.
//
// Linking this target replaces malloc, calloc, realloc, reallocarray, posix_memalign, aligned_alloc, memalign, valloc and
// pvalloc in the whole process by functions that count and then ask the C library. Swift's run-time library, Dispatch
// and the C++ library are all counted, since all of them reach the allocator by these names. Linux with glibc only, and
// not under a sanitizer, which replaces the same functions: there this target is empty and says so.

#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Whether allocations can be counted at all in this build.
bool allocation_counter_is_available(void);

// Why not, as a sentence; empty where they can.
const char *allocation_counter_absence(void);

// Counts this thread's calls, from zero. Other threads are not looked at.
void allocation_counter_start_thread(void);
// Ends it; returns the number of calls.
uint64_t allocation_counter_stop_thread(void);

// Calls of all threads, by what made them: the first of the program and Dispatch that is met going up the stack from the
// allocator. Nothing is met where, say, the C library starts a thread.
typedef struct {
  uint64_t program;
  uint64_t dispatch;
  uint64_t others;
} AllocationOrigins;

// Counts every thread's calls, from zero. Meant for a process that does nothing else meanwhile.
void allocation_counter_start_process(void);
AllocationOrigins allocation_counter_stop_process(void);

// Where the first call came from that the last count found, or the first of the program's where all threads were
// counted: return addresses from the allocator upwards, one a line, for a symbolizer. Writes at most `size` bytes with
// the NUL.
void allocation_counter_describe_first(char *text, size_t size);

#endif
