/*
 * setgroups(2), setgid(2), setegid(2), setuid(2) and seteuid(2), for a Node that refuses to call them: one that is linked
 * with the system's libuv, as Debian 13 has it, cannot know whether io_uring is in use and refuses always. The caller
 * has made sure that it is not (user-ids.ts). The functions of the C library change all threads of the process.
 */
#define NAPI_VERSION 8
#include <errno.h>
#include <grp.h>
#include <node_api.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { MAX_GROUPS = 1024 };

static napi_value fail(napi_env env, const char *call, int number) {
  napi_value code, message, error, value;
  char text[256];
  size_t length = strlen(call);
  memcpy(text, call, length);
  memcpy(text + length, ": ", 2);
  strncpy(text + length + 2, strerror(number), sizeof text - length - 3);
  text[sizeof text - 1] = '\0';
  napi_create_string_utf8(env, number == EPERM ? "EPERM" : "EINVAL", NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message);
  napi_create_error(env, code, message, &error);
  napi_create_int32(env, number, &value);
  napi_set_named_property(env, error, "errno", value);
  napi_throw(env, error);
  return NULL;
}

/* The one argument, a number from 0 to 2^32 - 2: the last one means "leave it" to the system. */
static int read_id(napi_env env, napi_value value, uint32_t *id) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok || number < 0 || number > 4294967294.0 ||
      number != (double)(uint32_t)number) {
    napi_throw_type_error(env, NULL, "an id is a number from 0 to 4294967294");
    return 0;
  }
  *id = (uint32_t)number;
  return 1;
}

static int read_argument(napi_env env, napi_callback_info info, napi_value *argument) {
  size_t count = 1;
  napi_get_cb_info(env, info, &count, argument, NULL, NULL);
  if (count == 1) return 1;
  napi_throw_type_error(env, NULL, "one argument is needed");
  return 0;
}

#define ID_CALL(function, type)                                                                                        \
  static napi_value call_##function(napi_env env, napi_callback_info info) {                                           \
    napi_value argument;                                                                                               \
    uint32_t id;                                                                                                       \
    if (!read_argument(env, info, &argument) || !read_id(env, argument, &id)) return NULL;                             \
    return function((type)id) == 0 ? NULL : fail(env, #function, errno);                                               \
  }

ID_CALL(setuid, uid_t)
ID_CALL(seteuid, uid_t)
ID_CALL(setgid, gid_t)
ID_CALL(setegid, gid_t)

static napi_value call_setgroups(napi_env env, napi_callback_info info) {
  napi_value argument, element;
  gid_t groups[MAX_GROUPS];
  uint32_t length, id;
  if (!read_argument(env, info, &argument)) return NULL;
  if (napi_get_array_length(env, argument, &length) != napi_ok || length > MAX_GROUPS) {
    napi_throw_type_error(env, NULL, "groups are an array of at most 1024 ids");
    return NULL;
  }
  for (uint32_t index = 0; index < length; index += 1) {
    if (napi_get_element(env, argument, index, &element) != napi_ok || !read_id(env, element, &id)) return NULL;
    groups[index] = (gid_t)id;
  }
  return setgroups(length, groups) == 0 ? NULL : fail(env, "setgroups", errno);
}

static napi_value init(napi_env env, napi_value exports) {
  const napi_property_descriptor calls[] = {
      {"setuid", NULL, call_setuid, NULL, NULL, NULL, napi_enumerable, NULL},
      {"seteuid", NULL, call_seteuid, NULL, NULL, NULL, napi_enumerable, NULL},
      {"setgid", NULL, call_setgid, NULL, NULL, NULL, napi_enumerable, NULL},
      {"setegid", NULL, call_setegid, NULL, NULL, NULL, napi_enumerable, NULL},
      {"setgroups", NULL, call_setgroups, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof calls / sizeof calls[0], calls);
  return exports;
}

NAPI_MODULE(user_ids, init)
