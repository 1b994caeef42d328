import tseslint from 'typescript-eslint'

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', 'coverage/**', '.lab/**'] },
  {
    files: ['src/**/*.ts', 'commands/**/*.ts', 'test/**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { project: './tsconfig.check.json', tsconfigRootDir: import.meta.dirname },
    },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },
  {
    // Some Nodes refuse these calls; src/platform/user-ids.ts knows what works there (ADR 12).
    files: ['src/**/*.ts', 'commands/**/*.ts'],
    ignores: ['src/platform/user-ids.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        ...['setuid', 'seteuid', 'setgid', 'setegid', 'setgroups', 'initgroups'].map((property) => ({
          object: 'process',
          property,
          message: 'call userIds() of src/platform/user-ids.ts',
        })),
      ],
    },
  },
)
