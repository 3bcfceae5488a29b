import Recurrence
import Testing

/// The choice of kernels, with processors made up for the purpose.
@Suite struct SelectionTests {
  /// A processor with every feature that `set` needs, but for those whose name contains one of `without`.
  private func processor(for set: InstructionSet, without missing: String...) -> Processor {
    let features = Processor.requirements(of: set)
      .filter { requirement in !missing.contains { requirement.name.contains($0) } }
      .reduce(UInt32(0)) { $0 | $1.feature }
    return Processor(name: "made up", features: features)
  }

  private static let hasX86Kernels =
    Processor.compiledInstructionSets.contains(.x86_64_v3) && Processor.compiledInstructionSets.contains(.x86_64_v4)

  private static let noX86: Comment = "this build contains no kernels for x86-64-v3 and x86-64-v4"

  @Test func setsAreOrderedFromNarrowToWide() {
    #expect(InstructionSet.baseline < .x86_64_v3)
    #expect(InstructionSet.x86_64_v3 < .x86_64_v4)
    #expect(InstructionSet.baseline < .x86_64_v4)
    #expect(!(InstructionSet.x86_64_v4 < .x86_64_v4))
    #expect(InstructionSet.allCases.sorted() == InstructionSet.allCases)
    #expect(InstructionSet.allCases.max() == .x86_64_v4)
  }

  @Test(arguments: InstructionSet.allCases) func namesRoundTrip(_ set: InstructionSet) {
    #expect(InstructionSet(rawValue: set.rawValue) == set)
    #expect(set.description == set.rawValue)
  }

  /// These names are what people write into `RECURRENCE_ISA`.
  @Test func namesAreFixed() {
    #expect(InstructionSet.allCases.map(\.rawValue) == ["baseline", "x86-64-v3", "x86-64-v4"])
    #expect(KernelSelection.environmentVariable == "RECURRENCE_ISA")
  }

  /// Each requirement is one bit of its own, and a wider set needs all that a narrower one needs.
  @Test func requirementsAreDistinctBits() {
    let widest = Processor.requirements(of: .x86_64_v4)
    #expect(widest.allSatisfy { $0.feature.nonzeroBitCount == 1 })
    #expect(Set(widest.map(\.feature)).count == widest.count)
    #expect(Set(widest.map(\.name)).count == widest.count)
    #expect(Set(Processor.requirements(of: .x86_64_v3).map(\.name)).isSubset(of: widest.map(\.name)))
    #expect(Processor.requirements(of: .baseline).isEmpty)
  }

  @Test func aProcessorWithNothingRunsBaseline() throws {
    let bare = Processor(name: "bare", features: 0)
    #expect(bare.supportedInstructionSets == [.baseline])
    let selection = try KernelSelection(override: nil, processor: bare)
    #expect(selection.instructionSet == .baseline)
    #expect(selection.description.contains("baseline"))
  }

  @Test(.enabled(if: hasX86Kernels, noX86)) func theWidestIsChosen() throws {
    for (set, supported) in [
      (InstructionSet.x86_64_v3, [InstructionSet.baseline, .x86_64_v3]),
      (.x86_64_v4, [.baseline, .x86_64_v3, .x86_64_v4]),
    ] {
      let processor = processor(for: set)
      #expect(processor.supportedInstructionSets == supported)
      #expect(processor.missing(for: set).isEmpty)
      #expect(try KernelSelection(override: nil, processor: processor).instructionSet == set)
    }
  }

  /// A processor has the instructions, but the operating system does not save the registers they use.
  @Test(.enabled(if: hasX86Kernels, noX86)) func registersMustBeSaved() throws {
    let noZMM = processor(for: .x86_64_v4, without: "ZMM")
    #expect(noZMM.supportedInstructionSets == [.baseline, .x86_64_v3])
    let selection = try KernelSelection(override: nil, processor: noZMM)
    #expect(selection.instructionSet == .x86_64_v3)
    #expect(selection.reason.contains("ZMM"))
    #expect(selection.reason.contains("x86-64-v4"))

    let noYMM = processor(for: .x86_64_v4, without: "YMM")
    #expect(noYMM.supportedInstructionSets == [.baseline])
    #expect(try KernelSelection(override: nil, processor: noYMM).instructionSet == .baseline)
  }

  /// No single bit of a level is decoration: without it the level is not offered, and the reason names it.
  @Test(.enabled(if: hasX86Kernels, noX86)) func everyRequirementCounts() throws {
    for set in [InstructionSet.x86_64_v3, .x86_64_v4] {
      let requirements = Processor.requirements(of: set)
      let all = requirements.reduce(UInt32(0)) { $0 | $1.feature }
      for requirement in requirements {
        let processor = Processor(name: "made up", features: all & ~requirement.feature)
        #expect(!processor.supportedInstructionSets.contains(set), "without \(requirement.name)")
        #expect(processor.missing(for: set) == [requirement.name])
        #expect(throws: InstructionSetError.unavailable(set, missing: [requirement.name], compiled: true)) {
          try KernelSelection(override: set.rawValue, processor: processor)
        }
      }
    }
  }

  @Test func anUnknownOverrideIsNamed() {
    let processor = Processor(name: "made up", features: 0)
    for name in ["avx9000", "", "X86-64-V3", " baseline"] {
      let error = #expect(throws: InstructionSetError.unknown(name)) {
        try KernelSelection(override: name, processor: processor)
      }
      let sentence = error?.description ?? ""
      #expect(sentence.contains("RECURRENCE_ISA"))
      #expect(sentence.contains("\"\(name)\""))
      for set in InstructionSet.allCases { #expect(sentence.contains(set.rawValue)) }
    }
  }

  @Test(.enabled(if: hasX86Kernels, noX86)) func anUnavailableOverrideSaysWhatIsMissing() {
    let processor = processor(for: .x86_64_v4, without: "ZMM", "AVX-512DQ")
    let error = #expect(throws: InstructionSetError.self) {
      try KernelSelection(override: "x86-64-v4", processor: processor)
    }
    let sentence = error?.description ?? ""
    for part in ["RECURRENCE_ISA", "x86-64-v4", "AVX-512DQ"] { #expect(sentence.contains(part)) }
    #expect(!sentence.contains("AVX-512F"))
  }

  @Test func aSetOutsideTheBuildIsSaidToBe() {
    let error = InstructionSetError.unavailable(.x86_64_v4, missing: [], compiled: false)
    #expect(error.description.contains("x86-64-v4"))
    #expect(error.description.contains("this build"))
  }

  /// An override chooses a narrower set than the processor could run.
  @Test(arguments: Processor.compiledInstructionSets) func anOverrideIsObeyed(_ set: InstructionSet) throws {
    let selection = try KernelSelection(override: set.rawValue, processor: processor(for: .x86_64_v4))
    #expect(selection.instructionSet == set)
    #expect(selection.reason.contains("RECURRENCE_ISA"))
  }

  @Test func thisProcessRunsWhatItSupports() throws {
    try KernelSelection.validate()
    let supported = Processor.current.supportedInstructionSets
    #expect(supported.contains(KernelSelection.current.instructionSet))
    #expect(supported.first == .baseline)
    #expect(supported == supported.sorted())
    #expect(Kernels<Float>.selected.instructionSet == KernelSelection.current.instructionSet)
    #expect(Kernels<Float>.supported.map(\.instructionSet) == supported)
    #expect(Kernels<Double>.supported.map(\.instructionSet) == supported)
    for set in InstructionSet.allCases where !supported.contains(set) { #expect(Kernels<Float>(set) == nil) }
  }

  /// A table must be the one it was asked for: a wrong `#if` would quietly run narrower kernels. Only of sets that run
  /// here: any entry of a table may hold its set's instructions.
  @Test func tablesBearTheirSet() {
    for set in Processor.current.supportedInstructionSets {
      #expect(Float._kernelTable(set).instructionSet == set)
      #expect(Double._kernelTable(set).instructionSet == set)
      #expect(Float._kernelTable(set).geometry.lanes == 2 * Double._kernelTable(set).geometry.lanes)
    }
  }

  /// What drivers rely on.
  @Test(arguments: KernelCase.all) func geometryIsSound(_ kernels: KernelCase) {
    func check<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
      let geometry = kernels.geometry
      #expect(geometry.lanes > 0 && geometry.lanes.nonzeroBitCount == 1)
      #expect(geometry.panelWidth > 0 && geometry.panelWidth % geometry.lanes == 0)
      #expect(geometry.tileRows > 0)
      #expect(geometry.productScratch >= 0 && geometry.transposedScratch >= 0)
      if kernels.instructionSet > .baseline { #expect(geometry.isFused) }
    }
    kernels.run(check, check)
  }
}
