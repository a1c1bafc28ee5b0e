import js from '@eslint/js'
import { defineConfig, globalIgnores } from 'eslint/config'
import html from 'eslint-plugin-html'
import globals from 'globals'
import tseslint from 'typescript-eslint'

const EDITOR_GLOBALS = ['RED', '$', 'RedoxEditor', 'RedoxValidators']

const onlyMessage = 'It would silence every other test, and nobody sees that in the dots.'

export default defineConfig(
  globalIgnores(['dist/', 'resources/', '.node-red/', 'test/fixtures/', 'test/contract/schemas/']),
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      // File names are cleaned of control characters, and files are known by them.
      'no-control-regex': 'off',
    },
  },

  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // One promise that nobody handles ends the whole Node-RED process, with everybody's flows.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      // As in tsc, an underscore says that it is left out on purpose.
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', destructuredArrayIgnorePattern: '^_' },
      ],
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { disallowTypeAnnotations: false, fixStyle: 'inline-type-imports' },
      ],
      // `async` is also there to turn what is thrown into a rejection.
      '@typescript-eslint/require-await': 'off',
      // Messages are foreign JSON: whatever stands in a place for a text is written into the error as it is.
      '@typescript-eslint/no-base-to-string': 'off',
      '@typescript-eslint/restrict-template-expressions': 'off',
      '@typescript-eslint/no-shadow': 'error',
      '@typescript-eslint/max-params': ['error', { max: 4 }],
      '@typescript-eslint/no-non-null-assertion': 'error',
      'max-lines': ['error', { max: 400 }],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true }],
    },
  },
  {
    // The code below the nodes can be used without Node-RED.
    files: ['src/**'],
    rules: {
      'no-restricted-imports': ['error', { patterns: ['node-red', '@node-red/*', '**/nodes/**'] }],
      'no-restricted-globals': ['error', 'RED'],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        ...['describe', 'it'].map((object) => ({ object, property: 'only', message: onlyMessage })),
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: "CallExpression[callee.object.type='ThisExpression'][callee.property.name='skip']",
          message: 'Call skip() of test/lib/skip.ts, with the reason: the total of `npm test` lists it.',
        },
      ],
      // A suite is one function, and a test fails anyway where a value is missing.
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      'max-lines': ['error', 600],
      // Tests take apart what came back as JSON, and hand in what no caller may.
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  { files: ['**/*.mjs'], languageOptions: { globals: globals.node } },
  { files: ['**/*.cjs'], languageOptions: { globals: globals.node, sourceType: 'commonjs' } },
  { files: ['{soak,bench}/**/*.js'], languageOptions: { globals: globals.node, sourceType: 'commonjs' } },
  {
    // What the HTML of nodes and plugins does itself: plain scripts, no modules.
    files: ['nodes/**/*.html', 'plugins/**/*.html'],
    plugins: { html },
    languageOptions: {
      sourceType: 'script',
      globals: {
        ...globals.browser,
        ...Object.fromEntries(EDITOR_GLOBALS.map((name) => [name, 'readonly'])),
      },
    },
    rules: { 'no-unused-vars': ['error', { argsIgnorePattern: '^_' }] },
  },
)
