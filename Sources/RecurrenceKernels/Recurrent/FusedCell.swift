/// A cell whose mathematics is compiled into the kernels: plane counts are constants there.
@usableFromInline protocol FusedCell: DifferentiatedCell {
  static var gatePlanes: Int { get }
  static var statePlanes: Int { get }
  static var unitPlanes: Int { get }
  /// Where a plane of pre-activations lies in a row, counted in planes: the input parts of gates that keep theirs apart,
  /// the sums of the others, and the recurrent parts.
  static func place(ofPlane plane: Int) -> Int
}

// Most cells have one state, h, and no parameters of their units' own.
extension FusedCell {
  @inlinable @inline(__always) static var statePlanes: Int { 1 }
  @inlinable @inline(__always) static var unitPlanes: Int { 0 }
  @inlinable @inline(__always) static func place(ofPlane plane: Int) -> Int { plane }
}

extension FusedRNN: FusedCell {
  @inlinable @inline(__always) static var gatePlanes: Int { 1 }
}

extension FusedRNNKeepingGate: FusedCell {
  @inlinable @inline(__always) static var gatePlanes: Int { 1 }
}

extension LSTM: FusedCell {
  @inlinable @inline(__always) static var gatePlanes: Int { 4 }
  @inlinable @inline(__always) static var statePlanes: Int { 2 }
}

extension PeepholeLSTM: FusedCell {
  @inlinable @inline(__always) static var gatePlanes: Int { 4 }
  @inlinable @inline(__always) static var statePlanes: Int { 2 }
  @inlinable @inline(__always) static var unitPlanes: Int { 3 }
}

extension GRU: FusedCell {
  @inlinable @inline(__always) static var gatePlanes: Int { 4 }
  /// n's input part, r, z, n's recurrent part.
  @inlinable @inline(__always) static func place(ofPlane plane: Int) -> Int {
    plane < 2 ? plane + 1 : plane == 2 ? 0 : 3
  }
}

extension GRUResetBefore: FusedCell {
  @inlinable @inline(__always) static var gatePlanes: Int { 3 }
}
