// The work of area-work.ts on std::map: `areas SIZE random|sequential` prints what a child of areas.ts prints.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <new>
#include <numeric>
#include <utility>
#include <vector>

#include <malloc.h>

namespace {

constexpr uint64_t SLOT = 0x10000;
constexpr uint64_t PAGE = 0x1000;
constexpr size_t OPERATIONS = 1000000;

struct Area {
  uint32_t id;
  uint64_t start;
  uint64_t last;
};

struct Mapped {
  uint64_t last;
  const Area *area;
};

size_t live_bytes;

// Counts what malloc really takes, its header of a word included.
template <typename T> struct Counting {
  using value_type = T;
  Counting() = default;
  template <typename U> Counting(const Counting<U> &) {}
  T *allocate(size_t count) {
    void *memory = malloc(count * sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    live_bytes += malloc_usable_size(memory) + sizeof(size_t);
    return static_cast<T *>(memory);
  }
  void deallocate(T *memory, size_t) {
    live_bytes -= malloc_usable_size(memory) + sizeof(size_t);
    free(memory);
  }
  bool operator==(const Counting &) const { return true; }
  bool operator!=(const Counting &) const { return false; }
};

using Map = std::map<uint64_t, Mapped, std::less<uint64_t>, Counting<std::pair<const uint64_t, Mapped>>>;
using Clock = std::chrono::steady_clock;

uint32_t state = 2463534242u;

uint32_t random32() {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

void shuffle(std::vector<uint32_t> &numbers) {
  for (size_t n = numbers.size() - 1; n > 0; n--) std::swap(numbers[n], numbers[random32() % (n + 1)]);
}

bool map_area(Map &map, const Area &area) {
  auto after = map.upper_bound(area.start);
  if (after != map.end() && after->first <= area.last) return false;
  if (after != map.begin() && std::prev(after)->second.last >= area.start) return false;
  map.emplace_hint(after, area.start, Mapped{area.last, &area});
  return true;
}

const Area *look_up(const Map &map, uint64_t address) {
  auto after = map.upper_bound(address);
  if (after == map.begin()) return nullptr;
  const Mapped &found = std::prev(after)->second;
  return found.last >= address ? found.area : nullptr;
}

double nanoseconds(Clock::duration time) {
  return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const size_t size = strtoul(argv[1], nullptr, 10);
  const bool random = strcmp(argv[2], "random") == 0;
  const size_t rounds = (OPERATIONS + size - 1) / size;

  std::vector<Area> areas;
  std::vector<uint64_t> addresses, unmapped;
  std::vector<uint32_t> slots(size);
  std::iota(slots.begin(), slots.end(), 0u);
  for (size_t round = 0; round < rounds; round++) {
    if (random) shuffle(slots);
    for (uint32_t n = 0; n < size; n++) {
      const uint64_t start = slots[n] * SLOT;
      areas.push_back({n, start, start + (1 + random32() % 15) * PAGE - 1});
    }
    if (random) shuffle(slots);
    for (auto slot : slots) addresses.push_back(slot * SLOT + (random32() % 16) * PAGE);
    if (random) shuffle(slots);
    for (auto slot : slots) unmapped.push_back(slot * SLOT);
  }

  Map map;
  double mapping = 0, looking = 0, unmapping = 0;
  size_t bytes = 0;
  uint64_t checksum = 0;
  for (size_t first = 0; first < rounds * size; first += size) {
    const size_t before = live_bytes;
    const auto start = Clock::now();
    for (size_t n = first; n < first + size; n++) checksum += map_area(map, areas[n]);
    const auto full = Clock::now();
    for (size_t n = first; n < first + size; n++) {
      const Area *area = look_up(map, addresses[n]);
      if (area != nullptr) checksum += area->id + 1;
    }
    const auto found = Clock::now();
    bytes = live_bytes - before;
    const auto emptying = Clock::now();
    for (size_t n = first; n < first + size; n++) checksum += map.erase(unmapped[n]);
    unmapping += nanoseconds(Clock::now() - emptying);
    mapping += nanoseconds(full - start);
    looking += nanoseconds(found - full);
  }
  const double each = static_cast<double>(rounds * size);
  printf("{\"map\":%f,\"lookup\":%f,\"unmap\":%f,\"bytes\":%f,\"checksum\":%u}\n", mapping / each,
         looking / each, unmapping / each, static_cast<double>(bytes) / static_cast<double>(size),
         static_cast<uint32_t>(checksum));
}
