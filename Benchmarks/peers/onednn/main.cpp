// oneDNN's side of the comparison: one request per line on standard input, one answer per line on standard output.
//
//   {"mode":"infer","cell":"lstm","dtype":"f32","T":100,"B":32,"I":128,"H":128,"threads":1,"seconds":0.1}
//
// The answer has the fields of recurrence-bench's lines. Weights are in the layouts that the primitives like before the
// clock starts, in training too, where they change with every step: reorders are left out in oneDNN's favour.
#include <cstdio>
#include <iostream>
#include <memory>

#include "Row.hpp"
#include "Sampling.hpp"

namespace {

/// Plain sentences only: quotes and control characters are replaced.
std::string quoted(std::string text) {
  for (char& c : text) {
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20) c = '\'';
  }
  return '"' + text + '"';
}

std::string peerName() {
  const dnnl_version_t* version = dnnl_version();
  return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + " " + Machine::runtime();
}

/// {"y":[projection, norm],…}: each result's scalar product with a fixed pattern, and its length.
std::string digests(Row& row) {
  std::string text = "{";
  std::uint32_t stream = static_cast<std::uint32_t>(Stream::Pattern);
  for (const auto& result : row.results()) {
    double projection = 0, squares = 0;
    for (std::size_t i = 0; i < result.values.size(); ++i) {
      const double value = result.values[i];
      projection += value * operand(stream, static_cast<std::uint32_t>(i));
      squares += value * value;
    }
    char numbers[80];
    std::snprintf(numbers, sizeof numbers, "[%.9g,%.9g]", projection, std::sqrt(squares));
    text += (text.size() > 1 ? "," : "") + quoted(result.name) + ":" + numbers;
  }
  return text + "}";
}

/// Keeps the row of the last request.
class Peer {
 public:
  std::string answer(const std::string& line) {
    const Request request = parseRequest(line);
    if (!row || !request.sameRow(last)) {
      row.reset();
      sampler.reset();
      Machine::setThreads(static_cast<int>(request.threads));
      row = std::make_unique<Row>(request, machine);
      sampler = std::make_unique<Sampler>([this](int repetitions) { row->run(repetitions); });
      last = request;
      sampler->warmUp(request.seconds);
    }
    const Milliseconds ms = sampler->collect(request.seconds);
    const double products = 2.0 * request.T * request.B * (request.I + request.H) * request.H *
                            gates(request.cell).count() * (request.trains() ? 3 : 1);
    char numbers[400];
    std::snprintf(
        numbers, sizeof numbers,
        "\"T\":%ld,\"B\":%ld,\"I\":%ld,\"H\":%ld,\"threads\":%ld,"
        "\"ms\":%.6g,\"ms_min\":%.6g,\"ms_max\":%.6g,\"gflops\":%.6g",
        request.T, request.B, request.I, request.H, request.threads, ms.median, ms.minimum, ms.maximum,
        products / ms.median / 1e6);
    return "{\"suite\":" + quoted(request.mode) + ",\"peer\":" + quoted(peerName()) +
           ",\"cell\":" + quoted(request.cell) + ",\"mode\":" + quoted(request.mode) +
           ",\"dtype\":" + quoted(request.dtype) + "," + numbers +
           (request.digests ? ",\"digests\":" + digests(*row) : "") + "}";
  }

 private:
  Machine machine;
  Request last;
  std::unique_ptr<Row> row;
  std::unique_ptr<Sampler> sampler;
};

}  // namespace

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::unique_ptr<Peer> peer;
  for (std::string line; std::getline(std::cin, line);) {
    std::string kind = "unsupported", sentence;
    try {
      if (!peer) peer = std::make_unique<Peer>();
      std::puts(peer->answer(line).c_str());
      continue;
    } catch (const Unsupported& reason) {
      sentence = reason.what();
    } catch (const std::exception& error) {
      kind = "error";
      sentence = error.what();
    }
    std::printf("{\"peer\":%s,\"%s\":%s}\n", quoted(peerName()).c_str(), kind.c_str(), quoted(sentence).c_str());
  }
}
