/* Loads a library as Python does and prints what it says of itself: its version, the path that it would run here and the
 * version of its interface. For wheels of systems that have no Python at hand; test_wheels.py compiles and starts it.
 */
#include <stdio.h>

#ifdef _WIN32
#include <windows.h>
static void* open_library(const char* path) { return (void*)LoadLibraryA(path); }
static void* find(void* library, const char* name) { return (void*)GetProcAddress((HMODULE)library, name); }
#else
#include <dlfcn.h>
static void* open_library(const char* path) { return dlopen(path, RTLD_NOW); }
static void* find(void* library, const char* name) { return dlsym(library, name); }
#endif

typedef const char* (*text_function)(void);
typedef unsigned (*number_function)(void);

int main(int count, char** words) {
  void* library = count == 2 ? open_library(words[1]) : NULL;
  if (!library) return 1;
  const text_function version = (text_function)find(library, "lb_version"),
                      isa = (text_function)find(library, "lb_isa");
  const number_function abi = (number_function)find(library, "lb_abi_version");
  if (!version || !isa || !abi) return 2;
  printf("%s %s %u\n", version(), isa(), abi());
  return 0;
}
