#include "prefetcher.h"

#include <cstdlib>

namespace board_model {
namespace {
// A stream is followed once its stride was seen twice after the first line.
constexpr int kConfident = 2;
}  // namespace

StreamPrefetcher::StreamPrefetcher(const CoreParameters& core) : streams_(core.prefetch_streams) {}

bool StreamPrefetcher::follows(const Stream& stream, int64_t distance) {
  if (stream.confidence == 0) return distance == 1 || distance == -1 || distance == 2;
  if (distance == stream.stride) return true;
  bool same_direction = (distance > 0) == (stream.stride > 0);
  return same_direction && std::llabs(distance) <= 2 * std::llabs(stream.stride) &&
         distance % stream.stride == 0;
}

int64_t StreamPrefetcher::observe(uint64_t line) {
  clock_++;
  Stream* oldest = nullptr;
  for (Stream& stream : streams_) {
    int64_t distance = static_cast<int64_t>(line - stream.last);
    if (distance == 0) {
      stream.used = clock_;
      return 0;
    }
    if (follows(stream, distance)) {
      if (stream.confidence == 0) stream.stride = distance;
      stream.last = line;
      stream.confidence++;
      stream.used = clock_;
      return stream.confidence >= kConfident ? stream.stride : 0;
    }
    if (!oldest || stream.used < oldest->used) oldest = &stream;
  }
  *oldest = {line, clock_, 0, 0};
  return 0;
}

void StreamPrefetcher::clear() {
  for (Stream& stream : streams_) stream = {};
  clock_ = 0;
}

}  // namespace board_model
