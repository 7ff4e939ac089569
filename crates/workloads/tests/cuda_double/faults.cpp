#include "faults.h"

#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

namespace {

struct Rule {
  std::string function;
  long nth;
  bool onwards;
  long calls;
};

// `function[:n[+]]`, several separated by commas: the n-th call fails, with `+` each from the n-th on.
std::vector<Rule> parse(const char *text) {
  std::vector<Rule> rules;
  std::string rest = text ? text : "";
  while (!rest.empty()) {
    size_t comma = rest.find(',');
    std::string item = rest.substr(0, comma);
    rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
    size_t colon = item.find(':');
    Rule rule{item.substr(0, colon), 1, false, 0};
    if (colon != std::string::npos) {
      rule.nth = std::strtol(item.c_str() + colon + 1, nullptr, 10);
      rule.onwards = item.back() == '+';
    }
    rules.push_back(rule);
  }
  return rules;
}

}  // namespace

int fault(const char *function, int code) {
  // Never freed: streams still run while the process ends.
  static auto *mutex = new std::mutex;
  static auto *rules = new std::vector<Rule>(parse(std::getenv("DOUBLE_FAIL")));
  if (rules->empty()) return 0;
  std::lock_guard<std::mutex> guard(*mutex);
  for (Rule &rule : *rules) {
    if (rule.function != function) continue;
    ++rule.calls;
    if (rule.calls != rule.nth && !(rule.onwards && rule.calls > rule.nth)) continue;
    const char *stated = std::getenv("DOUBLE_FAIL_CODE");
    return stated ? std::atoi(stated) : code;
  }
  return 0;
}
