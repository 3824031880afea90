// Windows 8 and later. Threads are placed by the system.
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <malloc.h>

#include "platform/platform.h"

namespace leanbert::platform {

double seconds_now() {
  LARGE_INTEGER ticks, per_second;
  QueryPerformanceCounter(&ticks);
  QueryPerformanceFrequency(&per_second);
  return static_cast<double>(ticks.QuadPart) / static_cast<double>(per_second.QuadPart);
}

size_t page_bytes() {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  return info.dwPageSize;
}

void* map_memory(size_t bytes) { return VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE); }
void unmap_memory(void* memory, size_t) { VirtualFree(memory, 0, MEM_RELEASE); }
void advise_huge_pages(void*, size_t, bool) {}  // they need a privilege that users do not have

void* allocate_aligned(size_t bytes, size_t alignment) { return _aligned_malloc(bytes, alignment); }
void free_aligned(void* memory) { _aligned_free(memory); }

FileCopy::~FileCopy() {
  if (data_) unmap_memory(data_, bytes_);
}

const char* FileCopy::open(const char* path, uint64_t most_bytes) {
  wchar_t wide[32768];
  if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, sizeof wide / sizeof *wide))
    return "not a path in UTF-8";
  const HANDLE file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, nullptr, OPEN_EXISTING,
                                  FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) {
    switch (GetLastError()) {
      case ERROR_FILE_NOT_FOUND:
      case ERROR_PATH_NOT_FOUND: missing_ = true; return "No such file or directory";
      case ERROR_ACCESS_DENIED: return "Permission denied, or not a file with content";
      default: return "the system cannot open it";
    }
  }
  LARGE_INTEGER size;
  if (!GetFileSizeEx(file, &size) || size.QuadPart <= 0) {
    CloseHandle(file);
    return "not a file with content";
  }
  if (static_cast<uint64_t>(size.QuadPart) > most_bytes) {
    CloseHandle(file);
    return "larger than such a file may be";
  }
  bytes_ = static_cast<size_t>(size.QuadPart);
  data_ = static_cast<char*>(map_memory(bytes_));
  const char* why_not = data_ ? nullptr : "out of memory";
  for (size_t at = 0; !why_not && at < bytes_;) {
    constexpr size_t most = size_t{1} << 30;  // a call takes 32 bits
    DWORD got = 0;
    if (!ReadFile(file, data_ + at, static_cast<DWORD>(bytes_ - at < most ? bytes_ - at : most), &got, nullptr))
      why_not = "the system cannot read it";
    else if (got == 0)
      why_not = "it was cut short";
    at += got;
  }
  CloseHandle(file);
  return why_not;
}

void FileCopy::release(const void* first, const void* last) const {
  const uintptr_t page = page_bytes(), from = (reinterpret_cast<uintptr_t>(first) + page - 1) / page * page,
                  to = reinterpret_cast<uintptr_t>(last) / page * page;
  if (to > from) VirtualFree(reinterpret_cast<void*>(from), to - from, MEM_DECOMMIT);
}

struct ThreadEntry {
  static DWORD WINAPI main(void* self) {
    const Thread& thread = *static_cast<Thread*>(self);
    thread.run_(thread.argument_);
    return 0;
  }
};

bool Thread::start(void (*run)(void*), void* argument) {
  run_ = run;
  argument_ = argument;
  const HANDLE thread = CreateThread(nullptr, 0, ThreadEntry::main, this, 0, nullptr);
  handle_ = reinterpret_cast<uint64_t>(thread);
  return thread != nullptr;
}

void Thread::join() {
  const HANDLE thread = reinterpret_cast<HANDLE>(handle_);
  WaitForSingleObject(thread, INFINITE);
  CloseHandle(thread);
}

void yield() { SwitchToThread(); }

void wait(std::atomic<uint32_t>* word, uint32_t value) { WaitOnAddress(word, &value, sizeof value, INFINITE); }
void wake_all(std::atomic<uint32_t>* word) { WakeByAddressAll(word); }

int current_core() { return -1; }
void Cores::read_allowed() {}
void Cores::apply() const {}
void Cores::apply(const Thread&) const {}

uint64_t fork_generation() { return 0; }  // there are no forks
bool watch_forks() { return true; }

}  // namespace leanbert::platform
