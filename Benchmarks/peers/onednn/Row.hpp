// One row of the comparison: primitives, operands in the layouts they like, the pass that is timed, and its results.
#pragma once

#include <cmath>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include "Machine.hpp"
#include "Primitives.hpp"

/// A named result in the canonical layout: weights one row an output, gates in PyTorch's order.
struct Result {
  std::string name;
  std::vector<float> values;
};

class Row {
 public:
  Row(const Request& request, Machine& machine)
      : request(request), machine(machine), passes(makePasses(request, machine.engine)) {
    prepare(passes.forward, forwardArguments);
    if (request.trains()) prepare(passes.backward, backwardArguments);
    const float small = 1 / std::sqrt(static_cast<float>(request.H));
    set(DNNL_ARG_SRC_LAYER, operands(Stream::X, request.T * request.B * request.I, 1));
    set(DNNL_ARG_SRC_ITER, operands(Stream::H0, request.B * request.H, 0.5));
    if (request.cell == "lstm") set(DNNL_ARG_SRC_ITER_C, operands(Stream::C0, request.B * request.H, 0.5));
    const auto w = operands(Stream::W, gateCount() * request.H * request.I, small);
    const auto u = operands(Stream::U, gateCount() * request.H * request.H, small);
    setWeights(DNNL_ARG_WEIGHTS_LAYER, toOneDNN(w, request.I), request.I);
    setWeights(DNNL_ARG_WEIGHTS_ITER, toOneDNN(u, request.H), request.H);
    set(DNNL_ARG_BIAS, biases(small));
    if (request.trains()) {
      set(DNNL_ARG_DIFF_DST_LAYER, operands(Stream::OutputGradient, request.T * request.B * request.H, 1));
    }
  }

  /// What is timed.
  void run(int repetitions) {
    for (int i = 0; i < repetitions; ++i) {
      passes.forward.primitive.execute(machine.stream, forwardArguments);
      if (request.trains()) passes.backward.primitive.execute(machine.stream, backwardArguments);
      machine.stream.wait();
    }
  }

  /// Results of the last pass.
  std::vector<Result> results() {
    std::vector<Result> all{
        {"y", plain(forwardArguments, DNNL_ARG_DST_LAYER)}, {"hT", plain(forwardArguments, DNNL_ARG_DST_ITER)}};
    const bool hasC = request.cell == "lstm";
    if (hasC) all.push_back({"cT", plain(forwardArguments, DNNL_ARG_DST_ITER_C)});
    if (!request.trains()) return all;
    all.push_back({"dx", plain(backwardArguments, DNNL_ARG_DIFF_SRC_LAYER)});
    all.push_back({"dh0", plain(backwardArguments, DNNL_ARG_DIFF_SRC_ITER)});
    if (hasC) all.push_back({"dc0", plain(backwardArguments, DNNL_ARG_DIFF_SRC_ITER_C)});
    all.push_back({"dW", fromOneDNN(plainWeights(DNNL_ARG_DIFF_WEIGHTS_LAYER, request.I), request.I)});
    all.push_back({"dU", fromOneDNN(plainWeights(DNNL_ARG_DIFF_WEIGHTS_ITER, request.H), request.H)});
    const auto bias = plain(backwardArguments, DNNL_ARG_DIFF_BIAS);
    all.push_back({"db", fromOneDNN({bias.begin(), bias.begin() + gateCount() * request.H}, 1)});
    if (request.cell == "gru") all.push_back({"dbn", {bias.begin() + gateCount() * request.H, bias.end()}});
    return all;
  }

 private:
  using Arguments = std::unordered_map<int, dnnl::memory>;

  const Request request;
  Machine& machine;
  Passes passes;
  Arguments forwardArguments, backwardArguments;

  long gateCount() const { return gates(request.cell).count(); }

  /// Gives a pass a memory for each of its arguments. What forward and backward both read or write is one memory, save
  /// weights, which each may want in a layout of its own.
  void prepare(const Pass& pass, Arguments& arguments) {
    static const int all[] = {
        DNNL_ARG_SRC_LAYER, DNNL_ARG_SRC_ITER, DNNL_ARG_SRC_ITER_C, DNNL_ARG_WEIGHTS_LAYER, DNNL_ARG_WEIGHTS_ITER,
        DNNL_ARG_BIAS, DNNL_ARG_DST_LAYER, DNNL_ARG_DST_ITER, DNNL_ARG_DST_ITER_C, DNNL_ARG_WORKSPACE,
        DNNL_ARG_DIFF_SRC_LAYER, DNNL_ARG_DIFF_SRC_ITER, DNNL_ARG_DIFF_SRC_ITER_C, DNNL_ARG_DIFF_WEIGHTS_LAYER,
        DNNL_ARG_DIFF_WEIGHTS_ITER, DNNL_ARG_DIFF_BIAS, DNNL_ARG_DIFF_DST_LAYER, DNNL_ARG_DIFF_DST_ITER,
        DNNL_ARG_DIFF_DST_ITER_C};
    for (const int argument : all) {
      const auto layout = pass.description.query_md(dnnl::query::exec_arg_md, argument);
      if (layout.get_size() == 0) continue;
      const auto known = forwardArguments.find(argument);
      if (known != forwardArguments.end() && known->second.get_desc() == layout) {
        arguments[argument] = known->second;
      } else {
        arguments[argument] = machine.allocate(layout);
      }
    }
  }

  void set(int argument, const std::vector<float>& values) {
    for (auto* arguments : {&forwardArguments, &backwardArguments}) {
      const auto found = arguments->find(argument);
      if (found == arguments->end()) continue;
      std::memcpy(found->second.get_data_handle(), values.data(), values.size() * sizeof(float));
    }
  }

  dnnl::memory::desc plainWeightLayout(long inputs) const {
    return {
        {1, 1, inputs, gateCount(), request.H}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::ldigo};
  }

  /// Reorders weights to the layouts of both passes: never timed.
  void setWeights(int argument, const std::vector<float>& values, long inputs) {
    auto source = machine.allocate(plainWeightLayout(inputs));
    std::memcpy(source.get_data_handle(), values.data(), values.size() * sizeof(float));
    for (auto* arguments : {&forwardArguments, &backwardArguments}) {
      const auto found = arguments->find(argument);
      if (found != arguments->end()) machine.reorder(source, found->second);
    }
  }

  std::vector<float> plain(Arguments& arguments, int argument) const {
    const auto& memory = arguments.at(argument);
    const auto* start = static_cast<const float*>(memory.get_data_handle());
    return {start, start + memory.get_desc().get_size() / sizeof(float)};
  }

  std::vector<float> plainWeights(int argument, long inputs) {
    auto target = machine.allocate(plainWeightLayout(inputs));
    machine.reorder(backwardArguments.at(argument), target);
    const auto* start = static_cast<const float*>(target.get_data_handle());
    return {start, start + inputs * gateCount() * request.H};
  }

  /// [G, H, inputs] in the canonical order of gates to [inputs, G, H] in oneDNN's.
  std::vector<float> toOneDNN(const std::vector<float>& values, long inputs) const {
    return moved(values, inputs, [](auto& to, auto& from, long ours, long theirs) { to[theirs] = from[ours]; });
  }

  /// The way back.
  std::vector<float> fromOneDNN(const std::vector<float>& values, long inputs) const {
    return moved(values, inputs, [](auto& to, auto& from, long ours, long theirs) { to[ours] = from[theirs]; });
  }

  template <typename Move>
  std::vector<float> moved(const std::vector<float>& values, long inputs, Move move) const {
    const auto place = gates(request.cell).place;
    const long H = request.H, G = gateCount();
    std::vector<float> result(values.size());
    for (long g = 0; g < G; ++g) {
      for (long o = 0; o < H; ++o) {
        for (long i = 0; i < inputs; ++i) move(result, values, (g * H + o) * inputs + i, (i * G + place[g]) * H + o);
      }
    }
    return result;
  }

  /// Input biases in oneDNN's order; a reset-after GRU's recurrent bias of the candidate follows.
  std::vector<float> biases(float scale) const {
    auto values = toOneDNN(operands(Stream::Bias, gateCount() * request.H, scale), 1);
    if (request.cell == "gru") {
      const auto recurrent = operands(Stream::RecurrentBias, request.H, scale);
      values.insert(values.end(), recurrent.begin(), recurrent.end());
    }
    return values;
  }
};
