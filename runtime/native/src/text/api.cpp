// The tokenizer's part of the C interface of leanbert_native.h: what it throws ends here, as a status code and one line.
#include <algorithm>
#include <exception>
#include <new>
#include <string_view>

#include "error.h"
#include "text/tokenizer.h"

using leanbert::Error;
using leanbert::text::Encoding;
using leanbert::text::Refused;
using leanbert::text::Tokenizer;

struct lb_tokenizer {
  Tokenizer tokenizer;
};

namespace {

// `refused` is the status of what the tokenizer does not take.
template <class Call>
int status_of(Error& error, int refused, const Call& call) {
  try {
    return call();
  } catch (const Refused& line) {
    return error.fail(refused, "%s", line.what());
  } catch (const std::bad_alloc&) {
    return error.fail(LB_NO_MEMORY, "no memory is left for the tokenizer");
  } catch (const std::exception& other) {
    return error.fail(refused, "%s", other.what());
  }
}

}  // namespace

extern "C" {

int lb_tokenizer_open(const char* tokenizer_json, uint64_t json_bytes, const char* config_json, uint64_t config_bytes,
                      lb_tokenizer** tokenizer, char* err, size_t err_len) {
  Error error(err, err_len);
  if (!tokenizer) return error.fail(LB_INVALID_ARGUMENT, "tokenizer is NULL");
  *tokenizer = nullptr;
  if (!tokenizer_json) return error.fail(LB_INVALID_ARGUMENT, "tokenizer_json is NULL");
  if (!config_json && config_bytes) return error.fail(LB_INVALID_ARGUMENT, "config_json is NULL");
  return status_of(error, LB_UNSUPPORTED, [&] {
    const std::string_view config = config_json ? std::string_view(config_json, config_bytes) : std::string_view();
    *tokenizer = new lb_tokenizer{Tokenizer::read({tokenizer_json, json_bytes}, config)};
    return LB_OK;
  });
}

void lb_tokenizer_close(lb_tokenizer* tokenizer) { delete tokenizer; }

uint64_t lb_tokenizer_special_tokens(const lb_tokenizer* tokenizer) {
  return tokenizer ? tokenizer->tokenizer.special_tokens() : 0;
}

int lb_tokenize(const lb_tokenizer* tokenizer, uint64_t n_texts, const char* texts, const uint64_t* ends,
                uint64_t max_tokens, uint64_t room, int32_t* input_ids, int32_t* token_type_ids, int32_t* lengths,
                uint8_t* cut, char* err, size_t err_len) {
  Error error(err, err_len);
  if (!tokenizer) return error.fail(LB_INVALID_ARGUMENT, "tokenizer is NULL");
  if (n_texts && !(texts && ends && input_ids && token_type_ids && lengths && cut))
    return error.fail(LB_INVALID_ARGUMENT, "a pointer is NULL");
  return status_of(error, LB_INVALID_ARGUMENT, [&] {
    Encoding encoding;
    uint64_t start = 0;
    for (uint64_t i = 0; i < n_texts; i++) {
      if (ends[i] < start) return error.fail(LB_INVALID_ARGUMENT, "text %llu ends before it begins", 0ULL + i);
      tokenizer->tokenizer.encode({texts + start, ends[i] - start}, max_tokens, encoding);
      start = ends[i];
      const size_t count = encoding.ids.size();
      if (count > room) return error.fail(LB_INVALID_ARGUMENT, "text %llu does not fit into the room left", 0ULL + i);
      input_ids = std::copy(encoding.ids.begin(), encoding.ids.end(), input_ids);
      token_type_ids = std::copy(encoding.types.begin(), encoding.types.end(), token_type_ids);
      room -= count;
      lengths[i] = static_cast<int32_t>(count);
      cut[i] = encoding.cut;
    }
    return static_cast<int>(LB_OK);
  });
}

}  // extern "C"
