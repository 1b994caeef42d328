import tseslint from 'typescript-eslint'

/** Functions that others call: exported ones, and methods of classes and interfaces that are not private. */
const CALLED_FUNCTIONS = [
  ':matches(ExportNamedDeclaration, ExportDefaultDeclaration) > FunctionDeclaration',
  'ExportNamedDeclaration > VariableDeclaration > VariableDeclarator > :matches(ArrowFunctionExpression, FunctionExpression)',
  "MethodDefinition[key.type!='PrivateIdentifier'][kind!='set'] > FunctionExpression",
  "PropertyDefinition[key.type!='PrivateIdentifier'] > ArrowFunctionExpression",
  'TSMethodSignature',
  'TSAbstractMethodDefinition > TSEmptyBodyFunctionExpression',
]

/** Selectors for their parameters that are boolean, by type or by default. */
const BOOLEAN_PARAMETERS = CALLED_FUNCTIONS.flatMap((called) => [
  ...[`${called} > Identifier.params`, `${called} > AssignmentPattern.params > Identifier.left`]
    .flatMap((name) => [`${name} > TSTypeAnnotation`, `${name} > TSTypeAnnotation > TSUnionType`])
    .map((type) => `${type} > TSBooleanKeyword`),
  `${called} > AssignmentPattern.params > Literal.right[raw=/^(true|false)$/]`,
])

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
        ...BOOLEAN_PARAMETERS.map((selector) => ({
          selector,
          message: 'Take a named option or a union of literals: a bare true says nothing where it is passed.',
        })),
      ],
    },
  },
)
