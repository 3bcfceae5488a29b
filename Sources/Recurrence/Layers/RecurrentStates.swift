/// States of every layer and sequence, or the gradient of a loss with respect to them.
public struct RecurrentStates<Scalar: RecurrenceScalar>: Hashable, Sendable {
  /// Names of the states, the output h first.
  public let names: [String]
  public let layers: Int
  public let batch: Int
  public let units: Int
  /// [S, L, B, H]: state after state, each layer after layer. Setting a different number of elements traps.
  public var values: [Scalar] {
    get { storage }
    // Not `didSet`: an observed array is copied where another module changes it in place.
    _modify {
      defer {
        let count = names.count * layers * batch * units
        if storage.count != count { fatalError("values: expected \(count) elements, got \(storage.count)") }
      }
      yield &storage
    }
  }
  private var storage: [Scalar]

  init(names: [String], layers: Int, batch: Int, units: Int) {
    self.names = names
    self.layers = layers
    self.batch = batch
    self.units = units
    storage = [Scalar](repeating: 0, count: names.count * layers * batch * units)
  }

  /// One state, [L, B, H]. Traps where there is none of this name, or the number of elements differs.
  public subscript(_ name: String) -> [Scalar] {
    get { Array(values[range(name)]) }
    set {
      let range = range(name)
      if newValue.count != range.count {
        fatalError("\(name): expected \(range.count) elements, got \(newValue.count)")
      }
      values.replaceSubrange(range, with: newValue)
    }
  }

  func hasShape(_ names: [String], layers: Int, batch: Int, units: Int) -> Bool {
    self.names == names && self.layers == layers && self.batch == batch && self.units == units
  }

  /// For messages: names and sizes.
  var shapeDescription: String { Self.describe(names, layers: layers, batch: batch, units: units) }

  static func describe(_ names: [String], layers: Int, batch: Int, units: Int) -> String {
    "\(names.joined(separator: ", ")) of L = \(layers), B = \(batch), H = \(units)"
  }

  private func range(_ name: String) -> Range<Int> {
    guard let index = names.firstIndex(of: name) else {
      fatalError("state: expected one of \(names.joined(separator: ", ")), got \(name)")
    }
    let size = layers * batch * units
    return (index * size)..<((index + 1) * size)
  }
}
