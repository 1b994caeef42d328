import tseslint from 'typescript-eslint'

/** What is allowed in spite of a ceiling, and why. */
const MORE_PARAMETERS = {
  'src/app/database/edit-entries.ts': 'one request in the words of spamdb, from two callers',
  'src/daemon/smtp/smtp-connection.ts':
    'one object a client: a bag of parts for each would be memory for nothing',
  'src/domain/decide-pools.ts': 'one pool with its key, times and cause',
  'src/db/journal-rows.ts': 'one row, a column each',
  'src/db/listing/key-ranges.ts': 'a recursion over its own state',
  'src/db/postgres/pg-listing.ts': 'a page, a bound each',
  'src/db/postgres/pg-writes.ts': 'one statement, an array a column',
  'src/ip/ipv6-range-set.ts': 'called for each of millions of ranges: no object for each',
  'src/ip/radix-sort.ts': 'called for each of millions of ranges: no object for each',
}

/** Selectors for parameters of exported functions that are boolean, by their type or by their default. */
const EXPORTED_BOOLEANS = [
  'FunctionDeclaration',
  'VariableDeclaration > VariableDeclarator > ArrowFunctionExpression',
]
  .map((kind) => `:matches(ExportNamedDeclaration, ExportDefaultDeclaration) > ${kind}`)
  .flatMap((kind) => [`${kind} > Identifier.params`, `${kind} > AssignmentPattern.params > Identifier.left`])
  .flatMap((name) => [`${name} > TSTypeAnnotation`, `${name} > TSTypeAnnotation > TSUnionType`])
  .map((type) => `${type} > TSBooleanKeyword`)
  .concat(
    'ExportNamedDeclaration > FunctionDeclaration > AssignmentPattern.params > Literal.right[raw=/^(true|false)$/]',
  )

/** Selectors for branches on what an error or a program says, instead of on a code or a field. */
const SAID = '/^(message|reason|hint|said|stderr|stderrTail)$/'
const SAID_AT = [`[name=${SAID}]`, `[property.name=${SAID}]`, '[callee.name="reasonOf"]']
const BRANCHES_ON_TEXT = [
  ...SAID_AT.flatMap((said) => [
    `CallExpression[callee.property.name=/^(includes|startsWith|endsWith|match|matchAll|search|indexOf)$/] > MemberExpression.callee > ${said}.object`,
    `CallExpression[callee.property.name=/^(test|exec)$/] > ${said}.arguments`,
  ]),
  ":matches(BinaryExpression[operator=/^[!=]==$/]:has(> Literal[raw=/^['\"]/]), SwitchStatement) > [property.name='message']",
]

export default tseslint.config(
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
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
  {
    files: ['src/**/*.ts', 'commands/**/*.ts'],
    rules: {
      'max-params': ['error', 5],
      complexity: ['error', 15],
      // What was caught is thrown on as it is.
      '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true }],
      'no-restricted-syntax': [
        'error',
        {
          selector:
            ":matches(PropertyDefinition, MethodDefinition[kind!='constructor'])[accessibility='private']",
          message: 'Private members begin with #, which also holds at run time.',
        },
        ...BRANCHES_ON_TEXT.map((selector) => ({
          selector,
          message:
            'Branch on a code, an errno or a field. For a program or library that gives a text only, say so here, beside the call.',
        })),
        ...EXPORTED_BOOLEANS.map((selector) => ({
          selector,
          message: 'Take a named option or a union of literals: a bare true says nothing where it is passed.',
        })),
      ],
    },
  },
  { files: Object.keys(MORE_PARAMETERS), rules: { 'max-params': 'off' } },
)
