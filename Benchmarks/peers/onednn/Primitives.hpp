// The four cells as oneDNN's primitives. Descriptors of one cell differ from another's only in their type and in whether
// there is a c; everything past this file is the same for all.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <stdexcept>

#include "Operands.hpp"
#include "Request.hpp"

/// A descriptor, to be asked for the layouts it likes, and the primitive itself.
struct Pass {
  dnnl::primitive_desc description;
  dnnl::primitive primitive;
};

/// Layouts of everything that enters or leaves a row. Sequences, states and biases are plain; weights and their
/// gradients have the layout that the primitive likes best.
struct Layouts {
  dnnl::memory::desc sequence, states, weights, recurrentWeights, bias, outputs;

  explicit Layouts(const Request& r) {
    using Tag = dnnl::memory::format_tag;
    const auto type = dnnl::memory::data_type::f32;
    const long gates = ::gates(r.cell).count();
    sequence = {{r.T, r.B, r.I}, type, Tag::tnc};
    outputs = {{r.T, r.B, r.H}, type, Tag::tnc};
    states = {{1, 1, r.B, r.H}, type, Tag::ldnc};
    weights = {{1, 1, r.I, gates, r.H}, type, Tag::any};
    recurrentWeights = {{1, 1, r.H, gates, r.H}, type, Tag::any};
    // A reset-after GRU has a fourth bias: the recurrent one of its candidate.
    bias = {{1, 1, r.cell == "gru" ? gates + 1 : gates, r.H}, type, Tag::ldgo};
  }
};

/// Forward and, where the row trains, backward.
struct Passes {
  Pass forward, backward;
};

namespace detail {

template <typename Description, typename Primitive>
Pass made(const Description& description) {
  return {description, Primitive(description)};
}

/// Cells whose only state is h; `activation` holds what the constructor takes before the direction, or nothing.
template <typename Forward, typename Backward, typename... Activation>
Passes withoutCellState(const Request& r, const dnnl::engine& engine, Activation... activation) {
  const Layouts l(r);
  const auto kind = r.trains() ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  const auto direction = dnnl::rnn_direction::unidirectional_left2right;
  const typename Forward::primitive_desc forward(
      engine, kind, activation..., direction, l.sequence, l.states, l.weights, l.recurrentWeights, l.bias, l.outputs,
      l.states);
  Passes passes{made<typename Forward::primitive_desc, Forward>(forward), {}};
  if (!r.trains()) return passes;
  const typename Backward::primitive_desc backward(
      engine, dnnl::prop_kind::backward, activation..., direction, l.sequence, l.states, l.weights, l.recurrentWeights,
      l.bias, l.outputs, l.states, l.sequence, l.states, l.weights, l.recurrentWeights, l.bias, l.outputs, l.states,
      forward);
  passes.backward = made<typename Backward::primitive_desc, Backward>(backward);
  return passes;
}

inline Passes lstm(const Request& r, const dnnl::engine& engine) {
  const Layouts l(r);
  const auto kind = r.trains() ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  const auto direction = dnnl::rnn_direction::unidirectional_left2right;
  const dnnl::lstm_forward::primitive_desc forward(
      engine, kind, direction, l.sequence, l.states, l.states, l.weights, l.recurrentWeights, l.bias, l.outputs, l.states,
      l.states);
  Passes passes{made<dnnl::lstm_forward::primitive_desc, dnnl::lstm_forward>(forward), {}};
  if (!r.trains()) return passes;
  const dnnl::lstm_backward::primitive_desc backward(
      engine, dnnl::prop_kind::backward, direction, l.sequence, l.states, l.states, l.weights, l.recurrentWeights, l.bias,
      l.outputs, l.states, l.states, l.sequence, l.states, l.states, l.weights, l.recurrentWeights, l.bias, l.outputs,
      l.states, l.states, forward);
  passes.backward = made<dnnl::lstm_backward::primitive_desc, dnnl::lstm_backward>(backward);
  return passes;
}

}  // namespace detail

/// Throws a sentence where oneDNN has no such cell, and dnnl::error where it has but not with these layouts.
inline Passes makePasses(const Request& r, const dnnl::engine& engine) {
  using namespace dnnl;
  if (r.dtype != "f32") throw std::runtime_error("oneDNN is measured in f32 only");
  if (r.cell == "rnn") {
    return detail::withoutCellState<vanilla_rnn_forward, vanilla_rnn_backward>(r, engine, algorithm::eltwise_tanh);
  }
  if (r.cell == "lstm") return detail::lstm(r, engine);
  if (r.cell == "gru") return detail::withoutCellState<lbr_gru_forward, lbr_gru_backward>(r, engine);
  if (r.cell == "gru-before") return detail::withoutCellState<gru_forward, gru_backward>(r, engine);
  throw std::runtime_error("oneDNN has no cell " + r.cell);
}
