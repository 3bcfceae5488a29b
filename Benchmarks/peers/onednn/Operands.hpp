// The same numbers as operands.py makes, so that every peer computes the same sequence and its results can be compared.
// A number is a hash of (stream, index), uniform in [-1, 1).
#pragma once

#include <cstdint>
#include <vector>

/// Streams of numbers: which quantity an operand belongs to. Results are projected on streams from `Pattern` on.
enum class Stream : std::uint32_t { X = 1, OutputGradient, H0, C0, W, U, Bias, RecurrentBias, Pattern = 100 };

inline float operand(std::uint32_t stream, std::uint32_t index) {
  std::uint32_t x = index * 2654435761u + stream * 0x9E3779B9u;
  x ^= x >> 16;
  x *= 0x85EBCA6Bu;
  x ^= x >> 13;
  x *= 0xC2B2AE35u;
  x ^= x >> 16;
  return static_cast<float>(static_cast<std::int32_t>(x >> 8) - (1 << 23)) / (1 << 23);
}

inline std::vector<float> operands(Stream stream, std::size_t count, float scale) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = scale * operand(static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(i));
  }
  return values;
}

/// Gates of a cell, and the place of each of the canonical (PyTorch's) gates in oneDNN's order.
struct Gates {
  std::vector<int> place;
  int count() const { return static_cast<int>(place.size()); }
};

/// LSTM i, f, g, o in both. GRU r, z, n here; update, reset, candidate there.
inline Gates gates(const std::string& cell) {
  if (cell == "rnn") return {{0}};
  if (cell == "lstm") return {{0, 1, 2, 3}};
  return {{1, 0, 2}};
}
