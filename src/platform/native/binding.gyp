{
  'targets': [
    {
      'target_name': 'user_ids',
      'sources': ['user-ids.c'],
      'cflags': ['-Wall', '-Wextra', '-Werror=implicit-function-declaration'],
    },
  ],
}
