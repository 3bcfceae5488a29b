#define _GNU_SOURCE
#include "AllocationCounter.h"

#include <stdlib.h>  // defines __GLIBC__

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif

#if defined(__linux__) && defined(__GLIBC__) && !defined(UNDER_SANITIZER)

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void *__libc_valloc(size_t);
extern void *__libc_pvalloc(size_t);

// MARK: Counts

// Part of the program, so at a fixed distance from the thread pointer: reaching it allocates nothing.
#define OWN static _Thread_local __attribute__((tls_model("initial-exec")))
OWN bool thread_is_counting;
OWN uint64_t thread_calls;
// Set while a call is looked into: walking the stack may allocate.
OWN bool thread_is_looking;

static atomic_bool process_is_counting;
static atomic_uint_fast64_t from_program, from_dispatch, from_others;

enum { depth = 48 };
static void *first_stack[depth];
static atomic_int first_depth;

// MARK: Origins

typedef struct {
  uintptr_t start, end;
} Code;

static Code program_code, dispatch_code[4];
static int dispatch_parts;

static int find_code(struct dl_phdr_info *object, size_t size, void *context) {
  (void)size;
  (void)context;
  bool is_program = object->dlpi_name[0] == 0 && program_code.end == 0;
  bool is_dispatch = strstr(object->dlpi_name, "libdispatch") || strstr(object->dlpi_name, "libswiftDispatch");
  if (!is_program && !is_dispatch) return 0;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &object->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
    Code code = {object->dlpi_addr + part->p_vaddr, object->dlpi_addr + part->p_vaddr + part->p_memsz};
    if (is_program) {
      program_code = code;
    } else if (dispatch_parts < 4) {
      dispatch_code[dispatch_parts++] = code;
    }
  }
  return 0;
}

static bool holds(Code code, void *address) { return (uintptr_t)address >= code.start && (uintptr_t)address < code.end; }

// The stack above the allocator's caller.
static int callers(void *caller, void **frames) {
  void *all[depth];
  int count = backtrace(all, depth);
  int first = 0;
  while (first < count && all[first] != caller) first++;
  if (first == count) first = 0;
  memcpy(frames, all + first, (size_t)(count - first) * sizeof *frames);
  return count - first;
}

static void keep_first(void *const *frames, int count) {
  int none = 0;
  if (!atomic_compare_exchange_strong(&first_depth, &none, count)) return;
  memcpy(first_stack, frames, (size_t)count * sizeof *frames);
}

static __attribute__((noinline)) void look_into(void *caller) {
  void *frames[depth];
  int count = callers(caller, frames);
  if (!atomic_load_explicit(&process_is_counting, memory_order_relaxed)) {
    keep_first(frames, count);
    return;
  }
  for (int i = 0; i < count; i++) {
    for (int part = 0; part < dispatch_parts; part++) {
      if (holds(dispatch_code[part], frames[i])) {
        atomic_fetch_add(&from_dispatch, 1);
        return;
      }
    }
    if (holds(program_code, frames[i])) {
      atomic_fetch_add(&from_program, 1);
      keep_first(frames, count);
      return;
    }
  }
  atomic_fetch_add(&from_others, 1);
}

static inline void note(void *caller) {
  bool process = atomic_load_explicit(&process_is_counting, memory_order_relaxed);
  if (!(thread_is_counting || process) || thread_is_looking) return;
  thread_is_looking = true;
  int error = errno;
  thread_calls++;
  if (process || thread_calls == 1) look_into(caller);
  errno = error;
  thread_is_looking = false;
}

// MARK: The allocator

#define NOTE() note(__builtin_return_address(0))

void *malloc(size_t size) {
  NOTE();
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  NOTE();
  return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
  NOTE();
  return __libc_realloc(memory, size);
}

void *reallocarray(void *memory, size_t count, size_t size) {
  NOTE();
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return NULL;
  }
  return __libc_realloc(memory, bytes);
}

void *memalign(size_t alignment, size_t size) {
  NOTE();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  NOTE();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
  NOTE();
  if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return EINVAL;
  int error = errno;
  void *result = __libc_memalign(alignment, size);
  errno = error;
  if (!result) return ENOMEM;
  *memory = result;
  return 0;
}

void *valloc(size_t size) {
  NOTE();
  return __libc_valloc(size);
}

void *pvalloc(size_t size) {
  NOTE();
  return __libc_pvalloc(size);
}

// MARK: The tests' side

bool allocation_counter_is_available(void) { return true; }
const char *allocation_counter_absence(void) { return ""; }

static void prepare(void) {
  // The first walk of a stack loads a library.
  void *frames[depth];
  backtrace(frames, depth);
  dispatch_parts = 0;
  program_code.end = 0;
  dl_iterate_phdr(find_code, NULL);
  atomic_store(&first_depth, 0);
}

void allocation_counter_start_thread(void) {
  prepare();
  thread_calls = 0;
  thread_is_counting = true;
}

uint64_t allocation_counter_stop_thread(void) {
  thread_is_counting = false;
  return thread_calls;
}

void allocation_counter_start_process(void) {
  prepare();
  atomic_store(&from_program, 0);
  atomic_store(&from_dispatch, 0);
  atomic_store(&from_others, 0);
  atomic_store(&process_is_counting, true);
}

AllocationOrigins allocation_counter_stop_process(void) {
  atomic_store(&process_is_counting, false);
  AllocationOrigins origins = {
      atomic_load(&from_program), atomic_load(&from_dispatch), atomic_load(&from_others)};
  return origins;
}

void allocation_counter_describe_first(char *text, size_t size) {
  size_t used = 0;
  if (size > 0) text[0] = 0;
  for (int i = 0; i < atomic_load(&first_depth) && used < size; i++) {
    Dl_info where = {0};
    dladdr(first_stack[i], &where);
    size_t offset = (size_t)((char *)first_stack[i] - (char *)where.dli_fbase);
    int length = snprintf(
        text + used, size - used, "  %s +0x%zx %s\n", where.dli_fname ? where.dli_fname : "?", offset,
        where.dli_sname ? where.dli_sname : "");
    if (length < 0) break;
    used += (size_t)length;
  }
}

#else

bool allocation_counter_is_available(void) { return false; }

const char *allocation_counter_absence(void) {
#if defined(UNDER_SANITIZER)
  return "a sanitizer has replaced the allocator";
#else
  return "the allocator can be replaced on Linux with glibc only";
#endif
}

void allocation_counter_start_thread(void) {}
uint64_t allocation_counter_stop_thread(void) { return 0; }
void allocation_counter_start_process(void) {}

AllocationOrigins allocation_counter_stop_process(void) {
  AllocationOrigins none = {0, 0, 0};
  return none;
}

void allocation_counter_describe_first(char *text, size_t size) {
  if (size > 0) text[0] = 0;
}

#endif
