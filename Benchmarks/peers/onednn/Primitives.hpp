// The four cells as oneDNN's primitives. Descriptors of one cell differ from another's only in their type and in
// whether there is a c; everything past this file is the same for all.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <stdexcept>

#include "Operands.hpp"
#include "Request.hpp"

/// A sentence: why this peer has no such row.
struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

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

template <typename Primitive>
Pass made(const typename Primitive::primitive_desc& description) {
  return {description, Primitive(description)};
}

// Backward goes through the C interface: the C++ one cannot ask for gradients of weights to be overwritten, and zeroing
// them before every pass, so that they can be added to, is a tenth of the shortest rows.
constexpr unsigned overwrite = dnnl_rnn_flags_diff_weights_overwrite;

/// `create` is given where to put the descriptor.
template <typename Create>
Pass madeInC(Create create) {
  dnnl_primitive_desc_t handle = nullptr;
  dnnl::error::wrap_c_api(create(&handle), "oneDNN has no backward pass of this cell");
  const dnnl::primitive_desc description(handle);
  return {description, dnnl::primitive(description.get())};
}

inline dnnl::prop_kind forwardKind(const Request& r) {
  return r.trains() ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
}

constexpr auto direction = dnnl::rnn_direction::unidirectional_left2right;

/// Cells whose only state is h. `activation` is what the constructor takes before the direction, or nothing.
template <typename Primitive, typename... Activation>
Pass forwardWithoutC(const Request& r, const dnnl::engine& engine, Activation... activation) {
  const Layouts l(r);
  return made<Primitive>(
      {engine, forwardKind(r), activation..., direction, l.sequence, l.states, l.weights, l.recurrentWeights, l.bias,
       l.outputs, l.states});
}

inline Pass forwardLSTM(const Request& r, const dnnl::engine& engine) {
  const Layouts l(r);
  return made<dnnl::lstm_forward>(
      {engine, forwardKind(r), direction, l.sequence, l.states, l.states, l.weights, l.recurrentWeights, l.bias,
       l.outputs, l.states, l.states});
}

/// The two GRUs differ in the function alone; a vanilla RNN also in its activation, and slopes that tanh ignores.
template <typename Create>
Pass backwardGRU(Create create, const Request& r, const dnnl::engine& engine, const Pass& forward) {
  const Layouts l(r);
  return madeInC([&](dnnl_primitive_desc_t* handle) {
    return create(
        handle, engine.get(), dnnl_backward, dnnl_unidirectional_left2right, l.sequence.get(), l.states.get(),
        l.weights.get(), l.recurrentWeights.get(), l.bias.get(), l.outputs.get(), l.states.get(), l.sequence.get(),
        l.states.get(), l.weights.get(), l.recurrentWeights.get(), l.bias.get(), l.outputs.get(), l.states.get(),
        overwrite, forward.description.get(), nullptr);
  });
}

inline Pass backwardRNN(const Request& r, const dnnl::engine& engine, const Pass& forward) {
  const Layouts l(r);
  return madeInC([&](dnnl_primitive_desc_t* handle) {
    return dnnl_vanilla_rnn_backward_primitive_desc_create(
        handle, engine.get(), dnnl_backward, dnnl_eltwise_tanh, dnnl_unidirectional_left2right, l.sequence.get(),
        l.states.get(), l.weights.get(), l.recurrentWeights.get(), l.bias.get(), l.outputs.get(), l.states.get(),
        l.sequence.get(), l.states.get(), l.weights.get(), l.recurrentWeights.get(), l.bias.get(), l.outputs.get(),
        l.states.get(), overwrite, 0, 0, forward.description.get(), nullptr);
  });
}

inline Pass backwardLSTM(const Request& r, const dnnl::engine& engine, const Pass& forward) {
  const Layouts l(r);
  const auto none = nullptr;  // No peepholes, no projection.
  return madeInC([&](dnnl_primitive_desc_t* handle) {
    return dnnl_lstm_backward_primitive_desc_create(
        handle, engine.get(), dnnl_backward, dnnl_unidirectional_left2right, l.sequence.get(), l.states.get(),
        l.states.get(), l.weights.get(), l.recurrentWeights.get(), none, none, l.bias.get(), l.outputs.get(),
        l.states.get(), l.states.get(), l.sequence.get(), l.states.get(), l.states.get(), l.weights.get(),
        l.recurrentWeights.get(), none, none, l.bias.get(), l.outputs.get(), l.states.get(), l.states.get(), overwrite,
        forward.description.get(), nullptr);
  });
}

}  // namespace detail

/// Throws Unsupported where oneDNN has no such cell, and dnnl::error where it has but not with these layouts.
inline Passes makePasses(const Request& r, const dnnl::engine& engine) {
  using namespace dnnl;
  if (r.dtype != "f32") throw Unsupported("oneDNN is measured in f32 only");
  Passes passes;
  if (r.cell == "rnn") {
    passes.forward = detail::forwardWithoutC<vanilla_rnn_forward>(r, engine, algorithm::eltwise_tanh);
    if (r.trains()) passes.backward = detail::backwardRNN(r, engine, passes.forward);
  } else if (r.cell == "lstm") {
    passes.forward = detail::forwardLSTM(r, engine);
    if (r.trains()) passes.backward = detail::backwardLSTM(r, engine, passes.forward);
  } else if (r.cell == "gru") {
    passes.forward = detail::forwardWithoutC<lbr_gru_forward>(r, engine);
    if (r.trains()) {
      passes.backward =
          detail::backwardGRU(dnnl_lbr_gru_backward_primitive_desc_create, r, engine, passes.forward);
    }
  } else if (r.cell == "gru-before") {
    passes.forward = detail::forwardWithoutC<gru_forward>(r, engine);
    if (r.trains()) {
      passes.backward = detail::backwardGRU(dnnl_gru_backward_primitive_desc_create, r, engine, passes.forward);
    }
  } else {
    throw Unsupported("oneDNN has no cell " + r.cell);
  }
  return passes;
}
