// What stands for a CUBIN or for PTX: a text with the library that holds the kernels.
#pragma once
#include <cstring>
#include <string>

struct Image {
  static constexpr const char *MAGIC = "// proftool test double: ";

  // "90a"; virtual for PTX.
  std::string architecture;
  bool virtual_architecture = false;
  std::string path;

  std::string write() const {
    return MAGIC + std::string(virtual_architecture ? "compute_" : "sm_") + architecture + " " + path + "\n";
  }

  bool read(const char *text) {
    size_t magic = std::strlen(MAGIC);
    if (std::strncmp(text, MAGIC, magic) != 0) return false;
    std::string line(text + magic, std::strcspn(text + magic, "\n"));
    size_t space = line.find(' '), underscore = line.find('_');
    if (space == std::string::npos || underscore == std::string::npos || underscore > space) return false;
    virtual_architecture = line.compare(0, underscore, "compute") == 0;
    architecture = line.substr(underscore + 1, space - underscore - 1);
    path = line.substr(space + 1);
    return !path.empty();
  }
};
