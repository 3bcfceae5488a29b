import RecurrenceKernels

extension Activation {
  /// output[i] = f(input[i]), with the kernels of this process.
  ///
  /// - Parameters:
  ///   - input: in.
  ///   - output: out, as many elements; the same buffer as `input`, or disjoint from it.
  ///
  /// Accuracy: Docs/Accuracy.md. The bits of an element do not depend on its place. Traps with a sentence where the
  /// buffers differ in length.
  @unsafe public func apply<Scalar: RecurrenceScalar>(
    _ input: UnsafeBufferPointer<Scalar>, into output: UnsafeMutableBufferPointer<Scalar>
  ) {
    Self.check(output.count, "output", input.count)
    guard let source = input.baseAddress, let destination = output.baseAddress else { return }
    unsafe Kernels<Scalar>.selected.table.activation(self, source, destination, count: input.count)
  }

  /// output[i] = f′(x[i]), given y[i] = f(x[i]), with the kernels of this process.
  ///
  /// - Parameters:
  ///   - x: in, arguments.
  ///   - y: in, values as `apply` returned them, as many elements. Functions whose derivative comes from the value
  ///     alone do not read `x`'s values, and y may be passed twice.
  ///   - output: out, as many elements; the same buffer as `x` or `y`, or disjoint from both.
  @unsafe public func applyDerivative<Scalar: RecurrenceScalar>(
    at x: UnsafeBufferPointer<Scalar>, value y: UnsafeBufferPointer<Scalar>,
    into output: UnsafeMutableBufferPointer<Scalar>
  ) {
    Self.check(y.count, "value", x.count)
    Self.check(output.count, "output", x.count)
    guard let x0 = x.baseAddress, let y0 = y.baseAddress, let destination = output.baseAddress else { return }
    unsafe Kernels<Scalar>.selected.table.activationDerivative(self, at: x0, value: y0, destination, count: x.count)
  }

  private static func check(_ count: Int, _ name: StaticString, _ expected: Int) {
    if count != expected { fatalError("\(name): expected \(expected) elements, as many as the input, got \(count)") }
  }
}
