extension Options {
  static var help: String {
    let suites = Suite.all.map { suite in
      "  " + suite.name + String(repeating: " ", count: max(1, 12 - suite.name.count)) + suite.summary
    }
    return """
      recurrence-bench: how fast the kernels run here, and how close to the limit of this processor.

      USAGE: recurrence-bench [options]
             taskset -c 0 recurrence-bench --filter peak,matmul/nt

      SUITES
      \(suites.joined(separator: "\n"))

      OPTIONS
        --filter TEXT[,TEXT]   run the cases whose label contains one of the texts; one that begins with the name of a
                               suite must begin the label
        --list                 print the labels of the cases and run nothing
        --json                 one JSON object per line instead of a table
        --svg FILE             draw what was measured: the lines of scaling, or the roofline of matmul, infer, train
                               and step
        --shapes M,N,K         shapes for matmul, repeatable; each runs as nt, nn and tn
        --shapes T,B,I,H       shapes for infer, train, step (T and B do not count), memory, subnormal and flow
        --threads N[,N]        thread counts, except for peak, bandwidth, activation and step (default 1)
        --keeping K            memory and train: the tape keeps K steps at a time, and runs the rest again on the way
                               back (default: it keeps all)
        --isa NAME[,NAME]|all  instruction sets (default: the one this process selected)
        --dtype f32|f64        element type; f32,f64 for both (default: f32, and both for peak)
        --seconds S            seconds of samples per case, warm-up not counted (default 0.5)
        --include-packing      matmul: pack the weights anew before every product (nt, nn)
        --requests             read labels of infer, train and step from the standard input, of any shape, one a
                               line, and answer each with a line of JSON; see REQUESTS
        --exhaustive           check the activations over all floats instead of measuring
        --help                 this text

      MATMUL
        nt  C[M,N] = bias + A[M,K] · W[N,K]ᵀ, weights packed beforehand (forward)
        nn  C[M,N] = A[M,K] · W[K,N], weights packed beforehand (backward through time)
        tn  C[M,N] += A[K,M]ᵀ · B[K,N] (gradient of weights)

      WHAT THE NUMBERS MEAN
        Every result is checked before it is timed; a wrong one is reported, not measured.
        A sample is the mean over as many calls as fill 200 µs. ms is the median of the samples, ms_min and ms_max
        the extremes, spread is (p90 - p10) / median. cpu is processor time over wall-clock time: below the number
        of threads, other processes took part of the cores, and the line is to be repeated.
        gflops counts 2·M·N·K and is computed from ms, gflops_best from ms_min. What --keeping runs again is not
        counted twice.
        roof is gflops_best over the best peak. The peak is the rate of independent multiply-adds in registers, for
        the same element type, instruction set and thread count. It is measured before, between and after four slices
        of each case, so that a drifting clock moves both; its largest sample counts.
        roofline is what the same machine could do at most, in GFLOP/s: the peak, or the bytes of weights (of operands,
        in matmul) that arrive from level, times intensity, the operations that each byte is good for. The bandwidth
        of that level is measured in the same slices as the peak. of_roofline is the fraction reached.
        ns_p50, ns_p99 and ns_max are of batches of \(StepTimes.batch) steps, divided by their steps.
        Memory is that of a process which does one training step; all columns: Docs/Benchmarks/README.md.
        peak reports the fastest sample, bandwidth and activation the median.

      REQUESTS
        For scripts that compare libraries in turn. A label is what --list prints, and may have any shape:
        infer/lstm/100x32x128x128/f32/x86-64-v4/threads=1. The answer has the fields of --json but no roof, or
        {"label":…,"error":…}. Operands stay while the label does: they are verified and warmed up at the first of
        equal requests, and the others cost the samples of --seconds, at least three; one, where it
        takes a quarter of a second.

      ENVIRONMENT
        RECURRENCE_ISA         the instruction set this process selects: baseline, x86-64-v3, x86-64-v4

      EXIT STATUS
        0 done, 1 failed with a sentence on the standard error stream, 2 the command line was not understood
      """
  }
}
