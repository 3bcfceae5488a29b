/// Where each parameter of a stack of layers lies in the one flat vector that holds them all.
///
/// Layer after layer: W [G·H, I], U [G·H, H], b [G·H], b_h [A·H] (A gates with a recurrent bias of their own), then each
/// unit parameter [H]. Matrices are row-major, one row for each output; the rows of a gate lie together, gates in the
/// cell's order.
public struct ParameterLayout: Hashable, Sendable {
  /// One named tensor.
  public struct Tensor: Hashable, Sendable {
    /// `W`, `U`, `b`, `b_h`, or the name of a unit parameter.
    public let name: String
    /// The layer it belongs to, from 0.
    public let layer: Int
    public let rows: Int
    /// 1 for vectors.
    public let columns: Int
    /// Elements of the flat vector.
    public let range: Range<Int>
  }

  public let tensors: [Tensor]
  /// Elements of the flat vector.
  public let count: Int
  /// Units of each layer, H.
  public let units: Int
  /// The gates, in order.
  public let gates: [String]

  init(_ plan: CellPlan, inputs: Int, units: Int, layers: Int) {
    var tensors: [Tensor] = []
    var offset = 0
    for layer in 0..<layers {
      func append(_ name: String, _ blocks: Int, _ columns: Int) {
        let (rows, overflow) = blocks.multipliedReportingOverflow(by: units)
        let (size, overflow2) = rows.multipliedReportingOverflow(by: columns)
        let (end, overflow3) = offset.addingReportingOverflow(size)
        if overflow || overflow2 || overflow3 || end > Int.max / 64 {
          fatalError("parameters: \(inputs) inputs and \(units) units in \(layers) layers overflow the address space")
        }
        tensors.append(Tensor(name: name, layer: layer, rows: rows, columns: columns, range: offset..<end))
        offset = end
      }
      append("W", plan.gates, layer == 0 ? inputs : units)
      append("U", plan.gates, units)
      append("b", plan.gates, 1)
      if !plan.apartGates.isEmpty { append("b_h", plan.apartGates.count, 1) }
      for name in plan.unitNames { append(name, 1, 1) }
    }
    self.tensors = tensors
    self.units = units
    gates = plan.gateNames
    count = offset
  }

  /// The tensor of this name in this layer, nil where there is none.
  public func tensor(_ name: String, layer: Int = 0) -> Tensor? {
    tensors.first { $0.name == name && $0.layer == layer }
  }

  /// The elements of one gate within `W`, `U` or `b`, nil where there is none.
  public func range(_ name: String, gate: String, layer: Int = 0) -> Range<Int>? {
    guard ["W", "U", "b"].contains(name), let tensor = tensor(name, layer: layer),
      let index = gates.firstIndex(of: gate)
    else { return nil }
    let size = units * tensor.columns
    return (tensor.range.lowerBound + index * size)..<(tensor.range.lowerBound + (index + 1) * size)
  }
}

/// The parameters of a stack of layers, or the gradient of a loss with respect to them: one flat vector with named views.
///
/// A value: copies are independent. An optimiser, a file or an all-reduce treats `values` as one vector.
public struct Parameters<Scalar: RecurrenceScalar>: Hashable, Sendable {
  public let layout: ParameterLayout
  /// All elements, in the order of the layout. Setting a different number of elements traps.
  public var values: [Scalar] {
    get { storage }
    // Not `didSet`: an observed array is copied where another module changes it in place.
    _modify {
      defer {
        if storage.count != layout.count {
          fatalError("values: expected \(layout.count) elements, as the layout says, got \(storage.count)")
        }
      }
      yield &storage
    }
  }
  private var storage: [Scalar]

  /// All zero.
  public init(_ layout: ParameterLayout) {
    self.layout = layout
    storage = [Scalar](repeating: 0, count: layout.count)
  }

  /// One tensor, row-major. Traps where the layer has no such tensor, or the number of elements differs.
  public subscript(_ name: String, layer layer: Int = 0) -> [Scalar] {
    get { Array(values[range(name, layer)]) }
    set {
      let range = range(name, layer)
      if newValue.count != range.count {
        fatalError("\(name): expected \(range.count) elements, got \(newValue.count)")
      }
      values.replaceSubrange(range, with: newValue)
    }
  }

  /// One element of one tensor. Traps where it does not exist.
  public subscript(_ name: String, row: Int, column: Int, layer layer: Int = 0) -> Scalar {
    get { values[index(name, row, column, layer)] }
    set { values[index(name, row, column, layer)] = newValue }
  }

  private func range(_ name: String, _ layer: Int) -> Range<Int> {
    guard let tensor = layout.tensor(name, layer: layer) else { missing(name, layer) }
    return tensor.range
  }

  private func index(_ name: String, _ row: Int, _ column: Int, _ layer: Int) -> Int {
    guard let tensor = layout.tensor(name, layer: layer) else { missing(name, layer) }
    guard (0..<tensor.rows).contains(row), (0..<tensor.columns).contains(column) else {
      fatalError("\(name): expected an element of \(tensor.rows) × \(tensor.columns), got (\(row), \(column))")
    }
    return tensor.range.lowerBound + row * tensor.columns + column
  }

  private func missing(_ name: String, _ layer: Int) -> Never {
    let names = layout.tensors.filter { $0.layer == layer }.map(\.name)
    fatalError(
      "parameter: layer \(layer) has \(names.isEmpty ? "nothing" : names.joined(separator: ", ")), not \(name)")
  }
}
