import Recurrence
import RecurrenceKernels
let args = CommandLine.arguments.dropFirst()
let op = args.first!
let n = args.dropFirst().map { Int($0)! }
let M = n[0], N = n[1], K = n[2], reps = n[3]
let k = Kernels<Float>.selected
var x = MatrixProducts<Float>(threads: 1, kernels: k)
let a = AlignedBuffer<Float>(count: M*K), w = AlignedBuffer<Float>(count: N*K), c = AlignedBuffer<Float>(count: M*N)
switch op {
case "peak": var s: Float = 0; for _ in 0..<reps { s += k.table.peak(iterations: 1000, multiplier: 0.999, addend: 0.001) }; print(s)
case "nt":
  var p = PackedWeights<Float>(outputs: N, depth: K, kernels: k)
  unsafe p.packRows(MatrixView(w.unsafePointer, rows: N, columns: K))
  for _ in 0..<reps { unsafe x.multiply(MatrixView(a.unsafePointer, rows: M, columns: K), p, into: MutableMatrixView(c.unsafePointer, rows: M, columns: N)) }
case "tn":
  for _ in 0..<reps { unsafe x.accumulateTransposed(MatrixView(a.unsafePointer, rows: K, columns: M), MatrixView(w.unsafePointer, rows: K, columns: N), into: MutableMatrixView(c.unsafePointer, rows: M, columns: N)) }
case "pack":
  var p = PackedWeights<Float>(outputs: N, depth: K, kernels: k)
  for _ in 0..<reps { unsafe p.packRows(MatrixView(w.unsafePointer, rows: N, columns: K)) }
default: break
}
