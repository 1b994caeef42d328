/*
 * Put in front of each C++ source of better-sqlite3 when it is compiled (scripts/install.js). Since 24.19 the headers of Node 24 let
 * an ObjectWrap take part in the end of the environment; its destructor then ends the process when the garbage collector
 * runs between two events (nodejs/node#65446). Our databases are closed by us, so that nothing is lost without it.
 */
#include <node.h>
#define AddEnvironmentCleanupHook(isolate, hook, argument) static_cast<void>(0)
#define RemoveEnvironmentCleanupHook(isolate, hook, argument) static_cast<void>(0)
#include <node_object_wrap.h>
#undef AddEnvironmentCleanupHook
#undef RemoveEnvironmentCleanupHook
