// Replays a recorded cell, a block of elements at a time. Every register of the program is a block in memory; an
// operation reads its operands' blocks and writes its own. Run backwards, every register has a second block, the
// derivative of the loss with respect to it.

@frozen public enum PointwiseProgramKernel<V: Vector> {
  public typealias Scalar = V.Scalar

  /// Elements of a block. Long enough that choosing the operation is a small part of it, short enough that the blocks
  /// of a cell of some twenty operations stay in L1.
  @inlinable @inline(__always) public static var block: Int { 256 }

  @inlinable @inline(never)
  static func run(
    _ cell: RecordedCellView, _ action: CellAction, _ step: CellStep<Scalar>, rows: Range<Int>, units: Range<Int>,
    scratch: UnsafeMutablePointer<Scalar>
  ) {
    switch action {
    case .forward:
      forEachBlock(rows, units) { unsafe Block(step, $0, $1, scratch, isForward: true).run(cell.forward) }
    case .operand:
      forEachBlock(rows, units) { unsafe Block(step, $0, $1, scratch, isForward: true).run(cell.operand!) }
    case .backward:
      forEachBlock(rows, units) {
        let block = unsafe Block(step, $0, $1, scratch, isForward: false)
        if unsafe cell.isDerived {
          unsafe block.runBackwards(cell.backward, adding: false)
        } else {
          unsafe block.run(cell.backward)
        }
      }
    case .backwardWithTotals:
      if unsafe !cell.isDerived { fatalError("a recorded cell that writes its backward has no total gradients") }
      forEachBlock(rows, units) {
        let block = unsafe Block(step, $0, $1, scratch, isForward: false)
        unsafe block.runBackwards(cell.backward, adding: false)
        unsafe block.writeTotals(cell.backward)
      }
    case .operandBackward:
      forEachBlock(rows, units) {
        let block = unsafe Block(step, $0, $1, scratch, isForward: false)
        unsafe block.run(cell.savedOperand!)
        if unsafe cell.isDerived {
          unsafe block.runBackwards(cell.operandBackward!, adding: true)
        } else {
          unsafe block.run(cell.operandBackward!, adding: true)
        }
      }
    }
  }

  /// Calls `body` for blocks of whole rows, or of parts of one row where a row is longer than a block.
  @inlinable @inline(__always)
  static func forEachBlock(_ rows: Range<Int>, _ units: Range<Int>, _ body: (Range<Int>, Range<Int>) -> Void) {
    if units.isEmpty { return }
    var u = units.lowerBound
    while u < units.upperBound {
      let width = min(block, units.upperBound - u)
      let padded = (width + V.lanes - 1) / V.lanes * V.lanes
      let height = block / padded
      var r = rows.lowerBound
      while r < rows.upperBound {
        let end = min(rows.upperBound, r + height)
        body(unsafe Range(uncheckedBounds: (r, end)), unsafe Range(uncheckedBounds: (u, u + width)))
        r = end
      }
      u += width
    }
  }

  /// One block of rows and units.
  @frozen @unsafe @usableFromInline struct Block {
    @usableFromInline let step: CellStep<Scalar>
    @usableFromInline let rows: Range<Int>
    @usableFromInline let units: Range<Int>
    @usableFromInline let registers: UnsafeMutablePointer<Scalar>
    @usableFromInline let isForward: Bool
    /// Elements from one row of the block to the next: `units` rounded up to whole vectors.
    @usableFromInline let width: Int
    /// Vectors in the block.
    @usableFromInline let vectors: Int

    @inlinable @inline(__always)
    init(
      _ step: CellStep<Scalar>, _ rows: Range<Int>, _ units: Range<Int>,
      _ registers: UnsafeMutablePointer<Scalar>, isForward: Bool
    ) {
      unsafe self.step = unsafe step
      unsafe self.rows = rows
      unsafe self.units = units
      unsafe self.registers = unsafe registers
      unsafe self.isForward = isForward
      unsafe width = (units.count + V.lanes - 1) / V.lanes * V.lanes
      unsafe vectors = rows.count * width / V.lanes
    }

    @inlinable @inline(__always)
    func register(_ index: Int) -> UnsafeMutablePointer<Scalar> { unsafe registers + index * block }

    // MARK: Planes

    /// Where a plane that a program reads is. Run backwards, it reads gates as they were saved. Planes of tangents are
    /// numbered after the others.
    @inlinable @inline(never)
    func source(_ plane: PointwisePlane) -> (base: UnsafePointer<Scalar>, stride: Int) {
      if case .gate(let p) = plane, unsafe !isForward { return unsafe step.source(.saved(p)) }
      guard let tangent = unsafe step.tangent else { return unsafe step.source(plane) }
      let capacity = Planes<V>.capacity
      switch plane {
      case .gate(let p) where p >= capacity: return unsafe tangent.pointee.source(.gate(p - capacity))
      case .previous(let p) where p >= capacity: return unsafe tangent.pointee.source(.previous(p - capacity))
      case .unit(let p) where p >= capacity: return unsafe tangent.pointee.source(.unit(p - capacity))
      default: return unsafe step.source(plane)
      }
    }

    /// Where a result goes; that of a program of tangents is one.
    @inlinable @inline(never)
    func target(_ plane: PointwisePlane) -> (base: UnsafeMutablePointer<Scalar>, stride: Int) {
      unsafe step.tangent?.pointee.target(plane) ?? step.target(plane)
    }

    /// Copies a plane into a register, or adds it.
    @inlinable @inline(never)
    func read(_ plane: PointwisePlane, into register: UnsafeMutablePointer<Scalar>, adding: Bool) {
      let (base, stride) = unsafe source(plane)
      let own: UnsafePointer<Scalar>? = if case .gradient(0) = plane { unsafe step.outputGradient } else { nil }
      unsafe forEachVector { row, u, offset, count in
        var value = unsafe V.load(base + row * stride + u, count: count)
        if let own = unsafe own {
          value = unsafe value + V.load(own + row * step.outputGradientStride + u, count: count)
        }
        unsafe (adding ? V.load(register + offset) + value : value).store(register + offset)
      }
    }

    /// Copies a register into a plane, or adds it; zero where there is no register.
    @inlinable @inline(never)
    func write(_ binding: PointwiseBinding, from registers: UnsafeMutablePointer<Scalar>, adding: Bool) {
      let (base, stride) = unsafe target(binding.plane)
      if binding.register < 0 {
        if adding { return }
        unsafe forEachVector { row, u, _, count in unsafe V.zero.store(base + row * stride + u, count: count) }
        return
      }
      let register = unsafe registers + binding.register * block
      unsafe forEachVector { row, u, offset, count in
        let target = unsafe base + row * stride + u
        let value = unsafe V.load(register + offset)
        unsafe (adding ? V.load(target, count: count) + value : value).store(target, count: count)
      }
    }

    /// Calls `body(row, unit, offset within a register, count)` for every vector of the block.
    @inlinable @inline(__always)
    func forEachVector(_ body: (Int, Int, Int, Int) -> Void) {
      var offset = 0
      for r in unsafe rows {
        var u = unsafe units.lowerBound
        while unsafe u < units.upperBound {
          unsafe body(r, u, offset, min(V.lanes, units.upperBound - u))
          u += V.lanes
          offset += V.lanes
        }
      }
    }

    // MARK: Forwards

    @inlinable @inline(never)
    func run(_ program: PointwiseProgramView, adding: Bool = false) {
      unsafe evaluate(program)
      for index in unsafe 0..<program.outputs.count {
        let output = unsafe program.outputs[index]
        switch output.plane {
        // Inference saves nothing.
        case .saved where unsafe step.saved == nil: break
        case .operand: unsafe write(output, from: registers, adding: false)
        default: unsafe write(output, from: registers, adding: adding)
        }
      }
    }

    @inlinable @inline(never)
    func evaluate(_ program: PointwiseProgramView) {
      for index in unsafe 0..<program.instructions.count {
        let instruction = unsafe program.instructions[index]
        let to = unsafe register(index)
        let (a, b) = unsafe (register(instruction.a), register(instruction.b))
        switch instruction.operation {
        case .input(let plane): unsafe read(plane, into: to, adding: false)
        case .constant(let value):
          let constant = V(value)
          for v in unsafe 0..<vectors { unsafe constant.store(to + v * V.lanes) }
        case .add: unsafe map(a, b, to) { $0 + $1 }
        case .subtract: unsafe map(a, b, to) { $0 - $1 }
        case .multiply: unsafe map(a, b, to) { $0 * $1 }
        case .divide: unsafe map(a, b, to) { $0 / $1 }
        case .negate: unsafe map(a, a, to) { x, _ in x.negated }
        case .multiplyAdd:
          let c = unsafe register(instruction.c)
          for v in unsafe 0..<vectors {
            let i = v * V.lanes
            unsafe V.multiplyAdd(V.load(a + i), V.load(b + i), V.load(c + i)).store(to + i)
          }
        case .select:
          let (c, d) = unsafe (register(instruction.c), register(instruction.d))
          for v in unsafe 0..<vectors {
            let i = v * V.lanes
            let mask = unsafe V.isLess(V.load(a + i), V.load(b + i))
            unsafe V.select(mask, V.load(c + i), V.load(d + i)).store(to + i)
          }
        case .activation(let activation):
          unsafe ActivationKernel<V>.map(activation, a, to, count: vectors * V.lanes)
        case .activationDerivative(let activation):
          unsafe ActivationKernel<V>.mapDerivative(activation, at: a, value: b, to, count: vectors * V.lanes)
        }
      }
    }

    @inlinable @inline(__always)
    func map(
      _ a: UnsafePointer<Scalar>, _ b: UnsafePointer<Scalar>, _ to: UnsafeMutablePointer<Scalar>,
      _ operation: (V, V) -> V
    ) {
      for v in unsafe 0..<vectors {
        let i = v * V.lanes
        unsafe operation(V.load(a + i), V.load(b + i)).store(to + i)
      }
    }

    // MARK: Backwards

    /// Pulls the derivatives with respect to the program's outputs back to its inputs.
    @inlinable @inline(never)
    func runBackwards(_ program: PointwiseProgramView, adding: Bool) {
      unsafe evaluate(program)
      let count = unsafe program.instructions.count
      let adjoints = unsafe registers + count * block
      for index in 0..<count {
        for v in unsafe 0..<vectors { unsafe V.zero.store(adjoints + index * block + v * V.lanes) }
      }
      for index in unsafe 0..<program.outputs.count {
        let output = unsafe program.outputs[index]
        let seed: PointwisePlane = if case .state(let p) = output.plane { .gradient(p) } else { .operand }
        // Two outputs may share a register.
        unsafe read(seed, into: adjoints + output.register * block, adding: true)
      }
      var index = count
      while index > 0 {
        index -= 1
        unsafe pullBack(program.instructions[index], index, adjoints)
      }
      for index in unsafe 0..<program.differentiated.count {
        unsafe write(program.differentiated[index], from: adjoints, adding: adding)
      }
    }

    /// ∂L/∂(states besides h) after a run backwards: the register of a state has gathered what came by all ways.
    @inlinable @inline(never)
    func writeTotals(_ program: PointwiseProgramView) {
      let adjoints = unsafe registers + program.instructions.count * block
      for index in unsafe 0..<program.outputs.count {
        let output = unsafe program.outputs[index]
        guard case .state(let p) = output.plane, p > 0 else { continue }
        let base = unsafe step.totals! + (p - 1) * step.units
        let adjoint = unsafe adjoints + output.register * block
        unsafe forEachVector { row, u, offset, count in
          unsafe V.load(adjoint + offset).store(base + row * step.totalsStride + u, count: count)
        }
      }
    }

    @inlinable @inline(__always)
    func pullBack(_ instruction: PointwiseInstruction, _ index: Int, _ adjoints: UnsafeMutablePointer<Scalar>) {
      let value = unsafe register(index)
      let own = unsafe adjoints + index * block
      let (a, b) = unsafe (register(instruction.a), register(instruction.b))
      let (āPlace, b̄Place) = unsafe (adjoints + instruction.a * block, adjoints + instruction.b * block)
      let (c̄Place, d̄Place) = unsafe (adjoints + instruction.c * block, adjoints + instruction.d * block)
      switch instruction.operation {
      case .input, .constant: break
      case .add:
        unsafe accumulate(āPlace) { unsafe V.load(own + $0) + $1 }
        unsafe accumulate(b̄Place) { unsafe V.load(own + $0) + $1 }
      case .subtract:
        unsafe accumulate(āPlace) { unsafe $1 + V.load(own + $0) }
        unsafe accumulate(b̄Place) { unsafe $1 - V.load(own + $0) }
      case .multiply:
        unsafe accumulate(āPlace) { unsafe V.multiplyAdd(V.load(own + $0), V.load(b + $0), $1) }
        unsafe accumulate(b̄Place) { unsafe V.multiplyAdd(V.load(own + $0), V.load(a + $0), $1) }
      case .divide:
        unsafe accumulate(āPlace) { unsafe $1 + V.load(own + $0) / V.load(b + $0) }
        unsafe accumulate(b̄Place) { unsafe $1 - V.load(own + $0) * V.load(value + $0) / V.load(b + $0) }
      case .negate: unsafe accumulate(āPlace) { unsafe $1 - V.load(own + $0) }
      case .multiplyAdd:
        unsafe accumulate(āPlace) { unsafe V.multiplyAdd(V.load(own + $0), V.load(b + $0), $1) }
        unsafe accumulate(b̄Place) { unsafe V.multiplyAdd(V.load(own + $0), V.load(a + $0), $1) }
        unsafe accumulate(c̄Place) { unsafe $1 + V.load(own + $0) }
      case .select:
        unsafe accumulate(c̄Place) { i, sum in
          let mask = unsafe V.isLess(V.load(a + i), V.load(b + i))
          return unsafe sum + V.select(mask, V.load(own + i), V.zero)
        }
        unsafe accumulate(d̄Place) { i, sum in
          let mask = unsafe V.isLess(V.load(a + i), V.load(b + i))
          return unsafe sum + V.select(mask, V.zero, V.load(own + i))
        }
      case .activation(let activation):
        unsafe pullBackActivation(activation, a, value, own, āPlace)
      case .activationDerivative: fatalError("recorded cells have first derivatives only")
      }
    }

    @inlinable @inline(__always)
    func accumulate(_ place: UnsafeMutablePointer<Scalar>, _ term: (Int, V) -> V) {
      for v in unsafe 0..<vectors {
        let i = v * V.lanes
        unsafe term(i, V.load(place + i)).store(place + i)
      }
    }

    /// One instance for each function, its loop inside: nothing is decided per vector.
    @inlinable @inline(__always)
    func pullBackActivation(
      _ activation: Activation, _ x: UnsafePointer<Scalar>, _ y: UnsafePointer<Scalar>, _ own: UnsafePointer<Scalar>,
      _ place: UnsafeMutablePointer<Scalar>
    ) {
      switch activation {
      case .exponential: unsafe pullBack(Exponential(), x, y, own, place)
      case .tanh: unsafe pullBack(Tanh(), x, y, own, place)
      case .sigmoid: unsafe pullBack(Sigmoid(), x, y, own, place)
      case .softplus: unsafe pullBack(Softplus(), x, y, own, place)
      case .relu: unsafe pullBack(ReLU(), x, y, own, place)
      case .leakyReLU(let slope): unsafe pullBack(LeakyReLU(slope: slope), x, y, own, place)
      case .elu(let alpha): unsafe pullBack(ELU(alpha: alpha), x, y, own, place)
      case .softsign: unsafe pullBack(Softsign(), x, y, own, place)
      case .hardSigmoid(let slope, let offset):
        unsafe pullBack(HardSigmoid(slope: slope, offset: offset), x, y, own, place)
      case .hardTanh(let minimum, let maximum):
        unsafe pullBack(HardTanh(minimum: minimum, maximum: maximum), x, y, own, place)
      case .identity: unsafe pullBack(Identity(), x, y, own, place)
      }
    }

    @inlinable @inline(__always)
    func pullBack<F: ActivationFunction>(
      _ function: F, _ x: UnsafePointer<Scalar>, _ y: UnsafePointer<Scalar>, _ own: UnsafePointer<Scalar>,
      _ place: UnsafeMutablePointer<Scalar>
    ) {
      unsafe accumulate(place) { i, sum in
        unsafe V.multiplyAdd(V.load(own + i), function.derivative(at: V.load(x + i), value: V.load(y + i)), sum)
      }
    }
  }
}
