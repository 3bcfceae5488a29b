// Temporary entries.
import RecurrenceKernels

public enum SmokeBaseline {
  @inline(never) public static func map(_ a: Activation, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ n: Int) {
    unsafe ActivationKernel<FloatVector>.map(a, x, y, count: n)
  }
  @inline(never) public static func map(_ a: Activation, _ x: UnsafePointer<Double>, _ y: UnsafeMutablePointer<Double>, _ n: Int) {
    unsafe ActivationKernel<DoubleVector>.map(a, x, y, count: n)
  }
  @inline(never) public static func derivative(_ a: Activation, _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ d: UnsafeMutablePointer<Float>, _ n: Int) {
    unsafe ActivationKernel<FloatVector>.mapDerivative(a, at: x, value: y, d, count: n)
  }
  @inline(never) public static func derivative(_ a: Activation, _ x: UnsafePointer<Double>, _ y: UnsafePointer<Double>, _ d: UnsafeMutablePointer<Double>, _ n: Int) {
    unsafe ActivationKernel<DoubleVector>.mapDerivative(a, at: x, value: y, d, count: n)
  }
  @inline(never) public static func exp(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ n: Int) {
    unsafe ActivationKernel<FloatVector>.map(Exponential(), x, y, count: n)
  }
  @inline(never) public static func tanh(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ n: Int) {
    unsafe ActivationKernel<FloatVector>.map(Tanh(), x, y, count: n)
  }
  @inline(never) public static func sigmoid(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ n: Int) {
    unsafe ActivationKernel<FloatVector>.map(Sigmoid(), x, y, count: n)
  }
  @inline(never) public static func softplus(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ n: Int) {
    unsafe ActivationKernel<FloatVector>.map(Softplus(), x, y, count: n)
  }
  @inline(never) public static func elu(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ n: Int) {
    unsafe ActivationKernel<FloatVector>.map(ELU(), x, y, count: n)
  }
}
