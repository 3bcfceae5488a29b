/// Ends the process, with a sentence, where a cell's mathematics uses a plane that the cell did not declare.
struct PlaneCheck {
  let cell: String
  let planes: CellPlanes
  /// Pre-activation planes that `operand` may use.
  let firstStage: Set<Int>

  init<C: Cell>(_: C.Type, _ planes: CellPlanes) {
    cell = "\(C.self)"
    self.planes = planes
    let gates = C.gates
    let apart = gates.indices.filter { gates[$0].isApart }
    firstStage = Set(
      gates.indices.filter { gates[$0].stage == 0 }
        + apart.indices.filter { gates[apart[$0]].stage == 0 }.map { gates.count + $0 })
  }

  /// The first `count` planes as results. The others must be what `Planes` fills up with.
  func results(
    _ values: Planes<RecordedValue>, _ count: Int, _ function: String, _ name: String,
    _ plane: (Int) -> PointwisePlane
  ) -> [(PointwisePlane, RecordedValue)] {
    for p in count..<Planes<RecordedValue>.capacity {
      if case .constant(0) = values[p].node.operation { continue }
      fail(function, name, p, count)
    }
    return (0..<count).map { (plane($0), values[$0]) }
  }

  /// - Parameter isOperand: gates of stage 1 are out of reach, too.
  func inputs(of program: PointwiseProgram, _ function: String, saved: Int = 0, isOperand: Bool = false) {
    for plane in program.inputs {
      switch plane {
      case .gate(let p):
        if p >= planes.gates { fail(function, "gates", p, planes.gates) }
        if isOperand, !firstStage.contains(p) {
          fatalError("\(cell).\(function): expected gates of stage 0, got gates[\(p)]")
        }
      case .previous(let p): if p >= planes.states { fail(function, "states before the step", p, planes.states) }
      case .unit(let p): if p >= planes.units { fail(function, "units", p, planes.units) }
      case .state(let p): if p >= planes.states { fail(function, "states", p, planes.states) }
      case .saved(let p): if p >= saved { fail(function, "saved", p, saved) }
      case .gradient(let p): if p >= planes.states { fail(function, "gradients", p, planes.states) }
      case .operand: break
      }
    }
  }

  private func fail(_ function: String, _ name: String, _ plane: Int, _ count: Int) -> Never {
    fatalError("\(cell).\(function): \(name): expected planes 0..<\(count), got plane \(plane)")
  }
}
