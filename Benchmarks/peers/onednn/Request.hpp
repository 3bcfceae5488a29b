// One line of JSON in, as the driver writes it: a flat object of strings and numbers. Anything else is refused with a
// sentence; a general parser would be longer than the program it serves.
#pragma once

#include <cctype>
#include <map>
#include <stdexcept>
#include <string>

/// What one line asks for. Shapes are T steps, B batch rows, I input features, H hidden units.
struct Request {
  std::string mode, cell, dtype;
  long T = 0, B = 0, I = 0, H = 0, threads = 1;
  double seconds = 0;
  /// Whether the answer is to hold every result's digest; asked for once per row, before it is timed.
  bool digests = false;

  bool trains() const { return mode == "train"; }

  /// Whether the operands and primitives of `other` serve this request too.
  bool sameRow(const Request& other) const {
    return mode == other.mode && cell == other.cell && dtype == other.dtype && T == other.T && B == other.B &&
           I == other.I && H == other.H && threads == other.threads;
  }
};

/// Reads `{"name": "text", "name": 1.5, …}`.
class FlatObject {
 public:
  explicit FlatObject(const std::string& line) : text(line) {
    expect('{');
    if (peek() == '}') return;
    while (true) {
      const std::string name = string();
      expect(':');
      fields[name] = peek() == '"' ? string() : bare();
      if (peek() != ',') break;
      ++position;
    }
    expect('}');
  }

  std::string value(const std::string& name) const {
    const auto found = fields.find(name);
    if (found == fields.end()) throw std::runtime_error("the request does not say \"" + name + "\"");
    return found->second;
  }

  long count(const std::string& name) const {
    const long parsed = std::strtol(value(name).c_str(), nullptr, 10);
    if (parsed < 1 || parsed > 1 << 20) {
      throw std::runtime_error(name + " must be from 1 to 1048576, got " + value(name));
    }
    return parsed;
  }

  double number(const std::string& name, double fallback) const {
    const auto found = fields.find(name);
    return found == fields.end() ? fallback : std::strtod(found->second.c_str(), nullptr);
  }

  bool isTrue(const std::string& name) const {
    const auto found = fields.find(name);
    return found != fields.end() && found->second == "true";
  }

 private:
  const std::string& text;
  std::size_t position = 0;
  std::map<std::string, std::string> fields;

  char peek() {
    while (position < text.size() && std::isspace(static_cast<unsigned char>(text[position]))) ++position;
    return position < text.size() ? text[position] : '\0';
  }

  void expect(char wanted) {
    if (peek() != wanted) throw std::runtime_error("the request is not a flat JSON object: " + text);
    ++position;
  }

  std::string string() {
    expect('"');
    const std::size_t end = text.find('"', position);
    if (end == std::string::npos) throw std::runtime_error("a string of the request does not end: " + text);
    const std::string inside = text.substr(position, end - position);
    position = end + 1;
    return inside;
  }

  std::string bare() {
    peek();
    const std::size_t end = text.find_first_of(",} \t", position);
    const std::string inside = text.substr(position, end - position);
    position = end == std::string::npos ? text.size() : end;
    return inside;
  }
};

inline Request parseRequest(const std::string& line) {
  const FlatObject object(line);
  Request request;
  request.mode = object.value("mode");
  request.cell = object.value("cell");
  request.dtype = object.value("dtype");
  request.T = object.count("T");
  request.B = object.count("B");
  request.I = object.count("I");
  request.H = object.count("H");
  request.threads = object.count("threads");
  request.seconds = object.number("seconds", 0);
  request.digests = object.isTrue("digests");
  if (request.mode != "infer" && request.mode != "train") {
    throw std::runtime_error("mode must be infer or train, got " + request.mode);
  }
  return request;
}
