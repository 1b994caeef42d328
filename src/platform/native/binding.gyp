{
  'targets': [
    {
      'target_name': 'user_ids',
      'sources': ['user-ids.c'],
      'cflags': ['-Wall', '-Wextra', '-Werror=implicit-function-declaration'],
    },
  ],
  'conditions': [
    ['OS=="linux"', {
      'targets': [
        {
          'target_name': 'nft_generation',
          'sources': ['nft-generation.c'],
          'cflags': ['-Wall', '-Wextra', '-Werror=implicit-function-declaration'],
        },
      ],
    }],
  ],
}
