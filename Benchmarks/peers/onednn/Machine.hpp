// The CPU as oneDNN sees it: engine, stream, memory that this program can read and write. Two builds of the library
// differ here alone. The OpenMP build computes in the calling thread; the SYCL build submits to a queue, and its memory
// is shared with the host (USM).
#pragma once

#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>

#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_SYCL
#include <oneapi/dnnl/dnnl_sycl.h>
#endif

#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
extern "C" void omp_set_num_threads(int);
#endif

struct Machine {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};

  static const char* runtime() {
    return DNNL_CPU_RUNTIME == DNNL_RUNTIME_SYCL ? "SYCL" : DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP ? "OpenMP" : "TBB";
  }

  /// The SYCL build has no such call: it takes the cores that the process may run on.
  static void setThreads(int threads) {
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
    omp_set_num_threads(threads);
#else
    (void)threads;
#endif
  }

  /// Zeroed.
  dnnl::memory allocate(const dnnl::memory::desc& layout) const {
#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_SYCL
    dnnl_memory_t handle = nullptr;
    dnnl::error::wrap_c_api(
        dnnl_sycl_interop_memory_create(
            &handle, layout.get(), engine.get(), dnnl_sycl_interop_usm, DNNL_MEMORY_ALLOCATE),
        "memory shared with the host could not be had");
    dnnl::memory memory(handle);
#else
    dnnl::memory memory(layout, engine);
#endif
    std::memset(memory.get_data_handle(), 0, layout.get_size());
    return memory;
  }

  void reorder(dnnl::memory& from, dnnl::memory& to) {
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
  }
};
