// Steps of few sequences through a layer of few units, whose pre-activations stay in registers from the products to the
// cell's mathematics:
//
//   for each step:  for each row:
//     gates ← biases + input · Wᵀ            (or what was projected before)
//     gates += h · Uᵀ                        (two chains, as everywhere in such a layer)
//     states ← the cell's mathematics
//
// Such a step is shorter than what it takes to choose tiles, and to send pre-activations through memory between two
// products and the mathematics. Every output is the sum that tiles make, to the bit.

/// - Parameters of the type:
///   - gates: gates that the cell has.
///   - apart: how many of them keep input and recurrent part apart. In a row, their input parts come first, then the sums
///     of the others, then their recurrent parts.
///   - Units: what all units are in: a vector, perhaps in part, or a pair of vectors.
@frozen @usableFromInline
enum RowStepsKernel<V: Vector, Units: Vector, C: FusedCell, let gates: Int, let apart: Int>
where Units.Scalar == V.Scalar {
  @usableFromInline typealias Scalar = V.Scalar
  /// Of each gate, the sums of its units.
  @usableFromInline typealias Sums = InlineArray<gates, Units>

  /// Whether sums and what they are made of fit the registers.
  @inlinable @inline(__always)
  static var fits: Bool { 4 &* gates <= Units.registers }

  /// - Parameter units: as many as `Units` has lanes, a constant; or fewer.
  @inlinable @inline(__always)
  static func run(_ cell: C, _ steps: UnsafeMutablePointer<RecurrentSteps<Scalar>>, units: Int) {
    // Of several steps at once, the input's product has several rows, for which there are tiles.
    let projects = unsafe steps.pointee.projects && steps.pointee.projection!.c.rows == 1
    if unsafe steps.pointee.projects && !projects { unsafe project(steps) }
    // h goes to the next step by way of memory of ours: the caller's may cross cache lines, which what is written last
    // passes slowly.
    let copy = unsafe steps.pointee.productScratch
    var (h, stride) = unsafe (steps.pointee.step.previousHidden!, steps.pointee.step.previousHiddenStride)
    var remaining = unsafe steps.pointee.count
    while true {
      for r in unsafe 0..<steps.pointee.rows {
        unsafe runRow(cell, steps, units, r, h + r &* stride, copy + r &* Units.lanes, projects: projects)
      }
      remaining &-= 1
      if remaining == 0 { return }
      unsafe (h, stride) = unsafe (UnsafePointer(copy), Units.lanes)
      unsafe steps.pointee.advanceStep()
    }
  }

  // Not inlined, so that `runRow` is: it wants to know the number of units when it is compiled.
  @inlinable @inline(never)
  static func project(_ steps: UnsafeMutablePointer<RecurrentSteps<Scalar>>) {
    unsafe RecurrentStepsKernel<V>.project(steps.pointee.projection!, steps)
  }

  @inlinable @inline(never)
  static func runWhole(_ cell: C, _ steps: UnsafeMutablePointer<RecurrentSteps<Scalar>>) {
    unsafe run(cell, steps, units: Units.lanes)
  }

  @inlinable @inline(never)
  static func runPart(_ cell: C, _ steps: UnsafeMutablePointer<RecurrentSteps<Scalar>>) {
    unsafe run(cell, steps, units: steps.pointee.step.units)
  }

  @inlinable @inline(__always)
  static func runRow(
    _ cell: C, _ steps: UnsafeMutablePointer<RecurrentSteps<Scalar>>, _ units: Int, _ r: Int,
    _ h: UnsafePointer<Scalar>,
    _ copy: UnsafeMutablePointer<Scalar>, projects: Bool
  ) {
    let step = unsafe UnsafePointer(steps.pointer(to: \.step)!)
    let row = unsafe FusedCellKernel<Units, C>.Row(step, row: r)
    // Planes in the order of a row: what the input reaches, and of what h reaches, the sums so far.
    let start =
      unsafe projects
      ? steps.pointee.projection!.bias! : UnsafePointer(step.pointee.gates! + r &* step.pointee.gateStride)
    var input = Sums(repeating: .zero)
    for g in 0..<gates { input[g] = unsafe row.load(start + g &* units, units) }
    if projects { unsafe multiply(steps.pointee.projection!, units, &input) }
    var sums = Sums(repeating: .zero)
    for g in 0..<gates {
      let plane = apart &+ g
      sums[g] = unsafe plane < gates ? input[plane] : row.load(start + plane &* units, units)
    }
    unsafe multiplyInChains(steps.pointee.product, h, units, &sums)
    // A stream's states stay where they are: nothing is written before everything was read.
    let cellInput = CellInput(
      gates: Planes(count: C.gatePlanes) { plane in
        let place = C.place(ofPlane: plane)
        return place < apart ? input[place] : sums[place &- apart]
      },
      states: Planes(count: C.statePlanes) {
        unsafe $0 == 0 ? row.load(h, units) : row.load(.previous($0), 0, units)
      },
      units: Planes(count: C.unitPlanes) { unsafe row.load(.unit($0), 0, units) })
    let result = cell.forward(cellInput)
    unsafe result.states[0].store(copy)
    unsafe row.store(result, 0, units)
  }

  /// sums += a · W, k ascending.
  @inlinable @inline(__always)
  static func multiply(_ product: ProductOperands<Scalar>, _ units: Int, _ sums: inout Sums) {
    let (a, depth) = unsafe (product.a.pointer(row: 0, column: 0), product.a.columns)
    for k in 0..<depth {
      let x = unsafe Units(repeating: a[k])
      for g in 0..<gates { sums[g] = unsafe Units.multiplyAdd(x, weights(product, k, g, units), sums[g]) }
    }
  }

  /// The same in two chains: the second half of the sum is added to the first.
  @inlinable @inline(__always)
  static func multiplyInChains(
    _ product: ProductOperands<Scalar>, _ a: UnsafePointer<Scalar>, _ units: Int, _ sums: inout Sums
  ) {
    let half = unsafe product.a.columns / 2
    var others = Sums(repeating: .zero)
    for k in 0..<half {
      let (x, y) = unsafe (Units(repeating: a[k]), Units(repeating: a[half &+ k]))
      for g in 0..<gates {
        sums[g] = unsafe Units.multiplyAdd(x, weights(product, k, g, units), sums[g])
        others[g] = unsafe Units.multiplyAdd(y, weights(product, half &+ k, g, units), others[g])
      }
    }
    for g in 0..<gates { sums[g] = sums[g] + others[g] }
  }

  /// Packed weights that element k of a row has for the units of a gate. Whole vectors of units lie in panels of two
  /// vectors, the last perhaps of one; fewer units than that, of all gates in one panel.
  @inlinable @inline(__always)
  static func weights(_ product: ProductOperands<Scalar>, _ k: Int, _ gate: Int, _ units: Int) -> Units {
    let width = TileGeometry<V>.panelWidth
    if units == Units.lanes {
      let column = gate &* Units.lanes
      let isAlone = gates &* Units.lanes &- column == V.lanes && column % width == 0
      let panel = unsafe product.weights + column / width &* width &* product.a.columns
      return unsafe Units.load(panel + (k &* (isAlone ? V.lanes : width) &+ column % width))
    }
    let stride = gates &* units > V.lanes ? width : V.lanes
    return unsafe Units.load(product.weights + (k &* stride &+ gate &* units), count: units)
  }
}

/// Chooses the instance of `RowStepsKernel` for a number of units known only at run time.
@frozen @usableFromInline enum RowStepsDispatch<V: Vector, C: FusedCell, let gates: Int, let apart: Int> {
  /// - Returns: false, and nothing is done, where there is no such instance.
  @inlinable @inline(__always)
  static func run(_ cell: C, _ steps: UnsafeMutablePointer<RecurrentSteps<V.Scalar>>) -> Bool {
    // The comparisons of `fits` are between constants: instances that the registers have no room for are not compiled.
    switch unsafe steps.pointee.step.units {
    case V.lanes where RowStepsKernel<V, V, C, gates, apart>.fits:
      unsafe RowStepsKernel<V, V, C, gates, apart>.runWhole(cell, steps)
    case 2 &* V.lanes where RowStepsKernel<V, VectorPair<V>, C, gates, apart>.fits:
      unsafe RowStepsKernel<V, VectorPair<V>, C, gates, apart>.runWhole(cell, steps)
    case let units where units < V.lanes && gates &* units <= TileGeometry<V>.panelWidth:
      unsafe RowStepsKernel<V, V, C, gates, apart>.runPart(cell, steps)
    default: return false
    }
    return true
  }
}

extension RecurrentStepsKernel {
  /// Rows of a step. Of 32, tiles are a fifth faster for an LSTM of 8 or 16 units; of 4, they take 1.7 times as long for an RNN.
  @inlinable @inline(__always) static var mostRows: Int { 8 }

  /// Runs steps of few sequences through few units, if these are such and their cell has kernels for it. They are a layer's,
  /// whose operands belong together: to check it took a tenth of a step.
  @inlinable @inline(__always)
  static func runRowSteps(_ steps: UnsafeMutablePointer<RecurrentSteps<Scalar>>) -> Bool {
    let rows = unsafe steps.pointee.rows
    guard unsafe steps.pointee.isOfLayer, unsafe steps.pointee.product.chains == 2, unsafe steps.pointee.count > 0,
      rows > 0, rows <= mostRows
    else { return false }
    let activation = unsafe steps.pointee.mathematics.activation
    return switch unsafe steps.pointee.mathematics.kind {
    case .rnn: unsafe RowStepsDispatch<V, FusedRNN, 1, 0>.run(FusedRNN(activation), steps)
    case .rnnKeepingGate:
      unsafe RowStepsDispatch<V, FusedRNNKeepingGate, 1, 0>.run(FusedRNNKeepingGate(activation), steps)
    case .lstm: unsafe RowStepsDispatch<V, LSTM, 4, 0>.run(LSTM(), steps)
    case .peepholeLSTM: unsafe RowStepsDispatch<V, PeepholeLSTM, 4, 0>.run(PeepholeLSTM(), steps)
    case .gru: unsafe RowStepsDispatch<V, GRU, 3, 1>.run(GRU(), steps)
    case .gruResetBefore, .recorded: false
    }
  }
}
