// What the files of sentence-transformers say beside a model; bundle/sentence_transformers.py in C++.
//
// Pooling, normalization, the default prompt and truncate_dim are done here. Dense layers and the rest are refused by
// name, since the vectors would be other ones and nothing would say so.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "library/numerics.h"
#include "library/values.h"

namespace leanbert::library {

struct Sentence {
  std::vector<Pooling> pooling;  // whose vectors stand one after another
  bool normalize = false;
  std::string prompt;            // that stands before every text
  std::size_t truncate_dim = 0;  // dimensions to keep, or 0 for all
};

// Gives the content of a file of the bundle, and nothing where the manifest does not list it.
using ReadFile = std::function<std::optional<std::string>(const std::string& name)>;

// Nothing without `modules.json`, or where no pooling follows the encoder. Throws Failure.
std::optional<Sentence> read_sentence(const ReadFile& read, const std::string& where);

}  // namespace leanbert::library
