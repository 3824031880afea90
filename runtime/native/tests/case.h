// A model and a call in a file, and the hash of an answer's bits. tests/helpers/native_golden.py writes such files:
// little-endian, nothing aligned,
//   "LBCASE02" | u64: bytes of lb_model_desc, of lb_layer[], of the weights; texts; tokens; 1 if there are token types;
//   relative buckets | lb_model_desc, its pointers ignored | lb_layer[] | weights | u32: relative buckets |
//   int32: lengths, ids, token types
#pragma once

#include <cstdio>
#include <cstring>
#include <vector>

#include "leanbert_native.h"

class File {
 public:
  explicit File(const char* path) : file_(std::fopen(path, "rb")) {}
  ~File() {
    if (file_) std::fclose(file_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  bool read(void* to, size_t bytes) { return file_ && std::fread(to, 1, bytes, file_) == bytes; }

 private:
  std::FILE* file_;
};

struct Case {
  lb_model_desc desc;
  std::vector<lb_layer> layers;
  std::vector<float> weights;  // so that they are aligned to 4 bytes
  std::vector<uint32_t> buckets;
  std::vector<int32_t> lengths, ids, types;

  bool load(const char* path) {
    File file(path);
    char magic[8];
    uint64_t sizes[7];
    if (!file.read(magic, 8) || std::memcmp(magic, "LBCASE02", 8) != 0 || !file.read(sizes, sizeof sizes)) return false;
    if (sizes[0] != sizeof desc || sizes[1] % sizeof(lb_layer) || !file.read(&desc, sizeof desc)) return false;
    layers.resize(sizes[1] / sizeof(lb_layer));
    weights.resize((sizes[2] + 3) / 4);
    lengths.resize(sizes[3]);
    ids.resize(sizes[4]);
    types.resize(sizes[5] ? sizes[4] : 0);
    desc.path = nullptr;
    desc.data = weights.data();
    desc.data_bytes = sizes[2];
    desc.layers = layers.data();
    buckets.resize(sizes[6]);
    desc.relative_buckets = buckets.data();
    return file.read(layers.data(), sizes[1]) && file.read(weights.data(), sizes[2]) &&
           file.read(buckets.data(), 4 * buckets.size()) && file.read(lengths.data(), 4 * lengths.size()) &&
           file.read(ids.data(), 4 * ids.size()) && file.read(types.data(), 4 * types.size());
  }
};

// The words are the coefficients of a polynomial, the last one the constant.
inline uint64_t hash(const std::vector<float>& numbers) {
  uint64_t h = 0;
  for (const float& number : numbers) {
    uint32_t word;
    std::memcpy(&word, &number, 4);
    h = h * 0x9e3779b97f4a7c15u + word;
  }
  return h;
}
