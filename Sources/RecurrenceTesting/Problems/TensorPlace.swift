import Recurrence

/// What one tensor of a result is, for messages: its name, its axes, and the place that an index of it stands for.
public struct TensorPlace: Hashable, Sendable {
  /// Such as `∂L/∂U` or `outputs`.
  public let name: String
  public let layer: Int?
  let axes: [Axis]

  enum Axis: Hashable, Sendable {
    case numbers(String, Int)
    case names(String, [String])

    var count: Int {
      switch self {
      case .numbers(_, let count): count
      case .names(_, let names): names.count
      }
    }
  }

  public var count: Int { axes.reduce(1) { $0 * $1.count } }

  /// The name with its layer.
  public var title: String { layer.map { "\(name) of layer \($0)" } ?? name }

  /// The coordinates of an element, outermost axis first.
  func coordinates(_ index: Int) -> [Int] {
    var rest = index
    return axes.reversed().map { axis in
      defer { rest /= axis.count }
      return rest % axis.count
    }.reversed()
  }

  /// Such as `gate f, unit 3, column 0`.
  public func describe(_ index: Int) -> String {
    zip(axes, coordinates(index)).map { axis, coordinate in
      switch axis {
      case .numbers(let name, _): "\(name) \(coordinate)"
      case .names(let name, let names): "\(name) \(names[coordinate])"
      }
    }.joined(separator: ", ")
  }

  /// The axis of this name, if there is one.
  func axis(_ name: String) -> Int? {
    axes.firstIndex {
      switch $0 {
      case .numbers(let own, _), .names(let own, _): own == name
      }
    }
  }
}

extension TensorPlace {
  /// Tensors of a pass over a problem, in the order of `Solution.tensors`.
  static func all<C: Cell>(_: C.Type, _ shape: ProblemShape, _ layout: ParameterLayout) -> [TensorPlace] {
    func sequence(_ name: String, _ width: Axis) -> TensorPlace {
      TensorPlace(
        name: name, layer: nil, axes: [.numbers("step", shape.steps), .numbers("sequence", shape.batch), width])
    }
    func states(_ name: String) -> TensorPlace {
      TensorPlace(
        name: name, layer: nil,
        axes: [
          .names("state", C.states), .numbers("layer", shape.layers), .numbers("sequence", shape.batch),
          .numbers("unit", shape.units),
        ])
    }
    let apart = C.gates.filter(\.isApart).map(\.name)
    let parameters = layout.tensors.map { tensor in
      var axes: [Axis] = [.numbers("unit", shape.units)]
      switch tensor.name {
      case "W", "U":
        axes = [.names("gate", layout.gates), axes[0], .numbers("column", tensor.columns)]
      case "b": axes.insert(.names("gate", layout.gates), at: 0)
      case "b_h": axes.insert(.names("gate", apart), at: 0)
      default: break
      }
      return TensorPlace(name: "∂L/∂\(tensor.name)", layer: tensor.layer, axes: axes)
    }
    return [
      sequence("outputs", .numbers("unit", shape.units)), states("final states"),
      sequence("∂L/∂x", .numbers("input", shape.inputs)), states("∂L/∂(initial states)"),
    ] + parameters
  }
}
