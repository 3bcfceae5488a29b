/// A cell whose mathematics is compiled into the kernels: plane counts are constants there.
@usableFromInline protocol FusedCell: DifferentiatedCell {
  static var gatePlanes: Int { get }
  static var statePlanes: Int { get }
  static var unitPlanes: Int { get }
}

// Most cells have one state, h, and no parameters of their units' own.
extension FusedCell {
  @inlinable @inline(__always) static var statePlanes: Int { 1 }
  @inlinable @inline(__always) static var unitPlanes: Int { 0 }
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
}

extension GRUResetBefore: FusedCell {
  @inlinable @inline(__always) static var gatePlanes: Int { 3 }
}
