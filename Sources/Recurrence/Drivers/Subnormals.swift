import CProcessor

/// Subnormal operands and results are zero within `body`, on this thread; the thread's mode is restored.
///
/// Gradients that vanish pass through the subnormal numbers, on which processors crawl.
func flushingSubnormals(_ body: () -> Void) {
  let mode = recurrence_flush_subnormals()
  body()
  recurrence_restore_subnormals(mode)
}
